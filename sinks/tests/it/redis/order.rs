//! The script decides as `accepts` does, whatever the order of the writes; the store in memory does the same.

use std::collections::HashMap;

use chrono::DateTime;
use events::LiveWindow;
use plamatio_sinks::{
    Extras,
    live::{Version, accepts},
};
use proptest::{collection::vec, prelude::*};

use super::{redis_table, window};
use crate::support::{self, Picture, redis_server, window_table};

/// One write of one of two writers.
#[derive(Clone, Debug)]
struct Write {
    second_writer: bool,
    version: Version,
    /// What it has shown of the windows is gone and nothing comes in its place.
    takes_back: bool,
    /// Windows it touches: 1 to 3 of them.
    windows: Vec<i64>,
}

fn write() -> impl Strategy<Value = Write> {
    let number = prop_oneof![4 => 0_u64..4, 1 => 9_u64..12, 1 => (1_u64 << 53)..(1 << 53) + 3];
    let version = (number.clone(), number, any::<bool>()).prop_map(|(epoch, revision, is_final)| Version {
        epoch,
        revision,
        is_final,
    });
    let windows = proptest::sample::subsequence(vec![60_000, 120_000, 180_000], 1..=3);
    (any::<bool>(), version, any::<bool>(), windows).prop_map(
        |(second_writer, version, takes_back, windows)| Write {
            second_writer,
            version,
            takes_back: takes_back && !version.is_final,
            windows,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_ends_as_the_rule_says(writes in vec(write(), 1..16)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(writes))?;
    }
}

async fn check(writes: Vec<Write>) -> Result<(), TestCaseError> {
    let (url, shop) = (redis_server::url(), redis_server::shop());
    let table = redis_table(&url, &shop);
    let extras = Extras::default();
    let memory = window_table("conversion", &[("connector", "redis"), ("url", "memory://")]);
    let mut writers = Vec::new();
    for _ in 0..2 {
        let in_memory = support::open_with(&memory, extras.clone()).await.unwrap();
        writers.push((support::open(&table).await.unwrap(), in_memory, Picture::default()));
    }
    let mut connection = super::connection(&url).await;
    let mut expected: HashMap<i64, (Version, i64)> = HashMap::new();
    for (number, write) in (0_i64..).zip(writes) {
        let Version { epoch, revision, is_final } = write.version;
        let batch: Vec<_> = write.windows.iter().map(|end| (*end, "a", number)).collect();
        let (writer, in_memory, picture) = &mut writers[usize::from(write.second_writer)];
        for end in &write.windows {
            // What a writer has not shown it cannot take back.
            let has_effect = !write.takes_back || picture.has(*end);
            if has_effect && accepts(expected.get(end).map(|(version, _)| *version), write.version) {
                match write.takes_back {
                    true => expected.remove(end),
                    false => expected.insert(*end, (write.version, number)),
                };
            }
        }
        let rows = match write.takes_back {
            true => picture.taken_back(&write.windows, epoch, revision),
            false => picture.rows(&batch, epoch, revision, is_final),
        };
        writer.write(rows.clone()).await.unwrap();
        in_memory.write(rows).await.unwrap();
        for end in [60_000, 120_000, 180_000] {
            let stored = window(&mut connection, &shop, end).await;
            prop_assert_eq!(stored.is_some(), expected.contains_key(&end));
            let kept = extras.live.window("conversion", DateTime::from_timestamp_millis(end).unwrap());
            let seen = |window: Option<LiveWindow>| window.map(|w| (w.epoch, w.revision, w.is_final, w.rows));
            prop_assert_eq!(seen(stored), seen(kept));
        }
        // After every write, not only after the last: a wrong step may be hidden by a later one.
        for (end, (version, number)) in &expected {
            let stored = window(&mut connection, &shop, *end).await.unwrap();
            let stored_version =
                Version { epoch: stored.epoch, revision: stored.revision, is_final: stored.is_final };
            prop_assert_eq!(stored_version, *version);
            prop_assert_eq!(stored.rows[0]["n"].as_i64(), Some(*number));
        }
    }
    Ok(())
}
