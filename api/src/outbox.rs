//! Writing events into the outbox, inside the caller's open transaction.
//!
//! Rows of one cart get their ids while the caller holds the cart's row lock, so ids of one cart rise in
//! commit order although the sequence itself is not transactional. [`crate::relay`] sends them.

use chrono::{DateTime, Utc};
use events::Event;
use serde_json::{Map, Value};
use sqlx::PgConnection;

use crate::error::ApiError;
use crate::publish::Record;

/// Header that carries the W3C trace context of the request that caused the event.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// Adds the events in the order given; they are sent in that order within their topic and key.
pub(crate) async fn append(
    tx: &mut PgConnection,
    events: &[Event],
    traceparent: Option<&str>,
) -> Result<(), ApiError> {
    let (mut topics, mut keys, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    let (mut payloads, mut headers) = (Vec::new(), Vec::new());
    let mut times: Vec<DateTime<Utc>> = Vec::new();
    for event in events {
        let mut record = Record::from_event(event)?;
        if let Some(traceparent) = traceparent {
            record.headers.push((TRACEPARENT.to_owned(), traceparent.to_owned()));
        }
        topics.push(record.topic);
        keys.push(record.key);
        ids.push(event.id.clone());
        times.push(record.event_time);
        payloads.push(record.payload);
        headers.push(Value::Object(Map::from_iter(
            record.headers.into_iter().map(|(name, value)| (name, Value::String(value))),
        )));
    }
    // WITH ORDINALITY and ORDER BY: ids are drawn from the sequence in the order of the arrays.
    sqlx::query(
        "INSERT INTO outbox (topic, key, event_id, event_time, payload, headers)
         SELECT topic, key, event_id, event_time, payload, headers
         FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::jsonb[])
              WITH ORDINALITY AS e (topic, key, event_id, event_time, payload, headers, n)
         ORDER BY n",
    )
    .bind(topics)
    .bind(keys)
    .bind(ids)
    .bind(times)
    .bind(payloads)
    .bind(headers)
    .execute(tx)
    .await?;
    metrics::counter!("plamatio_outbox_appended_total").increment(events.len() as u64);
    Ok(())
}
