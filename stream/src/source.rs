//! Where records come from.
//!
//! # Contract
//!
//! A [`SourceFactory`] makes a [`Source`] from a table definition; opening it asks the outside world which
//! partitions there are. A [`Reader`] reads some of them, on one thread, and hands over raw bytes: decoding,
//! event time and watermarks are the engine's, and the same for every source.
//!
//! - Records of one partition come in their order, each exactly once from the position that the reader was
//!   given. Partitions may interleave in any way. Where several readers share a partition, its runs are numbered.
//! - A reader blocks no longer than the time it is given.
//! - [`Reader::poll`] answers [`Polled::End`] once every one of its partitions is bounded and read to its end.
//! - [`Source::commit`] is told positions after every sink has acknowledged what lies before them. For sources
//!   that keep no positions of their own it does nothing.
//! - An error of a reader ends the job; what can be mended by waiting is waited for inside, with a bound.

mod filesystem;
mod kafka;

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    error::StreamError,
    table::{SourceMetadata, TableDef},
    time::{Offset, PartitionId},
};

/// Records of one partition: their bytes in one buffer.
#[derive(Debug, Default)]
pub struct RawBatch {
    /// Kept as long as it has ever been, since clearing fresh memory at each batch costs as much as a scan of it.
    bytes: Vec<u8>,
    filled: usize,
    spans: Vec<(Range<usize>, Offset)>,
    /// Of each record, where its table has a column that needs it; the keys are among the bytes.
    envelopes: Vec<Enveloped>,
    turn: Option<u64>,
}

/// An [`Envelope`] whose bytes are ranges of the batch's.
#[derive(Clone, Debug, Default)]
struct Enveloped {
    key: Option<Range<usize>>,
    timestamp_ms: Option<i64>,
    timestamp_type: &'static str,
    leader_epoch: Option<i32>,
    headers: Vec<(Range<usize>, Option<Range<usize>>)>,
}

impl RawBatch {
    /// Appends a record.
    pub fn push(&mut self, record: &[u8], offset: Offset) {
        let start = self.filled;
        self.room(record.len()).copy_from_slice(record);
        self.filled += record.len();
        self.spans.push((start..self.filled, offset));
    }

    /// Appends a record with what came with it. Once a batch has an envelope, each of its records has one.
    pub fn push_with(&mut self, record: &[u8], offset: Offset, envelope: &Envelope<'_>) {
        self.push(record, offset);
        let mut keep = |bytes: &[u8]| {
            let start = self.filled;
            self.room(bytes.len()).copy_from_slice(bytes);
            self.filled += bytes.len();
            start..self.filled
        };
        let key = envelope.key.map(&mut keep);
        let headers = envelope.headers.iter().map(|header| (keep(header.name), header.value.map(&mut keep)));
        let headers = headers.collect();
        let Envelope { timestamp_ms, timestamp_type, leader_epoch, .. } = *envelope;
        self.envelopes.push(Enveloped { key, timestamp_ms, timestamp_type, leader_epoch, headers });
    }

    /// What came with a record; nothing where that was not kept.
    pub(crate) fn envelope(&self, index: usize) -> Envelope<'_> {
        let Some(of) = self.envelopes.get(index) else { return Envelope::default() };
        let bytes = |range: &Range<usize>| &self.bytes[range.clone()];
        let header = |(name, value): &(Range<usize>, Option<Range<usize>>)| Header {
            name: bytes(name),
            value: value.as_ref().map(bytes),
        };
        Envelope {
            key: of.key.as_ref().map(bytes),
            timestamp_ms: of.timestamp_ms,
            timestamp_type: of.timestamp_type,
            leader_epoch: of.leader_epoch,
            headers: of.headers.iter().map(header).collect(),
        }
    }

    /// Free bytes behind what is filled, to read into; then [`filled`](Self::filled).
    pub(crate) fn room(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.filled + bytes;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        &mut self.bytes[self.filled..end]
    }

    /// So many bytes of the [`room`](Self::room) have been read into; they are of no record yet.
    pub(crate) fn filled(&mut self, bytes: usize) {
        self.filled = (self.filled + bytes).min(self.bytes.len());
    }

    /// Makes filled bytes a record.
    pub(crate) fn mark(&mut self, span: Range<usize>, offset: Offset) {
        debug_assert!(span.end <= self.filled, "a record of bytes that were not read");
        self.spans.push((span, offset));
    }

    /// Forgets the records and keeps the memory.
    pub fn clear(&mut self) {
        self.filled = 0;
        self.spans.clear();
        self.envelopes.clear();
        self.turn = None;
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Sum of the records' lengths.
    pub fn bytes(&self) -> usize {
        self.spans.iter().map(|(span, _)| span.len()).sum()
    }

    /// The bytes that the records lie in, with what is between them.
    pub(crate) fn buffer(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// The records' bytes, in order.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|(span, _)| &self.bytes[span.clone()])
    }

    /// The records' places in [`buffer`](Self::buffer), in order.
    pub(crate) fn spans(&self) -> impl ExactSizeIterator<Item = Range<usize>> {
        self.spans.iter().map(|(span, _)| span.clone())
    }

    /// A record's bytes and offset.
    pub fn record(&self, index: usize) -> Option<(&[u8], Offset)> {
        self.spans.get(index).map(|(span, offset)| (&self.bytes[span.clone()], *offset))
    }

    /// The position behind the last record.
    pub(crate) fn next_position(&self) -> Option<Offset> {
        self.spans.last().map(|(_, offset)| offset.next())
    }

    /// Numbers the batch as a run of a partition that several threads read; see [`Source::is_shareable`].
    pub(crate) fn set_turn(&mut self, turn: u64) {
        self.turn = Some(turn);
    }

    /// Its number among the runs of its partition.
    pub(crate) fn turn(&self) -> Option<u64> {
        self.turn
    }
}

