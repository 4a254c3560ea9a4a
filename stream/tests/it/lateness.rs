//! Late rows: each counts in those of its windows that were open for it when it was read, by the promise of its own
//! partition.

use insta::assert_snapshot;

use crate::{
    graph::Driven,
    scripted::{Step, batches, quiet, run_steps},
    text,
};

const COLUMNS: &str = "s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT";

fn hop(slide: i64, size: i64) -> String {
    format!(
        "SELECT window_start, window_end, COUNT(*)
         FROM TABLE(HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '{slide}' SECOND, INTERVAL '{size}' SECOND))
         GROUP BY window_start, window_end"
    )
}

pub(crate) fn lines(table: &str) -> Vec<Vec<u8>> {
    text::json_lines(table).into_iter().map(String::into_bytes).collect()
}

#[test]
fn a_window_that_had_closed_misses_the_row_however_the_batches_fall() {
    // The last one meets the watermark 12:01:10.
    let lines = lines(
        "time      k
         12:00:10  a
         12:01:20  a
         12:00:40  a",
    );
    let statements = format!(
        "CREATE TABLE out ({COLUMNS}) WITH ('connector' = 'collect', 'emit' = 'final'); INSERT INTO out {}",
        hop(50, 100)
    );
    for records in 1..4 {
        let done = run_steps(vec![batches(&lines, records)], "k STRING", "", &statements);
        assert_eq!(
            done.finals(),
            "s         e         n\n\
             11:59:10  12:00:50  1\n\
             12:00:00  12:01:40  3\n\
             12:00:50  12:02:30  1",
            "{records} records a batch"
        );
        assert_eq!(done.counts(), [3, 2, 1, 0, 0, 0]);
        assert_eq!(done.ledger.sources["events"].late_in_part, 1);
    }
}

#[test]
fn what_is_asked_for_and_what_is_kept_knows_which_windows_missed_a_row() {
    let mut driven = Driven::new(COLUMNS, &hop(5, 10));
    driven.rows("time k\n 00:00:01 a\n 00:00:08 a");
    driven.late_rows("time k\n 00:00:04 a", 7);
    let mut driven = driven.restored();
    assert_snapshot!(driven.emit(), @r"
    s         e         n
    00:00:00  00:00:10  3
    00:00:05  00:00:15  1
    23:59:55  00:00:05  1
    ");
    assert_snapshot!(driven.watermark(7), @r"
    s         e         n
    23:59:55  00:00:05  1
    ");
    let mut driven = driven.restored();
    assert_snapshot!(driven.emit(), @r"
    s         e         n
    00:00:00  00:00:10  3
    00:00:05  00:00:15  1
    ");
    assert_snapshot!(driven.watermark(20), @r"
    s         e         n
    00:00:00  00:00:10  3
    00:00:05  00:00:15  1
    ");
}

#[test]
fn a_session_that_had_closed_is_not_bridged() {
    let session = "SELECT window_start, window_end, COUNT(*)
         FROM TABLE(SESSION(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND))
         GROUP BY window_start, window_end";
    let mut driven = Driven::new(COLUMNS, session);
    // By the watermark the first session had closed: the late row belongs to the one behind it.
    driven.rows("time k\n 00:00:05 a\n 00:00:25 a");
    driven.late_rows("time k\n 00:00:15 a", 16);
    let mut driven = driven.restored();
    assert_snapshot!(driven.emit(), @r"
    s         e         n
    00:00:05  00:00:15  1
    00:00:15  00:00:35  2
    ");
    assert_snapshot!(driven.watermark(40), @r"
    s         e         n
    00:00:05  00:00:15  1
    00:00:15  00:00:35  2
    ");
}

#[test]
fn rows_that_meet_windows_in_a_union_are_judged_where_they_are_read() {
    let rows = "
        time      k  v
        12:00:30  a  1
        12:01:40  a  2
        12:00:40  a  4
        12:02:40  a  8";
    let lines = lines(rows);
    let statements = "
        CREATE TABLE out (s TIMESTAMP(3), n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
        INSERT INTO out
        WITH tens AS (SELECT window_time AS t, SUM(v) AS v
          FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, window_time),
        both_of AS (SELECT t, v FROM tens UNION ALL SELECT `time` AS t, v FROM events WHERE k = 'a')
        SELECT window_start, SUM(v) FROM TABLE(TUMBLE(TABLE both_of, DESCRIPTOR(t), INTERVAL '1' MINUTE))
        GROUP BY window_start, window_end";
    for size in [1, 2, 4] {
        let done = run_steps(vec![batches(&lines, size)], "k STRING, v BIGINT", "", statements);
        // The third row was late by 50 seconds, for its window of ten and for that of a minute.
        assert_eq!(
            done.finals(),
            "s         n\n12:00:00  2\n12:01:00  4\n12:02:00  16",
            "{size} records a batch"
        );
        assert_eq!(done.counts(), [4, 3, 0, 1, 0, 0]);
    }
}

#[test]
fn what_is_counted_is_handed_over_before_its_window_closes() {
    let lines = lines("time k\n 12:00:05 a\n 12:00:20 a\n 12:01:00 a");
    // The watermark stands right at the end of the first window while nothing comes for a while.
    let mut steps = vec![Step::Records(lines[..2].to_vec())];
    steps.extend(quiet(300, false));
    steps.push(Step::Records(lines[2..].to_vec()));
    let statements = "
        CREATE TABLE out (s TIMESTAMP(3), n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
        INSERT INTO out SELECT window_start, COUNT(window_end)
        FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND)) GROUP BY window_start, window_end";
    let done = run_steps(vec![steps], "k STRING", "", statements);
    assert_eq!(done.finals(), "s         n\n12:00:00  1\n12:00:20  1\n12:01:00  1");
}
