//! `POST /v1/events`: view and cart events from the browser, a batch at a time.
//!
//! The body is a JSON array of events, or `{"events": [...]}`, as `application/json` or, for beacons, which
//! may not send that across origins, as `text/plain`. Every event gets its own result, so one bad event does
//! not cost the others. The answer is sent after Kafka has acknowledged the accepted ones: 200 when all are
//! accepted, 207 when some are rejected, 503 when Kafka is not there (then send the same batch again: ids
//! make repetitions harmless).

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use chrono::{DateTime, TimeDelta, Utc};
use events::{Event, Limits, Topic, Traffic, canonical};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::bots::is_bot;
use crate::error::{ApiError, FieldError};
use crate::extract::{self, Raw};
use crate::outbox::TRACEPARENT;
use crate::publish::{PublishError, Record};
use crate::shop::facts;
use crate::state::AppState;

/// Namespace of ids made for events that come without one.
const ID_NAMESPACE: Uuid = Uuid::from_u128(0x6a0d_3c6e_2f6b_4c0e_9a51_7d1b_6f02_e4a7);

/// The answer.
#[derive(Serialize)]
pub(crate) struct Collected {
    accepted: usize,
    rejected: usize,
    results: Vec<EventResult>,
}

#[derive(Serialize)]
struct EventResult {
    /// Place in the batch, from 0.
    index: usize,
    status: &'static str,
    /// The event's id: its own, or the one it was given; null where a rejected event has none.
    id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// What of the request applies to all its events.
struct Sender<'a> {
    bot: bool,
    anonymous_id: Option<&'a str>,
    session_id: Option<&'a str>,
    received_at: DateTime<Utc>,
    limits: Limits,
}

pub(crate) async fn collect(
    State(state): State<AppState>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<impl IntoResponse, ApiError> {
    check_media(&headers)?;
    let batch = read_batch(&body, state.config().events_batch)?;
    let ahead = TimeDelta::from_std(state.config().event_time_ahead).unwrap_or(TimeDelta::MAX);
    let sender = Sender {
        bot: is_bot(headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok())),
        anonymous_id: extract::header(&headers, "x-visitor-id")?,
        session_id: extract::header(&headers, "x-session-id")?,
        received_at: (state.clock())(),
        limits: Limits { ahead, ..Limits::default() },
    };
    let traceparent = extract::traceparent(&headers);
    let mut results = Vec::with_capacity(batch.len());
    let mut records = Vec::with_capacity(batch.len());
    let mut seen = HashSet::new();
    for (index, value) in batch.into_iter().enumerate() {
        let own_id = value.get("id").and_then(Value::as_str).map(str::to_owned);
        match sender.accept(value) {
            Ok(event) => {
                // The same event twice in a batch is accepted twice and sent once.
                if seen.insert((event.source.clone(), event.id.clone())) {
                    let mut record = Record::from_event(&event)?;
                    if let Some(traceparent) = traceparent {
                        record.headers.push((TRACEPARENT.to_owned(), traceparent.to_owned()));
                    }
                    records.push(record);
                }
                results.push(EventResult {
                    index,
                    status: "accepted",
                    id: Some(event.id),
                    errors: Vec::new(),
                });
            }
            Err(errors) => results.push(EventResult { index, status: "rejected", id: own_id, errors }),
        }
    }
    publish(&state, &records).await?;
    let rejected = results.iter().filter(|result| !result.errors.is_empty()).count();
    let accepted = results.len() - rejected;
    metrics::counter!("plamatio_events_collected_total", "result" => "accepted").increment(accepted as u64);
    metrics::counter!("plamatio_events_collected_total", "result" => "rejected").increment(rejected as u64);
    let status = if rejected == 0 { StatusCode::OK } else { StatusCode::MULTI_STATUS };
    Ok((status, Json(Collected { accepted, rejected, results })))
}

fn check_media(headers: &HeaderMap) -> Result<(), ApiError> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media == "application/json" || media == "text/plain" {
        return Ok(());
    }
    Err(ApiError::UnsupportedMedia {
        detail: "send events as application/json (or text/plain, for beacons)".to_owned(),
    })
}

fn read_batch(body: &[u8], limit: usize) -> Result<Vec<Value>, ApiError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::BadRequest { detail: format!("the body is not JSON: {error}") })?;
    let batch = match value {
        Value::Array(batch) => batch,
        Value::Object(mut object) => match object.remove("events") {
            Some(Value::Array(batch)) => batch,
            _ => return Err(ApiError::field("events", "must be an array of events")),
        },
        _ => return Err(ApiError::field("body", "must be an array of events, or {\"events\": [...]}")),
    };
    if batch.is_empty() {
        return Err(ApiError::field("events", "must hold at least one event"));
    }
    if batch.len() > limit {
        let found = batch.len();
        let detail = format!("the batch has {found} events, at most {limit} are taken; send several batches");
        return Err(ApiError::TooLarge { detail });
    }
    Ok(batch)
}

impl Sender<'_> {
    fn accept(&self, mut value: Value) -> Result<Event, Vec<FieldError>> {
        if let Value::Object(object) = &mut value {
            let defaults = [("anonymous_id", self.anonymous_id), ("session_id", self.session_id)];
            for (field, header) in defaults {
                if let (Some(text), None) = (header, object.get(field)) {
                    object.insert(field.to_owned(), Value::String(text.to_owned()));
                }
            }
            // Refused before anything else, so that the reason is this one whatever else is wrong.
            let kind = object.get("type").and_then(Value::as_str).and_then(canonical);
            if let Some(kind) = kind.filter(|kind| kind.topic() == Topic::OrderEvents) {
                let problem = format!(
                    "{kind} is not taken from clients: orders report themselves through POST /v1/orders"
                );
                return Err(vec![FieldError::new("type", problem)]);
            }
            if object.get("source").and_then(Value::as_str) == Some(facts::SOURCE) {
                let problem = format!("\"{}\" is reserved for the server's own events", facts::SOURCE);
                return Err(vec![FieldError::new("source", problem)]);
            }
        }
        let new_id = || derived_id(&value);
        let mut event = events::accept(&value, self.received_at, &self.limits, new_id)
            .map_err(|errors| errors.into_iter().map(FieldError::from).collect::<Vec<_>>())?;
        if self.bot && event.traffic == Traffic::Human {
            event.traffic = Traffic::Bot;
        }
        Ok(event)
    }
}

/// An id made of the event's content, so that a repeated batch gets the same ids again.
fn derived_id(value: &Value) -> String {
    Uuid::new_v5(&ID_NAMESPACE, value.to_string().as_bytes()).to_string()
}

async fn publish(state: &AppState, records: &[Record]) -> Result<(), ApiError> {
    if records.is_empty() {
        return Ok(());
    }
    let published = tokio::time::timeout(state.config().publish_timeout, state.publisher().publish(records));
    let failure = match published.await {
        Ok(results) => results.into_iter().find_map(Result::err),
        Err(_) => Some(PublishError::TimedOut),
    };
    failure.map_or(Ok(()), |error| {
        metrics::counter!("plamatio_events_publish_failures_total").increment(1);
        Err(error.into())
    })
}
