//! `plamatio demo`, short.

use std::path::Path;

use crate::support::process::{Ended, plamatio, run};

const ARGUMENTS: [&str; 9] =
    ["demo", "--duration", "8s", "--port", "0", "--rate", "500", "--data-dir", "data"];

fn assert_it_closed_its_books(ended: Ended, folder: &Path) -> String {
    let text = ended.ok().text();
    for metric in ["conversion", "cart_abandonment", "top_products"] {
        let line =
            text.lines().find(|line| line.starts_with("batch SQL") && line.contains(&format!(" {metric},")));
        assert!(line.is_some_and(|line| line.ends_with("all equal")), "{metric}:\n{text}");
    }
    assert_eq!(text.matches("  balanced").count(), 4, "{text}");
    assert!(!text.contains("NOT BALANCED") && !text.contains("LOST"), "{text}");
    assert!(text.contains("live page: http://127.0.0.1:"), "{text}");
    assert!(text.contains("plamatio sql --lake"), "{text}");
    // The lake is where it says, and can be asked.
    let lake = text.lines().find_map(|line| line.strip_prefix("lake:")).unwrap().trim();
    let sql = "SELECT COUNT(*) AS n FROM top_products WHERE views > 0";
    let answer = run(plamatio(folder, &["sql", "--lake", lake, "--format", "csv", "-c", sql])).ok().text();
    let rows: u64 = answer.lines().nth(1).unwrap().parse().unwrap();
    assert!(rows > 0, "{answer}");
    text
}

#[test]
fn it_ends_with_books_that_balance() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(plamatio(folder.path(), &ARGUMENTS));
    assert_it_closed_its_books(ended, folder.path());
}

#[test]
fn without_services_it_works_with_less_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = plamatio(folder.path(), &ARGUMENTS);
    command.env_clear().env("PATH", folder.path());
    let text = assert_it_closed_its_books(run(command), folder.path());
    let line = text.lines().find(|line| line.starts_with("redis: off")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("Install redis-server or set REDIS_URL"), "{line}");
    // PostgreSQL is also looked for where Debian puts it; as root it takes tools from PATH to start it.
    if let Some(line) = text.lines().find(|line| line.starts_with("storefront: off")) {
        assert!(line.contains("Install postgresql or set DATABASE_URL"), "{line}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command =
        plamatio(folder.path(), &["demo", "--duration", "5s", "--data-dir", "data", "--port", &port]);
    command.env("PATH", folder.path());
    let ended = run(command);
    assert!(!ended.status.success());
    assert!(ended.stderr.contains(&format!("cannot listen on port {port}")), "{}", ended.stderr);
    assert!(ended.stderr.contains("--port"), "{}", ended.stderr);
}
