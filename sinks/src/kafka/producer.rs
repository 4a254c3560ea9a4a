//! Records on their way to one topic, and what became of them.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Message,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
};
use stream::error::StreamError;

/// How long opening waits for the brokers' answer.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
/// How often opening asks for a topic that the brokers may be creating.
const TOPIC_ATTEMPTS: u32 = 10;
const TOPIC_PAUSE: Duration = Duration::from_millis(300);
/// How long a flush waits before it looks again whether records have failed.
const FLUSH_STEP: Duration = Duration::from_millis(500);
/// How long to wait for room in a full queue.
const QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// Counts delivery reports; called on the producer's own thread.
#[derive(Default)]
struct Reports {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    first_failure: Mutex<Option<KafkaError>>,
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        // Not yet the loss of a record: librdkafka tries on until the message's time is up.
        tracing::warn!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => self.acknowledged.fetch_add(1, Ordering::Relaxed),
            Err((error, record)) => {
                let mut first = self.first_failure.lock().unwrap_or_else(PoisonError::into_inner);
                if first.is_none() {
                    tracing::warn!(%error, topic = record.topic(), "a record was not delivered");
                    *first = Some(error.clone());
                }
                self.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

pub(super) struct Records {
    table: String,
    topic: String,
    brokers: String,
    producer: Arc<ThreadedProducer<Reports>>,
    sent: u64,
}

impl Records {
    /// Connects and makes sure that the topic is there.
    pub(super) async fn open(
        table: &str,
        topic: String,
        brokers: String,
        client: &ClientConfig,
    ) -> Result<Self, StreamError> {
        let producer: ThreadedProducer<Reports> =
            client.create_with_context(Reports::default()).map_err(|e| {
                StreamError::connector_caused(table, "the settings in 'properties.*' do not work together", e)
            })?;
        let records =
            Records { table: table.to_owned(), topic, brokers, producer: Arc::new(producer), sent: 0 };
        records.check_topic().await?;
        Ok(records)
    }

    async fn check_topic(&self) -> Result<(), StreamError> {
        use RDKafkaErrorCode::{LeaderNotAvailable, UnknownTopic, UnknownTopicOrPartition};
        for attempt in 1.. {
            let code = match self.blocking(Self::topic_error).await? {
                Ok(None) => break,
                Ok(Some(code)) => code,
                Err(error) => return Err(self.unreachable(error)),
            };
            // Brokers that create topics by themselves say so first while they do it.
            let creating = matches!(code, LeaderNotAvailable | UnknownTopic | UnknownTopicOrPartition);
            if !creating || attempt == TOPIC_ATTEMPTS {
                let problem = format!(
                    "topic '{}' at {} cannot be used: {code}; create it, or check option 'topic'",
                    self.topic, self.brokers
                );
                return Err(StreamError::connector(&self.table, problem));
            }
            tokio::time::sleep(TOPIC_PAUSE).await;
        }
        Ok(())
    }

    /// What the brokers say against the topic.
    fn topic_error(
        producer: &ThreadedProducer<Reports>,
        topic: &str,
    ) -> KafkaResult<Option<RDKafkaErrorCode>> {
        let metadata = producer.client().fetch_metadata(Some(topic), METADATA_TIMEOUT)?;
        let topic = metadata.topics().iter().find(|found| found.name() == topic);
        Ok(match topic {
            None => Some(RDKafkaErrorCode::UnknownTopic),
            Some(topic) => topic.error().map(RDKafkaErrorCode::from),
        })
    }

    /// Hands a record to the producer; waits while its queue is full.
    pub(super) async fn send(&mut self, key: Option<&str>, value: &[u8]) -> Result<(), StreamError> {
        loop {
            let mut record = BaseRecord::<str, [u8]>::to(&self.topic).payload(value);
            if let Some(key) = key {
                record = record.key(key);
            }
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.check_reports()?;
                }
                Err((error, _)) => return Err(self.not_delivered(1, error)),
            }
            tokio::time::sleep(QUEUE_PAUSE).await;
        }
        self.sent += 1;
        Ok(())
    }

    /// Waits until every record has been acknowledged; fails when one was not.
    pub(super) async fn flush(&self) -> Result<(), StreamError> {
        loop {
            let flushed = self.blocking(|producer, _| producer.flush(FLUSH_STEP)).await?;
            self.check_reports()?;
            match flushed {
                Ok(()) => break,
                // Records leave the queue at the latest when their message timeout is over.
                Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) => {}
                Err(error) => return Err(self.unreachable(error)),
            }
        }
        let acknowledged = self.producer.context().acknowledged.load(Ordering::Relaxed);
        if acknowledged != self.sent {
            let problem = format!("{} records were sent, {acknowledged} acknowledged", self.sent);
            return Err(StreamError::internal(problem));
        }
        Ok(())
    }

    fn check_reports(&self) -> Result<(), StreamError> {
        let reports = self.producer.context();
        let first = reports.first_failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match first {
            None => Ok(()),
            Some(error) => Err(self.not_delivered(reports.failed.load(Ordering::Relaxed), error)),
        }
    }

    /// Runs a call that blocks its thread.
    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&ThreadedProducer<Reports>, &str) -> T + Send + 'static,
    ) -> Result<T, StreamError> {
        let (producer, topic) = (self.producer.clone(), self.topic.clone());
        tokio::task::spawn_blocking(move || call(&producer, &topic))
            .await
            .map_err(|e| StreamError::internal(format!("a call to the Kafka client failed: {e}")))
    }

    fn unreachable(&self, error: KafkaError) -> StreamError {
        let problem = format!(
            "kafka at {} does not answer; check that it runs and that option 'properties.bootstrap.servers' is \
             right",
            self.brokers
        );
        StreamError::connector_caused(&self.table, problem, error)
    }

    fn not_delivered(&self, count: u64, error: KafkaError) -> StreamError {
        let problem = format!(
            "{count} records were not delivered to topic '{}' at {}; check the brokers and the topic's \
             settings, then start the job again: it repeats them",
            self.topic, self.brokers
        );
        StreamError::connector_caused(&self.table, problem, error)
    }
}
