//! Reads the partitions that belong to one thread.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset as KafkaOffset,
    consumer::Consumer,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    CONNECT_TIMEOUT, Config,
    batch::{self, BatchConsumer, Record, Taken},
};
use crate::{
    error::StreamError,
    source::{Polled, RawBatch, Reader},
    time::{Offset, PartitionId},
};

/// How long a broker may take to say where a partition ends.
const ASK_TIMEOUT: Duration = Duration::from_millis(500);
/// How often it is asked, at most.
const ASK_INTERVAL: Duration = Duration::from_secs(2);

/// Whether all records of a partition have been handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CaughtUp {
    /// Not as far as is known.
    No,
    /// Its end was told, but perhaps that of another topic's partition; or brokers have been out of reach since.
    Perhaps,
    /// Its end was told, and nothing has come since.
    Yes,
}

/// How far one partition has been read.
pub(super) struct Reading {
    pub(super) next: Option<i64>,
    /// Of a bounded read.
    pub(super) end: Option<i64>,
    pub(super) done: bool,
    /// Where a batch told the partition's end. The consumer's position is then one too far: it counts the notice as a
    /// record.
    pub(super) ended_in_batch: Option<i64>,
    pub(super) caught_up: CaughtUp,
}

impl Reading {
    /// Whether a record is wanted; moves on behind it if it is. Offsets that are missing before it are `lost`.
    fn takes(&mut self, offset: i64, lost: &mut u64) -> bool {
        // Past the end of a bounded read, or a repetition after a reconnect.
        if self.done || self.next.is_some_and(|next| offset < next) {
            return false;
        }
        if let Some(gap) = self.next.map(|next| offset - next).filter(|gap| *gap > 0) {
            *lost += gap.unsigned_abs();
        }
        self.next = Some(offset + 1);
        self.caught_up = CaughtUp::No;
        self.done = self.end.is_some_and(|end| offset + 1 >= end);
        self.end.is_none_or(|end| offset < end)
    }
}

/// Topic and partition to the reader's index. It is asked for every message, most often about the topic of the one
/// before, and topics are few.
#[derive(Default)]
pub(super) struct Indexes {
    topics: Vec<(String, BTreeMap<i32, usize>)>,
    /// The topic that was asked about last.
    last: usize,
}

impl Indexes {
    pub(super) fn insert(&mut self, id: &PartitionId, index: usize) {
        match self.topics.iter_mut().find(|(topic, _)| *topic == id.topic) {
            Some((_, partitions)) => {
                partitions.insert(id.partition, index);
            }
            None => self.topics.push((id.topic.clone(), BTreeMap::from([(id.partition, index)]))),
        }
    }

    /// The indexes of the partitions of this number, of all topics.
    fn of_number(&self, partition: i32) -> impl Iterator<Item = usize> {
        self.topics.iter().filter_map(move |(_, partitions)| partitions.get(&partition).copied())
    }

    fn partition(&self, index: usize) -> Option<(&str, i32)> {
        self.topics.iter().find_map(|(topic, partitions)| {
            let of_index = partitions.iter().find(|(_, of)| **of == index);
            of_index.map(|(partition, _)| (topic.as_str(), *partition))
        })
    }

    fn get(&mut self, topic: &str, partition: i32) -> Option<usize> {
        if self.topics.get(self.last).is_none_or(|(last, _)| last != topic) {
            self.last = self.topics.iter().position(|(known, _)| known == topic)?;
        }
        self.topics[self.last].1.get(&partition).copied()
    }
}

pub(super) struct KafkaReader {
    config: Config,
    consumer: BatchConsumer,
    indexes: Indexes,
    reading: Vec<Reading>,
    lost: u64,
    warned: Option<Instant>,
    /// When a broker was last asked where a partition ends.
    asked: Option<Instant>,
}

impl KafkaReader {
    /// Reads what `consumer` is assigned to; `reading` by index.
    pub(super) fn new(
        config: Config,
        consumer: BatchConsumer,
        indexes: Indexes,
        reading: Vec<Reading>,
    ) -> Self {
        KafkaReader { config, consumer, indexes, reading, lost: 0, warned: None, asked: None }
    }

    /// What the consumer says besides records.
    fn heed(&mut self, errors: Vec<KafkaError>) -> Result<(), StreamError> {
        for error in errors {
            match error {
                KafkaError::PartitionEOF(partition) => self.reached_end(partition)?,
                error => self.failed(error)?,
            }
        }
        Ok(())
    }
}

