//! Event times computed at the ends of what 64 bits hold: set aside, and no window is the worse for it.

use arrow::array::RecordBatch;

use crate::run::{Done, block_on, files, try_run};

fn extremes(window: &str) -> Done {
    let micros = [i64::MAX, i64::MIN, 0, i64::MAX - 1, i64::MIN + 1, 1_767_614_400_000_000];
    let folder = files(&[micros.iter().map(|micros| format!(r#"{{"us":{micros}}}"#).into_bytes()).collect()]);
    let script = format!(
        "CREATE TABLE events (us BIGINT, at AS to_timestamp_micros(us), WATERMARK FOR at AS at - INTERVAL '10' SECOND)
         WITH ('connector' = 'filesystem', 'path' = '{}');
         CREATE TABLE out (s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
         INSERT INTO out SELECT window_start, window_end, COUNT(*) FROM TABLE({window})
         GROUP BY window_start, window_end, window_time",
        folder.path().display()
    );
    block_on(try_run(&script)).unwrap()
}

fn rows(done: &Done) -> usize {
    done.collected.finals("out").iter().map(RecordBatch::num_rows).sum()
}

#[test]
fn tumbling() {
    let done = extremes("TUMBLE(TABLE events, DESCRIPTOR(at), INTERVAL '1' MINUTE)");
    assert_eq!(done.counts(), [6, 2, 0, 0, 0, 4]);
    assert_eq!(rows(&done), 2);
}

#[test]
fn hopping() {
    let done = extremes("HOP(TABLE events, DESCRIPTOR(at), INTERVAL '1' MINUTE, INTERVAL '3' MINUTE)");
    assert_eq!(done.counts(), [6, 2, 0, 0, 0, 4]);
    assert_eq!(rows(&done), 6);
}

#[test]
fn sessions() {
    let done = extremes("SESSION(TABLE events, DESCRIPTOR(at), INTERVAL '1' MINUTE)");
    assert_eq!(done.counts(), [6, 2, 0, 0, 0, 4]);
    assert_eq!(rows(&done), 2);
}
