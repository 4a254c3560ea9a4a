//! Tables: what goes into a sink and how, and what is computed of a record.

use insta::assert_snapshot;

use crate::{
    run::{block_on, check, files, run, run_bytes, try_run},
    text,
};

const EVENTS: &str = "
    time      k  v
    12:00:01  a  5
    12:00:04  b  2
    12:00:06  -  300";

#[test]
fn filters_and_projections_need_no_window() {
    assert_snapshot!(check(EVENTS, "k STRING, double_v BIGINT", "SELECT upper(k), v * 2 FROM events WHERE v < 100"), @r"
    k  double_v
    A  10
    B  4
    ");
    assert_snapshot!(check(EVENTS, "one BIGINT", "SELECT 1 FROM events"), @r"
    one
    1
    1
    1
    ");
}

#[test]
fn an_insert_is_by_position_and_casts() {
    let columns = "a STRING, b DOUBLE, c TIMESTAMP(3), d DECIMAL(10, 2)";
    assert_snapshot!(check(EVENTS, columns, "SELECT v, v * 1 AS b, `time`, v + 0 FROM events"), @r"
    a    b      c         d
    2    2.0    12:00:04  2.00
    300  300.0  12:00:06  300.00
    5    5.0    12:00:01  5.00
    ");
}

#[test]
fn an_insert_may_name_its_columns() {
    let sink = "CREATE TABLE out (a STRING, b BIGINT, c STRING) WITH ('connector' = 'collect');";
    assert_snapshot!(run(EVENTS, &format!("{sink} INSERT INTO out (c, b) SELECT k, v FROM events")).finals(), @r"
    a     b    c
    NULL  2    b
    NULL  300  NULL
    NULL  5    a
    ");
}

#[test]
fn metadata_columns_are_filled_in() {
    let done = run(
        EVENTS,
        "CREATE TABLE out (k STRING, final BOOLEAN METADATA FROM 'is_final', epoch BIGINT METADATA, v BIGINT,
           revision BIGINT METADATA) WITH ('connector' = 'collect', 'emit' = 'final');
         INSERT INTO out SELECT k, v FROM events",
    );
    // Epochs count on from the clock: noon of 6 January, in milliseconds.
    assert_snapshot!(done.finals(), @r"
    k     final  epoch          v    revision
    NULL  true   1767700800001  300  1
    a     true   1767700800001  5    1
    b     true   1767700800001  2    1
    ");
}

#[test]
fn generated_columns_in_both_spellings() {
    let done = run_bytes(
        &[vec![
            br#"{"time":"2026-01-05T12:00:00Z","name":"a","cents":250}"#.to_vec(),
            br#"{"time":"2026-01-05T12:00:01Z","name":null,"cents":1}"#.to_vec(),
        ]],
        "name STRING, cents BIGINT, euros AS CAST(cents AS DOUBLE) / 100,
         loud STRING GENERATED ALWAYS AS (upper(name)) STORED",
        "",
        "CREATE TABLE out (euros DOUBLE, loud STRING) WITH ('connector' = 'collect');
         INSERT INTO out SELECT euros, loud FROM events",
    );
    assert_snapshot!(done.finals(), @r"
    euros  loud
    0.01   NULL
    2.5    A
    ");
}

#[test]
fn a_generated_column_may_be_the_event_time() {
    let folder =
        files(&[vec![br#"{"ts":"2026-01-05 12:00:07"}"#.to_vec(), br#"{"ts":"yesterday"}"#.to_vec()]]);
    let script = format!(
        "CREATE TABLE events (ts STRING, at AS CAST(ts AS TIMESTAMP(3)), WATERMARK FOR at AS at - INTERVAL '1' SECOND)
         WITH ('connector' = 'filesystem', 'path' = '{}');
         CREATE TABLE out (at TIMESTAMP(3), n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
         INSERT INTO out SELECT window_start, COUNT(*)
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(at), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end",
        folder.path().display()
    );
    let done = block_on(try_run(&script)).unwrap();
    assert_eq!(done.counts(), [2, 1, 0, 0, 0, 1]);
    assert_snapshot!(done.finals(), @r"
    at        n
    12:00:00  1
    ");
}

#[test]
fn one_source_feeds_many_sinks() {
    let done = run(
        EVENTS,
        "CREATE TABLE out (k STRING) WITH ('connector' = 'collect');
         CREATE TABLE other (v BIGINT) WITH ('connector' = 'collect');
         CREATE VIEW small AS SELECT * FROM events WHERE v < 100;
         EXECUTE STATEMENT SET BEGIN
         INSERT INTO out SELECT k FROM small; INSERT INTO other SELECT v FROM events; INSERT INTO out SELECT 'x' FROM small;
         END",
    );
    assert_eq!(done.counts(), [3, 3, 0, 0, 0, 0]);
    assert_eq!((done.ledger.sinks["out"].finals, done.ledger.sinks["other"].finals), (4, 3));
    assert_snapshot!(done.finals(), @r"
    k
    a
    b
    x
    x
    ");
    assert_snapshot!(text::table(&done.collected.finals("other"), false), @r"
    v
    2
    300
    5
    ");
}

#[test]
fn a_key_seen_before_counts_once() {
    let lines = text::json_lines(
        "time      k  v
         12:00:01  a  1
         12:00:02  b  2
         12:00:01  a  3",
    );
    let done = run_bytes(
        &[lines.into_iter().map(String::into_bytes).collect()],
        "k STRING, v BIGINT",
        ", 'deduplicate.key' = 'k'",
        "CREATE TABLE out (k STRING, v BIGINT) WITH ('connector' = 'collect'); INSERT INTO out SELECT k, v FROM events",
    );
    assert_eq!(done.counts(), [3, 2, 0, 0, 1, 0]);
    assert_snapshot!(done.finals(), @r"
    k  v
    a  1
    b  2
    ");
}

#[test]
fn two_inserts_into_one_table_are_one_sink() {
    let done = run(
        "time k v
         12:00:00 a 1
         12:00:01 b 2",
        "CREATE TABLE out (k STRING, v BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
         INSERT INTO out SELECT k, v FROM events;
         INSERT INTO out SELECT k, v * 10 FROM events WHERE k = 'a';",
    );
    assert_eq!(done.ledger.sinks["out"].finals, 3);
    insta::assert_snapshot!(done.finals(), @r"
    k  v
    a  1
    a  10
    b  2
    ");
}

#[test]
fn a_key_with_null_identifies_nothing() {
    let lines = [
        r#"{"time":"2026-01-05T12:00:01Z","k":null}"#,
        r#"{"time":"2026-01-05T12:00:01Z","k":null}"#,
        r#"{"time":"2026-01-05T12:00:01Z"}"#,
        r#"{"time":"2026-01-05T12:00:01Z","k":"a"}"#,
        r#"{"time":"2026-01-05T12:00:01Z","k":"a"}"#,
    ];
    let done = run_bytes(
        &[lines.map(|line| line.as_bytes().to_vec()).to_vec()],
        "k STRING",
        ", 'deduplicate.key' = 'k'",
        "CREATE TABLE out (k STRING) WITH ('connector' = 'collect'); INSERT INTO out SELECT k FROM events",
    );
    assert_eq!(done.counts(), [5, 4, 0, 0, 1, 0]);
}

#[test]
fn the_two_zeros_are_one_value() {
    let lines = ["0.0", "-0.0", "0", "-0.0"]
        .map(|v| format!(r#"{{"time":"2026-01-05T12:00:01Z","v":{v}}}"#).into_bytes());
    for window in [
        "TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)",
        "SESSION(TABLE events PARTITION BY v, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)",
    ] {
        let done = run_bytes(
            &[lines.to_vec()],
            "v DOUBLE",
            "",
            &format!(
                "CREATE TABLE out (v DOUBLE, n BIGINT, kinds BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
                 INSERT INTO out SELECT v, COUNT(*), COUNT(DISTINCT v) FROM TABLE({window})
                 GROUP BY v, window_start, window_end"
            ),
        );
        assert_eq!(done.finals(), "v    n  kinds\n0.0  4  1", "{window}");
    }
}

#[test]
fn event_times_that_cannot_be_used_are_set_aside() {
    // The clock of tests stands at noon of 6 January.
    let times = [
        "2026-01-05T12:00:01Z",
        "2026-01-06T12:09:00Z",
        "2026-01-06T12:11:00Z",
        "9999-12-31T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "1677-09-21T00:12:44Z",
    ];
    let lines = times.map(|time| format!(r#"{{"time":"{time}"}}"#).into_bytes());
    let done = run_bytes(
        &[lines.to_vec()],
        "k STRING",
        "",
        "CREATE TABLE out (e TIMESTAMP(3), n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
         INSERT INTO out SELECT window_end, COUNT(*)
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end",
    );
    assert_eq!(done.counts(), [6, 2, 0, 1, 0, 3]);
    assert_snapshot!(done.finals(), @r"
    e         n
    12:01:00  1
    12:10:00  1
    ");
    let letters = text::table(&done.collected.finals("dead_letters"), true);
    for reason in [
        "event time 'time' = 2026-01-06T12:11:00Z is further ahead of the clock than 'max-future' allows",
        "from 1677-09-21 to 2262-04-11, found \"9999-12-31T00:00:00Z\"",
    ] {
        assert!(letters.contains(reason), "{letters}");
    }
}

#[test]
fn names_keep_their_case() {
    let line = br#"{"time":"2026-01-05T12:00:01Z","anonymousId":"a","anonymousid":"other"}"#.to_vec();
    let done = run_bytes(
        &[vec![line]],
        "anonymousId STRING",
        "",
        "CREATE TABLE Out (visitorId STRING) WITH ('connector' = 'collect', 'emit' = 'final');
         CREATE VIEW ByVisitor AS SELECT anonymousId AS visitorId FROM events;
         INSERT INTO Out (visitorId) SELECT visitorId FROM ByVisitor;",
    );
    insta::assert_snapshot!(crate::text::table(&done.collected.finals("Out"), false), @r"
    visitorId
    a
    ");
}
