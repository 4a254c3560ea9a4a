//! Live values from Redis: hashes by window, a sorted set as index, Pub/Sub as notification.
//!
//! Reads go through one shared connection that reconnects by itself. Subscriptions of all clients share one
//! watcher task with one Pub/Sub connection: a notification marks its window as changed, and a little later
//! all marked windows are read in one round trip and spread through [`Feed`]. So Redis' load does not grow
//! with the number of browsers, and a window that changes often is read a few times a second at most.
//! Pub/Sub may lose messages, so the watcher also compares the index's newest windows every few seconds;
//! while Pub/Sub is down that poll alone carries the changes.

mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, RedisError};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use events::live::{self, LiveWindow};
use futures::stream::BoxStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::feed::Feed;
use super::{LiveChange, LiveError, LiveReader};

/// Where and how the live values are read.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://[:password@]host:port[/db]`.
    pub url: String,
    /// The shop's name in the keys.
    pub shop: String,
    /// Changes are gathered this long before they are read; also the least time between two values of one
    /// window.
    pub gather: Duration,
    /// The index is compared this often, beside notifications.
    pub poll: Duration,
    /// How many of the newest windows that comparison covers.
    pub poll_windows: usize,
    /// Longest wait for an answer of Redis.
    pub timeout: Duration,
}

impl RedisSettings {
    /// Settings with the defaults: gather 100 ms, poll 2 s over 64 windows, timeout 2 s.
    pub fn new(url: impl Into<String>, shop: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            shop: shop.into(),
            gather: Duration::from_millis(100),
            poll: Duration::from_secs(2),
            poll_windows: 64,
            timeout: Duration::from_secs(2),
        }
    }
}

/// [`LiveReader`] on Redis. Dropping it ends its watcher.
pub struct RedisLive {
    store: Store,
    feed: Arc<Feed>,
    _watcher: DropGuard,
}

/// The reading side, shared with the watcher.
#[derive(Clone)]
struct Store {
    shop: String,
    connection: ConnectionManager,
}

impl RedisLive {
    /// Sets the reader up and starts its watcher on the current Tokio runtime. Does not wait for Redis.
    pub fn connect(settings: RedisSettings) -> Result<Self, LiveError> {
        // These have a meaning in Pub/Sub patterns or in hash tags.
        if settings.shop.is_empty() || settings.shop.contains(['{', '}', '*', '?', '[', ']', '\\']) {
            return Err(LiveError::Setting {
                setting: "shop",
                reason: "must not be empty nor contain any of { } * ? [ ] \\".to_owned(),
            });
        }
        let client = Client::open(settings.url.as_str())
            .map_err(|error| LiveError::Setting { setting: "redis url", reason: error.to_string() })?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(settings.timeout))
            .set_response_timeout(Some(settings.timeout))
            .set_number_of_retries(1)
            .set_max_delay(settings.timeout);
        let connection = client.get_connection_manager_lazy(config).map_err(store_error)?;
        let store = Store { shop: settings.shop.clone(), connection };
        let feed = Arc::new(Feed::new());
        let token = CancellationToken::new();
        let watcher = watch::Watcher::new(client, store.clone(), Arc::clone(&feed), settings);
        tokio::spawn(token.clone().run_until_cancelled_owned(watcher.run()));
        Ok(Self { store, feed, _watcher: token.drop_guard() })
    }
}

fn store_error(source: RedisError) -> LiveError {
    LiveError::Store { source: Box::new(source) }
}

/// A window end as keys and members write it.
fn window_end(ms: i64, key: impl FnOnce() -> String) -> Result<DateTime<Utc>, LiveError> {
    DateTime::from_timestamp_millis(ms).ok_or_else(|| LiveError::Malformed {
        key: key(),
        reason: format!("{ms} is not a time in milliseconds"),
    })
}

impl Store {
    /// Ends of the newest windows, newest first.
    async fn newest(&self, metric: &str, limit: usize) -> Result<Vec<DateTime<Utc>>, LiveError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let last = isize::try_from(limit).unwrap_or(isize::MAX) - 1;
        let key = live::windows_key(&self.shop, metric);
        let ends: Vec<i64> = ::redis::cmd("ZREVRANGE")
            .arg(&key)
            .arg(0)
            .arg(last)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(store_error)?;
        ends.into_iter().map(|ms| window_end(ms, || key.clone())).collect()
    }

    /// The stored ones of these windows, in the order asked, in one round trip.
    async fn read(&self, metric: &str, ends: &[DateTime<Utc>]) -> Result<Vec<LiveWindow>, LiveError> {
        if ends.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<String> = ends.iter().map(|end| live::window_key(&self.shop, metric, *end)).collect();
        let mut pipe = ::redis::pipe();
        for key in &keys {
            pipe.hgetall(key);
        }
        let hashes: Vec<HashMap<String, String>> =
            pipe.query_async(&mut self.connection.clone()).await.map_err(store_error)?;
        let mut windows = Vec::with_capacity(hashes.len());
        for (key, hash) in keys.into_iter().zip(hashes) {
            // Expired between the index and the hash, or named by a notification and gone: not an error.
            if hash.is_empty() {
                continue;
            }
            match LiveWindow::from_fields(hash) {
                Ok(window) => windows.push(window),
                // One bad value must not hide the good ones.
                Err(error) => {
                    tracing::warn!(key, error = &error as &dyn std::error::Error, "live value left out")
                }
            }
        }
        Ok(windows)
    }

    async fn current(&self, metric: &str) -> Result<Option<DateTime<Utc>>, LiveError> {
        let key = live::current_key(&self.shop, metric);
        let ms: Option<i64> = ::redis::cmd("GET")
            .arg(&key)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(store_error)?;
        ms.map(|ms| window_end(ms, || key)).transpose()
    }
}

#[async_trait]
impl LiveReader for RedisLive {
    async fn windows(&self, metric: &str, limit: usize) -> Result<Vec<LiveWindow>, LiveError> {
        let ends = self.store.newest(metric, limit).await?;
        self.store.read(metric, &ends).await
    }

    async fn window(&self, metric: &str, window_end: DateTime<Utc>) -> Result<Option<LiveWindow>, LiveError> {
        Ok(self.store.read(metric, &[window_end]).await?.pop())
    }

    async fn current(&self, metric: &str) -> Result<Option<DateTime<Utc>>, LiveError> {
        self.store.current(metric).await
    }

    fn subscribe(&self, metric: &str) -> BoxStream<'static, LiveChange> {
        self.feed.subscribe(metric)
    }

    async fn check(&self) -> Result<(), LiveError> {
        ::redis::cmd("PING").query_async::<()>(&mut self.store.connection.clone()).await.map_err(store_error)
    }
}
