//! Input that nobody wrote on purpose.

use insta::assert_snapshot;

use crate::{
    run::{Done, NOW_US, run_bytes},
    text,
};

const COUNT: &str = "
    CREATE TABLE out (w TIMESTAMP(3), n BIGINT, total BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
    INSERT INTO out SELECT window_start, COUNT(*), SUM(v)
    FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end";

fn count(lines: &[&[u8]]) -> Done {
    run_bytes(&[lines.iter().map(|line| line.to_vec()).collect()], "k STRING, v BIGINT", "", COUNT)
}

/// `kind`, `offset`, `reason` of the dead letters.
fn letters(done: &Done) -> String {
    let letters = done.collected.finals("dead_letters");
    text::table(&letters.iter().map(|batch| batch.project(&[0, 4, 5]).unwrap()).collect::<Vec<_>>(), true)
}

#[test]
fn broken_records_are_set_aside_and_the_others_count() {
    let done = count(&[
        br#"{"time":"2026-01-05T12:00:00Z","v":1}"#,
        br#"{"time":"2026-01-05T12:00:01Z","v":"#,
        b"\xff\xfe\x00",
        b"",
        b"null",
        br#"[{"time":"2026-01-05T12:00:01Z","v":1}]"#,
        br#"{"time":"2026-01-05T12:00:02Z","v":2} trailing"#,
        br#"{"time":"2026-01-05T12:00:02Z","v":99999999999999999999}"#,
        br#"{"time":"2026-01-05T12:00:02Z","v":1.5}"#,
        br#"{"time":"2026-01-05T12:00:02Z","v":"seven"}"#,
        br#"{"time":"2026-01-05T12:00:02Z","v":{"deep":[1,{"er":null}]}}"#,
        br#"{"time":"the day before","v":1}"#,
        br#"{"time":"2026-02-30T00:00:00Z","v":1}"#,
        br#"{"time":null,"v":1}"#,
        br#"{"v":1}"#,
        br#"{"time":"2026-01-05T12:00:03Z","v":4,"more":{"nested":[[[{"v":100}]]]},"k":["a"]}"#,
        br#"{"time":"2026-01-05T12:00:03Z","v":8,"v":16}"#,
    ]);
    assert_eq!(done.counts(), [17, 3, 0, 0, 0, 14]);
    assert_snapshot!(done.finals(), @r"
    w         n  total
    12:00:00  3  21
    ");
    assert_snapshot!(letters(&done), @r#"
    kind       offset  reason
    malformed  38      not valid JSON: EOF while parsing a value at line 1 column 35
    malformed  74      not UTF-8: invalid utf-8 sequence of 1 bytes from index 0
    malformed  78      the record is empty
    malformed  79      not a JSON object
    malformed  84      not a JSON object
    malformed  124     not valid JSON: trailing characters at line 1 column 39
    malformed  171     field 'v': expected a whole number of 64 bits, found 99999999999999999999
    malformed  228     field 'v': expected a whole number of 64 bits, found 1.5
    malformed  268     field 'v': expected a whole number of 64 bits, found "seven"
    malformed  312     field 'v': expected a whole number of 64 bits, found {"deep":[1,{"er":null}]}
    malformed  373     field 'time': expected a time such as "2026-01-05T12:00:00.123Z", from 1677-09-21 to 2262-04-11, found "the day before"
    malformed  405     field 'time': expected a time such as "2026-01-05T12:00:00.123Z", from 1677-09-21 to 2262-04-11, found "2026-02-30T00:00:00Z"
    malformed  443     no event time: 'time' is missing or null
    malformed  463     no event time: 'time' is missing or null
    "#);
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let deep = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"time":"2026-01-05T12:00:00Z","v":1,"x":{open}{close}}}"#).into_bytes()
    };
    let done = count(&[&deep(20), &deep(100_000)]);
    assert_eq!(done.counts()[0], 2);
    assert_eq!(done.counts()[1] + done.counts()[5], 2);
}

