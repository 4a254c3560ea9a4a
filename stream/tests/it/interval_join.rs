//! Joins of rows that lie near each other in time, with rows worked out by hand. The language oracle
//! (`language.rs`) holds them against batch joins, in random order, splits, threads and with restarts.

use insta::assert_snapshot;
use plamatio_stream::planner::explain::Explanation;

use crate::{
    graph::Driven,
    run::{check, plan},
    scripted::{batches, run_steps},
    text,
};

/// Rows with a small `v` are of the left side.
const EVENTS: &str = "
    time      k     v
    12:00:10  a     1
    12:00:12  a     10
    12:00:15  a     11
    12:00:16  a     12
    12:00:20  none  4
    12:00:21  none  14
    12:00:30  b     2
    12:00:35  b     13
    12:01:00  c     3";

const SIDES: &str = "keyed AS (SELECT `time`, NULLIF(k, 'none') AS k, v FROM events),
    l AS (SELECT * FROM keyed WHERE v < 10), r AS (SELECT * FROM keyed WHERE v >= 10)";
const COLUMNS: &str = "k STRING, v BIGINT, other BIGINT";

fn joined(kind: &str, columns: &str, condition: &str) -> String {
    check(
        EVENTS,
        COLUMNS,
        &format!("WITH {SIDES} SELECT {columns} FROM l {kind} JOIN r ON l.k = r.k AND {condition}"),
    )
}

const NEAR: &str = "r.`time` BETWEEN l.`time` AND l.`time` + INTERVAL '5' SECOND";

