//! The in-process live store as the API reads it: the demo without Redis.

use std::sync::Arc;

use api::live::{LiveChange, LiveError, LiveReader, feed::Feed};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use events::live::LiveWindow;
use futures::stream::BoxStream;
use sinks::MemoryLiveStore;
use tokio::sync::broadcast::error::RecvError;

/// Reads a [`MemoryLiveStore`].
pub(crate) struct MemoryLive {
    store: MemoryLiveStore,
    feed: Arc<Feed>,
}

impl MemoryLive {
    /// Starts passing changes on; must be called within a Tokio runtime.
    pub(crate) fn new(store: MemoryLiveStore) -> Self {
        let feed = Arc::new(Feed::new());
        let mut changes = store.subscribe();
        let (reader, to) = (store.clone(), Arc::clone(&feed));
        tokio::spawn(async move {
            loop {
                match changes.recv().await {
                    Ok(change) => {
                        let Some(end) = change.window_end else { continue };
                        let change_of = match reader.window(&change.metric, end) {
                            Some(window) => {
                                let current = reader.current(&change.metric);
                                LiveChange::Window { window: Arc::new(window), current }
                            }
                            // It was taken back.
                            None => LiveChange::Missed,
                        };
                        to.send(&change.metric, change_of);
                    }
                    Err(RecvError::Lagged(_)) => {
                        for metric in to.metrics() {
                            to.send(&metric, LiveChange::Missed);
                        }
                    }
                    Err(RecvError::Closed) => break,
                }
            }
        });
        MemoryLive { store, feed }
    }
}

#[async_trait]
impl LiveReader for MemoryLive {
    async fn windows(&self, metric: &str, limit: usize) -> Result<Vec<LiveWindow>, LiveError> {
        Ok(self.store.windows(metric, limit))
    }

    async fn window(&self, metric: &str, window_end: DateTime<Utc>) -> Result<Option<LiveWindow>, LiveError> {
        Ok(self.store.window(metric, window_end))
    }

    async fn current(&self, metric: &str) -> Result<Option<DateTime<Utc>>, LiveError> {
        Ok(self.store.current(metric))
    }

    fn subscribe(&self, metric: &str) -> BoxStream<'static, LiveChange> {
        self.feed.subscribe(metric)
    }

    async fn check(&self) -> Result<(), LiveError> {
        Ok(())
    }
}
