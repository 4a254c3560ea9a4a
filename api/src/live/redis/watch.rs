//! The one task that turns Redis notifications into [`LiveChange`]s for all listeners.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ::redis::aio::PubSub;
use ::redis::{Client, Msg, RedisError};
use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::{DateTime, Utc};
use events::live::{self, LiveWindow};
use futures::StreamExt;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::{RedisSettings, Store};
use crate::live::feed::Feed;
use crate::live::{LiveChange, LiveError};

/// What of a window tells one value from the next.
type Version = (u64, u64, bool);

/// State of the watcher: what changed and what was sent last.
pub(super) struct Watcher {
    client: Client,
    store: Store,
    feed: Arc<Feed>,
    settings: RedisSettings,
    /// Windows named by notifications since the last read, by metric.
    changed: BTreeMap<String, BTreeSet<DateTime<Utc>>>,
    /// Versions sent last, of at most the newest windows of metrics that are listened to.
    sent: HashMap<String, BTreeMap<DateTime<Utc>, Version>>,
}

impl Watcher {
    pub(super) fn new(client: Client, store: Store, feed: Arc<Feed>, settings: RedisSettings) -> Self {
        Self { client, store, feed, settings, changed: BTreeMap::new(), sent: HashMap::new() }
    }

    /// Watches until dropped.
    pub(super) async fn run(mut self) {
        let policy = ExponentialBuilder::new().without_max_times().with_max_delay(self.settings.poll);
        let mut delays = policy.build();
        loop {
            match timeout(self.settings.timeout, self.open()).await {
                Ok(Ok(subscription)) => {
                    delays = policy.build();
                    self.follow(subscription).await;
                    tracing::warn!("redis pub/sub connection ended; polling until it is back");
                }
                Ok(Err(error)) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "no redis pub/sub connection");
                }
                Err(_) => tracing::debug!("redis pub/sub connection timed out"),
            }
            self.poll().await;
            sleep(delays.next().unwrap_or(self.settings.poll)).await;
        }
    }

    async fn open(&self) -> Result<PubSub, RedisError> {
        let mut subscription = self.client.get_async_pubsub().await?;
        // Braces mean nothing in a pattern, and the shop's name was checked for what does.
        subscription.psubscribe(live::channel(&self.settings.shop, "*")).await?;
        Ok(subscription)
    }

    /// Reads notifications until the connection ends.
    async fn follow(&mut self, subscription: PubSub) {
        let (mut control, mut messages) = subscription.split();
        let mut polls = interval(self.settings.poll);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due: Option<Instant> = None;
        loop {
            let gathered = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = messages.next() => {
                    let Some(message) = message else { return };
                    if self.note(&message) && due.is_none() {
                        due = Some(Instant::now() + self.settings.gather);
                    }
                }
                () = gathered => {
                    due = None;
                    self.send_changed().await;
                }
                _ = polls.tick() => {
                    // A connection that died without a word is found here.
                    let alive = timeout(self.settings.timeout, control.ping::<()>()).await;
                    if !matches!(alive, Ok(Ok(()))) {
                        return;
                    }
                    self.poll().await;
                }
            }
        }
    }

    /// Takes a notification down; tells whether there is something to read.
    fn note(&mut self, message: &Msg) -> bool {
        let prefix = live::channel(&self.settings.shop, "");
        let Some(metric) = message.get_channel_name().strip_prefix(&prefix) else { return false };
        let end = message.get_payload::<String>().ok().and_then(|text| text.parse().ok());
        let Some(end) = end.and_then(DateTime::from_timestamp_millis) else {
            tracing::debug!(metric, "notification without a window end");
            return false;
        };
        self.changed.entry(metric.to_owned()).or_default().insert(end);
        true
    }

    /// Reads what notifications named and sends it on.
    async fn send_changed(&mut self) {
        let listened = self.feed.metrics();
        self.sent.retain(|metric, _| listened.contains(metric));
        for (metric, ends) in std::mem::take(&mut self.changed) {
            if listened.contains(&metric) {
                let ends: Vec<_> = ends.into_iter().collect();
                self.report(&metric, &ends, true).await;
            }
        }
    }

    /// Compares the newest windows of every metric that is listened to.
    async fn poll(&mut self) {
        for metric in self.feed.metrics() {
            match self.store.newest(&metric, self.settings.poll_windows).await {
                Ok(ends) => self.report(&metric, &ends, false).await,
                Err(error) => log(&metric, &error),
            }
        }
    }

    /// Reads windows that changed, or that may have; only those that were `named` must be there.
    async fn report(&mut self, metric: &str, ends: &[DateTime<Utc>], named: bool) {
        if let Err(error) = self.try_report(metric, ends, named).await {
            log(metric, &error);
        }
    }

    /// A window that was named and is not there has been taken back, or has expired just now.
    fn forget(&mut self, metric: &str, ends: &[DateTime<Utc>], windows: &[LiveWindow]) {
        if let Some(sent) = self.sent.get_mut(metric) {
            for end in ends.iter().filter(|end| windows.iter().all(|window| window.window_end != **end)) {
                sent.remove(end);
            }
        }
        self.feed.send(metric, LiveChange::Missed);
    }

    async fn try_report(
        &mut self,
        metric: &str,
        ends: &[DateTime<Utc>],
        named: bool,
    ) -> Result<(), LiveError> {
        let windows = self.store.read(metric, ends).await?;
        if named && windows.len() < ends.len() {
            self.forget(metric, ends, &windows);
        }
        if windows.is_empty() {
            return Ok(());
        }
        let current = self.store.current(metric).await?;
        let sent = self.sent.entry(metric.to_owned()).or_default();
        for window in windows {
            let version = (window.epoch, window.revision, window.is_final);
            if sent.insert(window.window_end, version) == Some(version) {
                continue;
            }
            self.feed.send(metric, LiveChange::Window { window: Arc::new(window), current });
        }
        // Older windows that change again are told by a notification; only the poll needs the versions.
        while sent.len() > self.settings.poll_windows.saturating_mul(2) {
            sent.pop_first();
        }
        Ok(())
    }
}

fn log(metric: &str, error: &LiveError) {
    tracing::warn!(metric, error = error as &dyn std::error::Error, "live values could not be read");
}
