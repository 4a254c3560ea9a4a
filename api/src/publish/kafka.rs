//! The publisher on librdkafka: acknowledged by all in-sync replicas, idempotent, bounded in time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer, future_producer::DeliveryFuture};
use tokio::time::Instant;

use super::{EventPublisher, PublishError, Record};

/// How to reach Kafka.
#[derive(Clone)]
pub struct KafkaSettings {
    /// `bootstrap.servers`, as `host:port,host:port`.
    pub brokers: String,
    /// How long a record is tried before it counts as failed.
    pub delivery_timeout: Duration,
    /// How long records wait for company before a request is made of them.
    pub linger: Duration,
    /// Further librdkafka properties (security and such). They do not override the guarantees:
    /// `acks`, `enable.idempotence` and `delivery.timeout.ms` are set after them.
    pub properties: BTreeMap<String, String>,
}

impl KafkaSettings {
    /// Settings with the defaults: 10 s per record, 1 ms linger.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            delivery_timeout: Duration::from_secs(10),
            linger: Duration::from_millis(1),
            properties: BTreeMap::new(),
        }
    }

    fn producer(&self) -> Result<FutureProducer, PublishError> {
        let mut config = ClientConfig::new();
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "plamatio-api")
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", self.linger.as_millis().to_string())
            .set("delivery.timeout.ms", self.delivery_timeout.as_millis().to_string())
            // A broker that came back is tried soon; the default waits up to 10 s.
            .set("reconnect.backoff.max.ms", "1000");
        config.create().map_err(|error| PublishError::Settings { reason: error.to_string() })
    }
}

/// Property values may be passwords, so only their names are shown.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("brokers", &self.brokers)
            .field("delivery_timeout", &self.delivery_timeout)
            .field("linger", &self.linger)
            .field("properties", &self.properties.keys())
            .finish()
    }
}

/// Publishes through one librdkafka producer, and through a new one after a fatal error.
pub struct KafkaPublisher {
    settings: KafkaSettings,
    producer: RwLock<FutureProducer>,
}

impl KafkaPublisher {
    /// Sets the client up. Does not wait for Kafka to answer: it may come up later.
    pub fn connect(settings: KafkaSettings) -> Result<Self, PublishError> {
        let producer = RwLock::new(settings.producer()?);
        Ok(Self { settings, producer })
    }

    fn current(&self) -> FutureProducer {
        self.producer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An idempotent producer that met a fatal error never sends again; only a new one does.
    fn renew_if_fatal(&self, used: &FutureProducer) {
        let Some((code, reason)) = used.client().fatal_error() else { return };
        let mut slot = self.producer.write().unwrap_or_else(PoisonError::into_inner);
        if slot.client().fatal_error().is_none() {
            return; // someone else was quicker
        }
        match self.settings.producer() {
            Ok(fresh) => {
                tracing::warn!(?code, reason, "the kafka producer failed for good and was replaced");
                *slot = fresh;
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no new kafka producer");
            }
        }
    }
}

/// Puts one record into the client's queue; waits while the queue is full, until the deadline.
async fn enqueue(
    producer: &FutureProducer,
    record: &Record,
    deadline: Instant,
) -> Result<DeliveryFuture, PublishError> {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for (key, value) in &record.headers {
        headers = headers.insert(Header { key, value: Some(value) });
    }
    let mut message = FutureRecord::to(&record.topic)
        .key(&record.key)
        .payload(&record.payload)
        .timestamp(record.event_time.timestamp_millis())
        .headers(headers);
    loop {
        match producer.send_result(message) {
            Ok(delivery) => return Ok(delivery),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                if Instant::now() >= deadline {
                    return Err(PublishError::TimedOut);
                }
                message = back;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err((error, _)) => return Err(PublishError::Failed { reason: error.to_string() }),
        }
    }
}

async fn acknowledged(enqueued: Result<DeliveryFuture, PublishError>) -> Result<(), PublishError> {
    match enqueued?.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut), _))) => {
            Err(PublishError::TimedOut)
        }
        Ok(Err((error, _))) => Err(PublishError::Failed { reason: error.to_string() }),
        Err(_) => Err(PublishError::Failed { reason: "the producer was closed".to_owned() }),
    }
}

#[async_trait]
impl EventPublisher for KafkaPublisher {
    async fn publish(&self, records: &[Record]) -> Vec<Result<(), PublishError>> {
        let producer = self.current();
        let deadline = Instant::now() + self.settings.delivery_timeout;
        let mut waiting = Vec::with_capacity(records.len());
        for record in records {
            // One after the other: the queue keeps the order in which records enter it.
            waiting.push(acknowledged(enqueue(&producer, record, deadline).await));
        }
        let results = join_all(waiting).await;
        if results.iter().any(Result::is_err) {
            self.renew_if_fatal(&producer);
        }
        results
    }

    async fn check(&self) -> Result<(), PublishError> {
        let producer = self.current();
        let asked = tokio::task::spawn_blocking(move || {
            producer.client().fetch_metadata(None, Duration::from_secs(2)).map(|_| ())
        });
        match asked.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(PublishError::Failed { reason: error.to_string() }),
            Err(_) => Err(PublishError::Failed { reason: "the check was aborted".to_owned() }),
        }
    }
}
