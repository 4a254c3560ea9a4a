//! Reading the live values that the engine's sink keeps, behind [`LiveReader`].
//!
//! [`redis::RedisLive`] reads them from Redis. [`feed::Feed`] spreads changes to many listeners; another
//! reader (the demo's, in memory) can be built on it.

pub mod feed;
pub mod redis;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use events::live::LiveWindow;
use futures::stream::BoxStream;
use std::sync::Arc;

/// Why live values could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The store does not answer.
    #[error("the live store does not answer (check REDIS_URL and that the server runs)")]
    Store {
        /// What the client said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored value is not what the sink writes.
    #[error("live value {key} is malformed: {reason}")]
    Malformed {
        /// The stored key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting cannot be used.
    #[error("live store setting {setting} is not valid: {reason}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// Why not.
        reason: String,
    },
}

/// What a subscription delivers.
#[derive(Debug, Clone)]
pub enum LiveChange {
    /// A window has a new value. Several changes of one window within a short time may come as one, the last.
    Window {
        /// The complete value.
        window: Arc<LiveWindow>,
        /// End of the metric's current window as of now, if there is one.
        current: Option<DateTime<Utc>>,
    },
    /// Read the windows again: one of them was taken back, or the listener was too slow and changes were left out.
    Missed,
}

/// Reads live values.
///
/// A metric that has no values is an empty list, not an error: the reader does not know which metrics exist.
#[async_trait]
pub trait LiveReader: Send + Sync + 'static {
    /// The `limit` windows with the latest ends, newest first.
    async fn windows(&self, metric: &str, limit: usize) -> Result<Vec<LiveWindow>, LiveError>;

    /// One window by its end, if it is stored.
    async fn window(&self, metric: &str, window_end: DateTime<Utc>) -> Result<Option<LiveWindow>, LiveError>;

    /// End of the metric's current window, if there is one.
    async fn current(&self, metric: &str) -> Result<Option<DateTime<Utc>>, LiveError>;

    /// Changes from now on. The stream does not end by itself and reports no errors: an implementation
    /// reconnects on its own and then delivers what has changed meanwhile.
    fn subscribe(&self, metric: &str) -> BoxStream<'static, LiveChange>;

    /// Whether the store answers, for readiness.
    async fn check(&self) -> Result<(), LiveError>;
}
