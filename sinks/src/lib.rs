//! The sinks of Plamatio: where the rows of an `INSERT INTO` go.
//!
//! | Connector | Takes by default | For | Delivery |
//! |---|---|---|---|
//! | [`redis`](mod@redis) | updates | live values for dashboards | newest value per window, never an older one |
//! | [`delta`] | final | analysts, history | once per committed epoch |
//! | [`filesystem`] | final | JSON lines on a disk | once per committed epoch |
//! | [`kafka`] | final | other programs | at least once |
//! | [`print`](mod@print) | updates | looking at a query | as written |
//! | [`blackhole`] | final | measuring a query | none |
//!
//! [`registry`] gives all of them to the engine. Each connector is a folder with the same two files:
//! `factory.rs` reads and checks the table's options (every option is asked for, so that a misspelt one
//! fails), `writer.rs` is the running [`Sink`](stream::sink::Sink). Each module's doc has its options, its delivery
//! guarantee with the crashes it covers, and how columns are mapped.
//!
//! Every sink understands `'connector'` and `'emit'` (`'final'` or `'updates'`).
//!
//! # Metrics
//!
//! `plamatio_sink_rows_total{sink,kind}` (kind: `provisional` or `final`), `plamatio_sink_commits_total{sink}`,
//! `plamatio_sink_retries_total{sink}`, `plamatio_sink_dropped_total{sink}` (provisional values replaced by
//! newer ones before they could be written), `plamatio_sink_refused_total{sink}` (values the live store
//! refused as older). `sink` is the table's name.
//!
//! # What this crate must not know
//!
//! Queries, SQL and metrics. A sink sees a schema and rows; that a column is called `window_end` is the most
//! it knows about what they mean.

pub mod blackhole;
pub mod delta;
pub mod filesystem;
pub mod kafka;
pub mod live;
pub mod memory;
pub mod print;
pub mod redis;

mod content;
mod disk;
mod format;
mod json;
mod keys;
mod options;
mod telemetry;

use std::sync::Arc;

pub use memory::{LiveChange, MemoryLiveStore};
pub use print::SharedWriter;
use stream::sink::SinkRegistry;

/// What sinks share with the rest of the process.
#[derive(Clone, Default)]
pub struct Extras {
    /// The store behind `'url' = 'memory://'`; hand the same one to whoever reads live values.
    pub live: MemoryLiveStore,
    /// Where `print` writes; standard output by default.
    pub output: SharedWriter,
}

/// All sinks of this crate under their connector names.
pub fn registry(extras: Extras) -> SinkRegistry {
    let mut registry = SinkRegistry::default();
    registry.register("redis", Arc::new(redis::RedisSinkFactory::new(extras.live)));
    registry.register("delta", Arc::new(delta::DeltaSinkFactory));
    registry.register("filesystem", Arc::new(filesystem::FilesystemSinkFactory));
    registry.register("kafka", Arc::new(kafka::KafkaSinkFactory));
    registry.register("print", Arc::new(print::PrintSinkFactory::new(extras.output)));
    registry.register("blackhole", Arc::new(blackhole::BlackholeSinkFactory));
    registry
}