/// What came with a record besides its bytes. A reader keeps as much as the table
/// [wants](TableDef::envelopes).
#[derive(Clone, Debug, Default)]
pub struct Envelope<'a> {
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its timestamp in milliseconds since 1970, if it has one.
    pub timestamp_ms: Option<i64>,
    /// Who gave it: Kafka's name of that.
    pub timestamp_type: &'static str,
    /// How often the partition had changed its leader when the record was written, if that is known.
    pub leader_epoch: Option<i32>,
    /// Its headers, in their order; a name may be there more than once.
    pub headers: Vec<Header<'a>>,
}

/// A header of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// Its name, which should be UTF-8.
    pub name: &'a [u8],
    /// Its value, if it has one.
    pub value: Option<&'a [u8]>,
}

/// Where to start reading a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartAt {
    /// Where the table's options say.
    Configured,
    /// At this position, from a checkpoint.
    Position(Offset),
}

/// What a poll brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Polled {
    /// At least one record.
    Records,
    /// Nothing within the time given.
    Nothing,
    /// Nothing, and nothing will come.
    End,
}

/// Reads some partitions of a source, on one thread.
pub trait Reader: Send {
    /// Reads what is there, at most about `max_records`, into the batch of each partition (in the order in
    /// which they were given to [`Source::reader`]); waits up to `wait` for the first record.
    fn poll(
        &mut self,
        batches: &mut [RawBatch],
        max_records: usize,
        wait: Duration,
    ) -> Result<Polled, StreamError>;

    /// Read no further than what is there now: from here on the reader is bounded.
    fn drain(&mut self) -> Result<(), StreamError>;

    /// Whether the partition of this index is bounded and read to its end.
    fn has_ended(&self, partition: usize) -> bool;

    /// Whether the partition of this index may be idle: it is not bounded, and all that it held when that was last known
    /// has been handed out. A partition of which nothing comes because its reader is behind or cannot reach it is not.
    /// Asked after each poll that brought nothing of it.
    fn may_be_caught_up(&self, partition: usize) -> bool {
        let _ = partition;
        false
    }

    /// The same for certain, where that has to be asked for. Asked before a partition counts as idle; may take a second.
    fn is_caught_up(&mut self, partition: usize) -> Result<bool, StreamError> {
        Ok(self.may_be_caught_up(partition))
    }

    /// Positions that were skipped because they no longer exist (retention), summed since the start.
    fn lost(&self) -> u64 {
        0
    }
}

/// An open source.
pub trait Source: Send + Sync {
    /// Its partitions, in order.
    fn partitions(&self) -> Vec<PartitionId>;

    /// Whether it ends by itself.
    fn is_bounded(&self) -> bool;

    /// Whether readers on several threads may be given the same partition. Each poll then hands out the next
    /// run of its records to whoever asks, with a turn that counts from 0 without a gap; a
    /// run may be empty. The engine restores the order.
    fn is_shareable(&self) -> bool {
        false
    }

    /// A reader of some of its partitions.
    fn reader(&self, partitions: &[(PartitionId, StartAt)]) -> Result<Box<dyn Reader>, StreamError>;

