//! The three output forms, row limits and timeouts.

use std::time::Duration;

use plamatio_queries::{Error, Format, Options};

use crate::support::{START, TestLake, conversion, dead_letters, run};

const ALL_TYPES: &str = "SELECT
    window_start,
    to_timestamp('2026-01-05T00:00:00') AS local_time,
    CAST(window_start AS DATE) AS day,
    sessions,
    conversion_rate,
    CASE WHEN sessions = 0 THEN NULL ELSE 'a \"b\", c' END AS text,
    [1, 2] AS list,
    sessions > 0 AS busy
FROM conversion
ORDER BY window_start";

async fn lake() -> TestLake {
    let lake = TestLake::new();
    lake.append("conversion", conversion(&[(START, 100, 3), (START + 1_500, 0, 0)])).await;
    lake
}

#[tokio::test]
async fn each_format_shows_all_types() {
    let lake = lake().await;
    let session = lake.session();
    for format in [Format::Table, Format::Json, Format::Csv] {
        insta::assert_snapshot!(
            format!("all_types_{format}"),
            run(&session, ALL_TYPES, format).await.unwrap()
        );
    }
    let json = run(&session, ALL_TYPES, Format::Json).await.unwrap();
    let rows: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(&json).unwrap();
    assert_eq!(rows[0]["window_start"], "2026-01-05T00:00:00Z");
    assert_eq!(rows[0]["local_time"], "2026-01-05T00:00:00Z");
    assert!(rows[1]["conversion_rate"].is_null());
}

#[tokio::test]
async fn an_empty_result_keeps_its_shape() {
    let lake = lake().await;
    let session = lake.session();
    let sql = "SELECT sessions, visitors FROM conversion WHERE sessions < 0";
    assert_eq!(run(&session, sql, Format::Json).await.unwrap(), "[]\n");
    assert_eq!(run(&session, sql, Format::Csv).await.unwrap(), "sessions,visitors\n");
    assert_eq!(
        run(&session, sql, Format::Table).await.unwrap(),
        " sessions | visitors\n----------+----------\n(0 rows)\n\n"
    );
}

#[tokio::test]
async fn each_statement_has_its_own_result() {
    let lake = lake().await;
    let json = run(&lake.session(), "SELECT 1 AS a; SELECT ';' AS b;", Format::Json).await.unwrap();
    assert_eq!(json, "[{\"a\":1}]\n[{\"b\":\";\"}]\n");
}

#[tokio::test]
async fn binary_is_hexadecimal_and_control_characters_do_not_reach_the_terminal() {
    let lake = TestLake::new();
    lake.append("dead_letters", dead_letters(&[("cart-events", 7, "bad \u{1b}[31mjson\ttab", START)])).await;
    let session = lake.session();
    let sql = "SELECT payload, reason FROM dead_letters";
    insta::assert_snapshot!("binary_table", run(&session, sql, Format::Table).await.unwrap());
    assert_eq!(
        run(&session, "SELECT payload FROM dead_letters", Format::Json).await.unwrap(),
        "[{\"payload\":\"7bff\"}]\n"
    );
    assert_eq!(
        run(&session, "SELECT payload FROM dead_letters", Format::Csv).await.unwrap(),
        "payload\n7bff\n"
    );
}

#[tokio::test]
async fn the_row_limit_cuts_tables_only() {
    let lake = lake().await;
    let sql = "SELECT value FROM generate_series(1, 20000) ORDER BY value";
    for (limit, footer) in [(3, "(first 3 rows; the result has more"), (20_000, "(20000 rows)\n")] {
        let options = Options { row_limit: Some(limit), ..Options::default() };
        let mut out = Vec::new();
        let summary = lake.session().run(sql, &options, &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(footer), "{}", &text[text.len() - 200..]);
        assert_eq!(summary.rows, limit as u64);
    }
    let options = Options { row_limit: Some(3), format: Format::Csv, ..Options::default() };
    let mut out = Vec::new();
    assert_eq!(lake.session().run(sql, &options, &mut out).await.unwrap().rows, 20_000);
}

#[tokio::test]
async fn the_elapsed_time_is_shown_only_when_asked_for() {
    let lake = lake().await;
    for timing in [false, true] {
        let mut out = Vec::new();
        let options = Options { timing, ..Options::default() };
        lake.session().run("SELECT 1", &options, &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        let footer = text.trim_end().lines().last().unwrap();
        assert_eq!(footer.ends_with(" s"), timing, "{footer}");
        assert!(footer.starts_with("(1 row)"), "{footer}");
    }
}

#[tokio::test]
async fn a_long_statement_is_stopped() {
    let lake = lake().await;
    let options = Options { timeout: Some(Duration::from_millis(200)), ..Options::default() };
    let sql = "SELECT 1;\nSELECT COUNT(*) FROM generate_series(1, 100000000000)";
    let mut out = Vec::new();
    let error = lake.session().run(sql, &options, &mut out).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { line: 2, .. }), "{error}");
    assert!(error.to_string().starts_with("statement at line 2 was stopped after 0.2 s"), "{error}");
}

#[tokio::test]
async fn results_are_streamed() {
    let lake = lake().await;
    for format in [Format::Json, Format::Csv] {
        let options = Options { format, ..Options::default() };
        let mut out = Refusing { taken: 0 };
        let sql = "SELECT value FROM generate_series(1, 100000000000)";
        let error = lake.session().run(sql, &options, &mut out).await.unwrap_err();
        assert!(error.is_broken_pipe(), "{error}");
        assert!(out.taken > 0, "rows must be written before the result is complete");
    }
}

/// Takes some bytes, then behaves as a closed pipe.
struct Refusing {
    taken: usize,
}

impl std::io::Write for Refusing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.taken > 1_000_000 {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        self.taken += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn statements_can_run_in_a_spawned_task() {
    let lake = lake().await;
    let session = lake.session();
    let text = tokio::spawn(async move { run(&session, "SELECT 1 AS one", Format::Csv).await.unwrap() });
    assert_eq!(text.await.unwrap(), "one\n1\n");
}
