//! The streaming SQL engine.
//!
//! A script of SQL becomes one job: sources are read by compute threads, decoded into Arrow columns, filtered
//! and partially aggregated where they were read; a merge stage combines the partial results into windows and
//! hands provisional and final rows to the sinks.
//!
//! | module | what it is for |
//! |---|---|
//! | [`sql`] | text to statements |
//! | [`planner`] | statements to a job graph, through DataFusion's planner and optimiser |
//! | [`source`], [`decode`], `format` | bytes in, columns out; what the bytes mean |
//! | [`operator`] | the streaming operators: filters, windows, ranks |
//! | [`window`], [`time`] | window arithmetic; watermarks, epochs, offsets |
//! | [`runtime`] | threads, channels, checkpoints: what makes a graph run |
//! | [`ledger`] | what became of every record |
//! | [`sink`] | what the engine asks of a sink |
//!
//! The crate knows sinks only as a trait, and nothing of shops, metrics, HTTP or the command line.

pub mod decode;
pub mod error;
mod format;
pub mod ledger;
pub mod operator;
pub mod options;
pub mod planner;
pub mod runtime;
pub mod sink;
pub mod source;
pub mod sql;
pub mod table;
pub mod time;
pub mod window;

pub use error::StreamError;
