//! What windows cost as they overlap, and as a key's sessions become many. The bounds are far from what is measured, and
//! farther from what walking over all panes or sessions takes.

use std::time::{Duration, Instant};

use crate::run::run_bytes;

/// Rows `step_ms` apart of one key, through `query`: how long it took, and how many rows came out.
fn time(rows: i64, step_ms: i64, more: &str, query: &str) -> (Duration, usize) {
    let line = |row: i64| {
        let time =
            chrono::DateTime::from_timestamp_micros(crate::text::DAY_US + row * step_ms * 1_000).unwrap();
        format!(r#"{{"time":"{}","k":"a"}}"#, time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
            .into_bytes()
    };
    let lines: Vec<Vec<u8>> = (0..rows).map(line).collect();
    let script = format!(
        "CREATE TABLE out (s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
         INSERT INTO out SELECT window_start, window_end, COUNT(*) FROM TABLE({query}) GROUP BY window_start, window_end"
    );
    let started = Instant::now();
    let done = run_bytes(&[lines], "k STRING", more, &script);
    (started.elapsed(), done.collected.finals("out").iter().map(|batch| batch.num_rows()).sum())
}

#[test]
fn overlapping_windows_cost_what_is_written_of_them() {
    let hop = |slide: i64| {
        let query =
            format!("HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '{slide}' SECOND, INTERVAL '1' HOUR)");
        time(20_000, 1_000, "", &query)
    };
    let ((few_took, few), (many_took, many)) = (hop(60), hop(1));
    assert_eq!((few, many), (393, 23_599));
    let most = few_took * u32::try_from(2 * many / few).unwrap();
    assert!(many_took < most, "{few} windows took {few_took:?}, {many} took {many_took:?}");
}

#[test]
fn a_key_may_have_many_sessions() {
    let query = "SESSION(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' SECOND)";
    let (took, sessions) = time(40_000, 2_000, ", 'allowed-lateness' = '1 d'", query);
    assert_eq!(sessions, 40_000);
    assert!(took < Duration::from_secs(10), "{took:?}");
}