impl Reader for KafkaReader {
    fn poll(
        &mut self,
        batches: &mut [RawBatch],
        max_records: usize,
        wait: Duration,
    ) -> Result<Polled, StreamError> {
        let mut records = 0;
        while records < max_records && !self.reading.iter().all(|reading| reading.done) {
            // The consumer's own poll waits for a record and tells of what is wrong with brokers; when there is one
            // there are many, and they come in one call.
            let wait = if records == 0 { wait } else { Duration::ZERO };
            let first = match self.consumer.consumer().poll(wait) {
                None => break,
                Some(first) => first,
            };
            let mut errors = Vec::new();
            let (indexes, reading, lost) = (&mut self.indexes, &mut self.reading, &mut self.lost);
            let mut take = |record: Record<'_>| {
                let Some(index) = indexes.get(record.topic, record.partition) else { return };
                if reading[index].takes(record.offset, lost) {
                    let offset = Offset::new(record.offset);
                    match &record.envelope {
                        None => batches[index].push(record.payload, offset),
                        Some(envelope) => batches[index].push_with(record.payload, offset, envelope),
                    }
                    records += 1;
                }
            };
            match first {
                Err(error) => errors.push(error),
                Ok(message) => {
                    let envelopes = self.config.envelopes;
                    if let Taken::Record(record) = batch::record(&message, envelopes) {
                        take(record);
                    }
                    drop(message);
                    let mut ends = Vec::new();
                    self.consumer.take(max_records, envelopes, |taken| match taken {
                        Taken::Record(record) => take(record),
                        Taken::End { topic, partition, offset } => {
                            ends.push((topic.to_owned(), partition, offset));
                        }
                        Taken::Failed(error) => errors.push(error),
                    });
                    for (topic, partition, offset) in ends {
                        self.told_end(&topic, partition, offset);
                    }
                }
            }
            self.heed(errors)?;
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
                    .consumer()
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

    fn may_be_caught_up(&self, partition: usize) -> bool {
        // What is bounded ends.
        let reading = self.reading.get(partition).filter(|reading| reading.end.is_none());
        reading.is_some_and(|reading| reading.caught_up != CaughtUp::No)
    }

    fn is_caught_up(&mut self, partition: usize) -> Result<bool, StreamError> {
        if !self.may_be_caught_up(partition) {
            return Ok(false);
        }
        Ok(self.reading[partition].caught_up == CaughtUp::Yes || self.ask_for_end(partition))
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}

impl KafkaReader {
    /// A batch told that a partition has no more records than those before `offset`.
    fn told_end(&mut self, topic: &str, partition: i32, offset: i64) {
        let Some(index) = self.indexes.get(topic, partition) else { return };
        let reading = &mut self.reading[index];
        reading.done |= reading.end.is_some_and(|end| offset >= end);
        reading.ended_in_batch = Some(offset);
        if reading.next.is_none_or(|next| next <= offset) {
            reading.caught_up = CaughtUp::Yes;
        }
    }

    /// Some partition has no more records. Its last offsets may be transaction markers, which are never handed
    /// out, so the consumer's own position decides whether a bounded read is done.
    fn reached_end(&mut self, partition: i32) -> Result<(), StreamError> {
        // The notice does not say of which topic.
        let said = if self.indexes.of_number(partition).nth(1).is_some() {
            CaughtUp::Perhaps
        } else {
            CaughtUp::Yes
        };
        for index in self.indexes.of_number(partition) {
            if self.reading[index].caught_up != CaughtUp::Yes {
                self.reading[index].caught_up = said;
            }
        }
        let positions = match self.consumer.consumer().position() {
            Ok(positions) => positions,
            Err(error) => return self.failed(error),
        };
        for element in positions.elements() {
            let index = self.indexes.get(element.topic(), element.partition());
            if let (Some(index), KafkaOffset::Offset(position)) = (index, element.offset()) {
                let reading = &mut self.reading[index];
                let position = match reading.ended_in_batch {
                    Some(end) if position == end + 1 => end,
                    _ => position,
                };
                reading.done |= reading.end.is_some_and(|end| position >= end);
            }
        }
        Ok(())
    }

    /// Whether a broker says that a partition ends where it has been read to; no, if none answers soon.
    fn ask_for_end(&mut self, index: usize) -> bool {
        if self.asked.is_some_and(|asked| asked.elapsed() < ASK_INTERVAL) {
            return false;
        }
        let Some((topic, partition)) = self.indexes.partition(index) else { return false };
        let answer = self.consumer.consumer().fetch_watermarks(topic, partition, ASK_TIMEOUT);
        let reading = &mut self.reading[index];
        match answer {
            Ok((_, high)) => {
                let is_at_end = reading.next.max(reading.ended_in_batch).is_some_and(|next| next >= high);
                reading.caught_up = if is_at_end { CaughtUp::Yes } else { CaughtUp::No };
                is_at_end
            }
            Err(_) => {
                self.asked = Some(Instant::now());
                false
            }
        }
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
        for reading in self.reading.iter_mut().filter(|reading| reading.caught_up == CaughtUp::Yes) {
            reading.caught_up = CaughtUp::Perhaps;
        }
        let due = self.warned.is_none_or(|at| at.elapsed() > Duration::from_secs(10));
        if due {
            self.warned = Some(Instant::now());
            tracing::warn!(table = %self.config.table, servers = %self.config.servers, %error, "waiting for kafka");
        }
        Ok(())
    }
}
