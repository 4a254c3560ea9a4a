//! A window's columns are columns: they may be used wherever a column may, and have the window's times there.

use insta::assert_snapshot;

use crate::run::{check, plan};

const EVENTS: &str = "
    time      k  v
    12:00:05  a  1
    12:00:50  b  2
    12:01:00  a  3
    12:01:10  a  4
    12:02:30  b  5";

const MINUTES: &str = "TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))";
const HOPS: &str = "TABLE(HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE, INTERVAL '2' MINUTE))";

#[test]
fn a_filter_on_a_windows_start_keeps_the_window() {
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), n BIGINT",
        &format!(
            "SELECT window_start, COUNT(*) FROM {MINUTES}
             WHERE window_start = TIMESTAMP '2026-01-05 12:01:00' GROUP BY window_start, window_end"
        ),
    );
    assert_snapshot!(rows, @r"
    s         n
    12:01:00  2
    ");
}

#[test]
fn an_aggregate_of_a_windows_start_is_the_start() {
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), least TIMESTAMP(3), n BIGINT",
        &format!(
            "SELECT window_start, MIN(window_start), COUNT(*) FILTER (WHERE `time` < window_end)
             FROM {MINUTES} GROUP BY window_start, window_end"
        ),
    );
    assert_snapshot!(rows, @r"
    s         least     n
    12:00:00  12:00:00  2
    12:01:00  12:01:00  2
    12:02:00  12:02:00  1
    ");
}

#[test]
fn a_group_by_what_is_computed_of_a_windows_end_does_not_split_windows() {
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), e TIMESTAMP(3), h TIMESTAMP(3), n BIGINT",
        &format!(
            "SELECT window_start, window_end, date_trunc('minute', window_end), COUNT(*)
             FROM {HOPS} GROUP BY window_start, window_end, date_trunc('minute', window_end)"
        ),
    );
    assert_snapshot!(rows, @r"
    s         e         h         n
    11:59:00  12:01:00  12:01:00  2
    12:00:00  12:02:00  12:02:00  4
    12:01:00  12:03:00  12:03:00  3
    12:02:00  12:04:00  12:04:00  1
    ");
}

#[test]
fn rows_come_out_of_a_window_function_with_the_windows_columns() {
    let rows = check(
        EVENTS,
        "t TIMESTAMP(3), v BIGINT, s TIMESTAMP(3), e TIMESTAMP(3), w TIMESTAMP(3)",
        &format!("SELECT `time`, v, window_start, window_end, window_time FROM {HOPS} WHERE v > 3"),
    );
    assert_snapshot!(rows, @r"
    t         v  s         e         w
    12:01:10  4  12:00:00  12:02:00  12:01:59.999
    12:01:10  4  12:01:00  12:03:00  12:02:59.999
    12:02:30  5  12:01:00  12:03:00  12:02:59.999
    12:02:30  5  12:02:00  12:04:00  12:03:59.999
    ");
}

#[test]
fn what_is_windowed_is_aggregated_again_by_its_window() {
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), e TIMESTAMP(3), keys BIGINT, n BIGINT",
        &format!(
            "WITH by_key AS (
               SELECT window_start, window_end, k, COUNT(*) AS n FROM {HOPS} GROUP BY window_start, window_end, k
             )
             SELECT window_start, window_end, COUNT(*), SUM(n) FROM by_key GROUP BY window_start, window_end"
        ),
    );
    assert_snapshot!(rows, @r"
    s         e         keys  n
    11:59:00  12:01:00  2     2
    12:00:00  12:02:00  2     4
    12:01:00  12:03:00  2     3
    12:02:00  12:04:00  1     1
    ");
}

#[test]
fn three_deep_through_sessions() {
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT",
        "WITH by_key AS (
           SELECT window_start AS s, window_end AS e, k, COUNT(*) AS n
           FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '30' SECOND))
           GROUP BY window_start, window_end, k
         ), alike AS (
           SELECT s, e, SUM(n) AS n FROM by_key GROUP BY s, e
         )
         SELECT s, e, MAX(n) FROM alike GROUP BY s, e",
    );
    assert_snapshot!(rows, @r"
    s         e         n
    12:00:05  12:00:35  1
    12:00:50  12:01:20  1
    12:01:00  12:01:40  2
    12:02:30  12:03:00  1
    ");
}

