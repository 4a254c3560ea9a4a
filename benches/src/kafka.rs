//! A Kafka topic filled with the workload, and the bare consume-and-parse loop over it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};
use rdkafka::{
    ClientConfig, Message, Offset as KafkaOffset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer},
};
use stream::{source::RawBatch, time::Offset};

use crate::{measure::MAX_RECORDS, workload::Workload};

/// Partitions of a topic.
pub const PARTITIONS: i32 = 4;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A topic of this run.
pub struct Topic {
    brokers: String,
    /// Its name, unlike every other.
    pub name: String,
}

impl Topic {
    /// Makes an empty topic.
    pub async fn create(brokers: &str) -> anyhow::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let topic = Topic { brokers: brokers.to_owned(), name: format!("plamatio-bench-{now}") };
        // Event times may lie further back than a broker keeps records; without this it deletes them.
        let new =
            NewTopic::new(&topic.name, PARTITIONS, TopicReplication::Fixed(1)).set("retention.ms", "-1");
        let created =
            admin(brokers)?.create_topics([&new], &options()).await.with_context(|| unreachable(brokers))?;
        if let Some(Err((name, code))) = created.into_iter().next() {
            bail!("Kafka at {brokers} did not create topic {name}: {code}");
        }
        Ok(topic)
    }

    /// Makes a topic and fills it: keyed by session, event time as timestamp, lz4.
    pub async fn filled(brokers: &str, workload: &Workload) -> anyhow::Result<Self> {
        let topic = Topic::create(brokers).await?;
        let (servers, name, workload) = (topic.brokers.clone(), topic.name.clone(), workload.clone());
        let filled = tokio::task::spawn_blocking(move || produce(&servers, &name, &workload)).await?;
        if let Err(error) = filled {
            topic.delete().await?;
            return Err(error);
        }
        Ok(topic)
    }

    /// Deletes it.
    pub async fn delete(self) -> anyhow::Result<()> {
        let deleted = admin(&self.brokers)?.delete_topics(&[&self.name], &options()).await;
        deleted.with_context(|| unreachable(&self.brokers))?;
        Ok(())
    }
}

fn unreachable(brokers: &str) -> String {
    format!("no answer from Kafka at {brokers}; check --brokers (KAFKA_BROKERS) and that the broker runs")
}

fn admin(brokers: &str) -> anyhow::Result<AdminClient<DefaultClientContext>> {
    ClientConfig::new().set("bootstrap.servers", brokers).create().context("cannot talk to Kafka")
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

/// A producer that sends what has gathered in `linger_ms`.
pub fn producer(brokers: &str, linger_ms: u32) -> anyhow::Result<BaseProducer> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("compression.type", "lz4")
        .set("linger.ms", linger_ms.to_string())
        .set("batch.num.messages", "50000")
        .set("queue.buffering.max.messages", "200000")
        .create()
        .context("cannot talk to Kafka")
}

/// Hands a record over, as soon as there is room.
pub fn send(producer: &BaseProducer, record: BaseRecord<'_, [u8], [u8]>) -> anyhow::Result<()> {
    let mut record = record;
    while let Err((error, back)) = producer.send(record) {
        if !matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
            return Err(anyhow!(error).context("cannot write to Kafka"));
        }
        producer.poll(Duration::from_millis(50));
        record = back;
    }
    Ok(())
}

fn produce(brokers: &str, topic: &str, workload: &Workload) -> anyhow::Result<()> {
    let producer = producer(brokers, 20)?;
    let (mut generator, mut line) = (workload.generator(), Vec::new());
    while let Some(event) = generator.append(&mut line) {
        let record = BaseRecord::to(topic).key(&event.session[..]).payload(line.as_slice());
        send(&producer, record.timestamp(event.time_ms))?;
        line.clear();
    }
    producer.flush(TIMEOUT).with_context(|| format!("Kafka at {brokers} did not acknowledge everything"))?;
    // Failed deliveries show here: they are missing.
    let consumer = consumer(brokers)?;
    let stored: u64 = ends(&consumer, topic)?.into_iter().map(|end| end.unsigned_abs()).sum();
    if stored != workload.events {
        bail!("Kafka at {brokers} holds {stored} of {} records; look at the broker's log", workload.events);
    }
    Ok(())
}

fn consumer(brokers: &str) -> anyhow::Result<BaseConsumer> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "plamatio-bench")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "10")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.min.messages", "100000")
        .set("queued.max.messages.kbytes", "65536")
        .set("fetch.message.max.bytes", "4194304")
        .create()
        .context("cannot talk to Kafka")
}

/// The end of each partition; topics are new, so they begin at 0.
fn ends(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<Vec<i64>> {
    let mut ends = Vec::new();
    for partition in 0..PARTITIONS {
        let (_, end) =
            consumer.fetch_watermarks(topic, partition, TIMEOUT).context("no answer from Kafka")?;
        ends.push(end);
    }
    Ok(ends)
}

/// Reads a whole topic with plain rdkafka polls, on so many threads, each of which hands its records to what
/// `make` makes; answers how many records came out of that.
pub fn bare_loop<F>(
    brokers: &str,
    topic: &str,
    threads: usize,
    make: impl Fn() -> anyhow::Result<F> + Sync,
) -> anyhow::Result<u64>
where
    F: FnMut(&RawBatch) -> anyhow::Result<usize>,
{
    let work = |thread: usize| -> anyhow::Result<u64> {
        let consumer = consumer(brokers)?;
        let mut assignment = TopicPartitionList::new();
        let mut left = 0;
        for (partition, end) in (0..).zip(ends(&consumer, topic)?).skip(thread).step_by(threads) {
            assignment.add_partition_offset(topic, partition, KafkaOffset::Beginning)?;
            left += end.unsigned_abs();
        }
        if left == 0 {
            return Ok(0);
        }
        consumer.assign(&assignment)?;
        let mut parse = make()?;
        let mut batch = RawBatch::default();
        let mut rows = 0;
        while left > 0 {
            let message = match consumer.poll(TIMEOUT) {
                None => bail!("Kafka at {brokers} fell silent with {left} records to go"),
                Some(message) => message?,
            };
            batch.push(message.payload().unwrap_or_default(), Offset::new(message.offset()));
            left -= 1;
            if batch.len() == MAX_RECORDS || left == 0 {
                rows += parse(&batch)?;
                batch.clear();
            }
        }
        Ok(u64::try_from(rows)?)
    };
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        let results = threads.into_iter().map(|t| t.join().map_err(|_| anyhow!("a consumer panicked"))?);
        results.sum()
    })
}
