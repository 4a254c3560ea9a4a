//! `ROW_NUMBER()` within a window.

use insta::assert_snapshot;

use crate::run::check;

const EVENTS: &str = "
    time      k  v
    12:00:01  a  1
    12:00:02  a  1
    12:00:03  b  9
    12:00:04  c  2
    12:00:05  c  2
    12:00:06  d  1
    12:01:01  d  1";

const TOTALS: &str = "
    WITH totals AS (
      SELECT window_start, window_end, k, COUNT(*) AS n, SUM(v) AS total
      FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
      GROUP BY window_start, window_end, k
    )";

fn ranking(by: &str, order: &str, top: u32) -> String {
    format!(
        "SELECT * FROM (
           SELECT window_start, '{by}' AS ranked_by,
             ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY {order}) AS r, k
           FROM totals
         ) WHERE r <= {top}"
    )
}

const COLUMNS: &str = "w TIMESTAMP(3), ranked_by STRING, r BIGINT, k STRING";

#[test]
fn ties_go_where_the_order_says() {
    let query = format!("{TOTALS} {}", ranking("count", "n DESC, k", 3));
    assert_snapshot!(check(EVENTS, COLUMNS, &query), @r"
    w         ranked_by  r  k
    12:00:00  count      1  a
    12:00:00  count      2  c
    12:00:00  count      3  b
    12:01:00  count      1  d
    ");
    let query = format!("{TOTALS} {}", ranking("count", "n DESC, k DESC", 3));
    assert_snapshot!(check(EVENTS, COLUMNS, &query), @r"
    w         ranked_by  r  k
    12:00:00  count      1  c
    12:00:00  count      2  a
    12:00:00  count      3  d
    12:01:00  count      1  d
    ");
}

#[test]
fn three_rankings_together() {
    let all = [
        ranking("count", "n DESC, k", 2),
        ranking("total", "total DESC, k", 2),
        ranking("name", "k DESC", 1),
    ];
    let query = format!("{TOTALS} {}", all.join(" UNION ALL "));
    assert_snapshot!(check(EVENTS, COLUMNS, &query), @r"
    w         ranked_by  r  k
    12:00:00  count      1  a
    12:00:00  count      2  c
    12:00:00  name       1  d
    12:00:00  total      1  b
    12:00:00  total      2  c
    12:01:00  count      1  d
    12:01:00  name       1  d
    12:01:00  total      1  d
    ");
}

#[test]
fn nulls_and_no_limit() {
    let query = "SELECT window_start, 'sum', ROW_NUMBER() OVER (PARTITION BY window_start ORDER BY total NULLS FIRST), k
         FROM (SELECT window_start, window_end, k, SUM(v) AS total
               FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
               GROUP BY window_start, window_end, k)";
    let input = "time      k  v
                 12:00:01  a  1
                 12:00:01  b  -
                 12:00:01  c  0";
    assert_snapshot!(check(input, COLUMNS, query), @r"
    w         ranked_by  r  k
    12:00:00  sum        1  b
    12:00:00  sum        2  c
    12:00:00  sum        3  a
    ");
}
