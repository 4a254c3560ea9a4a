//! One change in, many listeners out, by metric.
//!
//! A listener that does not keep up loses the oldest changes and is told so by [`LiveChange::Missed`]; it
//! never slows the others down.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use super::LiveChange;

/// Changes kept for a slow listener before it misses some.
const CAPACITY: usize = 256;

/// The listeners of all metrics.
#[derive(Debug, Default)]
pub struct Feed {
    senders: Mutex<HashMap<String, broadcast::Sender<LiveChange>>>,
}

impl Feed {
    /// Without listeners.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, broadcast::Sender<LiveChange>>> {
        // Inserting and removing are single steps, so a panic elsewhere leaves the map whole.
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers a change to the metric's listeners; without any, does nothing.
    pub fn send(&self, metric: &str, change: LiveChange) {
        let mut senders = self.lock();
        // A send fails only when nobody listens any more; then the metric is forgotten.
        if senders.get(metric).is_some_and(|sender| sender.send(change).is_err()) {
            senders.remove(metric);
        }
    }

    /// The metrics that somebody listens to.
    pub fn metrics(&self) -> Vec<String> {
        let mut senders = self.lock();
        senders.retain(|_, sender| sender.receiver_count() > 0);
        senders.keys().cloned().collect()
    }

    /// Listens to a metric from now on.
    pub fn subscribe(&self, metric: &str) -> BoxStream<'static, LiveChange> {
        let receiver = self
            .lock()
            .entry(metric.to_owned())
            .or_insert_with(|| broadcast::Sender::new(CAPACITY))
            .subscribe();
        // The only error is a lag.
        BroadcastStream::new(receiver).map(|change| change.unwrap_or(LiveChange::Missed)).boxed()
    }
}
