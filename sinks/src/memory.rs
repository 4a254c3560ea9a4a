//! The live store within the process: what `'url' = 'memory://'` writes to, with the semantics of the Redis
//! sink, for a run without Redis.
//!
//! It differs in two points: values live as long as the process and are bounded by
//! [`WINDOWS_KEPT`] instead of a time to live, and one store holds one shop.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use chrono::{DateTime, Utc};
use events::LiveWindow;
use serde_json::{Map, Value};
use stream::time::Watermark;
use tokio::sync::broadcast;

use crate::live::{LiveValue, Version, WINDOWS_KEPT, accepts, current_window};

/// A notice that a value changed; read the value itself from the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveChange {
    /// The metric.
    pub metric: Arc<str>,
    /// What follows the metric in the value's Redis key, and what Redis would publish: the window's end in
    /// milliseconds, or the primary key's values.
    pub id: String,
    /// The window's end, where the table has windows.
    pub window_end: Option<DateTime<Utc>>,
}

/// Live values of one process. Clones share their content.
#[derive(Clone, Debug)]
pub struct MemoryLiveStore {
    metrics: Arc<RwLock<HashMap<String, Metric>>>,
    changes: broadcast::Sender<LiveChange>,
}

#[derive(Default, Debug)]
struct Metric {
    /// By window end in milliseconds.
    windows: BTreeMap<i64, LiveWindow>,
    /// By primary key.
    rows: HashMap<String, (Version, Vec<Map<String, Value>>)>,
    current: Option<i64>,
}

impl Default for MemoryLiveStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryLiveStore {
    /// An empty store.
    pub fn new() -> Self {
        // A reader that falls this far behind is told so and reads the store instead.
        let (changes, _) = broadcast::channel(1_024);
        MemoryLiveStore { metrics: Arc::default(), changes }
    }

    /// The newest `count` windows of `metric`, newest first.
    pub fn windows(&self, metric: &str, count: usize) -> Vec<LiveWindow> {
        self.read(metric, |metric| metric.windows.values().rev().take(count).cloned().collect())
            .unwrap_or_default()
    }

    /// One window of `metric`.
    pub fn window(&self, metric: &str, window_end: DateTime<Utc>) -> Option<LiveWindow> {
        self.read(metric, |metric| metric.windows.get(&window_end.timestamp_millis()).cloned()).flatten()
    }

    /// End of the window of `metric` to show first.
    pub fn current(&self, metric: &str) -> Option<DateTime<Utc>> {
        let current = self.read(metric, |metric| metric.current).flatten()?;
        DateTime::from_timestamp_millis(current)
    }

    /// The row of `metric` under a primary key (values joined by `:`), for tables without windows.
    pub fn row(&self, metric: &str, key: &str) -> Option<Map<String, Value>> {
        self.read(metric, |metric| metric.rows.get(key).and_then(|(_, rows)| rows.first().cloned())).flatten()
    }

    /// Changes from now on. A reader that falls behind gets `Lagged` and should read the store.
    pub fn subscribe(&self) -> broadcast::Receiver<LiveChange> {
        self.changes.subscribe()
    }

    fn read<T>(&self, metric: &str, look: impl FnOnce(&Metric) -> T) -> Option<T> {
        // Writers hold no half-done change across a point that can panic.
        self.metrics.read().unwrap_or_else(PoisonError::into_inner).get(metric).map(look)
    }

    /// Writes values in order; answers which of them were accepted.
    pub(crate) fn put(
        &self,
        metric: &str,
        values: &[LiveValue],
        watermark: Watermark,
    ) -> Result<Vec<bool>, serde_json::Error> {
        let parsed = values.iter().map(|value| value.rows.as_deref().map(serde_json::from_str).transpose());
        let parsed = parsed.collect::<Result<Vec<Option<Vec<Map<String, Value>>>>, _>>()?;
        let mut metrics = self.metrics.write().unwrap_or_else(PoisonError::into_inner);
        let stored = metrics.entry(metric.to_owned()).or_default();
        let answers: Vec<bool> =
            values.iter().zip(parsed).map(|(value, rows)| stored.put(metric, value, rows)).collect();
        if answers.contains(&true) {
            while stored.windows.len() > WINDOWS_KEPT {
                stored.windows.pop_first();
            }
            stored.current = current_window(stored.windows.keys().copied(), watermark);
        }
        drop(metrics);
        let name: Arc<str> = metric.into();
        for (value, _) in values.iter().zip(&answers).filter(|(_, accepted)| **accepted) {
            let window_end = value.window.map(|window| window.end);
            // No one listening is no error.
            self.changes.send(LiveChange { metric: name.clone(), id: value.id.clone(), window_end }).ok();
        }
        Ok(answers)
    }
}

