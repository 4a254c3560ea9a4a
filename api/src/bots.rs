//! A small list of user agents that are not people.
//!
//! It catches programs that say what they are: crawlers, previews, monitors, command-line clients and headless
//! browsers. A program that claims to be a browser passes; finding those is the engine's work, on behaviour.

/// Lower-case parts of user-agent texts. The first group holds the words that crawlers share; the rest are
/// clients whose names have none of these words.
const MARKS: &[&str] = &[
    "bot",
    "crawl",
    "spider",
    "slurp",
    "scrape",
    "archiver",
    "preview",
    "monitor",
    "headless",
    "lighthouse",
    "pagespeed",
    "facebookexternalhit",
    "curl/",
    "wget/",
    "python-requests",
    "python-urllib",
    "aiohttp",
    "httpx/",
    "go-http-client",
    "okhttp",
    "java/",
    "libwww-perl",
    "node-fetch",
    "axios/",
    "phantomjs",
    "selenium",
    "puppeteer",
    "playwright",
    "apache-httpclient",
    "scrapy",
    "feedfetcher",
    "mediapartners",
];

/// Whether a `User-Agent` names a program. None at all is also one: every browser sends it.
pub(crate) fn is_bot(user_agent: Option<&str>) -> bool {
    let Some(agent) = user_agent.map(str::trim).filter(|agent| !agent.is_empty()) else { return true };
    let agent = agent.to_ascii_lowercase();
    // A phone maker whose model names contain the word.
    let agent = agent.replace("cubot", "");
    MARKS.iter().any(|mark| agent.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::is_bot;

    #[test]
    fn browsers_are_people() {
        for agent in [
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Safari/604.1",
            "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 Chrome/90.0 Mobile Safari/537.36",
        ] {
            assert!(!is_bot(Some(agent)), "{agent}");
        }
    }

    #[test]
    fn programs_are_not() {
        for agent in ["Googlebot/2.1", "curl/8.5.0", "Mozilla/5.0 HeadlessChrome/126.0", "", "  "] {
            assert!(is_bot(Some(agent)), "{agent}");
        }
        assert!(is_bot(None));
    }
}
