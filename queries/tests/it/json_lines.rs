//! Raw events as a table.

use std::fs;
use std::fs::OpenOptions;
use std::io::Write as _;

use plamatio_queries::Format;

use crate::support::{TestLake, run};

const EVENTS: &str = r#"{"id":"1","source":"web","type":"view_item","time":"2026-01-05T00:00:00.250Z","product_id":7}
{"id":"2","source":"web","type":"view_item","time":"2026-01-05T00:00:01.000Z","product_id":8}
{"id":"3","source":"api","type":"purchase","time":"2026-01-05T01:00:02.000+01:00","value_minor":1999,"context":{"tags":["a"]}}
"#;

#[tokio::test]
async fn raw_events_have_typed_columns() {
    let lake = TestLake::new();
    fs::write(lake.path().join("events.jsonl"), EVENTS).unwrap();
    insta::assert_snapshot!("raw_schema", lake.csv("DESCRIBE events").await);
    insta::assert_snapshot!(
        "raw_rows",
        run(&lake.session(), "SELECT * FROM events", Format::Json).await.unwrap()
    );
    let csv = lake
        .csv(
            "SELECT date_trunc('minute', time) AS minute, COUNT(*) AS n, SUM(value_minor) AS value
         FROM events WHERE time >= '2026-01-05T00:00:00Z' GROUP BY 1",
        )
        .await;
    assert_eq!(csv, "minute,n,value\n2026-01-05T00:00:00Z,3,1999\n");
}

#[tokio::test]
async fn malformed_lines_do_not_hide_the_rest() {
    let lake = TestLake::new();
    let mut bytes = Vec::new();
    for number in 0..30 {
        bytes.extend(
            format!("{{\"id\":\"{number}\",\"time\":\"2026-01-05T00:00:00Z\",\"n\":{number}}}\n").bytes(),
        );
    }
    let good = bytes.clone();
    bytes.extend(b"{\"id\":\"cut\",\"ti\n");
    bytes.extend(b"{\"id\":\"\xff\xfe\"}\n");
    bytes.extend(b"{\"id\":\"wrong\",\"time\":12345,\"n\":1}\n");
    bytes.extend(b"{\"id\":\"wrong\",\"time\":\"yesterday\"}\n");
    bytes.extend(b"\n[1,2]\nnull\n\r\n");
    bytes.extend(&good);
    fs::write(lake.path().join("events.jsonl"), &bytes).unwrap();
    assert_eq!(
        lake.csv("SELECT COUNT(*) AS a, COUNT(time) AS b, SUM(n) AS c FROM events").await,
        "a,b,c\n60,60,870\n"
    );
    // The same lines count whatever is asked for.
    assert_eq!(lake.csv("SELECT COUNT(*) AS a FROM events").await, "a\n60\n");
    assert_eq!(lake.csv("SELECT COUNT(id) AS a FROM events").await, "a\n60\n");
}

#[tokio::test]
async fn a_line_being_written_is_not_read() {
    let lake = TestLake::new();
    let path = lake.path().join("events.jsonl");
    fs::write(&path, "{\"a\":1}\n{\"a\":2,\"b\":").unwrap();
    let session = lake.session();
    let sql = "SELECT COUNT(*) AS n, SUM(a) AS s FROM events";
    assert_eq!(run(&session, sql, Format::Csv).await.unwrap(), "n,s\n1,1\n");

    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"true}\n{\"a\":3}").unwrap();
    let sql = "SELECT COUNT(*) AS n, SUM(a) AS s, COUNT(b) AS b FROM events";
    // The last line lacks its line break but is whole.
    assert_eq!(run(&session, sql, Format::Csv).await.unwrap(), "n,s,b\n3,6,1\n");

    fs::write(&path, "{\"c\":1}\n").unwrap();
    assert_eq!(run(&session, "SELECT * FROM events", Format::Csv).await.unwrap(), "c\n1\n");
    fs::write(&path, "").unwrap();
    assert_eq!(run(&session, "SELECT COUNT(*) AS n FROM events", Format::Csv).await.unwrap(), "n\n0\n");
}

#[tokio::test]
async fn a_large_file_is_read_in_ranges() {
    let lake = TestLake::new();
    let mut text = String::new();
    // Lines of many lengths, so that ranges and blocks end inside, at and after line breaks.
    for number in 0..200_000_u64 {
        let pad = "x".repeat((number % 211) as usize);
        text.push_str(&format!("{{\"n\":{number},\"pad\":\"{pad}\"}}\n"));
    }
    assert!(text.len() > 24 << 20);
    fs::write(lake.path().join("events.jsonl"), &text).unwrap();
    let session = lake.session();
    for partitions in [1, 2, 3, 7] {
        let sql = format!(
            "SET datafusion.execution.target_partitions = {partitions};
             SELECT COUNT(*) AS c, COUNT(DISTINCT n) AS d, SUM(n) AS s, SUM(length(pad)) AS l FROM events"
        );
        let length: u64 = (0..200_000_u64).map(|number| number % 211).sum();
        let expected = format!("c,d,s,l\n200000,200000,19999900000,{length}\n");
        assert_eq!(run(&session, &sql, Format::Csv).await.unwrap(), expected, "{partitions} partitions");
    }
    assert_eq!(run(&session, "SELECT n FROM events LIMIT 3", Format::Csv).await.unwrap().lines().count(), 4);
}