#[test]
fn sessions_are_those_of_partition_by_whatever_is_grouped_by() {
    let sessions = |partition: &str, group: &str| {
        check(
            EVENTS,
            "s TIMESTAMP(3), e TIMESTAMP(3), k STRING, n BIGINT",
            &format!(
                "SELECT window_start, window_end, {group}, COUNT(*)
                 FROM TABLE(SESSION(TABLE events {partition}, DESCRIPTOR(`time`), INTERVAL '30' SECOND))
                 GROUP BY window_start, window_end, {group}"
            ),
        )
    };
    assert_snapshot!(sessions("", "k"), @r"
    s         e         k  n
    12:00:05  12:00:35  a  1
    12:00:50  12:01:40  a  2
    12:00:50  12:01:40  b  1
    12:02:30  12:03:00  b  1
    ");
    assert_snapshot!(sessions("PARTITION BY k", "k"), @r"
    s         e         k  n
    12:00:05  12:00:35  a  1
    12:00:50  12:01:20  b  1
    12:01:00  12:01:40  a  2
    12:02:30  12:03:00  b  1
    ");
    assert_snapshot!(sessions("PARTITION BY k", "CAST(v % 2 AS STRING)"), @r"
    s         e         k  n
    12:00:05  12:00:35  1  1
    12:00:50  12:01:20  0  1
    12:01:00  12:01:40  0  1
    12:01:00  12:01:40  1  1
    12:02:30  12:03:00  1  1
    ");
}

#[test]
fn rows_of_sessions_with_their_bounds() {
    let rows = check(
        EVENTS,
        "k STRING, v BIGINT, s TIMESTAMP(3), e TIMESTAMP(3)",
        "SELECT k, v, window_start, window_end
         FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '30' SECOND)) WHERE v > 1",
    );
    assert_snapshot!(rows, @r"
    k  v  s         e
    a  3  12:01:00  12:01:40
    a  4  12:01:00  12:01:40
    b  2  12:00:50  12:01:20
    b  5  12:02:30  12:03:00
    ");
}

#[test]
fn distinct_rows_of_a_window() {
    let rows =
        check(EVENTS, "s TIMESTAMP(3), k STRING", &format!("SELECT DISTINCT window_start, k FROM {MINUTES}"));
    assert_snapshot!(rows, @r"
    s         k
    12:00:00  a
    12:00:00  b
    12:01:00  a
    12:02:00  b
    ");
}

#[test]
fn a_union_has_event_time_where_all_its_inputs_have() {
    let script = |second: &str| {
        format!(
            "CREATE TABLE a (t TIMESTAMP(3), u TIMESTAMP(3), WATERMARK FOR t AS t - INTERVAL '1' SECOND)
               WITH ('connector' = 'filesystem', 'path' = '/nowhere');
             CREATE TABLE out (n BIGINT) WITH ('connector' = 'collect');
             CREATE VIEW both_of AS SELECT t FROM a UNION ALL SELECT {second} FROM a;
             INSERT INTO out SELECT COUNT(*)
             FROM TABLE(TUMBLE(TABLE both_of, DESCRIPTOR(t), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;"
        )
    };
    assert!(plan(&script("t")).is_ok());
    assert_snapshot!(plan(&script("u")).unwrap_err().to_string(), @r"
    't' is not event time
      at line 6, column 58
      6 |              FROM TABLE(TUMBLE(TABLE both_of, DESCRIPTOR(t), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;
        |                                                          ^
      help: a window goes over the WATERMARK column of a table, or over window_start, window_end or window_time of another window
    ");
}

#[test]
fn the_older_group_windows() {
    let rows = |window: &str, intervals: &str| {
        check(
            EVENTS,
            "k STRING, s TIMESTAMP(3), e TIMESTAMP(3), last TIMESTAMP(3), n BIGINT",
            &format!(
                "SELECT k, {window}_START(`time`, {intervals}), {window}_END(`time`, {intervals}),
                   {window}_ROWTIME(`time`, {intervals}), COUNT(*)
                 FROM events GROUP BY k, {window}(`time`, {intervals})"
            ),
        )
    };
    assert_snapshot!(rows("TUMBLE", "INTERVAL '1' MINUTE"), @r"
    k  s         e         last          n
    a  12:00:00  12:01:00  12:00:59.999  1
    a  12:01:00  12:02:00  12:01:59.999  2
    b  12:00:00  12:01:00  12:00:59.999  1
    b  12:02:00  12:03:00  12:02:59.999  1
    ");
    assert_snapshot!(rows("SESSION", "INTERVAL '30' SECOND"), @r"
    k  s         e         last          n
    a  12:00:05  12:00:35  12:00:34.999  1
    a  12:01:00  12:01:40  12:01:39.999  2
    b  12:00:50  12:01:20  12:01:19.999  1
    b  12:02:30  12:03:00  12:02:59.999  1
    ");
}

#[test]
fn both_bounds_of_a_window_by_arroyos_names() {
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT",
        "SELECT w.window.start, w.window.end, n FROM (
           SELECT tumble(INTERVAL '1 minute') AS window, COUNT(*) AS n FROM events GROUP BY window) w",
    );
    assert_snapshot!(rows, @r"
    s         e         n
    12:00:00  12:01:00  2
    12:01:00  12:02:00  2
    12:02:00  12:03:00  1
    ");
}

#[test]
fn a_row_that_is_filtered_out_still_belongs_to_its_session() {
    let rows = |filter: &str| {
        check(
            EVENTS,
            "k STRING, s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT",
            &format!(
                "SELECT k, window_start, window_end, COUNT(*)
                 FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '30' SECOND))
                 WHERE {filter} GROUP BY window_start, window_end, k"
            ),
        )
    };
    assert_snapshot!(rows("v <> 4"), @r"
    k  s         e         n
    a  12:00:05  12:00:35  1
    a  12:01:00  12:01:40  1
    b  12:00:50  12:01:20  1
    b  12:02:30  12:03:00  1
    ");
    assert_snapshot!(rows("k = 'a'"), @r"
    k  s         e         n
    a  12:00:05  12:00:35  1
    a  12:01:00  12:01:40  2
    ");
}

#[test]
fn aggregates_that_depend_on_order() {
    let rows = |window: &str| {
        check(
            EVENTS,
            "s TIMESTAMP(3), e TIMESTAMP(3), first BIGINT, last BIGINT, keys STRING",
            &format!(
                "SELECT window_start, window_end, FIRST_VALUE(v ORDER BY `time`), LAST_VALUE(v ORDER BY `time`),
                   STRING_AGG(k, '+' ORDER BY v DESC)
                 FROM TABLE({window}) GROUP BY window_start, window_end"
            ),
        )
    };
    assert_snapshot!(rows("HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE, INTERVAL '2' MINUTE)"), @r"
    s         e         first  last  keys
    11:59:00  12:01:00  1      2     b+a
    12:00:00  12:02:00  1      4     a+a+b+a
    12:01:00  12:03:00  3      5     b+a+a
    12:02:00  12:04:00  5      5     b
    ");
    assert_snapshot!(rows("SESSION(TABLE events, DESCRIPTOR(`time`), INTERVAL '30' SECOND)"), @r"
    s         e         first  last  keys
    12:00:05  12:00:35  1      1     a
    12:00:50  12:01:40  2      4     a+a+b
    12:02:30  12:03:00  5      5     b
    ");
}

#[test]
fn windows_that_cumulate() {
    let window =
        "TABLE(CUMULATE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE, INTERVAL '3' MINUTE))";
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT",
        &format!("SELECT window_start, window_end, COUNT(*) FROM {window} GROUP BY window_start, window_end"),
    );
    assert_snapshot!(rows, @r"
    s         e         n
    12:00:00  12:01:00  2
    12:00:00  12:02:00  4
    12:00:00  12:03:00  5
    ");
    // Assigned row by row it is the same.
    let assigned = check(
        EVENTS,
        "s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT",
        &format!(
            "SELECT window_start, window_end, COUNT(*) FROM {window}
             WHERE window_end > window_start GROUP BY window_start, window_end"
        ),
    );
    assert_eq!(assigned, rows);
}

#[test]
fn windows_with_an_offset() {
    let rows = |window: &str, filter: &str| {
        check(
            EVENTS,
            "s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT",
            &format!(
                "SELECT window_start, window_end, COUNT(*) FROM TABLE({window}) {filter}
                 GROUP BY window_start, window_end"
            ),
        )
    };
    let windows = [
        ("TUMBLE", "INTERVAL '1' MINUTE, INTERVAL '20' SECOND"),
        ("TUMBLE", "INTERVAL '1' MINUTE, INTERVAL '-40' SECOND"),
        ("HOP", "INTERVAL '1' MINUTE, INTERVAL '2' MINUTE, INTERVAL '20' SECOND"),
        ("CUMULATE", "INTERVAL '1' MINUTE, INTERVAL '2' MINUTE, INTERVAL '80' SECOND"),
    ];
    let rows = windows.map(|(name, intervals)| {
        let window = format!("{name}(TABLE events, DESCRIPTOR(`time`), {intervals})");
        let rows_of_window = rows(&window, "");
        assert_eq!(rows_of_window, rows(&window, "WHERE window_end > window_start"), "{window}");
        rows_of_window
    });
    assert_eq!(rows[0], rows[1]);
    assert_snapshot!(rows[1..].join("\n\n"), @r"
    s         e         n
    11:59:20  12:00:20  1
    12:00:20  12:01:20  3
    12:02:20  12:03:20  1

    s         e         n
    11:58:20  12:00:20  1
    11:59:20  12:01:20  4
    12:00:20  12:02:20  3
    12:01:20  12:03:20  1
    12:02:20  12:04:20  1

    s         e         n
    11:59:20  12:00:20  1
    11:59:20  12:01:20  4
    12:01:20  12:03:20  1
    ");
}
