//! The outbox relay: sends unpublished outbox rows to Kafka and marks them.
//!
//! **Guarantee.** At least once, in id order within a (topic, key), across crashes of the relay, of Kafka and
//! of the database connection. A row is marked after Kafka has acknowledged it; a crash in between sends it
//! again with the same event id, and readers remove the repetition by (source, id). Seen that way the first
//! occurrences of a key's events are in order.
//!
//! **One at a time.** A relay works only while it holds a session-level advisory lock, on the connection that
//! also reads and marks the rows: if that connection is lost, so is the lock, and the relay notices at its
//! next statement. Other relays stand by.
//!
//! **No gaps.** Ids are drawn before commit, so a smaller id may become visible after a larger one. Each pass
//! starts from the smallest unpublished id, never from the last one sent. Rows of one cart do commit in id
//! order, because their writer holds the cart's lock while it draws them.
//!
//! **Order under failure.** Within a (topic, key) a row is handed over only when the one before it is
//! acknowledged. When a row fails, the rest of its (topic, key) waits for the next pass, and other keys go on.
//!
//! The relay subscribes to notifications before it reads, so it misses none, and polls as a fallback.

mod pass;
mod prune;

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use sqlx::postgres::PgListener;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::publish::EventPublisher;

/// The advisory lock that makes the relay the only one in its database: "plm_rela" in ASCII.
const LOCK: i64 = 0x706c_6d5f_7265_6c61;

/// Channel that the outbox' insert trigger notifies.
const CHANNEL: &str = "plamatio_outbox";

/// Settings of the relay. `Default` gives the documented defaults.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// Rows read at a time.
    pub batch_rows: i64,
    /// (topic, key) pairs that are sent side by side.
    pub concurrency: usize,
    /// The outbox is read this often even without a notification.
    pub poll: Duration,
    /// A standby tries to become the active relay this often.
    pub standby: Duration,
    /// First and longest wait after a failure.
    pub backoff: (Duration, Duration),
    /// How long published rows are kept, for looking into.
    pub keep_published: Duration,
    /// How long idempotency keys are kept. A request repeated later is taken for a new one.
    pub keep_idempotency_keys: Duration,
    /// How often both are pruned.
    pub prune_every: Duration,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            batch_rows: 500,
            concurrency: 64,
            poll: Duration::from_secs(1),
            standby: Duration::from_secs(1),
            backoff: (Duration::from_millis(100), Duration::from_secs(10)),
            keep_published: Duration::from_secs(7 * 24 * 3600),
            keep_idempotency_keys: Duration::from_secs(48 * 3600),
            prune_every: Duration::from_secs(600),
        }
    }
}

/// Runs the relay until the token is cancelled; failures are logged, counted and tried again for ever.
///
/// On cancellation it hands over no further row, waits for those handed over, marks them and returns. The
/// pool needs two connections for it. Dropping the future instead is safe too: it only repeats rows.
pub async fn run(
    pool: PgPool,
    publisher: Arc<dyn EventPublisher>,
    config: RelayConfig,
    token: CancellationToken,
) {
    let policy = ExponentialBuilder::new()
        .with_min_delay(config.backoff.0)
        .with_max_delay(config.backoff.1)
        .with_jitter()
        .without_max_times();
    let relay = Relay { pool, publisher, config, policy, token };
    let mut delays = policy.build();
    while !relay.token.is_cancelled() {
        let started = Instant::now();
        match relay.session().await {
            Ok(()) => break,
            Err(error) => {
                metrics::counter!("plamatio_outbox_relay_errors_total").increment(1);
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the outbox relay lost its database connection"
                );
            }
        }
        metrics::gauge!("plamatio_outbox_relay_active").set(0.0);
        if started.elapsed() > relay.config.backoff.1 {
            delays = policy.build();
        }
        relay.pause(delays.next().unwrap_or(relay.config.backoff.1)).await;
    }
    metrics::gauge!("plamatio_outbox_relay_active").set(0.0);
}

struct Relay {
    pool: PgPool,
    publisher: Arc<dyn EventPublisher>,
    config: RelayConfig,
    policy: ExponentialBuilder,
    token: CancellationToken,
}

impl Relay {
    /// Waits, but not longer than until cancellation.
    async fn pause(&self, delay: Duration) {
        self.token.run_until_cancelled(sleep(delay)).await;
    }

    /// From taking the lock to losing the connection (an error) or cancellation.
    async fn session(&self) -> Result<(), sqlx::Error> {
        // Detached: it carries a lock and must not go back into the pool with it.
        let mut connection = self.pool.acquire().await?.detach();
        if !self.lock(&mut connection).await? {
            return connection.close().await;
        }
        tracing::info!("the outbox relay is active");
        metrics::gauge!("plamatio_outbox_relay_active").set(1.0);
        let outcome = self.work(&mut connection).await;
        // Closing ends the session and with it the lock; after an error the connection may be gone already.
        let closed = connection.close().await;
        outcome.and(closed)
    }

    /// Waits for the lock; false on cancellation.
    async fn lock(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        loop {
            if self.token.is_cancelled() {
                return Ok(false);
            }
            let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
                .bind(LOCK)
                .fetch_one(&mut *connection)
                .await?;
            if locked {
                return Ok(true);
            }
            self.pause(self.config.standby).await;
        }
    }

    async fn work(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(CHANNEL).await?;
        // As a stream it keeps its place when a wait for it is given up.
        let mut notifications = listener.into_stream();
        let mut delays = self.policy.build();
        let mut prune_at = Instant::now();
        loop {
            let pass = self.pass(connection).await?;
            if self.token.is_cancelled() {
                return Ok(());
            }
            if Instant::now() >= prune_at {
                prune::prune(connection, &self.config).await?;
                prune_at = Instant::now() + self.config.prune_every;
            }
            if let Some(error) = pass.first_failure {
                let delay = delays.next().unwrap_or(self.config.backoff.1);
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    failed = pass.failed,
                    published = pass.published,
                    retry_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                    "outbox rows could not be published"
                );
                self.report_pending(connection).await?;
                self.pause(delay).await;
                continue;
            }
            delays = self.policy.build();
            tokio::select! {
                () = self.token.cancelled() => return Ok(()),
                () = sleep(self.config.poll) => self.report_pending(connection).await?,
                notification = notifications.next() => {
                    notification.transpose()?;
                    // One pass serves all that have come in meanwhile.
                    while let Some(Some(more)) = futures::FutureExt::now_or_never(notifications.next()) {
                        more?;
                    }
                }
            }
        }
    }

    async fn report_pending(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let (pending, oldest_s): (i64, f64) = sqlx::query_as(
            "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
             FROM outbox WHERE published_at IS NULL",
        )
        .fetch_one(connection)
        .await?;
        metrics::gauge!("plamatio_outbox_pending_rows").set(pending as f64);
        metrics::gauge!("plamatio_outbox_oldest_pending_seconds").set(oldest_s);
        Ok(())
    }
}
