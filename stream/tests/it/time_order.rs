//! Rows in the order of their event time, numbered by it, and the first of them.

use insta::assert_snapshot;

use crate::{
    run::{check, run},
    scripted::{batches, run_steps},
    text,
};

/// Within the delay of 10 seconds.
const EVENTS: &str = "
    time      k  v
    12:00:12  b  2
    12:00:10  a  1
    12:00:12  a  7
    12:00:05  a  9
    12:00:30  b  3
    12:00:25  c  4";

const SINK: &str = "CREATE TABLE out (k STRING, v BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');";

/// The rows in the order in which they were written.
fn as_written(query: &str) -> String {
    let done = run(EVENTS, &format!("{SINK} INSERT INTO out {query}"));
    text::table(&done.collected.finals("out"), true)
}

#[test]
fn rows_in_the_order_of_their_time() {
    assert_snapshot!(as_written("SELECT k, v FROM events ORDER BY `time`, v DESC"), @r"
    k  v
    a  9
    a  1
    a  7
    b  2
    c  4
    b  3
    ");
}

#[test]
fn the_earliest_rows() {
    assert_snapshot!(as_written("SELECT k, v FROM events ORDER BY `time`, v LIMIT 2 OFFSET 1"), @r"
    k  v
    a  1
    b  2
    ");
    let any = run(EVENTS, &format!("{SINK} INSERT INTO out SELECT k, v FROM events LIMIT 4"));
    assert_eq!(any.collected.finals("out").iter().map(|batch| batch.num_rows()).sum::<usize>(), 4);
}

#[test]
fn the_first_rows_of_each_key() {
    let rows = check(
        EVENTS,
        "k STRING, v BIGINT, n BIGINT",
        "SELECT k, v, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY `time`) AS n FROM events) WHERE n <= 2",
    );
    assert_snapshot!(rows, @r"
    k  v  n
    a  1  2
    a  9  1
    b  2  1
    b  3  2
    c  4  1
    ");
}

#[test]
fn windows_over_rows_in_order_are_exact_and_late_rows_are_judged_once() {
    let rows = "
        time      k  v
        12:00:30  a  1
        12:01:40  a  2
        12:00:40  a  4
        12:01:35  b  8
        12:02:40  a  16";
    let lines: Vec<Vec<u8>> = text::json_lines(rows).into_iter().map(String::into_bytes).collect();
    let statements = "
        CREATE TABLE out (s TIMESTAMP(3), n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
        INSERT INTO out
        WITH firsts AS (SELECT * FROM (
          SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY `time`) AS n FROM events) WHERE n < 3)
        SELECT window_start, SUM(v) FROM TABLE(TUMBLE(TABLE firsts, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
        GROUP BY window_start, window_end";
    for size in [1, 2, 5] {
        let done = run_steps(vec![batches(&lines, size)], "k STRING, v BIGINT", "", statements);
        assert_eq!(done.finals(), "s         n\n12:00:00  1\n12:01:00  10", "{size} records a batch");
        assert_eq!(done.counts(), [5, 4, 0, 1, 0, 0]);
    }
}

#[test]
fn conditions_on_texts_may_stand_right_below() {
    let rows = check(
        EVENTS,
        "k STRING, v BIGINT",
        "SELECT k, v FROM events WHERE k = 'a' OR k = 'c' ORDER BY `time`",
    );
    assert_snapshot!(rows, @r"
    k  v
    a  1
    a  7
    a  9
    c  4
    ");
    let rows = check(EVENTS, "k STRING, v BIGINT", "SELECT k, v FROM events WHERE k = 'c' LIMIT 5");
    assert_snapshot!(rows, @r"
    k  v
    c  4
    ");
}
