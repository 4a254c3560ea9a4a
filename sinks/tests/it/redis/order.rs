//! The script decides as `accepts` does, whatever the order of the writes.

use std::collections::HashMap;

use plamatio_sinks::live::{Version, accepts};
use proptest::{collection::vec, prelude::*};

use super::{redis_table, window};
use crate::support::{self, redis_server, rows, window_rows};

/// One write of one of two writers.
#[derive(Clone, Debug)]
struct Write {
    second_writer: bool,
    version: Version,
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
    (any::<bool>(), version, windows).prop_map(|(second_writer, version, windows)| Write {
        second_writer,
        version,
        windows,
    })
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
    let mut writers = [support::open(&table).await.unwrap(), support::open(&table).await.unwrap()];
    let mut connection = super::connection(&url).await;
    let mut expected: HashMap<i64, (Version, i64)> = HashMap::new();
    for (number, write) in (0_i64..).zip(writes) {
        let Version { epoch, revision, is_final } = write.version;
        let batch: Vec<_> = write.windows.iter().map(|end| (*end, "a", number)).collect();
        let writer = &mut writers[usize::from(write.second_writer)];
        writer.write(rows(window_rows(&batch), epoch, revision, is_final)).await.unwrap();
        for end in write.windows {
            if accepts(expected.get(&end).map(|(version, _)| *version), write.version) {
                expected.insert(end, (write.version, number));
            }
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
