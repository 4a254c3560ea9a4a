//! What is computed of whole windows: functions over them, joins on equal ones, ranks over unions.

use insta::assert_snapshot;

use crate::run::{check, plan};

const EVENTS: &str = "
    time      k  v
    12:00:05  a  1
    12:00:20  b  2
    12:00:50  b  2
    12:01:00  a  3
    12:01:10  c  4
    12:02:30  b  5";

const BY_KEY: &str = "by_key AS (
    SELECT window_start, window_end, k, SUM(v) AS v
    FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, k)";

#[test]
fn functions_over_a_window() {
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), k STRING, v BIGINT, r BIGINT, d BIGINT, before BIGINT, total BIGINT",
        &format!(
            "WITH {BY_KEY}
             SELECT window_start, k, v, RANK() OVER w, DENSE_RANK() OVER w, LAG(v) OVER w,
               SUM(v) OVER (PARTITION BY window_start, window_end)
             FROM by_key WINDOW w AS (PARTITION BY window_start, window_end ORDER BY v, k)"
        ),
    );
    assert_snapshot!(rows, @r"
    s         k  v  r  d  before  total
    12:00:00  a  1  1  1  NULL    5
    12:00:00  b  4  2  2  1       5
    12:01:00  a  3  1  1  NULL    7
    12:01:00  c  4  2  2  3       7
    12:02:00  b  5  1  1  NULL    5
    ");
}

#[test]
fn the_first_rows_of_a_window_straight_on_the_window_function() {
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), k STRING, v BIGINT, n BIGINT",
        "SELECT window_start, k, v, n FROM (
           SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY v DESC, `time`) AS n
           FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
         ) WHERE n <= 2",
    );
    assert_snapshot!(rows, @r"
    s         k  v  n
    12:00:00  b  2  1
    12:00:00  b  2  2
    12:01:00  a  3  2
    12:01:00  c  4  1
    12:02:00  b  5  1
    ");
}

#[test]
fn ranks_over_a_union_are_of_all_its_branches() {
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), k STRING, v BIGINT, n BIGINT",
        &format!(
            "WITH {BY_KEY}, both_of AS (
               SELECT window_start, window_end, k, v FROM by_key
               UNION ALL
               SELECT window_start, window_end, 'other', v * 10 FROM by_key WHERE k <> 'b'
             )
             SELECT window_start, k, v, n FROM (
               SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY v DESC) AS n FROM both_of
             ) WHERE n <= 2"
        ),
    );
    assert_snapshot!(rows, @r"
    s         k      v   n
    12:00:00  b      4   2
    12:00:00  other  10  1
    12:01:00  other  30  2
    12:01:00  other  40  1
    12:02:00  b      5   1
    ");
}

#[test]
fn a_rank_by_the_start_of_sessions_waits_for_all_of_them() {
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), e TIMESTAMP(3), k STRING, n BIGINT",
        "WITH sessions AS (
           SELECT window_start, window_end, k, COUNT(*) AS n
           FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '20' SECOND))
           GROUP BY window_start, window_end, k
         )
         SELECT window_start, window_end, k, ROW_NUMBER() OVER (PARTITION BY window_start ORDER BY k) FROM sessions",
    );
    assert_snapshot!(rows, @r"
    s         e         k  n
    12:00:05  12:00:25  a  1
    12:00:20  12:00:40  b  1
    12:00:50  12:01:10  b  1
    12:01:00  12:01:20  a  1
    12:01:10  12:01:30  c  1
    12:02:30  12:02:50  b  1
    ");
}

fn joined(kind: &str, columns: &str) -> String {
    check(
        EVENTS,
        "s TIMESTAMP(3), k STRING, v BIGINT, other BIGINT",
        &format!(
            "WITH {BY_KEY}, large AS (SELECT * FROM by_key WHERE v > 3)
             SELECT {columns} FROM by_key a {kind} JOIN large b
             ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.k = b.k"
        ),
    )
}

