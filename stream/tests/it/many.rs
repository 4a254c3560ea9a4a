//! More sessions close at once than are handed over at once.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};

use crate::{
    run::{block_on, files, try_run},
    text::DAY,
};

const SESSIONS: usize = 70_000;

#[test]
fn sessions_that_close_at_once_come_in_parts_each_with_whole_windows() {
    // Two sessions each millisecond: those have the same window, and must not be parted.
    let line = |number: usize| {
        let millis = number / 2;
        format!(r#"{{"time":"{DAY}T00:00:{:02}.{:03}Z","k":"{number}"}}"#, millis / 1_000, millis % 1_000)
            .into_bytes()
    };
    let folder = files(&[(0..SESSIONS).map(line).collect()]);
    let script = format!(
        "CREATE TABLE events (`time` TIMESTAMP(3), k STRING, WATERMARK FOR `time` AS `time`)
         WITH ('connector' = 'filesystem', 'path' = '{}');
         CREATE TABLE out (s TIMESTAMP(3), e TIMESTAMP(3), k STRING) WITH ('connector' = 'collect', 'emit' = 'final');
         INSERT INTO out SELECT window_start, window_end, k
         FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
         GROUP BY window_start, window_end, k",
        folder.path().display()
    );
    let done = block_on(try_run(&script)).unwrap();
    let parts = done.collected.finals("out");
    assert!(parts.len() > 1, "all came at once");
    assert!(parts.iter().all(|part| part.num_rows() < SESSIONS / 2 + 10_000));
    let keys = |part: &RecordBatch| -> Vec<usize> {
        part.column(2).as_string::<i32>().iter().map(|key| key.unwrap().parse().unwrap()).collect()
    };
    let mut all = BTreeSet::new();
    for part in &parts {
        let keys = keys(part);
        let windows: BTreeSet<usize> = keys.iter().map(|key| key / 2).collect();
        assert_eq!(windows.len() * 2, keys.len(), "a window was parted");
        // In the order of their ends.
        assert!(all.last().is_none_or(|last| last < keys.iter().min().unwrap()));
        all.extend(keys);
    }
    assert_eq!(all.len(), SESSIONS);
}
