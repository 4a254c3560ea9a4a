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
//! | `format` | of a record: see [`format`](mod@crate::format) | `json` |
//!
//! Its records have the [metadata](SourceMetadata) `key`, `timestamp`, `timestamp-type`, `topic`, `partition`,
//! `offset`, `leader-epoch` and `headers`.
//!
//! Partitions are assigned by the engine, not by a consumer group: a partition belongs to one thread for the
//! whole run. Positions go to the group all the same, so that lag tools show them and a restart without
//! checkpoint goes on there.
//!
//! A broker that goes away is waited for, with a warning; one that is not there at the start is an error.
//! Partitions added while the job runs are found at the next start.

mod batch;
mod reader;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use rdkafka::{
    ClientConfig, Offset as KafkaOffset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::KafkaError,
};

use self::{
    batch::BatchConsumer,
    reader::{CaughtUp, Indexes, KafkaReader, Reading},
};
use super::{Reader, Source, SourceFactory, StartAt};
use crate::{
    error::StreamError,
    table::{Envelopes, SourceMetadata, TableDef},
    time::{Offset, PartitionId},
};

/// How long the first answer of a broker may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes [`Source`]s over Kafka topics.
#[derive(Debug)]
pub(crate) struct KafkaFactory;

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
    /// Some column is made of records' keys or timestamps.
    envelopes: Envelopes,
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
        let envelopes = table.envelopes();
        Ok(Config { table: table.name.clone(), topics, servers, properties, startup, bounded, envelopes })
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
        // Where a bounded read is done, and whether a partition may be idle.
        client.set("enable.partition.eof", "true");
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

    fn identity(&self, table: &TableDef) -> Result<Vec<(&'static str, String)>, StreamError> {
        let mut topics = Config::read(table)?.topics;
        topics.sort_unstable();
        Ok(vec![("topic", topics.join(", "))])
    }

    fn metadata(&self) -> &'static [SourceMetadata] {
        use SourceMetadata::{Headers, Key, LeaderEpoch, Offset, Partition, Timestamp, TimestampType, Topic};
        &[Key, Timestamp, TimestampType, Topic, Partition, Offset, LeaderEpoch, Headers]
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
            reading.push(Reading { next, end, done, ended_in_batch: None, caught_up: CaughtUp::No });
        }
        consumer.assign(&assignment).map_err(refused)?;
        let consumer = BatchConsumer::new(consumer)
            .ok_or_else(|| StreamError::internal("a consumer with a group has no queue"))?;
        Ok(Box::new(KafkaReader::new(self.config.clone(), consumer, indexes, reading)))
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