#[test]
fn joins_on_equal_windows() {
    assert_snapshot!(joined("INNER", "a.window_start, a.k, a.v, b.v"), @r"
    s         k  v  other
    12:00:00  b  4  4
    12:01:00  c  4  4
    12:02:00  b  5  5
    ");
    assert_snapshot!(joined("LEFT", "a.window_start, a.k, a.v, b.v"), @r"
    s         k  v  other
    12:00:00  a  1  NULL
    12:00:00  b  4  4
    12:01:00  a  3  NULL
    12:01:00  c  4  4
    12:02:00  b  5  5
    ");
    assert_snapshot!(joined("FULL", "coalesce(a.window_start, b.window_start), a.k, a.v, b.v"), @r"
    s         k  v  other
    12:00:00  a  1  NULL
    12:00:00  b  4  4
    12:01:00  a  3  NULL
    12:01:00  c  4  4
    12:02:00  b  5  5
    ");
    assert_snapshot!(joined("LEFT SEMI", "a.window_start, a.k, a.v, 0"), @r"
    s         k  v  other
    12:00:00  b  4  0
    12:01:00  c  4  0
    12:02:00  b  5  0
    ");
    assert_snapshot!(joined("LEFT ANTI", "a.window_start, a.k, a.v, 0"), @r"
    s         k  v  other
    12:00:00  a  1  0
    12:01:00  a  3  0
    ");
}

#[test]
fn a_join_of_rows_with_their_windows() {
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), k STRING, v BIGINT, other BIGINT",
        "WITH w AS (SELECT * FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)))
         SELECT a.window_start, a.k, a.v, b.v FROM w a, w b
         WHERE a.window_start = b.window_start AND a.window_end = b.window_end AND a.v < b.v",
    );
    assert_snapshot!(rows, @r"
    s         k  v  other
    12:00:00  a  1  2
    12:00:00  a  1  2
    12:01:00  a  3  4
    ");
}

#[test]
fn rows_that_are_in_another_relations_window() {
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), k STRING, v BIGINT",
        &format!(
            "WITH {BY_KEY}, large AS (SELECT * FROM by_key WHERE v > 3)
             SELECT a.window_start, a.k, a.v FROM by_key a WHERE a.k NOT IN (
               SELECT b.k FROM large b WHERE a.window_start = b.window_start AND a.window_end = b.window_end)"
        ),
    );
    assert_snapshot!(rows, @r"
    s         k  v
    12:00:00  a  1
    12:01:00  a  3
    ");
}

#[test]
fn what_is_joined_is_aggregated_by_its_window() {
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT",
        &format!(
            "WITH {BY_KEY}
             SELECT a.window_start, a.window_end, SUM(a.v * b.v) FROM by_key a JOIN by_key b
             ON a.window_start = b.window_start AND a.window_end = b.window_end
             GROUP BY a.window_start, a.window_end"
        ),
    );
    assert_snapshot!(rows, @r"
    s         e         n
    12:00:00  12:01:00  25
    12:01:00  12:02:00  49
    12:02:00  12:03:00  25
    ");
}

#[test]
fn a_join_without_equal_windows_is_refused() {
    let script = "CREATE TABLE a (t TIMESTAMP(3), k STRING, WATERMARK FOR t AS t - INTERVAL '1' SECOND)
                    WITH ('connector' = 'filesystem', 'path' = '/nowhere');
                  CREATE TABLE out (k STRING) WITH ('connector' = 'collect');
                  INSERT INTO out SELECT x.k FROM a x JOIN a y ON x.k = y.k;";
    assert_snapshot!(plan(script).unwrap_err().to_string(), @r"
    this JOIN is neither on equal windows nor on an interval of time, so its state would grow for ever
      at line 4, column 67
      4 |                   INSERT INTO out SELECT x.k FROM a x JOIN a y ON x.k = y.k;
        |                                                                   ^
      help: join two streams ON a.k = b.k AND a.t BETWEEN b.t - INTERVAL '5' MINUTE AND b.t + INTERVAL '5' MINUTE, or two windowed queries ON a.window_start = b.window_start AND a.window_end = b.window_end
    ");
}

#[test]
fn not_in_with_null_is_not_known() {
    let events = "
        time      k  v
        12:00:05  a  1
        12:00:20  -  2
        12:01:00  a  3
        12:01:10  b  4
        12:02:00  -  5";
    let rows = check(
        events,
        "s TIMESTAMP(3), k STRING, v BIGINT",
        "WITH w AS (SELECT * FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))),
           even AS (SELECT * FROM w WHERE v % 2 = 0)
         SELECT a.window_start, a.k, a.v FROM w a WHERE a.k NOT IN (
           SELECT b.k FROM even b WHERE a.window_start = b.window_start AND a.window_end = b.window_end)",
    );
    // 12:00 holds a NULL, so that nothing is known not to be in it; in 12:02 there is nothing to be in.
    assert_snapshot!(rows, @r"
    s         k     v
    12:01:00  a     3
    12:02:00  NULL  5
    ");
}
