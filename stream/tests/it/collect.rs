//! The connector `collect`: keeps what a sink would make visible, over restarts too.
//!
//! Provisional rows are let go: graphs are driven by hand to see them. Final rows are staged by epoch and become visible with the epoch's
//! commit, once however often it is repeated; a sink that is dropped before forgets what it was not asked to
//! make durable, as a process does that is killed.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::array::RecordBatch;
use plamatio_stream::{
    StreamError,
    sink::{EmitMode, Sink, SinkFactory, SinkRows},
    table::TableDef,
    time::Epoch,
};

#[derive(Default)]
struct Shelf {
    /// By token, since several sinks may be of one table.
    staged: BTreeMap<Vec<u8>, Vec<SinkRows>>,
    finals: Vec<SinkRows>,
}

/// What was collected, by table.
#[derive(Clone, Default)]
pub(crate) struct Collected {
    shelves: Arc<Mutex<BTreeMap<String, Shelf>>>,
    /// Pre-commits that succeed before one fails; 0 for all.
    fail_after: Arc<AtomicU64>,
    tokens: Arc<AtomicU64>,
}

impl Collected {
    /// The sink for `table`, which is never given provisional rows unless its table asks for them.
    pub(crate) fn sink(&self, table: &str) -> Box<dyn Sink> {
        Box::new(CollectSink { table: table.to_owned(), collected: self.clone(), pending: Vec::new() })
    }

    /// Lets the pre-commit after `successes` fail, once.
    pub(crate) fn fail_after(&self, successes: u64) {
        self.fail_after.store(successes + 1, Ordering::Relaxed);
    }

    fn read<T>(&self, table: &str, read: impl FnOnce(&mut Shelf) -> T) -> T {
        read(self.shelves.lock().unwrap().entry(table.to_owned()).or_default())
    }

    /// Final rows that are visible.
    pub(crate) fn finals(&self, table: &str) -> Vec<RecordBatch> {
        self.read(table, |shelf| shelf.finals.iter().map(|rows| rows.batch.clone()).collect())
    }
}

struct CollectSink {
    table: String,
    collected: Collected,
    pending: Vec<SinkRows>,
}

#[async_trait::async_trait]
impl Sink for CollectSink {
    async fn write(&mut self, rows: SinkRows) -> Result<(), StreamError> {
        if rows.is_final {
            self.pending.push(rows);
        }
        Ok(())
    }

    async fn pre_commit(&mut self, epoch: Epoch) -> Result<Vec<u8>, StreamError> {
        let left = self.collected.fail_after.load(Ordering::Relaxed);
        if left == 1 {
            self.collected.fail_after.store(0, Ordering::Relaxed);
            return Err(StreamError::connector(&self.table, "the disk is on fire"));
        }
        self.collected.fail_after.store(left.saturating_sub(1), Ordering::Relaxed);
        let pending = mem::take(&mut self.pending);
        let token = format!("{epoch}/{}", self.collected.tokens.fetch_add(1, Ordering::Relaxed)).into_bytes();
        self.collected.read(&self.table, |shelf| shelf.staged.insert(token.clone(), pending));
        Ok(token)
    }

    async fn commit(&mut self, epoch: Epoch, token: Vec<u8>) -> Result<(), StreamError> {
        assert!(token.starts_with(format!("{epoch}/").as_bytes()), "a token of another epoch");
        self.collected.read(&self.table, |shelf| {
            let rows = shelf.staged.remove(&token).unwrap_or_default();
            shelf.finals.extend(rows);
        });
        Ok(())
    }

    async fn close(&mut self) -> Result<(), StreamError> {
        Ok(())
    }
}

/// Makes the sinks; `'emit'` is `'updates'` unless the table says otherwise.
pub(crate) struct CollectFactory(pub(crate) Collected);

#[async_trait::async_trait]
impl SinkFactory for CollectFactory {
    fn default_emit(&self) -> EmitMode {
        EmitMode::Updates
    }

    fn validate(&self, table: &TableDef) -> Result<(), StreamError> {
        table.options.finish()
    }

    async fn open(&self, table: &TableDef) -> Result<Box<dyn Sink>, StreamError> {
        Ok(self.0.sink(&table.name))
    }
}
