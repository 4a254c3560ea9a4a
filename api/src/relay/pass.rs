//! One pass over the unpublished rows, batch by batch from the smallest id.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::Relay;
use crate::publish::{PublishError, Record};

/// What a pass did.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// Rows acknowledged and marked.
    pub(super) published: usize,
    /// (topic, key) pairs whose next row failed.
    pub(super) failed: usize,
    /// Why the first of them failed.
    pub(super) first_failure: Option<PublishError>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: i64,
    topic: String,
    key: String,
    event_time: DateTime<Utc>,
    payload: String,
    headers: Json<HashMap<String, String>>,
    created_at: DateTime<Utc>,
}

impl Row {
    fn into_record(self) -> Record {
        let Json(headers) = self.headers;
        let mut headers: Vec<_> = headers.into_iter().collect();
        // jsonb has no order of its own; sorted, the same row is the same bytes every time.
        headers.sort_unstable();
        Record {
            topic: self.topic,
            key: self.key,
            payload: self.payload,
            headers,
            event_time: self.event_time,
        }
    }
}

/// The (topic, key) pairs that failed in this pass, side by side.
#[derive(Debug, Default)]
struct Blocked {
    topics: Vec<String>,
    keys: Vec<String>,
}

/// A pass ends early at so many failed pairs: then something is wrong beyond single keys.
const MAX_BLOCKED: usize = 1_000;

/// The rows of one (topic, key), by rising id.
type Chain = Vec<Row>;

/// How far a chain got.
struct Sent {
    ids: Vec<i64>,
    failure: Option<((String, String), PublishError)>,
}

impl Relay {
    pub(super) async fn pass(&self, connection: &mut PgConnection) -> Result<Pass, sqlx::Error> {
        let mut pass = Pass::default();
        let mut blocked = Blocked::default();
        let mut after = 0;
        loop {
            let rows = self.batch(connection, after, &blocked).await?;
            let full = i64::try_from(rows.len()).is_ok_and(|rows| rows == self.config.batch_rows);
            let Some(last) = rows.last() else { return Ok(pass) };
            after = last.id;
            let chains = into_chains(rows);
            let sent: Vec<Sent> = futures::stream::iter(chains.into_iter().map(|chain| self.send(chain)))
                .buffer_unordered(self.config.concurrency.max(1))
                .collect()
                .await;
            let mut ids = Vec::new();
            for sent in sent {
                ids.extend(sent.ids);
                if let Some(((topic, key), error)) = sent.failure {
                    blocked.topics.push(topic);
                    blocked.keys.push(key);
                    pass.first_failure.get_or_insert(error);
                }
            }
            mark(connection, &ids).await?;
            pass.published += ids.len();
            pass.failed = blocked.keys.len();
            // So many keys and not one success: Kafka is down, and the rest would only wait for its time-out.
            let down = pass.published == 0 && pass.failed >= self.config.concurrency;
            if !full || down || pass.failed >= MAX_BLOCKED || self.token.is_cancelled() {
                return Ok(pass);
            }
        }
    }

    /// The next unpublished rows, without those of keys that failed earlier in the pass: their rows may be
    /// many and must not hold up the others.
    async fn batch(
        &self,
        connection: &mut PgConnection,
        after: i64,
        blocked: &Blocked,
    ) -> Result<Vec<Row>, sqlx::Error> {
        sqlx::query_as(
            "SELECT id, topic, key, event_time, payload, headers, created_at FROM outbox
             WHERE published_at IS NULL AND id > $1
               AND NOT EXISTS (SELECT FROM unnest($3::text[], $4::text[]) AS b (topic, key)
                               WHERE b.topic = outbox.topic AND b.key = outbox.key)
             ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(self.config.batch_rows)
        .bind(&blocked.topics)
        .bind(&blocked.keys)
        .fetch_all(connection)
        .await
    }

    /// Sends a chain one row at a time and stops at the first failure, or on cancellation.
    async fn send(&self, chain: Chain) -> Sent {
        let mut sent = Sent { ids: Vec::with_capacity(chain.len()), failure: None };
        for row in chain {
            if self.token.is_cancelled() {
                break;
            }
            let (id, created_at) = (row.id, row.created_at);
            let record = row.into_record();
            let outcome = self.publisher.publish(std::slice::from_ref(&record)).await.pop();
            match outcome.unwrap_or(Err(PublishError::TimedOut)) {
                Ok(()) => {
                    sent.ids.push(id);
                    let lag = (Utc::now() - created_at).to_std().unwrap_or_default();
                    metrics::histogram!("plamatio_outbox_publish_delay_seconds").record(lag);
                }
                Err(error) => {
                    metrics::counter!("plamatio_outbox_publish_failures_total").increment(1);
                    sent.failure = Some(((record.topic, record.key), error));
                    break;
                }
            }
        }
        sent
    }
}

/// Splits a batch by (topic, key).
fn into_chains(rows: Vec<Row>) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    for row in rows {
        let place = *places.entry((row.topic.clone(), row.key.clone())).or_insert(chains.len());
        match chains.get_mut(place) {
            Some(chain) => chain.push(row),
            None => chains.push(vec![row]),
        }
    }
    chains
}

async fn mark(connection: &mut PgConnection, ids: &[i64]) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query("UPDATE outbox SET published_at = now() WHERE id = ANY($1)")
        .bind(ids)
        .execute(connection)
        .await?;
    metrics::counter!("plamatio_outbox_published_total").increment(ids.len() as u64);
    Ok(())
}
