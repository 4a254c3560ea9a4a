//! One window: tumbling, hopping, sessions, in both spellings, and what can be aggregated in them.

use insta::assert_snapshot;

use crate::run::check;

const BOUNDS: &str = "window_start TIMESTAMP(3), window_end TIMESTAMP(3)";
const EVENTS: &str = "
    time      k  v
    12:00:01  a  5
    12:00:04  b  2
    12:00:59  a  1
    12:01:00  a  10
    12:00:58  b  3
    12:02:30  -  7";

fn tumble(columns: &str, select: &str, group_by: &str) -> String {
    check(
        EVENTS,
        &format!("{BOUNDS}{columns}"),
        &format!(
            "SELECT window_start, window_end{select}
             FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
             GROUP BY window_start, window_end{group_by}"
        ),
    )
}

fn session(input: &str) -> String {
    check(
        input,
        &format!("k STRING, {BOUNDS}, n BIGINT, total BIGINT"),
        "SELECT k, window_start, window_end, COUNT(*), SUM(v)
         FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '30' SECOND))
         GROUP BY k, window_start, window_end",
    )
}

#[test]
fn tumble_by_key() {
    assert_snapshot!(tumble(", k STRING, n BIGINT, total BIGINT", ", k, COUNT(*), SUM(v)", ", k"), @r"
    window_start  window_end  k     n  total
    12:00:00      12:01:00    a     2  6
    12:00:00      12:01:00    b     2  5
    12:01:00      12:02:00    a     1  10
    12:02:00      12:03:00    NULL  1  7
    ");
}

#[test]
fn tumble_without_keys_skips_empty_windows() {
    assert_snapshot!(tumble(", n BIGINT, low BIGINT, high BIGINT", ", COUNT(*), MIN(v), MAX(v)", ""), @r"
    window_start  window_end  n  low  high
    12:00:00      12:01:00    4  1    5
    12:01:00      12:02:00    1  10   10
    12:02:00      12:03:00    1  7    7
    ");
}

#[test]
fn filter_distinct_and_average() {
    let columns = ", big BIGINT, total BIGINT, keys BIGINT, mean DOUBLE, share DOUBLE";
    let select = ", COUNT(*) FILTER (WHERE v > 2), SUM(v) FILTER (WHERE k = 'a'), COUNT(DISTINCT k), AVG(v),
                  CAST(COUNT(*) FILTER (WHERE k = 'b') AS DOUBLE) / NULLIF(COUNT(k), 0)";
    assert_snapshot!(tumble(columns, select, ""), @r"
    window_start  window_end  big  total  keys  mean  share
    12:00:00      12:01:00    2    6      2     2.75  0.5
    12:01:00      12:02:00    1    10     1     10.0  0.0
    12:02:00      12:03:00    1    NULL   0     7.0   NULL
    ");
}

#[test]
fn having_and_expressions_as_keys() {
    let columns = ", size STRING, n BIGINT";
    let select = ", CASE WHEN v >= 5 THEN 'big' ELSE 'small' END, COUNT(*)";
    let group_by = ", CASE WHEN v >= 5 THEN 'big' ELSE 'small' END HAVING COUNT(*) > 1";
    assert_snapshot!(tumble(columns, select, group_by), @r"
    window_start  window_end  size   n
    12:00:00      12:01:00    small  3
    ");
}

#[test]
fn hop_counts_a_row_in_every_window_that_holds_it() {
    let hop = check(
        "time      k  v
         12:00:10  a  1
         12:01:00  a  2
         12:01:59  a  4
         12:05:00  a  8",
        &format!("{BOUNDS}, total BIGINT"),
        "SELECT window_start, window_end, SUM(v)
         FROM TABLE(HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE, INTERVAL '3' MINUTE))
         GROUP BY window_start, window_end",
    );
    assert_snapshot!(hop, @r"
    window_start  window_end  total
    11:58:00      12:01:00    1
    11:59:00      12:02:00    7
    12:00:00      12:03:00    7
    12:01:00      12:04:00    6
    12:03:00      12:06:00    8
    12:04:00      12:07:00    8
    12:05:00      12:08:00    8
    ");
}

#[test]
fn a_session_reaches_over_a_gap_of_exactly_its_limit() {
    assert_snapshot!(session(
        "time          k  v
         12:00:00      a  1
         12:00:30      a  2
         12:01:00.001  a  4
         12:00:00      b  8
         12:00:29.999  b  16"
    ), @r"
    k  window_start  window_end    n  total
    a  12:00:00      12:01:00      2  3
    a  12:01:00.001  12:01:30.001  1  4
    b  12:00:29.999  12:00:59.999  1  16
    ");
}

#[test]
fn a_row_out_of_order_joins_two_sessions() {
    assert_snapshot!(session(
        "time      k  v
         12:00:00  a  1
         12:00:33  a  2
         12:00:25  a  4
         12:00:34  b  8
         12:00:25  b  16"
    ), @r"
    k  window_start  window_end  n  total
    a  12:00:00      12:01:03    3  7
    b  12:00:25      12:01:04    2  24
    ");
}

#[test]
fn a_null_key_has_sessions_of_its_own() {
    assert_snapshot!(session(
        "time      k  v
         12:00:00  -  1
         12:00:10  a  2
         12:00:20  -  4"
    ), @r"
    k     window_start  window_end  n  total
    NULL  12:00:00      12:00:50    2  5
    a     12:00:10      12:00:40    1  2
    ");
}

#[test]
fn windows_as_functions() {
    let query = |window: &str| {
        check(
            "time      k  v
             12:00:01  a  5
             12:00:59  a  1
             12:01:15  a  10
             12:01:20  b  3",
            "k STRING, w_start TIMESTAMP(3), w_end TIMESTAMP(3), n BIGINT",
            &format!(
                "SELECT k, w['start'], w['end'], n
                 FROM (SELECT {window} AS w, k, COUNT(*) AS n FROM events GROUP BY w, k)"
            ),
        )
    };
    assert_snapshot!(query("tumble(INTERVAL '1' MINUTE)"), @r"
    k  w_start   w_end     n
    a  12:00:00  12:01:00  2
    a  12:01:00  12:02:00  1
    b  12:01:00  12:02:00  1
    ");
    assert_snapshot!(query("hop(INTERVAL '30' SECOND, INTERVAL '1' MINUTE)"), @r"
    k  w_start   w_end     n
    a  11:59:30  12:00:30  1
    a  12:00:00  12:01:00  2
    a  12:00:30  12:01:30  2
    a  12:01:00  12:02:00  1
    b  12:00:30  12:01:30  1
    b  12:01:00  12:02:00  1
    ");
    assert_snapshot!(query("session(INTERVAL '20' SECOND)"), @r"
    k  w_start   w_end     n
    a  12:00:01  12:00:21  1
    a  12:00:59  12:01:35  2
    b  12:01:20  12:01:40  1
    ");
}

#[test]
fn window_time_is_the_last_millisecond() {
    let times = check(
        "time      k  v
         12:00:01  a  5",
        "at TIMESTAMP(3), n BIGINT",
        "SELECT window_time, COUNT(*)
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
         GROUP BY window_start, window_end, window_time",
    );
    assert_snapshot!(times, @r"
    at            n
    12:00:59.999  1
    ");
}
