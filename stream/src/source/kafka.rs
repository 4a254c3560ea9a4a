//! Apache Kafka: `'connector' = 'kafka'`. Option names are Flink's.
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `topic` | one topic, or several with `;` between | required |
//! | `properties.bootstrap.servers` | `host:port, …` | required |
//! | `properties.group.id` | group under which positions are committed | `plamatio-<table>` |
//! | `properties.*` | anything else librdkafka understands | |
//! | `scan.startup.mode` | `group-offsets` (earliest where none is committed), `earliest-offset`, `latest-offset` | `group-offsets` |
//! | `scan.bounded.mode` | `unbounded`, or `latest-offset`: stop at the end that the topic had when it was opened | `unbounded` |
//! | `format` | `json` | `json` |
//!
//! Partitions are assigned by the engine, not by a consumer group: a partition belongs to one thread for the
//! whole run. Positions go to the group all the same, so that lag tools show them and a restart without
//! checkpoint goes on there.
//!
//! A broker that goes away is waited for, with a warning; one that is not there at the start is an error.
//! Partitions added while the job runs are found at the next start.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rdkafka::{
    ClientConfig, Message, Offset as KafkaOffset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{Polled, RawBatch, Reader, Source, SourceFactory, StartAt};
use crate::{
    error::StreamError,
    table::TableDef,
    time::{Offset, PartitionId},
};

/// How long the first answer of a broker may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes [`Source`]s over Kafka topics.
#[derive(Debug)]
pub struct KafkaFactory;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Startup {
    GroupOffsets,
    Earliest,
    Latest,
}

/// The options, checked.
#[derive(Clone, Debug)]
struct Config {
    table: String,
    topics: Vec<String>,
    servers: String,
    properties: BTreeMap<String, String>,
    startup: Startup,
    bounded: bool,
}

impl Config {
    fn read(table: &TableDef) -> Result<Self, StreamError> {
        let options = &table.options;
        let topics: Vec<String> = options
            .require("topic")?
            .split(';')
            .map(str::trim)
            .filter(|topic| !topic.is_empty())
            .map(str::to_owned)
            .collect();
        if topics.is_empty() {
            return Err(options.bad("topic", "a topic's name"));
        }
        let startup = match options.get("scan.startup.mode").unwrap_or("group-offsets") {
            "group-offsets" => Startup::GroupOffsets,
            "earliest-offset" => Startup::Earliest,
            "latest-offset" => Startup::Latest,
            _ => {
                let expected = "'group-offsets', 'earliest-offset' or 'latest-offset'";
                return Err(options.bad("scan.startup.mode", expected));
            }
        };
        let bounded = match options.get("scan.bounded.mode").unwrap_or("unbounded") {
            "unbounded" => false,
            "latest-offset" => true,
            _ => return Err(options.bad("scan.bounded.mode", "'unbounded' or 'latest-offset'")),
        };
        let servers = options.require("properties.bootstrap.servers")?.to_owned();
        let mut properties = options.with_prefix("properties.");
        properties.entry("group.id".to_owned()).or_insert_with(|| format!("plamatio-{}", table.name));
        Ok(Config { table: table.name.clone(), topics, servers, properties, startup, bounded })
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        // Defaults for throughput at low delay; a table's properties come after and win.
        client
            .set("fetch.wait.max.ms", "10")
            // After the client has read far enough ahead it looks again so soon; its own second is a standstill.
            .set("fetch.queue.backoff.ms", "10")
            .set("queued.min.messages", "100000")
            .set("queued.max.messages.kbytes", "65536")
            .set("fetch.message.max.bytes", "4194304")
            .set("topic.metadata.refresh.interval.ms", "60000")
            .set("auto.offset.reset", "earliest");
        for (name, value) in &self.properties {
            client.set(name, value);
        }
        // The engine decides what is committed and when.
        client.set("enable.auto.commit", "false");
        client.set("enable.auto.offset.store", "false");
        client.set("enable.partition.eof", if self.bounded { "true" } else { "false" });
        client
    }

    fn consumer(&self) -> Result<BaseConsumer, StreamError> {
        self.client().create().map_err(|error| {
            StreamError::connector_caused(
                &self.table,
                "Kafka refuses the settings under 'properties.'",
                error,
            )
        })
    }

    fn unreachable(&self, error: KafkaError) -> StreamError {
        let problem = format!(
            "no answer from Kafka at {} within {} s; check 'properties.bootstrap.servers' and that the broker runs",
            self.servers,
            CONNECT_TIMEOUT.as_secs()
        );
        StreamError::connector_caused(&self.table, problem, error)
    }
}

#[async_trait]
impl SourceFactory for KafkaFactory {
    fn validate(&self, table: &TableDef) -> Result<(), StreamError> {
        Config::read(table).map(|_| ())
    }