    /// Notes positions (next record to read) for tools that show lag, and for a restart without checkpoint.
    fn commit(&self, positions: &BTreeMap<PartitionId, Offset>) -> Result<(), StreamError>;
}

/// Makes sources of one connector.
#[async_trait]
pub trait SourceFactory: Send + Sync {
    /// Checks the table's options without touching the outside world.
    fn validate(&self, table: &TableDef) -> Result<(), StreamError>;

    /// What it reads, apart from how that is reached: topics or paths, say, not addresses and passwords. State belongs to
    /// it, and is refused where it is another.
    fn identity(&self, table: &TableDef) -> Result<Vec<(&'static str, String)>, StreamError> {
        let _ = table;
        Ok(Vec::new())
    }

    /// What it can tell of a record besides its bytes.
    fn metadata(&self) -> &'static [SourceMetadata] {
        &[]
    }

    /// Connects and finds the partitions.
    async fn open(&self, table: &TableDef) -> Result<Arc<dyn Source>, StreamError>;
}

/// The sources a job may name in `'connector'`.
#[derive(Clone)]
pub struct SourceRegistry {
    factories: BTreeMap<&'static str, Arc<dyn SourceFactory>>,
}

impl Default for SourceRegistry {
    fn default() -> Self {
        let mut registry = SourceRegistry { factories: BTreeMap::new() };
        registry.register("filesystem", Arc::new(filesystem::FilesystemFactory));
        registry.register("kafka", Arc::new(kafka::KafkaFactory));
        registry
    }
}

impl SourceRegistry {
    /// Adds a connector.
    pub fn register(&mut self, connector: &'static str, factory: Arc<dyn SourceFactory>) {
        self.factories.insert(connector, factory);
    }

    /// The factory for `connector`, if it is known.
    pub fn get(&self, connector: &str) -> Option<&Arc<dyn SourceFactory>> {
        self.factories.get(connector)
    }

    /// The known connectors, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.factories.keys().copied()
    }
}

/// The options that every source table understands besides its connector's own; see [`SourceOptions`].
#[derive(Clone, Debug)]
pub struct SourceOptions {
    /// `'allowed-lateness'`: how long windows take rows after the watermark passed their end. Default 0.
    pub(crate) allowed_lateness_us: i64,
    /// `'idle-timeout'`: a partition that has been read to its end and without records for so long no longer holds the
    /// watermark back. Default 30 s; `0 s` turns it off. What is bounded is never idle: it ends.
    pub(crate) idle_timeout: Duration,
    /// `'max-future'`: how far an event time may lie ahead of the clock; records further ahead are set aside.
    /// Default 10 minutes.
    pub(crate) max_future_us: i64,
    /// `'deduplicate.key'`: columns that identify a record; empty for none.
    pub(crate) deduplicate_key: Vec<String>,
    /// `'deduplicate.horizon'`: how far below the watermark keys are remembered. Default 1 hour.
    pub(crate) deduplicate_horizon_us: i64,
}

impl SourceOptions {
    /// Reads the options of `table`.
    pub fn read(table: &TableDef) -> Result<Self, StreamError> {
        let options = &table.options;
        let micros = |name: &str, default: Duration| {
            let duration = options.duration_or(name, default)?;
            i64::try_from(duration.as_micros())
                .map_err(|_| options.bad(name, "a duration below 292,000 years"))
        };
        let key = options.get("deduplicate.key").unwrap_or_default();
        let deduplicate_key: Vec<String> =
            key.split([',', ';']).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if let Some(unknown) =
            deduplicate_key.iter().find(|name| table.columns.iter().all(|c| c.name != **name))
        {
            return Err(
                options.bad("deduplicate.key", &format!("a list of columns: there is no column '{unknown}'"))
            );
        }
        if !deduplicate_key.is_empty() && table.watermark.is_none() {
            let without = "possible without a watermark, below which keys are forgotten: they would be kept for ever; \
                           add WATERMARK FOR … to the table";
            return Err(options.bad("deduplicate.key", without));
        }
        Ok(SourceOptions {
            allowed_lateness_us: micros("allowed-lateness", Duration::ZERO)?,
            idle_timeout: options.duration_or("idle-timeout", Duration::from_secs(30))?,
            max_future_us: micros("max-future", Duration::from_secs(600))?,
            deduplicate_key,
            deduplicate_horizon_us: micros("deduplicate.horizon", Duration::from_secs(3600))?,
        })
    }
}
