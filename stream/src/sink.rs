//! What the engine asks of a sink. The sinks themselves live in the crate `sinks`.
//!
//! # Contract
//!
//! A sink is driven by one task, in this order:
//!
//! ```text
//! write* (pre_commit(e) commit(e) write*)* close
//! ```
//!
//! - **`write`** hands over rows of the table's declared schema. Provisional and final rows never share a
//!   call. Provisional rows hold until they are [gone](SinkRows::gone), which a later call says of each of them, at the
//!   latest the one that has the final rows of its window. The rows of one fixed window of one query come complete in
//!   one call, final or provisional; sessions come one by one. A sink declared `'emit' = 'final'` is never given
//!   provisional rows; one that only appends, and so cannot take a row back, refuses to be declared otherwise
//!   ([`SinkFactory::validate`]).
//! - **`pre_commit(epoch)`** makes everything written so far durable without making final rows visible, and
//!   returns what `commit` will need, as bytes that a checkpoint can hold.
//! - **`commit(epoch, token)`** makes it visible. It may be called again with the same epoch and token, by
//!   another process too, and must then have no second effect.
//! - **`close`** comes once, after the last commit.
//!
//! # Delivery
//!
//! The engine calls `commit` before it records the source positions of the epoch, so a crash between the two
//! repeats rows of that epoch: at least once. A sink that guards by [`Epoch`] (Delta's application
//! transaction, the Redis script) is not fooled by such a repetition of a *commit*.
//!
//! # Errors
//!
//! A sink retries what a retry can mend, with a bound, and then answers an error; the engine stops the job
//! and reports it. Rows not yet acknowledged by `commit` are read again at the next start.

use std::{collections::BTreeMap, sync::Arc};

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;

use crate::{
    error::StreamError,
    table::TableDef,
    time::{Epoch, Watermark},
};

/// Rows for a sink, all provisional or all final.
#[derive(Clone, Debug)]
pub struct SinkRows {
    /// The rows, in the table's declared schema (metadata columns filled in).
    pub batch: RecordBatch,
    /// Whether they are final; otherwise they hold until they are gone.
    pub is_final: bool,
    /// Provisional rows of earlier calls that hold no longer, equal to them but for metadata columns. What has come in
    /// their place, if anything has, is in this call. Beside final rows: they count for nothing more where those
    /// stand.
    pub gone: Option<RecordBatch>,
    /// The epoch in which they are written.
    pub epoch: Epoch,
    /// Rises with every write of the job; `(epoch, revision)` orders all writes of a key.
    pub revision: u64,
    /// How far event time has come when they are written.
    pub watermark: Watermark,
}

/// A running sink. See the [module](self) for the order of calls.
#[async_trait]
pub trait Sink: Send {
    /// Takes rows; may buffer them until `pre_commit`, save provisional rows, which readers wait for.
    async fn write(&mut self, rows: SinkRows) -> Result<(), StreamError>;

    /// Makes the rows written so far durable; returns what [`commit`](Self::commit) needs.
    async fn pre_commit(&mut self, epoch: Epoch) -> Result<Vec<u8>, StreamError>;

    /// Makes an epoch's rows visible, at most once.
    async fn commit(&mut self, epoch: Epoch, token: Vec<u8>) -> Result<(), StreamError>;

    /// Lets go of connections and files. Everything was committed before.
    async fn close(&mut self) -> Result<(), StreamError>;
}

/// Which rows a sink takes (`'emit'` in its table's options).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EmitMode {
    /// Final rows only, each once.
    Final,
    /// Provisional rows as they change, then the final one.
    Updates,
}

/// Makes sinks of one connector from table definitions.
#[async_trait]
pub trait SinkFactory: Send + Sync {
    /// What the sink takes when its table does not say.
    fn default_emit(&self) -> EmitMode;

    /// Checks the table's options and schema, without touching the outside world: this runs at planning, so
    /// that a misspelt option fails before anything is read. Options that no one asked for fail later, in
    /// one place, for every connector.
    fn validate(&self, table: &TableDef) -> Result<(), StreamError>;

    /// What it writes to, apart from how that is reached: a path or a topic, say, no address and no password. What was
    /// pre-committed there cannot be committed anywhere else.
    fn identity(&self, table: &TableDef) -> Result<Vec<(&'static str, String)>, StreamError> {
        let _ = table;
        Ok(Vec::new())
    }

    /// Connects. An unreachable service is an error that names it and the setting to look at.
    async fn open(&self, table: &TableDef) -> Result<Box<dyn Sink>, StreamError>;
}

/// The sinks a job may name in `'connector'`.
#[derive(Clone, Default)]
pub struct SinkRegistry {
    factories: BTreeMap<&'static str, Arc<dyn SinkFactory>>,
}

impl SinkRegistry {
    /// Adds a connector.
    pub fn register(&mut self, connector: &'static str, factory: Arc<dyn SinkFactory>) {
        self.factories.insert(connector, factory);
    }

    /// The factory for `connector`, if it is known.
    pub fn get(&self, connector: &str) -> Option<&Arc<dyn SinkFactory>> {
        self.factories.get(connector)
    }

    /// The known connectors, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.factories.keys().copied()
    }
}