#[test]
fn nothing_at_all_and_nothing_good() {
    let done = count(&[]);
    assert_eq!((done.counts(), done.finals().as_str()), ([0; 6], "(no rows)"));
    let done = count(&[b"{", b"}", br#"{"v":1}"#]);
    assert_eq!((done.counts(), done.finals().as_str()), ([3, 0, 0, 0, 0, 3], "(no rows)"));
}

#[test]
fn an_empty_file_holds_no_other_back() {
    let good = vec![br#"{"time":"2026-01-05T12:00:00Z","v":1}"#.to_vec()];
    let done = run_bytes(&[vec![], good, vec![b"broken".to_vec()]], "k STRING, v BIGINT", "", COUNT);
    assert_eq!(done.counts(), [2, 1, 0, 0, 0, 1]);
    assert_snapshot!(done.finals(), @r"
    w         n  total
    12:00:00  1  1
    ");
}

#[test]
fn windows_end_and_a_last_line_without_end() {
    let done = count(&[
        b"{\"time\":\"2026-01-05T12:00:00Z\",\"v\":1}\r",
        br#"{"time":"2026-01-05T12:01:00Z","v":2}"#,
    ]);
    assert_eq!(done.counts(), [2, 2, 0, 0, 0, 0]);
    assert_snapshot!(done.finals(), @r"
    w         n  total
    12:00:00  1  1
    12:01:00  1  2
    ");
}

#[test]
fn late_rows_are_set_aside_with_their_reason() {
    let done = count(&[
        br#"{"time":"2026-01-05T12:01:09Z","v":1}"#,
        br#"{"time":"2026-01-05T12:00:58Z","v":2}"#,
        br#"{"time":"2026-01-05T12:01:10Z","v":4}"#,
        br#"{"time":"2026-01-05T12:00:59.999Z","v":8}"#,
        br#"{"time":"2026-01-05T12:01:15Z","v":16}"#,
        br#"{"time":"2026-01-05T12:01:04Z","v":32}"#,
    ]);
    assert_eq!(done.counts(), [6, 3, 2, 1, 0, 0]);
    assert_snapshot!(done.finals(), @r"
    w         n  total
    12:00:00  1  2
    12:01:00  4  53
    ");
    assert_snapshot!(letters(&done), @r"
    kind  offset  reason
    late  114     event time 2026-01-05T12:00:59.999Z is 1 ms below the watermark
    ");
}

#[test]
fn an_event_from_the_future_is_set_aside_and_does_not_push_the_watermark() {
    let at = |micros: i64, value: u32| {
        let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
        format!(r#"{{"time":"{}","v":{value}}}"#, time.to_rfc3339()).into_bytes()
    };
    let minute = 60_000_000;
    // Ten minutes ahead of the clock is the bound.
    let future = count(&[&at(NOW_US, 1), &at(NOW_US + 10 * minute + 1, 2), &at(NOW_US - minute / 6, 4)]);
    assert_eq!(future.counts(), [3, 2, 0, 0, 0, 1]);
    let within = count(&[&at(NOW_US, 1), &at(NOW_US + 10 * minute, 2), &at(NOW_US - minute / 6, 4)]);
    assert_eq!(within.counts(), [3, 2, 0, 1, 0, 0]);
}

#[test]
fn the_first_and_the_last_year() {
    let done = count(&[
        br#"{"time":"0001-01-01T00:00:00Z","v":1}"#,
        br#"{"time":"9999-12-31T23:59:59.999999Z","v":2}"#,
        br#"{"time":"2026-01-05T12:00:00Z","v":4}"#,
        br#"{"time":"0001-01-01T00:00:00Z","v":8}"#,
    ]);
    assert_eq!(done.counts(), [4, 1, 0, 0, 0, 3]);
    assert_snapshot!(done.finals(), @r"
    w         n  total
    12:00:00  1  4
    ");
}
