//! The ledger: what became of every record that was read, and of every row that was written.
//!
//! For each source, at any checkpoint and at the end:
//!
//! ```text
//! read = on_time + late_accepted + late_dropped + duplicate + dead_letter
//! ```
//!
//! | class | the record … |
//! |---|---|
//! | `on_time` | was at or above its partition's watermark when it came |
//! | `late_accepted` | was below it, but every window over this source still took it |
//! | `late_dropped` | came too late for at least one window over this source; it is set aside with its bytes (other windows, that were still open, have counted it) |
//! | `duplicate` | carried a key already seen (`'deduplicate.key'`) |
//! | `dead_letter` | could not be decoded, or has no event time that can be used; it is set aside with its bytes |
//!
//! Beside the classes, `late_in_part` says how many late records were counted in some of the hopping windows that they
//! lie in and missed others, which were closed for them.
//!
//! Lateness is judged against the record's own partition, record by record in its order, so the ledger of a
//! given input is the same for any number of threads and any batch split.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::Serialize;

/// Counters of one source, shared by the threads that read it.
#[derive(Debug, Default)]
pub struct SourceCounters {
    on_time: AtomicU64,
    late_accepted: AtomicU64,
    late_dropped: AtomicU64,
    late_in_part: AtomicU64,
    duplicate: AtomicU64,
    dead_letter: AtomicU64,
    read: AtomicU64,
    bytes: AtomicU64,
    max_event_time_us: std::sync::atomic::AtomicI64,
}

impl SourceCounters {
    /// Adds a batch.
    pub(crate) fn add(&self, counts: &SourceLedger) {
        self.read.fetch_add(counts.read, Ordering::Relaxed);
        self.bytes.fetch_add(counts.bytes, Ordering::Relaxed);
        self.on_time.fetch_add(counts.on_time, Ordering::Relaxed);
        self.late_accepted.fetch_add(counts.late_accepted, Ordering::Relaxed);
        self.late_dropped.fetch_add(counts.late_dropped, Ordering::Relaxed);
        self.late_in_part.fetch_add(counts.late_in_part, Ordering::Relaxed);
        self.duplicate.fetch_add(counts.duplicate, Ordering::Relaxed);
        self.dead_letter.fetch_add(counts.dead_letter, Ordering::Relaxed);
    }

    /// Notes the highest event time seen, in microseconds.
    pub(crate) fn saw_event_time(&self, micros: i64) {
        self.max_event_time_us.fetch_max(micros, Ordering::Relaxed);
    }

    /// A reading of the counters. While records flow, the classes may trail `read` by a batch.
    pub fn snapshot(&self) -> SourceLedger {
        SourceLedger {
            read: self.read.load(Ordering::Relaxed),
            on_time: self.on_time.load(Ordering::Relaxed),
            late_accepted: self.late_accepted.load(Ordering::Relaxed),
            late_dropped: self.late_dropped.load(Ordering::Relaxed),
            late_in_part: self.late_in_part.load(Ordering::Relaxed),
            duplicate: self.duplicate.load(Ordering::Relaxed),
            dead_letter: self.dead_letter.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// Rows written to one sink.
#[derive(Debug, Default)]
pub struct SinkCounters {
    provisional: AtomicU64,
    finals: AtomicU64,
}

impl SinkCounters {
    /// Adds rows handed to the sink.
    pub(crate) fn add(&self, rows: u64, is_final: bool) {
        let counter = if is_final { &self.finals } else { &self.provisional };
        counter.fetch_add(rows, Ordering::Relaxed);
    }

    /// A reading of the counters.
    pub fn snapshot(&self) -> SinkLedger {
        SinkLedger {
            provisional: self.provisional.load(Ordering::Relaxed),
            finals: self.finals.load(Ordering::Relaxed),
        }
    }

    /// Continues from the counters of a checkpoint.
    pub fn restore(&self, ledger: &SinkLedger) {
        self.add(ledger.provisional, false);
        self.add(ledger.finals, true);
    }
}

/// A source's classes, as counted: of a batch, of a thread, or of the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct SourceLedger {
    /// Records read.
    pub read: u64,
    /// See the [module](self).
    pub on_time: u64,
    /// See the [module](self).
    pub late_accepted: u64,
    /// See the [module](self).
    pub late_dropped: u64,
    /// See the [module](self).
    pub duplicate: u64,
    /// See the [module](self).
    pub dead_letter: u64,
    /// Not a class: see the [module](self).
    #[serde(default)]
    pub late_in_part: u64,
    /// Bytes read.
    pub bytes: u64,
}

impl SourceLedger {
    /// Adds other counts.
    pub(crate) fn add(&mut self, more: &SourceLedger) {
        self.read += more.read;
        self.bytes += more.bytes;
        self.on_time += more.on_time;
        self.late_accepted += more.late_accepted;
        self.late_dropped += more.late_dropped;
        self.late_in_part += more.late_in_part;
        self.duplicate += more.duplicate;
        self.dead_letter += more.dead_letter;
    }

    /// Whether every record read is in exactly one class.
    pub fn is_balanced(&self) -> bool {
        self.read == self.on_time + self.late_accepted + self.late_dropped + self.duplicate + self.dead_letter
    }
}

/// A sink's rows, as counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct SinkLedger {
    /// Provisional rows written.
    pub provisional: u64,
    /// Final rows written.
    #[serde(rename = "final")]
    pub finals: u64,
}

/// The whole job's ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Ledger {
    /// By source table.
    pub sources: BTreeMap<String, SourceLedger>,
    /// By sink table.
    pub sinks: BTreeMap<String, SinkLedger>,
}

impl Ledger {
    /// Whether every source is balanced.
    pub fn is_balanced(&self) -> bool {
        self.sources.values().all(SourceLedger::is_balanced)
    }
}
