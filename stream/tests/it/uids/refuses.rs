//! What may not change: each is refused by name, with what is different, before anything is read or written.

use insta::assert_snapshot;
use plamatio_stream::{StreamError, error::Fault};

use super::{EVENTS, Folder, MINUTES, VISITS};
use crate::run::block_on;

/// What is said to a script that is to go on from another's state.
fn refused(before: &str, after: &str) -> String {
    assert_ne!(before, after);
    block_on(async {
        let folder = Folder::new();
        folder.begin(before).await;
        let (read, rows) = (folder.events.handed_so_far(), folder.rows("out"));
        let error = folder.end(after, folder.options()).await.unwrap_err();
        // Opening the source would have set this back.
        assert_eq!((folder.events.handed_so_far(), folder.rows("out")), (read, rows));
        assert_eq!(error.fault(), Fault::External);
        match error {
            StreamError::State { problem, .. } => problem,
            other => panic!("{other}"),
        }
    })
}

fn script() -> String {
    format!("{EVENTS}{MINUTES}")
}

/// One edit of the script.
fn edited(from: &str, to: &str) -> String {
    refused(&script(), &script().replace(from, to))
}

#[test]
fn another_window() {
    assert_snapshot!(edited("INTERVAL '1' MINUTE", "INTERVAL '5' MINUTE"));
    assert_snapshot!(edited(
        "TUMBLE(TABLE events, DESCRIPTOR(`time`),",
        "HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '30' SECOND,"
    ));
}

#[test]
fn other_groups_and_aggregates() {
    assert_snapshot!(edited(
        "GROUP BY window_start, window_end, k",
        "GROUP BY window_start, window_end, k, v"
    ));
    assert_snapshot!(edited("SUM(v)", "MAX(v)"));
    assert_snapshot!(edited("SUM(v)", "SUM(v) FILTER (WHERE k <> '0')"));
}

#[test]
fn other_rows() {
    assert_snapshot!(edited("v > 0", "v > 1"));
    assert_snapshot!(edited("v > 0 ", "v > 0 AND k <> '2' "));
}

#[test]
fn another_type_of_a_column() {
    assert_snapshot!(edited("v BIGINT", "v INT"));
}

#[test]
fn another_time_or_deduplication() {
    assert_snapshot!(edited("INTERVAL '5' SECOND", "INTERVAL '9' SECOND"));
    assert_snapshot!(edited("'idle-timeout'", "'deduplicate.key' = 'v', 'idle-timeout'"));
}

#[test]
fn another_lateness() {
    assert_snapshot!(edited("'idle-timeout'", "'allowed-lateness' = '1 min', 'idle-timeout'"));
}

#[test]
fn another_source() {
    assert_snapshot!(edited("'kept'", "'others'"));
}

/// What follows from a change is not told again.
#[test]
fn windows_over_a_window_that_has_changed() {
    let cascade = |gap: &str| {
        format!(
            "{EVENTS}
             CREATE TABLE out (w TIMESTAMP(3), n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
             CREATE VIEW visits AS SELECT window_start AS s, k, COUNT(*) AS n
             FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '{gap}' SECOND))
             GROUP BY window_start, window_end, k;
             INSERT INTO out SELECT window_start, SUM(n)
             FROM TABLE(TUMBLE(TABLE visits, DESCRIPTOR(s), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;"
        )
    };
    assert_snapshot!(refused(&cascade("3"), &cascade("4")));
}

#[test]
fn a_statement_that_is_gone() {
    assert_snapshot!(refused(&(script() + VISITS), &script()));
}

#[test]
fn a_statement_that_is_new() {
    assert_snapshot!(refused(&script(), &(script() + VISITS)));
}

#[test]
fn several_at_once() {
    let after = script().replace("INTERVAL '1' MINUTE", "INTERVAL '5' MINUTE").replace("v > 0", "v > 2");
    assert_snapshot!(refused(&(script() + VISITS), &after));
}

/// What was to be written there cannot be written elsewhere.
#[test]
fn another_sink_under_the_same_name() {
    assert_snapshot!(edited("'collect'", "'elsewhere'"));
}
