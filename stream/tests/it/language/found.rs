//! What the oracle has found, each by hand, as small as it gets.

use insta::assert_snapshot;

use crate::{
    run::{check, run_bytes},
    text,
};

const EVENTS: &str = "
    time      k  v
    12:00:08  a  1
    12:00:15  b  5
    12:00:21  a  2
    12:00:27  a  3";

fn tumble(columns: &str, select: &str, condition: &str) -> String {
    check(
        EVENTS,
        &format!("w TIMESTAMP(3), {columns}"),
        &format!(
            "SELECT window_start, {select} FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND))
             {condition} GROUP BY window_start, window_end"
        ),
    )
}

#[test]
fn a_condition_on_a_bound_is_on_the_bound() {
    let rows = tumble("n BIGINT", "COUNT(*)", "WHERE window_start > TIMESTAMP '2026-01-05 12:00:00'");
    assert_snapshot!(rows, @r"
    w         n
    12:00:10  1
    12:00:20  2
    ");
    let rows = tumble("n BIGINT", "COUNT(*)", "WHERE window_end = TIMESTAMP '2026-01-05 12:00:30'");
    assert_snapshot!(rows, @r"
    w         n
    12:00:20  2
    ");
    let rows = tumble("n BIGINT", "COUNT(*)", "WHERE window_time < window_start");
    assert_snapshot!(rows, @"(no rows)");
}

#[test]
fn bounds_in_aggregates_are_the_bounds() {
    let columns = "least TIMESTAMP(3), most TIMESTAMP(3), early BIGINT, total BIGINT";
    let select = "MIN(window_start), MAX(window_end), COUNT(*) FILTER (WHERE `time` < window_start + INTERVAL '6' SECOND),
                  SUM(v) FILTER (WHERE window_start <> window_end)";
    assert_snapshot!(tumble(columns, select, ""), @r"
    w         least     most      early  total
    12:00:00  12:00:00  12:00:10  0      1
    12:00:10  12:00:10  12:00:20  1      5
    12:00:20  12:00:20  12:00:30  1      5
    ");
}

#[test]
fn bounds_of_rows_in_windows_are_the_bounds_in_a_window_above() {
    let rows = check(
        EVENTS,
        "w TIMESTAMP(3), inner_end TIMESTAMP(3), n BIGINT, least TIMESTAMP(3)",
        "WITH inner_rows AS (
           SELECT window_start AS s, window_end AS e, `time`, k
           FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND))
         )
         SELECT window_start, e, COUNT(*), MIN(s)
         FROM TABLE(TUMBLE(TABLE inner_rows, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
         WHERE `time` < e AND s < e GROUP BY window_start, window_end, e",
    );
    assert_snapshot!(rows, @r"
    w         inner_end  n  least
    12:00:00  12:00:10   1  12:00:00
    12:00:00  12:00:20   1  12:00:10
    12:00:00  12:00:30   2  12:00:20
    ");
}

fn sessions(columns: &str, by: &str, select: &str, condition: &str, group_by: &str) -> String {
    check(
        EVENTS,
        &format!("s TIMESTAMP(3), e TIMESTAMP(3), {columns}"),
        &format!(
            "SELECT window_start, window_end, {select}
             FROM TABLE(SESSION(TABLE events {by}, DESCRIPTOR(`time`), INTERVAL '7' SECOND))
             {condition} GROUP BY window_start, window_end{group_by}"
        ),
    )
}

/// WHERE is over what the window function gives: a row that is dropped has still held its session together.
#[test]
fn a_condition_beside_sessions_drops_rows_not_sessions() {
    assert_snapshot!(sessions("n BIGINT", "", "COUNT(*)", "WHERE v <> 5", ""), @r"
    s         e         n
    12:00:08  12:00:34  3
    ");
}

/// The sessions are those of all rows.
#[test]
fn sessions_without_keys_grouped_by_one() {
    assert_snapshot!(sessions("k STRING, n BIGINT", "", "k, COUNT(*)", "", ", k"), @r"
    s         e         k  n
    12:00:08  12:00:34  a  3
    12:00:08  12:00:34  b  1
    ");
}

#[test]
fn texts_put_together_in_order() {
    let rows = tumble(
        "ks STRING, vs STRING",
        "STRING_AGG(k, ',' ORDER BY v DESC), array_to_string(ARRAY_AGG(v ORDER BY v DESC), '-')",
        "",
    );
    assert_snapshot!(rows, @r"
    w         ks   vs
    12:00:00  a    1
    12:00:10  b    5
    12:00:20  a,a  3-2
    ");
}

#[test]
fn first_and_last_values_in_order() {
    let rows =
        tumble("a BIGINT, b BIGINT", "FIRST_VALUE(v ORDER BY `time`), LAST_VALUE(v ORDER BY `time`)", "");
    assert_snapshot!(rows, @r"
    w         a  b
    12:00:00  1  1
    12:00:10  5  5
    12:00:20  2  3
    ");
    assert_snapshot!(sessions("a BIGINT", "", "FIRST_VALUE(v ORDER BY v DESC)", "", ""), @r"
    s         e         a
    12:00:08  12:00:34  5
    ");
}

#[test]
fn both_zeros_are_one_value() {
    let lines: Vec<Vec<u8>> = [("01", "0.0"), ("02", "-0.0"), ("03", "1.5")]
        .iter()
        .map(|(second, d)| format!(r#"{{"time":"{}T12:00:{second}Z","d":{d}}}"#, text::DAY).into_bytes())
        .collect();
    let done = run_bytes(
        &[lines],
        "d DOUBLE",
        "",
        "CREATE TABLE out (w TIMESTAMP(3), n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
         INSERT INTO out SELECT window_start, COUNT(DISTINCT d)
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end",
    );
    assert_snapshot!(done.finals(), @r"
    w         n
    12:00:00  2
    ");
}

/// Windows over `assigned (s, e, t, k, v)`: rows with their windows, some late by as much as is allowed.
fn over_late_rows(inner: &str, outer: &str) -> String {
    let lines = text::json_lines(
        "time      k  v
         12:00:34  b  1
         12:00:09  a  3",
    );
    let done = run_bytes(
        &[lines.into_iter().map(String::into_bytes).collect()],
        "k STRING, v BIGINT",
        ", 'allowed-lateness' = '40 s'",
        &format!(
            "CREATE VIEW assigned AS
             SELECT window_start AS s, window_end AS e, window_time AS t, k, v FROM TABLE({inner});
             CREATE TABLE out (s TIMESTAMP(3), e TIMESTAMP(3), total BIGINT)
             WITH ('connector' = 'collect', 'emit' = 'final');
             INSERT INTO out SELECT window_start, window_end, SUM(v)
             FROM TABLE({outer}) GROUP BY window_start, window_end"
        ),
    );
    done.finals()
}

/// Rows that come late and are taken are in the windows of their windows too.
#[test]
fn late_rows_in_windows_over_rows_in_windows() {
    let tumble = "TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND)";
    for time in ["s", "t"] {
        let outer = format!("TUMBLE(TABLE assigned, DESCRIPTOR({time}), INTERVAL '20' SECOND)");
        insta::allow_duplicates! {
            assert_snapshot!(over_late_rows(tumble, &outer), @r"
            s         e         total
            12:00:00  12:00:20  3
            12:00:20  12:00:40  1
            ");
        }
    }
    let hop = "HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND, INTERVAL '20' SECOND)";
    let sessions = "SESSION(TABLE assigned, DESCRIPTOR(e), INTERVAL '12' SECOND)";
    assert_snapshot!(over_late_rows(hop, sessions), @r"
    s         e         total
    12:00:10  12:00:32  6
    12:00:40  12:01:02  2
    ");
    let cumulate = "CUMULATE(TABLE assigned, DESCRIPTOR(t), INTERVAL '10' SECOND, INTERVAL '20' SECOND)";
    assert_snapshot!(over_late_rows(tumble, cumulate), @r"
    s         e         total
    12:00:00  12:00:10  3
    12:00:00  12:00:20  3
    12:00:20  12:00:40  1
    ");
}

/// One start is that of several windows, which are one group then.
#[test]
fn cumulating_windows_by_their_start() {
    let rows = check(
        "time      k  v
         12:00:05  a  1
         12:00:25  a  2",
        "w TIMESTAMP(3), n BIGINT, total BIGINT",
        "SELECT window_start, COUNT(*), SUM(v)
         FROM TABLE(CUMULATE(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND, INTERVAL '30' SECOND))
         GROUP BY window_start",
    );
    assert_snapshot!(rows, @r"
    w         n  total
    12:00:00  4  5
    ");
}
