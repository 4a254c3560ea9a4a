//! `CREATE TABLE` in its spellings: watermarks, keys, types, settings.

use insta::assert_snapshot;

use crate::run::{block_on, check, files, plan, try_run};

/// Three events, of which the second one comes 3 s after the first and the third 2 s before the second.
const LINES: [&str; 3] = [
    r#"{"t":"2026-01-05T12:00:10Z","v":1}"#,
    r#"{"t":"2026-01-05T12:00:13Z","v":2}"#,
    r#"{"t":"2026-01-05T12:00:11Z","v":3}"#,
];

/// `read on_time late_accepted late_dropped` of a table with this definition, counted in windows of a second.
fn counts(columns: &str, options: &str) -> [u64; 4] {
    let folder = files(&[LINES.iter().map(|line| line.as_bytes().to_vec()).collect()]);
    let path = folder.path().display();
    let script = format!(
        "CREATE TABLE events ({columns}) WITH ('connector' = 'filesystem', 'path' = '{path}'{options});
         CREATE TABLE out (w TIMESTAMP_LTZ(3), n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
         INSERT INTO out SELECT window_start, COUNT(*)
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(t), INTERVAL '1' SECOND)) GROUP BY window_start, window_end;"
    );
    let done = block_on(try_run(&script)).unwrap_or_else(|error| panic!("{error}"));
    let [read, on_time, late, dropped, ..] = done.counts();
    [read, on_time, late, dropped]
}

#[test]
fn a_watermark_in_every_spelling() {
    let late = [3, 2, 0, 1];
    let on_time = [3, 3, 0, 0];
    // A second, as in Arroyo, where nothing is said; the third event is two behind.
    assert_eq!(counts("t TIMESTAMP(3), v INT, WATERMARK FOR t", ""), late);
    assert_eq!(counts("t TIMESTAMP(3), v INT, WATERMARK FOR t AS t", ""), late);
    assert_eq!(counts("t TIMESTAMP(3), v INT, WATERMARK FOR t AS t - INTERVAL '1' SECOND", ""), late);
    assert_eq!(counts("t TIMESTAMP(3), v INT, WATERMARK FOR t AS (t - INTERVAL '2' SECOND)", ""), on_time);
    assert_eq!(counts("t TIMESTAMP(3), v INT", ", event_time_field = 't'"), late);
    let trails = |seconds: u32| {
        let columns = format!("t TIMESTAMP, v INT, w TIMESTAMP AS (t - INTERVAL '{seconds} seconds')");
        let columns = columns.replace("AS (", "GENERATED ALWAYS AS (");
        counts(&columns, ", 'event_time_field' = 't', watermark_field = 'w'")
    };
    assert_eq!(trails(1), late);
    assert_eq!(trails(2), on_time);
}

#[test]
fn local_time_in_every_spelling() {
    for spelling in [
        "TIMESTAMP_LTZ",
        "TIMESTAMP_LTZ(3)",
        "TIMESTAMP(3) WITH LOCAL TIME ZONE",
        "TIMESTAMP WITH LOCAL TIME ZONE",
        "TIMESTAMP(6) WITHOUT TIME ZONE",
        "TIMESTAMP",
    ] {
        let columns = format!(
            "t {spelling} NOT NULL COMMENT 'when', v INT, WATERMARK FOR t AS t - INTERVAL '2' SECOND"
        );
        assert_eq!(counts(&columns, ""), [3, 3, 0, 0], "{spelling}");
    }
}

#[test]
fn keys_and_comments_stand_behind_a_column() {
    let columns =
        "k STRING NOT NULL PRIMARY KEY NOT ENFORCED COMMENT 'the name', v BIGINT COMMENT 'it''s a value'";
    assert_snapshot!(check("\n time k v\n 12:00:01 a 5", columns, "SELECT k, v FROM events"), @r"
    k  v
    a  5
    ");
    let script = |key: &str| {
        format!(
            "CREATE TABLE e (k STRING COMMENT 'x', l AS upper(k) COMMENT 'loud') COMMENT 'a table'
             WITH ('connector' = 'filesystem', 'path' = 'e');
             CREATE TABLE o ({key}) WITH ('connector' = 'collect'); INSERT INTO o SELECT k, l FROM e"
        )
    };
    let key = |columns: &str| plan(&script(columns)).unwrap().sinks[0].table.primary_key.clone();
    assert_eq!(key("k STRING, l STRING PRIMARY KEY"), ["l"]);
    assert_eq!(key("k STRING CONSTRAINT c PRIMARY KEY NOT ENFORCED, l STRING"), ["k"]);
    assert_eq!(key("k STRING, l STRING, CONSTRAINT c PRIMARY KEY (l, k) NOT ENFORCED"), ["l", "k"]);
}

#[test]
fn flinks_settings_that_mean_something_here() {
    let script = "SET 'table.local-time-zone' = 'Etc/UTC'; SET 'execution.runtime-mode' = 'streaming';
         SET 'execution.checkpointing.interval' = '3 s'; SET 'parallelism.default' = '2';
         CREATE TABLE e (k STRING) WITH ('connector' = 'filesystem', 'path' = 'e');
         CREATE TABLE o (k STRING) WITH ('connector' = 'collect'); INSERT INTO o SELECT k FROM e";
    let settings = plan(script).unwrap().settings;
    assert_eq!(settings.parallelism, Some(2));
    assert_eq!(settings.checkpoint_interval.as_secs(), 3);
}