    async fn open(&self, table: &TableDef) -> Result<Arc<dyn Source>, StreamError> {
        let config = Config::read(table)?;
        let opened = tokio::task::spawn_blocking(move || KafkaSource::open(config)).await;
        match opened {
            Ok(source) => source.map(|source| -> Arc<dyn Source> { Arc::new(source) }),
            Err(error) => Err(StreamError::internal(format!("opening Kafka failed: {error}"))),
        }
    }
}

struct KafkaSource {
    config: Config,
    /// Commits positions; reads nothing.
    committer: BaseConsumer,
    /// Where to start when no checkpoint says otherwise.
    starts: BTreeMap<PartitionId, KafkaOffset>,
    /// For a bounded source: the end of each partition.
    ends: BTreeMap<PartitionId, i64>,
}

impl KafkaSource {
    fn open(config: Config) -> Result<Self, StreamError> {
        let committer = config.consumer()?;
        let mut starts = BTreeMap::new();
        let mut ends = BTreeMap::new();
        for topic in &config.topics {
            let metadata = committer
                .fetch_metadata(Some(topic), CONNECT_TIMEOUT)
                .map_err(|error| config.unreachable(error))?;
            let found = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none());
            let partitions = found.map(|t| t.partitions()).unwrap_or_default();
            if partitions.is_empty() {
                return Err(StreamError::connector(
                    &config.table,
                    format!(
                        "Kafka at {} has no topic '{topic}'; create it or correct 'topic'",
                        config.servers
                    ),
                ));
            }
            for partition in partitions {
                let id = PartitionId { topic: topic.clone(), partition: partition.id() };
                let (low, high) = committer
                    .fetch_watermarks(topic, partition.id(), CONNECT_TIMEOUT)
                    .map_err(|error| config.unreachable(error))?;
                let start = match config.startup {
                    Startup::Latest => high,
                    Startup::Earliest | Startup::GroupOffsets => low,
                };
                starts.insert(id.clone(), KafkaOffset::Offset(start));
                if config.bounded {
                    ends.insert(id, high);
                }
            }
        }
        if config.startup == Startup::GroupOffsets {
            let mut wanted = TopicPartitionList::new();
            for id in starts.keys() {
                wanted.add_partition(&id.topic, id.partition);
            }
            let committed = committer
                .committed_offsets(wanted, CONNECT_TIMEOUT)
                .map_err(|error| config.unreachable(error))?;
            for element in committed.elements() {
                if let KafkaOffset::Offset(offset) = element.offset() {
                    let id =
                        PartitionId { topic: element.topic().to_owned(), partition: element.partition() };
                    starts.insert(id, KafkaOffset::Offset(offset));
                }
            }
        }
        Ok(KafkaSource { config, committer, starts, ends })
    }
}

impl Source for KafkaSource {
    fn partitions(&self) -> Vec<PartitionId> {
        self.starts.keys().cloned().collect()
    }

    fn is_bounded(&self) -> bool {
        self.config.bounded
    }

    fn reader(&self, partitions: &[(PartitionId, StartAt)]) -> Result<Box<dyn Reader>, StreamError> {
        let refused =
            |error| StreamError::connector_caused(&self.config.table, "Kafka refuses the assignment", error);
        let consumer = self.config.consumer()?;
        let mut assignment = TopicPartitionList::new();
        let mut reading = Vec::new();
        let mut indexes = Indexes::default();
        for (index, (id, start)) in partitions.iter().enumerate() {
            let offset = match start {
                StartAt::Position(offset) => KafkaOffset::Offset(offset.get()),
                StartAt::Configured => self.starts.get(id).copied().unwrap_or(KafkaOffset::Beginning),
            };
            assignment.add_partition_offset(&id.topic, id.partition, offset).map_err(refused)?;
            indexes.insert(id, index);
            let next = match offset {
                KafkaOffset::Offset(next) => Some(next),
                _ => None,
            };
            let end = self.ends.get(id).copied();
            let done = matches!((next, end), (Some(next), Some(end)) if next >= end);
            reading.push(Reading { next, end, done });
        }
        consumer.assign(&assignment).map_err(refused)?;
        Ok(Box::new(KafkaReader {
            config: self.config.clone(),
            consumer,
            indexes,
            reading,
            lost: 0,
            warned: None,
        }))
    }

    fn commit(&self, positions: &BTreeMap<PartitionId, Offset>) -> Result<(), StreamError> {
        if positions.is_empty() {
            return Ok(());
        }
        let failed = |error| {
            StreamError::connector_caused(
                &self.config.table,
                "Kafka did not take the committed positions",
                error,
            )
        };
        let mut list = TopicPartitionList::new();
        for (id, position) in positions {
            let offset = KafkaOffset::Offset(position.get());
            list.add_partition_offset(&id.topic, id.partition, offset).map_err(failed)?;
        }
        self.committer.commit(&list, CommitMode::Sync).map_err(failed)
    }
}

/// How far one partition has been read.
struct Reading {
    next: Option<i64>,
    end: Option<i64>,
    done: bool,
}

