//! Topics, positions and records in Kafka, as the tests need them.

use std::time::Duration;

use events::generate::Generated;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::RDKafkaErrorCode,
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};

use super::{PATIENCE, block_on};

/// The names of the three shared topics.
pub(crate) const TOPICS: [&str; 3] = ["product-views", "cart-events", "order-events"];

const TIMEOUT: Duration = Duration::from_secs(30);

fn client(brokers: &str) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers);
    client
}

/// Makes the topics that are missing, and waits until their partitions can be read: a broker answers that a topic is
/// made before it knows of leaders.
pub(crate) fn create_topics(brokers: &str, topics: &[&str], partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create().unwrap();
    let wanted: Vec<_> =
        topics.iter().map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(1))).collect();
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    for created in block_on(admin.create_topics(&wanted, &options)).unwrap() {
        match created {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => panic!("topic {topic}: {code}"),
        }
    }
    let reader: BaseConsumer = client(brokers).create().unwrap();
    let started = std::time::Instant::now();
    for topic in topics {
        for partition in 0..partitions {
            while let Err(error) = reader.fetch_watermarks(topic, partition, TIMEOUT) {
                let code = error.rdkafka_error_code();
                let is_new = matches!(
                    code,
                    Some(
                        RDKafkaErrorCode::NotLeaderForPartition
                            | RDKafkaErrorCode::LeaderNotAvailable
                            | RDKafkaErrorCode::UnknownTopicOrPartition
                    )
                );
                assert!(
                    is_new && started.elapsed() < TIMEOUT,
                    "topic {topic}, partition {partition}: {error}"
                );
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// Deletes topics that a test has made.
pub(crate) fn delete_topics(brokers: &str, topics: &[&str]) {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create().unwrap();
    let deleted =
        block_on(admin.delete_topics(topics, &AdminOptions::new().operation_timeout(Some(TIMEOUT))));
    assert!(deleted.is_ok(), "{deleted:?}");
}

/// A consumer that stands at the end of the topics as they are now; its group's positions are committed
/// there, so that a run with `group-offsets` reads what comes from now on, and that alone.
pub(crate) fn at_the_end(brokers: &str, group: &str, topics: &[&str]) -> BaseConsumer {
    let consumer: BaseConsumer =
        client(brokers).set("group.id", group).set("enable.auto.commit", "false").create().unwrap();
    let mut ends = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).unwrap();
        for partition in metadata.topics()[0].partitions() {
            let (_, high) = consumer.fetch_watermarks(topic, partition.id(), TIMEOUT).unwrap();
            ends.add_partition_offset(topic, partition.id(), Offset::Offset(high)).unwrap();
        }
    }
    assert!(ends.count() > 0);
    consumer.commit(&ends, CommitMode::Sync).unwrap();
    consumer.assign(&ends).unwrap();
    consumer
}

/// Payloads, by topic, until `enough` says so; fails after [`PATIENCE`].
pub(crate) fn read_until(
    consumer: &BaseConsumer,
    mut enough: impl FnMut(&[(String, Vec<u8>)]) -> bool,
) -> Vec<(String, Vec<u8>)> {
    let started = std::time::Instant::now();
    let mut found = Vec::new();
    while !enough(&found) {
        assert!(started.elapsed() < PATIENCE, "not in Kafka; found {} records", found.len());
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.unwrap();
            found.push((message.topic().to_owned(), message.payload().unwrap_or_default().to_vec()));
        }
    }
    found
}

/// Sends records to topics of a test's own: `prefix`, a hyphen, and the shared name.
pub(crate) struct Sender {
    producer: ThreadedProducer<DefaultProducerContext>,
    prefix: String,
}

impl Sender {
    pub(crate) fn new(brokers: &str, prefix: &str) -> Self {
        let producer = client(brokers)
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("queue.buffering.max.messages", "2000000")
            .create()
            .unwrap();
        Sender { producer, prefix: prefix.to_owned() }
    }

    /// Sends and waits until the broker has them.
    pub(crate) fn send(&self, records: &[Generated]) {
        for record in records {
            let topic = format!("{}-{}", self.prefix, record.topic.name());
            let record = BaseRecord::to(&topic).key(record.key.as_str()).payload(record.payload.as_slice());
            self.producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        self.producer.flush(PATIENCE).unwrap();
    }

    /// The same record to each partition of each topic.
    pub(crate) fn send_everywhere(&self, partitions: i32, payload: impl Fn(&str, i32) -> String) {
        for topic in TOPICS {
            for partition in 0..partitions {
                let name = format!("{}-{topic}", self.prefix);
                let payload = payload(topic, partition);
                let record = BaseRecord::<str, str>::to(&name).partition(partition).payload(&payload);
                self.producer.send(record).map_err(|(error, _)| error).unwrap();
            }
        }
        self.producer.flush(PATIENCE).unwrap();
    }
}