impl Metric {
    fn put(&mut self, metric: &str, value: &LiveValue, rows: Option<Vec<Map<String, Value>>>) -> bool {
        let new = value.version;
        let Some(span) = value.window else {
            let accepted = accepts(self.rows.get(&value.id).map(|(version, _)| *version), new);
            match rows {
                Some(rows) if accepted => {
                    self.rows.insert(value.id.clone(), (new, rows));
                }
                None if accepted => {
                    self.rows.remove(&value.id);
                }
                _ => {}
            }
            return accepted;
        };
        let end = span.end.timestamp_millis();
        let stored = self.windows.get(&end).map(|window| Version {
            epoch: window.epoch,
            revision: window.revision,
            is_final: window.is_final,
        });
        let accepted = accepts(stored, new);
        let Some(rows) = rows else {
            if accepted {
                self.windows.remove(&end);
            }
            return accepted;
        };
        if accepted {
            let window = LiveWindow {
                metric: metric.to_owned(),
                window_start: span.start,
                window_end: span.end,
                epoch: new.epoch,
                revision: new.revision,
                is_final: new.is_final,
                updated_at: value.updated_at,
                rows,
            };
            self.windows.insert(end, window);
        }
        accepted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stream::time::EventTime;

    use super::*;
    use crate::live::LiveSpan;

    fn value(end_ms: i64, revision: u64, is_final: bool) -> LiveValue {
        LiveValue {
            id: end_ms.to_string(),
            window: Some(LiveSpan {
                start: DateTime::UNIX_EPOCH,
                end: DateTime::from_timestamp_millis(end_ms).unwrap(),
            }),
            version: Version { epoch: 1, revision, is_final },
            updated_at: DateTime::UNIX_EPOCH,
            rows: Some(format!(r#"[{{"n":{revision}}}]"#)),
            ttl: Duration::from_secs(1),
        }
    }

    #[test]
    fn newer_replaces_older_and_final_stays() {
        let store = MemoryLiveStore::new();
        let mut changes = store.subscribe();
        let put = |value| store.put("m", &[value], Watermark::START).unwrap()[0];
        assert!(put(value(60_000, 5, false)));
        assert!(!put(value(60_000, 4, false)));
        assert!(put(value(60_000, 6, true)));
        assert!(!put(value(60_000, 7, false)));
        let windows = store.windows("m", 10);
        assert_eq!((windows.len(), windows[0].revision, windows[0].is_final), (1, 6, true));
        assert_eq!(windows[0].rows[0]["n"], 6);
        assert_eq!(changes.try_recv().unwrap().id, "60000");
        assert_eq!(changes.try_recv().unwrap().window_end, DateTime::from_timestamp_millis(60_000));
        assert!(changes.try_recv().is_err(), "refused writes are not published");
        assert!(store.windows("other", 1).is_empty());
    }

    #[test]
    fn what_is_provisional_is_taken_back_by_what_is_newer() {
        let store = MemoryLiveStore::new();
        let gone = |end_ms, revision| LiveValue { rows: None, ..value(end_ms, revision, false) };
        let put = |value| store.put("m", &[value], Watermark::START).unwrap()[0];
        assert!(put(value(60_000, 5, false)) && put(value(120_000, 5, false)));
        let mut changes = store.subscribe();
        assert!(!put(gone(60_000, 4)), "older");
        assert!(put(gone(60_000, 6)));
        assert_eq!(changes.try_recv().unwrap().id, "60000");
        assert_eq!(store.windows("m", 10).len(), 1);
        assert_eq!(store.current("m").unwrap().timestamp_millis(), 120_000);
        assert!(put(value(120_000, 7, true)));
        assert!(!put(gone(120_000, 8)), "final");
        assert_eq!(store.windows("m", 10).len(), 1);
    }

    #[test]
    fn the_pointer_follows_the_watermark_and_the_list_is_bounded() {
        let store = MemoryLiveStore::new();
        let values: Vec<_> = (0..3_000).map(|n| value(n * 1_000, 1, false)).collect();
        store.put("m", &values, Watermark::at(EventTime::from_micros(2_500_000_000))).unwrap();
        assert_eq!(store.current("m").unwrap().timestamp_millis(), 2_501_000);
        assert_eq!(store.windows("m", usize::MAX).len(), WINDOWS_KEPT);
        assert_eq!(store.windows("m", 1)[0].window_end.timestamp_millis(), 2_999_000);
        store.put("m", &[value(2_999_000, 2, true)], Watermark::END).unwrap();
        assert_eq!(store.current("m").unwrap().timestamp_millis(), 2_999_000);
    }
}