/// Topic and partition to the reader's index. It is asked for every message, most often about the topic of the one
/// before, and topics are few.
#[derive(Default)]
struct Indexes {
    topics: Vec<(String, BTreeMap<i32, usize>)>,
    /// The topic that was asked about last.
    last: usize,
}

impl Indexes {
    fn insert(&mut self, id: &PartitionId, index: usize) {
        match self.topics.iter_mut().find(|(topic, _)| *topic == id.topic) {
            Some((_, partitions)) => {
                partitions.insert(id.partition, index);
            }
            None => self.topics.push((id.topic.clone(), BTreeMap::from([(id.partition, index)]))),
        }
    }

    fn get(&mut self, topic: &str, partition: i32) -> Option<usize> {
        if self.topics.get(self.last).is_none_or(|(last, _)| last != topic) {
            self.last = self.topics.iter().position(|(known, _)| known == topic)?;
        }
        self.topics[self.last].1.get(&partition).copied()
    }
}

struct KafkaReader {
    config: Config,
    consumer: BaseConsumer,
    indexes: Indexes,
    reading: Vec<Reading>,
    lost: u64,
    warned: Option<Instant>,
}

impl Reader for KafkaReader {
    fn poll(
        &mut self,
        batches: &mut [RawBatch],
        max_records: usize,
        wait: Duration,
    ) -> Result<Polled, StreamError> {
        let mut records = 0;
        let mut wait = wait;
        while records < max_records {
            if self.reading.iter().all(|reading| reading.done) {
                break;
            }
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    let index = self.indexes.get(message.topic(), message.partition());
                    let (Some(index), offset) = (index, message.offset()) else { continue };
                    let reading = &mut self.reading[index];
                    // Past the end of a bounded read, or a repetition after a reconnect.
                    if reading.done || reading.next.is_some_and(|next| offset < next) {
                        continue;
                    }
                    if let Some(gap) = reading.next.map(|next| offset - next).filter(|gap| *gap > 0) {
                        self.lost += gap.unsigned_abs();
                    }
                    reading.next = Some(offset + 1);
                    reading.done = reading.end.is_some_and(|end| offset + 1 >= end);
                    if reading.end.is_none_or(|end| offset < end) {
                        batches[index].push(message.payload().unwrap_or_default(), Offset::new(offset));
                        records += 1;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => self.reached_end()?,
                Some(Err(error)) => self.failed(error)?,
            }
            // Only the first record is waited for.
            wait = Duration::ZERO;
        }
        Ok(match records {
            0 if self.reading.iter().all(|reading| reading.done) => Polled::End,
            0 => Polled::Nothing,
            _ => Polled::Records,
        })
    }

    fn drain(&mut self) -> Result<(), StreamError> {
        for (topic, partitions) in &self.indexes.topics {
            for (partition, index) in partitions {
                let (_, high) = self
                    .consumer
                    .fetch_watermarks(topic, *partition, CONNECT_TIMEOUT)
                    .map_err(|error| self.config.unreachable(error))?;
                let reading = &mut self.reading[*index];
                let end = reading.end.map_or(high, |end| end.min(high));
                reading.end = Some(end);
                reading.done = reading.next.is_some_and(|next| next >= end);
            }
        }
        Ok(())
    }

    fn has_ended(&self, partition: usize) -> bool {
        self.reading.get(partition).is_some_and(|reading| reading.done)
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}

impl KafkaReader {
    /// Some partition has no more records. Its last offsets may be transaction markers, which are never handed
    /// out, so the consumer's own position decides whether a bounded read is done.
    fn reached_end(&mut self) -> Result<(), StreamError> {
        let positions = match self.consumer.position() {
            Ok(positions) => positions,
            Err(error) => return self.failed(error),
        };
        for element in positions.elements() {
            let index = self.indexes.get(element.topic(), element.partition());
            if let (Some(index), KafkaOffset::Offset(position)) = (index, element.offset()) {
                let reading = &mut self.reading[index];
                reading.done |= reading.end.is_some_and(|end| position >= end);
            }
        }
        Ok(())
    }

    /// Errors that waiting can mend are warned about, at most every ten seconds; the others end the job.
    fn failed(&mut self, error: KafkaError) -> Result<(), StreamError> {
        use RDKafkaErrorCode as Code;
        let code = error.rdkafka_error_code();
        let fatal = matches!(
            code,
            Some(
                Code::UnknownTopic
                    | Code::UnknownTopicOrPartition
                    | Code::UnknownPartition
                    | Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
                    | Code::Authentication
                    | Code::SaslAuthenticationFailed
                    | Code::Fatal
            )
        );
        if fatal {
            return Err(StreamError::connector_caused(
                &self.config.table,
                "reading from Kafka failed",
                error,
            ));
        }
        let due = self.warned.is_none_or(|at| at.elapsed() > Duration::from_secs(10));
        if due {
            self.warned = Some(Instant::now());
            tracing::warn!(table = %self.config.table, servers = %self.config.servers, %error, "waiting for kafka");
        }
        Ok(())
    }
}
