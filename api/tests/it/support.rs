//! What the tests share.

pub(crate) mod app;
pub(crate) mod database;
pub(crate) mod services;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use serde_json::Value;

/// Bound of every wait in these tests; reached only when something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again until the answer is yes; fails after [`PATIENCE`].
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let asking = async {
        let mut turns = tokio::time::interval(Duration::from_millis(10));
        loop {
            turns.tick().await;
            if ask().await {
                return;
            }
        }
    };
    assert!(tokio::time::timeout(PATIENCE, asking).await.is_ok(), "never happened: {what}");
}

/// JSON for snapshots, with sorted keys: whether `serde_json` keeps their order depends on which crates are
/// built together.
pub(crate) fn pretty(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(object) => {
                let entries: BTreeMap<_, _> =
                    object.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
                Value::Object(entries.into_iter().collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
            other => other.clone(),
        }
    }
    serde_json::to_string_pretty(&sorted(value)).unwrap()
}
