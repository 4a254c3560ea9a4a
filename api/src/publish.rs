//! Sending event records to Kafka, behind [`EventPublisher`], so that routes and relay can be tested without.
//!
//! [`kafka::KafkaPublisher`] is the real one; [`memory::MemoryPublisher`] keeps the records in a list and can
//! be told to fail.

pub mod kafka;
pub mod memory;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use events::Event;

use crate::error::ApiError;

/// One Kafka record, complete: nothing is added on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Topic name.
    pub topic: String,
    /// Kafka key: the visitor (`anonymous_id`).
    pub key: String,
    /// The event as one JSON object.
    pub payload: String,
    /// Header names and values, in the order of sending.
    pub headers: Vec<(String, String)>,
    /// Becomes the record's timestamp.
    pub event_time: DateTime<Utc>,
}

impl Record {
    /// The record of an event. Fails only if the event does not serialise, which is a defect.
    pub fn from_event(event: &Event) -> Result<Self, ApiError> {
        let payload = serde_json::to_string(event).map_err(|error| ApiError::Internal {
            detail: format!("event {} does not serialise: {error}", event.id),
        })?;
        let topic = event.topic();
        Ok(Self {
            topic: topic.name().to_owned(),
            key: event.key().to_owned(),
            payload,
            headers: event.headers().into_iter().map(|(n, v)| (n.to_owned(), v)).collect(),
            event_time: event.time,
        })
    }
}

/// Why a record was not acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// No acknowledgement in time; the record may have been written all the same.
    #[error("kafka did not acknowledge in time")]
    TimedOut,
    /// Kafka or the client refused the record or lost it.
    #[error("kafka refused or lost the record: {reason}")]
    Failed {
        /// The client's words.
        reason: String,
    },
    /// The client could not be set up.
    #[error("kafka client settings are not valid: {reason}")]
    Settings {
        /// The client's words, with the setting's name.
        reason: String,
    },
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        tracing::warn!(error = &error as &dyn std::error::Error, "events could not be published");
        ApiError::Unavailable {
            code: "kafka-unavailable",
            detail: "the events could not be written to Kafka; send the same batch again, with the same ids"
                .to_owned(),
        }
    }
}

/// Hands records to Kafka.
#[async_trait]
pub trait EventPublisher: Send + Sync + 'static {
    /// Sends the records and waits until each is acknowledged by all in-sync replicas or has failed.
    ///
    /// The answer has one result per record, in the order given. Records that succeed are in the order given
    /// within their key. A failed record may still have been written: callers send it again with the same
    /// event id, and readers remove duplicates by (source, id). A caller that must not have a later record
    /// of a key overtake an earlier failed one sends them one at a time, as the relay does. The wait is
    /// bounded by the implementation. Dropping the future does not withdraw records already handed over.
    async fn publish(&self, records: &[Record]) -> Vec<Result<(), PublishError>>;

    /// Whether Kafka answers at all, for readiness.
    async fn check(&self) -> Result<(), PublishError>;
}
