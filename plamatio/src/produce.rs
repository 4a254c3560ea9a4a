//! Generated records to Kafka.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow};
use events::generate::Generated;
use rdkafka::{
    ClientConfig, ClientContext,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};

/// Counts what the broker acknowledged.
#[derive(Default)]
pub(crate) struct Deliveries {
    acknowledged: AtomicU64,
    failed: Mutex<Option<KafkaError>>,
}

#[derive(Clone)]
struct Counting(Arc<Deliveries>);

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.0.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                if let Ok(mut failed) = self.0.failed.lock() {
                    failed.get_or_insert_with(|| error.clone());
                }
            }
        }
    }
}

/// Sends records, keyed by visitor, with CloudEvents headers and the event time as the record's.
pub(crate) struct KafkaProducer {
    producer: ThreadedProducer<Counting>,
    deliveries: Arc<Deliveries>,
    brokers: String,
}

impl KafkaProducer {
    /// Connects lazily; a broker that is down shows at the first flush.
    pub(crate) fn new(brokers: &str, linger_ms: u32) -> anyhow::Result<Self> {
        let deliveries = Arc::new(Deliveries::default());
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("linger.ms", linger_ms.to_string())
            .set("batch.num.messages", "50000")
            .set("queue.buffering.max.messages", "500000")
            .set("message.timeout.ms", "30000")
            .create_with_context(Counting(Arc::clone(&deliveries)))
            .with_context(|| format!("Kafka refuses the settings for {brokers}"))?;
        Ok(KafkaProducer { producer, deliveries, brokers: brokers.to_owned() })
    }

    /// Hands a record over; waits while the queue is full.
    pub(crate) fn send(&self, record: &Generated) -> anyhow::Result<()> {
        let mut headers = OwnedHeaders::new();
        for (key, value) in record.headers() {
            headers = headers.insert(Header { key, value: Some(&value) });
        }
        let mut message = BaseRecord::to(record.topic.name())
            .key(record.key.as_str())
            .payload(record.payload.as_slice())
            .timestamp(record.time_ms)
            .headers(headers);
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.check()?;
                    std::thread::sleep(Duration::from_millis(1));
                    message = back;
                }
                Err((error, _)) => {
                    return Err(anyhow!(error).context(format!("cannot write to Kafka at {}", self.brokers)));
                }
            }
        }
    }

    /// The first failed delivery, if there was one.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let failed = self.deliveries.failed.lock().map(|failed| failed.clone()).unwrap_or_default();
        match failed {
            None => Ok(()),
            Some(error) => Err(anyhow!(error).context(format!(
                "Kafka at {} does not take records; check --brokers and that the broker runs",
                self.brokers
            ))),
        }
    }

    /// Records that the broker has acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.deliveries.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until everything is acknowledged.
    pub(crate) fn flush(&self) -> anyhow::Result<()> {
        self.producer.flush(Duration::from_secs(60)).with_context(|| {
            format!("Kafka at {} did not acknowledge everything within 60 s", self.brokers)
        })?;
        self.check()
    }
}

/// Creates the topics that are missing.
pub(crate) async fn create_topics(brokers: &str, topics: &[&str], partitions: i32) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().context("cannot talk to Kafka")?;
    // Records carry the time of their event; of one long ago they would be deleted as soon as they are written.
    let topic = |name| NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
    let wanted: Vec<NewTopic<'_>> = topics.iter().map(|name| topic(name)).collect();
    let timeout = Some(Duration::from_secs(10));
    let options = AdminOptions::new().request_timeout(timeout).operation_timeout(timeout);
    let created = admin.create_topics(&wanted, &options).await.with_context(|| {
        format!("no answer from Kafka at {brokers}; check --brokers and that the broker runs")
    })?;
    for topic in created {
        match topic {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                return Err(anyhow!("Kafka at {brokers} did not create topic {topic}: {code}"));
            }
        }
    }
    Ok(())
}
