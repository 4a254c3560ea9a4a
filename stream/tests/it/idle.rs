//! Idle partitions: nobody waits for one that has nothing; one that only could not be read is waited for.

use std::time::Duration;

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::Int64Type,
};

use crate::{
    lateness::lines,
    run::Done,
    scripted::{Step, quiet, run_steps, run_tables},
};

const TIMEOUT: Duration = Duration::from_millis(200);

fn records(table: &str) -> Vec<Step> {
    vec![Step::Records(lines(&format!("time k\n{table}")))]
}

fn run(parallelism: usize, partitions: Vec<Vec<Vec<Step>>>) -> Done {
    let partitions = partitions.into_iter().map(|steps| steps.concat()).collect();
    let more = format!(", 'idle-timeout' = '{} ms'", TIMEOUT.as_millis());
    let statements = format!(
        "SET 'parallelism' = '{parallelism}';
         CREATE TABLE out (e TIMESTAMP(3), n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
         INSERT INTO out SELECT window_end, COUNT(*)
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND)) GROUP BY window_start, window_end"
    );
    run_steps(partitions, "k STRING", &more, &statements)
}

/// Rows in windows; rows set aside.
fn found(done: &Done) -> (u64, u64) {
    let sum = |batch: &RecordBatch| batch.column(1).as_primitive::<Int64Type>().values().iter().sum::<i64>();
    let counted: i64 = done.collected.finals("out").iter().map(sum).sum();
    let aside: usize = done.collected.finals("dead_letters").iter().map(RecordBatch::num_rows).sum();
    (u64::try_from(counted).unwrap(), u64::try_from(aside).unwrap())
}

/// Every row is in a window or set aside, and the ledger says the same.
fn check(done: &Done) {
    let [_, on_time, accepted, dropped, ..] = done.counts();
    assert_eq!(found(done), (on_time + accepted, dropped));
}

/// One partition is far ahead; of the other nothing comes in `between`, then records of old.
fn behind(between: Vec<Step>) -> Done {
    let rest = quiet(100, false);
    let first =
        vec![records("12:00:01 a"), between.clone(), rest.clone(), records("12:00:02 a\n 12:01:00 a")];
    let second = vec![records("12:00:01 b"), between, records("12:10:00 b"), rest];
    run(1, vec![first, second])
}

#[test]
fn a_process_that_was_stopped_is_not_idle() {
    let done = behind(vec![Step::Nothing(3 * TIMEOUT, true)]);
    assert_eq!(done.counts(), [5, 5, 0, 0, 0, 0]);
    check(&done);
}

#[test]
fn one_that_was_stopped_while_a_partition_was_quiet_begins_to_wait_anew() {
    let mut steps = quiet(150, true);
    steps.push(Step::Nothing(3 * TIMEOUT, true));
    steps.extend(quiet(100, true));
    let done = behind(steps);
    assert_eq!(done.counts(), [5, 5, 0, 0, 0, 0]);
    check(&done);
}

#[test]
fn a_reader_that_is_behind_is_not_idle() {
    let done = behind(quiet(600, false));
    assert_eq!(done.counts(), [5, 5, 0, 0, 0, 0]);
    check(&done);
}

#[test]
fn what_comes_of_an_idle_partition_after_its_windows_closed_is_set_aside() {
    // The last record of either is on time whichever comes first, and the one ahead does not end before.
    let ahead = vec![records("12:10:00 b"), quiet(800, false), records("12:20:05 b"), quiet(300, false)];
    let idle = vec![records("12:00:01 a"), quiet(800, true), records("12:00:02 a\n 12:20:00 a\n 12:10:05 a")];
    for parallelism in [1, 2] {
        let done = run(parallelism, vec![idle.clone(), ahead.clone()]);
        assert_eq!(done.counts(), [6, 4, 0, 2, 0, 0]);
        check(&done);
    }
}

/// A table of which nothing comes holds back nothing of the one that it meets, and its rows of old are late then. The
/// windows of either are complete once both have gone past them.
#[test]
fn a_table_that_is_idle_is_not_waited_for() {
    let union = "CREATE VIEW both AS SELECT `time`, k FROM events UNION ALL SELECT `time`, k FROM other;
        INSERT INTO out SELECT window_end, COUNT(*)
        FROM TABLE(TUMBLE(TABLE both, DESCRIPTOR(`time`), INTERVAL '10' SECOND)) GROUP BY window_start, window_end";
    let windows = |table: &str| {
        format!(
            "SELECT window_start AS s, window_end AS e, COUNT(*) AS n
             FROM TABLE(TUMBLE(TABLE {table}, DESCRIPTOR(`time`), INTERVAL '10' SECOND)) GROUP BY window_start, window_end"
        )
    };
    let (left, right) = (windows("events"), windows("other"));
    let above = format!("INSERT INTO out SELECT e, n FROM ({left} UNION ALL {right})");
    let joined = format!(
        "INSERT INTO out SELECT COALESCE(a.e, b.e), COALESCE(a.n, 0) + COALESCE(b.n, 0)
         FROM ({left}) a FULL JOIN ({right}) b ON a.s = b.s AND a.e = b.e"
    );
    let interval = "INSERT INTO out SELECT a.`time`, CAST(1 AS BIGINT) FROM events a LEFT JOIN other b
        ON a.k = b.k AND a.`time` BETWEEN b.`time` - INTERVAL '1' SECOND AND b.`time` + INTERVAL '1' SECOND";
    let ahead =
        [records("12:00:01 a\n 12:10:00 b"), quiet(800, false), records("12:20:05 b"), quiet(300, false)];
    let idle = [quiet(800, true), records("12:00:02 a\n 12:20:00 a\n 12:10:05 a")];
    for (form, statement, rows) in [
        ("union", union, 4),
        ("union of windows", &above, 4),
        ("join", &joined, 4),
        ("interval", interval, 3),
    ] {
        for parallelism in [1, 2] {
            let more = format!(", 'idle-timeout' = '{} ms'", TIMEOUT.as_millis());
            let statements = format!(
                "SET 'parallelism' = '{parallelism}';
                 CREATE TABLE out (e TIMESTAMP(3), n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
                 {statement}"
            );
            let tables = [("events", vec![ahead.concat()]), ("other", vec![idle.concat()])];
            let done = run_tables(tables, "k STRING", &more, &statements);
            let (events, other) = (&done.ledger.sources["events"], &done.ledger.sources["other"]);
            assert_eq!((events.on_time, events.late_dropped), (3, 0), "{form}");
            assert_eq!((other.on_time, other.late_dropped), (1, 2), "{form}");
            assert_eq!(found(&done), (rows, 2), "{form}");
        }
    }
}

#[test]
fn no_row_is_lost_where_partitions_wake_while_others_go_on() {
    let second = |second: usize| format!("12:{:02}:{:02} a", second / 60, second % 60);
    let ahead = (0..300).flat_map(|at| [records(&second(at * 10)), quiet(5, false)].concat());
    let sleeper = |shift: usize| {
        let naps = (0..5).flat_map(move |nap| {
            let from = nap * 400 + shift;
            let rows: Vec<String> = (0..200).map(|row| second(from + row)).collect();
            [quiet(255 + shift, true), records(&rows.join("\n"))].concat()
        });
        vec![naps.collect()]
    };
    let done = run(3, vec![vec![ahead.collect()], sleeper(0), sleeper(7)]);
    check(&done);
}
