//! `PARSE_URL`, `INET_ATON` and `INET_NTOA`.
//!
//! NULL in, NULL out, and NULL for what is no URL or address. Source: Flink's documentation, "String Functions"; a URL
//! is taken apart as `java.net.URL` does, which decodes nothing. Its protocols here are http, https, ftp and file.

use datafusion::{common::Result, logical_expr::ScalarUDF};

use super::row::{
    Eval,
    Kind::{Text, Whole},
    Row, RowFunction,
};

pub(super) fn all() -> Vec<ScalarUDF> {
    let functions = [
        RowFunction::new("parse_url", &[Text, Text, Text], Eval::Text(parse_url)).optional(1),
        RowFunction::new("inet_aton", &[Text], Eval::Long(|row| Ok(aton(row.text(0))))),
        RowFunction::new("inet_ntoa", &[Whole], Eval::Text(|row| Ok(ntoa(row.whole(0))))),
    ];
    functions.into_iter().map(ScalarUDF::from).collect()
}

/// A URL's parts as they are written.
struct Url<'a> {
    protocol: String,
    authority: Option<&'a str>,
    path: String,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

impl<'a> Url<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (protocol, rest) = text.trim().split_once(':')?;
        let protocol = protocol.to_lowercase();
        if !matches!(protocol.as_str(), "http" | "https" | "ftp" | "file") {
            return None;
        }
        let (rest, fragment) = cut(rest, '#');
        let (rest, query) = cut(rest, '?');
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
            None => (None, rest),
        };
        let url = Url { protocol, authority, path: without_dots(path), query, fragment };
        // A port that is no number makes the whole no URL.
        let port = url.host_and_port().1.is_none_or(|port| port.is_empty() || port.parse::<u16>().is_ok());
        port.then_some(url)
    }

    fn user_info(&self) -> Option<&'a str> {
        let (user, host) = self.authority?.split_once('@')?;
        (!host.contains('@')).then_some(user)
    }

    fn host_and_port(&self) -> (Option<&'a str>, Option<&'a str>) {
        let Some(authority) = self.authority else { return (None, None) };
        let host = authority.split_once('@').map_or(authority, |(_, host)| host);
        // The colons of an address in brackets are its own.
        let from = host.find(']').unwrap_or(0);
        match host[from..].find(':') {
            Some(at) => (Some(&host[..from + at]), Some(&host[from + at + 1..])),
            None => (Some(host), None),
        }
    }
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Without `/./`, and with `/../` taking back what stands before it.
fn without_dots(path: &str) -> String {
    let is_dotted = ["/./", "/../"].iter().any(|dots| path.contains(dots))
        || path.ends_with("/.")
        || path.ends_with("/..");
    if !is_dotted {
        return path.to_owned();
    }
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').collect();
    for (index, segment) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        match *segment {
            "." if !is_last => {}
            ".." if kept.last().is_some_and(|before| !before.is_empty() && *before != "..") => {
                kept.pop();
                if is_last {
                    kept.push("");
                }
            }
            "." => kept.push(""),
            other => kept.push(other),
        }
    }
    kept.join("/")
}

fn parse_url(row: &Row<'_>) -> Result<Option<String>> {
    let Some(url) = Url::parse(row.text(0)) else { return Ok(None) };
    let part = row.text(1);
    if row.has(2) {
        let value = url.query.filter(|_| part == "QUERY").and_then(|query| {
            query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == row.text(2)))
        });
        return Ok(value.map(|(_, value)| value.to_owned()));
    }
    Ok(match part {
        "PROTOCOL" => Some(url.protocol),
        "HOST" => url.host_and_port().0.map(str::to_owned),
        "PATH" => Some(url.path),
        "QUERY" => url.query.map(str::to_owned),
        "REF" => url.fragment.map(str::to_owned),
        "AUTHORITY" => url.authority.map(str::to_owned),
        "USERINFO" => url.user_info().map(str::to_owned),
        "FILE" => Some(match url.query {
            Some(query) => format!("{}?{query}", url.path),
            None => url.path,
        }),
        _ => None,
    })
}

/// One to four parts of up to 255. The last one stands at the end, parts between are zero: `127.1` is `127.0.0.1`.
fn aton(text: &str) -> Option<i64> {
    let part = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if digits { part.parse::<u8>().ok().map(i64::from) } else { None }
    };
    let parts = text.split('.').map(part).collect::<Option<Vec<i64>>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 {
        return None;
    }
    Some(first.iter().zip([24, 16, 8]).fold(*last, |sum, (part, shift)| sum | part << shift))
}

fn ntoa(number: i64) -> Option<String> {
    u32::try_from(number).ok().map(|number| std::net::Ipv4Addr::from(number).to_string())
}
