//! Small forms of SQL that were refused, or understood by accident.

use insta::assert_snapshot;

use crate::run::{check, plan};

const EVENTS: &str = "
    time      k  v
    12:00:05  a  1
    12:00:20  b  2
    12:00:50  b  2
    12:01:00  a  3
    12:01:10  c  4";

#[test]
fn an_aggregate_of_a_column_and_one_of_its_cast_are_two() {
    let rows = check(
        EVENTS,
        "a BIGINT, b DOUBLE, c BIGINT, d BIGINT",
        "SELECT SUM(v) AS a, SUM(CAST(v AS DOUBLE)) AS b,
           COUNT(*) FILTER (WHERE v = 2), COUNT(*) FILTER (WHERE CAST(v AS STRING) = '2')
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end",
    );
    assert_snapshot!(rows, @r"
    a  b    c  d
    5  5.0  2  2
    7  7.0  0  0
    ");
}

#[test]
fn inserted_columns_go_by_position() {
    let columns = "a BIGINT, b BIGINT, c BIGINT";
    assert_snapshot!(check(EVENTS, columns, "SELECT v, v, v + v FROM events WHERE k = 'c'"), @r"
    a  b  c
    4  4  8
    ");
    assert_snapshot!(check(EVENTS, columns, "SELECT 1, 1, v FROM events WHERE k = 'c'"), @r"
    a  b  c
    1  1  4
    ");
    let doubled = "SELECT v, CAST(v AS BIGINT), v FROM events WHERE k = 'c' UNION ALL SELECT 7, 7, v FROM events WHERE k = 'a'";
    assert_snapshot!(check(EVENTS, columns, doubled), @r"
    a  b  c
    4  4  4
    7  7  1
    7  7  3
    ");
    let counted = "SELECT COUNT(*), COUNT(*), SUM(v)
        FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end";
    assert_snapshot!(check(EVENTS, columns, counted), @r"
    a  b  c
    2  2  7
    3  3  5
    ");
    assert_snapshot!(check(EVENTS, "t TIMESTAMP(3), k STRING, v BIGINT, again BIGINT", "SELECT *, v FROM events WHERE k = 'c'"), @r"
    t         k  v  again
    12:01:10  c  4  4
    ");
}

#[test]
fn an_aggregate_may_stand_twice_beside_a_function_window() {
    let rows = check(
        EVENTS,
        "s TIMESTAMP(3), a BIGINT, b BIGINT",
        "SELECT w['start'], a, b
         FROM (SELECT tumble(INTERVAL '1' MINUTE) AS w, SUM(v) AS a, SUM(v) AS b FROM events GROUP BY w)",
    );
    assert_snapshot!(rows, @r"
    s         a  b
    12:00:00  5  5
    12:01:00  7  7
    ");
}

#[test]
fn ordered_aggregates_with_windows_as_functions() {
    let first = |window: &str| {
        check(
            EVENTS,
            "s TIMESTAMP(3), e TIMESTAMP(3), k STRING, first BIGINT, list STRING",
            &format!(
                "SELECT w['start'], w['end'], k, first, list
                 FROM (SELECT {window} AS w, k, FIRST_VALUE(v ORDER BY `time` DESC) AS first,
                         STRING_AGG(CAST(v AS STRING), '+' ORDER BY v DESC) AS list
                       FROM events GROUP BY w, k)"
            ),
        )
    };
    assert_snapshot!(first("tumble(INTERVAL '2' MINUTE)"), @r"
    s         e         k  first  list
    12:00:00  12:02:00  a  3      3+1
    12:00:00  12:02:00  b  2      2+2
    12:00:00  12:02:00  c  4      4
    ");
    assert_snapshot!(first("session(INTERVAL '30' SECOND)"), @r"
    s         e         k  first  list
    12:00:05  12:00:35  a  1      1
    12:00:20  12:01:20  b  2      2+2
    12:01:00  12:01:30  a  3      3
    12:01:10  12:01:40  c  4      4
    ");
}

#[test]
fn grouping_sets_within_a_window() {
    let grouped = |groups: &str| {
        check(
            EVENTS,
            "s TIMESTAMP(3), k STRING, out BIGINT, n BIGINT, v BIGINT",
            &format!(
                "SELECT window_start, k, GROUPING(k), COUNT(*), SUM(v)
                 FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) GROUP BY {groups}"
            ),
        )
    };
    let both = grouped("GROUPING SETS ((window_start, window_end, k), (window_start, window_end))");
    assert_snapshot!(both, @r"
    s         k     out  n  v
    12:00:00  NULL  1    3  5
    12:00:00  a     0    1  1
    12:00:00  b     0    2  4
    12:01:00  NULL  1    2  7
    12:01:00  a     0    1  3
    12:01:00  c     0    1  4
    ");
    assert_eq!(grouped("window_start, window_end, ROLLUP (k)"), both);
    assert_eq!(grouped("window_start, window_end, CUBE (k)"), both);
}

#[test]
fn a_set_without_a_window_is_refused() {
    let error = plan(
        "CREATE TABLE events (`time` TIMESTAMP(3), k STRING, WATERMARK FOR `time` AS `time`)
         WITH ('connector' = 'filesystem', 'path' = 'nowhere');
         CREATE TABLE out (k STRING, n BIGINT) WITH ('connector' = 'collect');
         INSERT INTO out SELECT k, COUNT(*)
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) GROUP BY ROLLUP (window_start, k)",
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("this aggregation has no window, so it would never be final"), "{error}");
}