#[test]
fn pairs_within_the_interval() {
    assert_snapshot!(joined("INNER", "l.k, l.v, r.v", NEAR), @r"
    k  v  other
    a  1  10
    a  1  11
    b  2  13
    ");
    assert_snapshot!(joined("LEFT", "l.k, l.v, r.v", NEAR), @r"
    k     v  other
    NULL  4  NULL
    a     1  10
    a     1  11
    b     2  13
    c     3  NULL
    ");
    assert_snapshot!(joined("RIGHT", "r.k, l.v, r.v", NEAR), @r"
    k     v     other
    NULL  NULL  14
    a     1     10
    a     1     11
    a     NULL  12
    b     2     13
    ");
    assert_snapshot!(joined("FULL", "coalesce(l.k, r.k), l.v, r.v", NEAR), @r"
    k     v     other
    NULL  4     NULL
    NULL  NULL  14
    a     1     10
    a     1     11
    a     NULL  12
    b     2     13
    c     3     NULL
    ");
    assert_snapshot!(joined("LEFT SEMI", "l.k, l.v, 0", NEAR), @r"
    k  v  other
    a  1  0
    b  2  0
    ");
    assert_snapshot!(joined("LEFT ANTI", "l.k, l.v, 0", NEAR), @r"
    k     v  other
    NULL  4  0
    c     3  0
    ");
}

#[test]
fn every_spelling_of_the_interval_is_the_same() {
    let expected = joined("INNER", "l.k, l.v, r.v", NEAR);
    for spelling in [
        "l.`time` <= r.`time` AND r.`time` - INTERVAL '5' SECOND <= l.`time`",
        "l.`time` BETWEEN r.`time` - INTERVAL '5' SECOND AND r.`time`",
        "r.`time` >= l.`time` AND l.`time` + INTERVAL '5' SECOND >= r.`time`",
        "r.`time` > l.`time` - INTERVAL '0.000001' SECOND AND r.`time` < l.`time` + INTERVAL '5.000001' SECOND",
    ] {
        assert_eq!(joined("INNER", "l.k, l.v, r.v", spelling), expected, "{spelling}");
    }
    let strict = joined(
        "INNER",
        "l.k, l.v, r.v",
        "r.`time` >= l.`time` AND r.`time` < l.`time` + INTERVAL '5' SECOND",
    );
    assert_snapshot!(strict, @r"
    k  v  other
    a  1  10
    ");
    let behind = check(
        EVENTS,
        COLUMNS,
        &format!("WITH {SIDES} SELECT l.k, l.v, r.v FROM l, r WHERE l.k = r.k AND {NEAR} AND l.v <> 3"),
    );
    assert_eq!(behind, expected);
}

#[test]
fn further_conditions_decide_who_is_a_partner() {
    let rows = joined("LEFT", "l.k, l.v, r.v", &format!("{NEAR} AND r.v - l.v = 10"));
    assert_snapshot!(rows, @r"
    k     v  other
    NULL  4  NULL
    a     1  11
    b     2  NULL
    c     3  NULL
    ");
}

#[test]
fn windows_over_either_time_are_exact() {
    let over = |time: &str| {
        check(
            EVENTS,
            "s TIMESTAMP(3), n BIGINT, total BIGINT",
            &format!(
                "WITH {SIDES}, joined AS (
                   SELECT l.`time` AS lt, r.`time` AS rt, l.v, r.v AS other FROM l JOIN r ON l.k = r.k AND {NEAR}
                 )
                 SELECT window_start, COUNT(*), SUM(other)
                 FROM TABLE(TUMBLE(TABLE joined, DESCRIPTOR({time}), INTERVAL '5' SECOND))
                 GROUP BY window_start, window_end"
            ),
        )
    };
    assert_snapshot!(over("lt"), @r"
    s         n  total
    12:00:10  2  21
    12:00:30  1  13
    ");
    assert_snapshot!(over("rt"), @r"
    s         n  total
    12:00:10  1  10
    12:00:15  1  11
    12:00:35  1  13
    ");
}

#[test]
fn late_rows_are_judged_by_their_own_partition_whatever_the_batches() {
    // The delay is 10 seconds: at 12:00:36 the watermark stands at 12:00:26.
    let rows = "
        time      k  v
        12:00:10  a  1
        12:00:11  a  10
        12:00:36  b  2
        12:00:12  a  11
        12:00:26  b  3
        12:00:30  b  12";
    let lines: Vec<Vec<u8>> = text::json_lines(rows).into_iter().map(String::into_bytes).collect();
    let statements = format!(
        "CREATE TABLE out ({COLUMNS}) WITH ('connector' = 'collect', 'emit' = 'final');
         INSERT INTO out WITH {SIDES} SELECT l.k, l.v, r.v FROM l JOIN r ON l.k = r.k AND {NEAR}"
    );
    for size in [1, 2, 6] {
        let done = run_steps(vec![batches(&lines, size)], "k STRING, v BIGINT", "", &statements);
        assert_eq!(done.finals(), "k  v  other\na  1  10\nb  3  12", "{size} records a batch");
        assert_eq!(done.counts(), [6, 5, 0, 1, 0, 0]);
    }
}

#[test]
fn a_plan_says_what_it_keeps() {
    let script = format!(
        "CREATE TABLE events (`time` TIMESTAMP(3), k STRING, v BIGINT, WATERMARK FOR `time` AS `time`)
         WITH ('connector' = 'filesystem', 'path' = 'nowhere');
         CREATE TABLE out ({COLUMNS}) WITH ('connector' = 'collect', 'emit' = 'final');
         INSERT INTO out WITH {SIDES} SELECT l.k, l.v, r.v FROM l LEFT JOIN r ON l.k = r.k AND {NEAR}"
    );
    assert_snapshot!(Explanation::of(&plan(&script).unwrap()));
}

#[test]
fn a_row_waits_for_its_partners_and_no_longer_also_over_a_restart() {
    let query = format!("WITH {SIDES} SELECT l.v, r.v FROM l LEFT JOIN r ON l.k = r.k AND {NEAR}");
    let mut driven = Driven::new("l BIGINT, r BIGINT", &query);
    driven.rows("time k v\n 00:00:10 a 1\n 00:00:20 b 2");
    assert_eq!(driven.watermark(15), "(no rows)");
    let mut driven = driven.restored();
    // The last moment for a partner.
    driven.rows("time k v\n 00:00:15 a 10");
    assert_snapshot!(driven.watermark(16), @r"
    l  r
    1  10
    ");
    let mut driven = driven.restored();
    assert_eq!(driven.watermark(25), "(no rows)");
    assert_snapshot!(driven.watermark(26), @r"
    l  r
    2  NULL
    ");
    assert_eq!(driven.watermark(60), "(no rows)");
    let held: usize = driven
        .graph
        .snapshot()
        .unwrap()
        .iter()
        .flat_map(|state| &state.snapshot.batches)
        .map(|batch| batch.num_rows())
        .sum();
    assert_eq!(held, 0, "nothing is kept that nobody can meet");
}

#[test]
fn an_interval_that_ends_before_it_begins_has_no_partners() {
    let never = "r.`time` BETWEEN l.`time` + INTERVAL '10' SECOND AND l.`time` + INTERVAL '5' SECOND";
    assert_snapshot!(joined("LEFT", "l.k, l.v, r.v", never), @r"
    k     v  other
    NULL  4  NULL
    a     1  NULL
    b     2  NULL
    c     3  NULL
    ");
    assert_snapshot!(joined("LEFT ANTI", "l.k, l.v, 0", never), @r"
    k     v  other
    NULL  4  0
    a     1  0
    b     2  0
    c     3  0
    ");
}
