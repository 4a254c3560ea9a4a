//! Provisional rows: a picture of what would be written if the stream ended now.

use insta::assert_snapshot;

use crate::graph::Driven;

const MINUTES: &str = "
    SELECT window_start, k, SUM(v)
    FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
    GROUP BY window_start, window_end, k";

const NOON: i64 = 12 * 3600;

#[test]
fn a_window_that_changed_is_shown_whole_and_then_stated() {
    let mut driven = Driven::new("w TIMESTAMP(3), k STRING, total BIGINT", MINUTES);
    driven.rows("time k v\n 12:00:01 a 1\n 12:00:02 b 2\n 12:01:01 a 4");
    assert_snapshot!(driven.emit(), @r"
    w         k  total
    12:00:00  a  1
    12:00:00  b  2
    12:01:00  a  4
    ");
    assert_snapshot!(driven.emit(), @"(no rows)");
    driven.rows("time k v\n 12:00:03 a 8");
    assert_snapshot!(driven.emit(), @r"
    w         k  total
    12:00:00  a  9
    12:00:00  b  2
    ");
    assert_snapshot!(driven.watermark(NOON + 59), @"(no rows)");
    assert_snapshot!(driven.watermark(NOON + 60), @r"
    w         k  total
    12:00:00  a  9
    12:00:00  b  2
    ");
    assert_snapshot!(driven.watermark(NOON + 60), @"(no rows)");
    assert_snapshot!(driven.emit(), @"(no rows)");
}

#[test]
fn hopping_windows() {
    let query = "SELECT window_start, window_end, COUNT(*)
        FROM TABLE(HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE, INTERVAL '2' MINUTE))
        GROUP BY window_start, window_end";
    let mut driven = Driven::new("s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT", query);
    driven.rows("time k v\n 12:00:01 a 1\n 12:02:01 a 1");
    assert_snapshot!(driven.emit(), @r"
    s         e         n
    11:59:00  12:01:00  1
    12:00:00  12:02:00  1
    12:01:00  12:03:00  1
    12:02:00  12:04:00  1
    ");
    driven.rows("time k v\n 12:01:01 a 1");
    assert_snapshot!(driven.emit(), @r"
    s         e         n
    12:00:00  12:02:00  2
    12:01:00  12:03:00  2
    ");
    assert_snapshot!(driven.watermark(NOON + 120), @r"
    s         e         n
    11:59:00  12:01:00  1
    12:00:00  12:02:00  2
    ");
}

#[test]
fn sessions() {
    let query = "SELECT k, window_start, window_end, COUNT(*)
        FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '30' SECOND))
        GROUP BY k, window_start, window_end";
    let mut driven = Driven::new("k STRING, s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT", query);
    driven.rows("time k v\n 12:00:01 a 1\n 12:00:02 b 1");
    assert_snapshot!(driven.emit(), @r"
    k  s         e         n
    a  12:00:01  12:00:31  1
    b  12:00:02  12:00:32  1
    ");
    driven.rows("time k v\n 12:00:31 a 1");
    assert_snapshot!(driven.emit(), @r"
    k  s         e         n
    a  12:00:01  12:01:01  2
    ");
    // A row at 12:00:32 would still belong to the session of b.
    assert_snapshot!(driven.watermark(NOON + 32), @"(no rows)");
    assert_snapshot!(driven.watermark(NOON + 33), @r"
    k  s         e         n
    b  12:00:02  12:00:32  1
    ");
}

#[test]
fn rankings() {
    let query = "SELECT * FROM (
           SELECT w, ROW_NUMBER() OVER (PARTITION BY w ORDER BY total DESC, k) AS r, k
           FROM (SELECT window_start AS w, k, SUM(v) AS total
                 FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
                 GROUP BY window_start, window_end, k)
         ) WHERE r <= 2";
    let mut driven = Driven::new("w TIMESTAMP(3), r BIGINT, k STRING", query);
    driven.rows("time k v\n 12:00:01 a 1\n 12:00:02 b 2\n 12:00:03 c 3\n 12:01:01 a 4");
    assert_snapshot!(driven.emit(), @r"
    w         r  k
    12:00:00  1  c
    12:00:00  2  b
    12:01:00  1  a
    ");
    driven.rows("time k v\n 12:00:03 a 8");
    assert_snapshot!(driven.emit(), @r"
    w         r  k
    12:00:00  1  a
    12:00:00  2  c
    ");
    assert_snapshot!(driven.watermark(NOON + 60), @r"
    w         r  k
    12:00:00  1  a
    12:00:00  2  c
    ");
}

/// Windows over windows are counted anew at every emission, so what did not change below must still be there.
#[test]
fn windows_over_windows_hold_all_that_is_open() {
    let query = "WITH minutes AS (
          SELECT window_time AS t, COUNT(*) AS n
          FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
          GROUP BY window_start, window_end, window_time)
        SELECT window_start, COUNT(*), SUM(n)
        FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(t), INTERVAL '10' MINUTE))
        GROUP BY window_start, window_end";
    let mut driven = Driven::new("w TIMESTAMP(3), minutes BIGINT, n BIGINT", query);
    driven.rows("time k v\n 12:00:01 a 1\n 12:00:02 b 2");
    assert_snapshot!(driven.emit(), @r"
    w         minutes  n
    12:00:00  1        2
    ");
    driven.rows("time k v\n 12:03:01 a 1");
    assert_snapshot!(driven.emit(), @r"
    w         minutes  n
    12:00:00  2        3
    ");
    assert_snapshot!(driven.watermark(NOON + 60), @"(no rows)");
    driven.rows("time k v\n 12:04:01 a 1");
    assert_snapshot!(driven.emit(), @r"
    w         minutes  n
    12:00:00  3        4
    ");
    // The next minute's rows could still be timed 12:09:59.999.
    assert_snapshot!(driven.watermark(NOON + 600), @"(no rows)");
    assert_snapshot!(driven.watermark(NOON + 601), @r"
    w         minutes  n
    12:00:00  3        4
    ");
}

#[test]
fn sessions_then_minutes() {
    let query = "WITH sessions AS (
          SELECT k, window_start AS s, COUNT(*) AS n
          FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '30' SECOND))
          GROUP BY k, window_start, window_end)
        SELECT window_start, COUNT(*), SUM(n)
        FROM TABLE(TUMBLE(TABLE sessions, DESCRIPTOR(s), INTERVAL '1' MINUTE))
        GROUP BY window_start, window_end";
    let mut driven = Driven::new("w TIMESTAMP(3), sessions BIGINT, n BIGINT", query);
    driven.rows("time k v\n 12:00:50 a 1\n 12:00:55 b 1");
    assert_snapshot!(driven.emit(), @r"
    w         sessions  n
    12:00:00  2         2
    ");
    driven.rows("time k v\n 12:01:10 a 1");
    assert_snapshot!(driven.emit(), @r"
    w         sessions  n
    12:00:00  2         3
    ");
    // The session of b is over; that of a began in the same minute and is open.
    assert_snapshot!(driven.watermark(NOON + 90), @"(no rows)");
    assert_snapshot!(driven.emit(), @"(no rows)");
    driven.rows("time k v\n 12:01:40 c 1");
    assert_snapshot!(driven.emit(), @r"
    w         sessions  n
    12:01:00  1         1
    ");
    assert_snapshot!(driven.watermark(NOON + 101), @r"
    w         sessions  n
    12:00:00  2         3
    ");
}

/// Sessions over windows show what is final below them: an open window could still move them apart.
#[test]
fn windows_then_sessions() {
    let query = "WITH slices AS (
          SELECT window_start AS t, COUNT(*) AS n
          FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND))
          GROUP BY window_start, window_end)
        SELECT window_start, window_end, SUM(n)
        FROM TABLE(SESSION(TABLE slices, DESCRIPTOR(t), INTERVAL '20' SECOND))
        GROUP BY window_start, window_end";
    let mut driven = Driven::new("s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT", query);
    driven.rows("time k v\n 12:00:01 a 1\n 12:00:12 a 1");
    assert_snapshot!(driven.emit(), @"(no rows)");
    assert_snapshot!(driven.watermark(NOON + 12), @"(no rows)");
    driven.rows("time k v\n 12:00:31 a 1");
    assert_snapshot!(driven.emit(), @r"
    s         e         n
    12:00:00  12:00:20  1
    ");
    assert_snapshot!(driven.watermark(NOON + 80), @r"
    s         e         n
    12:00:00  12:00:50  3
    ");
}

#[test]
fn a_restored_graph_goes_on_where_it_was() {
    let mut driven = Driven::new("w TIMESTAMP(3), k STRING, total BIGINT", MINUTES);
    driven.rows("time k v\n 12:00:01 a 1\n 12:01:01 a 4");
    assert_snapshot!(driven.watermark(NOON + 60), @r"
    w         k  total
    12:00:00  a  1
    ");
    let mut driven = driven.restored();
    assert_snapshot!(driven.emit(), @r"
    w         k  total
    12:01:00  a  4
    ");
    driven.rows("time k v\n 12:01:02 a 8");
    assert_snapshot!(driven.watermark(NOON + 120), @r"
    w         k  total
    12:01:00  a  12
    ");
}
