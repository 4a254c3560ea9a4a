//! The running `redis` sink.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use chrono::{DateTime, Utc};
use redis::RedisError;
use stream::{
    error::StreamError,
    sink::{Sink, SinkRows},
    time::{Epoch, Watermark},
};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    connection::{RedisConnection, is_transient},
    values::Values,
};
use crate::{live::LiveValue, memory::MemoryLiveStore, telemetry::SinkMetrics};

pub(super) enum Store {
    Redis(Box<RedisConnection>),
    Memory { store: MemoryLiveStore, metric: String },
}

pub(super) struct RedisSink {
    table: String,
    /// The server's URL without its password.
    place: String,
    store: Store,
    values: Values,
    /// How long the server may be out of reach.
    retry: Duration,
    /// Provisional values not yet written, in order of time: the newest of each, as older ones are of no use to
    /// anyone.
    pending: BTreeMap<(Option<DateTime<Utc>>, String), LiveValue>,
    /// The watermark of the latest write.
    watermark: Watermark,
    outage: Option<Outage>,
    metrics: SinkMetrics,
}

/// A server out of reach.
struct Outage {
    /// When the job gives up.
    deadline: Instant,
    /// When to try again.
    next: Instant,
    delays: ExponentialBackoff,
}

impl Outage {
    fn new(patience: Duration) -> Self {
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_secs(2))
            .without_max_times()
            .with_jitter()
            .build();
        let now = Instant::now();
        Outage { deadline: now + patience, next: now, delays }
    }

    /// Plans the next attempt; false when there is to be none.
    fn plan(&mut self) -> bool {
        let now = Instant::now();
        let delay = self.delays.next().unwrap_or(Duration::from_secs(2));
        self.next = (now + delay).min(self.deadline);
        now < self.deadline
    }
}

impl RedisSink {
    pub(super) fn new(table: &str, place: String, store: Store, values: Values, retry: Duration) -> Self {
        RedisSink {
            table: table.to_owned(),
            place,
            store,
            values,
            retry,
            pending: BTreeMap::new(),
            watermark: Watermark::START,
            outage: None,
            metrics: SinkMetrics::new(table),
        }
    }

    /// Makes sure that the server answers; a wrong address should be told at once, so there is one retry only.
    pub(super) async fn connect(&mut self) -> Result<(), StreamError> {
        let Store::Redis(connection) = &mut self.store else { return Ok(()) };
        let answer = match connection.check().await {
            Err(e) if is_transient(&e) => {
                sleep(Duration::from_millis(200).min(self.retry)).await;
                connection.check().await
            }
            answer => answer,
        };
        answer.map_err(|e| self.unreachable(e))
    }

    /// Writes `values` and the pending ones, once.
    async fn attempt(&mut self, values: &[LiveValue]) -> Result<(), Attempt> {
        let mut batch: Vec<LiveValue> = self.pending.values().cloned().collect();
        batch.extend_from_slice(values);
        if batch.is_empty() {
            return Ok(());
        }
        let answers = match &mut self.store {
            Store::Memory { store, metric } => {
                let put = store.put(metric, &batch, self.watermark);
                put.map_err(|e| Attempt::Failed(StreamError::internal(format!("rows are not JSON: {e}"))))?
            }
            Store::Redis(connection) => match connection.put(&batch, self.watermark).await {
                Ok(answers) => answers,
                Err(e) if is_transient(&e) => return Err(Attempt::Again(e)),
                Err(e) => return Err(Attempt::Failed(self.refused(e))),
            },
        };
        self.pending.clear();
        self.outage = None;
        let refused = answers.iter().filter(|accepted| !**accepted).count();
        if refused > 0 {
            self.metrics.refused.increment(refused as u64);
            tracing::warn!(table = self.table, refused, "values were older than the stored ones and refused");
        }
        Ok(())
    }

    /// Plans the next attempt after `error`; fails when the server has been away for too long.
    fn plan_retry(&mut self, error: RedisError) -> Result<Instant, StreamError> {
        let begins = self.outage.is_none();
        let outage = self.outage.get_or_insert_with(|| Outage::new(self.retry));
        if !outage.plan() {
            return Err(self.unreachable(error));
        }
        let next = outage.next;
        if begins {
            tracing::warn!(table = self.table, url = self.place, %error, "redis does not answer, trying again");
        }
        self.metrics.retries.increment(1);
        Ok(next)
    }

    /// Writes final values; waits for the server if need be.
    async fn write_final(&mut self, values: Vec<LiveValue>) -> Result<(), StreamError> {
        // A provisional value of the same window has nothing to add any more.
        for value in &values {
            if self.pending.remove(&value.place()).is_some() {
                self.metrics.dropped.increment(1);
            }
        }
        loop {
            match self.attempt(&values).await {
                Ok(()) => return Ok(()),
                Err(Attempt::Failed(error)) => return Err(error),
                Err(Attempt::Again(error)) => sleep_until(self.plan_retry(error)?).await,
            }
        }
    }

    /// Writes the pending values, unless the server is away and it is too early to try again.
    async fn write_pending(&mut self) -> Result<(), StreamError> {
        if self.outage.as_ref().is_some_and(|outage| Instant::now() < outage.next) {
            return Ok(());
        }
        match self.attempt(&[]).await {
            Ok(()) => Ok(()),
            Err(Attempt::Failed(error)) => Err(error),
            Err(Attempt::Again(error)) => self.plan_retry(error).map(|_| ()),
        }
    }

    fn unreachable(&self, error: RedisError) -> StreamError {
        let problem = format!(
            "redis at {} does not answer; check that it runs and that option 'url' is right",
            self.place
        );
        StreamError::connector_caused(&self.table, problem, error)
    }

    fn refused(&self, error: RedisError) -> StreamError {
        let problem = format!(
            "redis at {} refuses the write; check option 'url' (user, password), options 'shop' and 'metric' \
             (another program's keys) and the server's memory",
            self.place
        );
        StreamError::connector_caused(&self.table, problem, error)
    }
}

/// A failed attempt.
enum Attempt {
    /// The server was out of reach.
    Again(RedisError),
    /// Trying again will not help.
    Failed(StreamError),
}

#[async_trait]
impl Sink for RedisSink {
    async fn write(&mut self, rows: SinkRows) -> Result<(), StreamError> {
        let values = self.values.of(&rows, Utc::now())?;
        self.watermark.advance(rows.watermark);
        let (finals, others): (Vec<_>, Vec<_>) = values.into_iter().partition(|value| value.version.is_final);
        for value in others {
            if self.pending.insert(value.place(), value).is_some() {
                self.metrics.dropped.increment(1);
            }
        }
        // What waits goes along with final values.
        match finals.is_empty() {
            true => self.write_pending().await?,
            false => self.write_final(finals).await?,
        }
        self.metrics.rows(rows.batch.num_rows(), rows.is_final);
        Ok(())
    }

    async fn pre_commit(&mut self, _epoch: Epoch) -> Result<Vec<u8>, StreamError> {
        self.write_pending().await?;
        Ok(Vec::new())
    }

    async fn commit(&mut self, _epoch: Epoch, _token: Vec<u8>) -> Result<(), StreamError> {
        self.metrics.commits.increment(1);
        Ok(())
    }

    async fn close(&mut self) -> Result<(), StreamError> {
        self.write_pending().await
    }
}
