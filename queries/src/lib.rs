//! The analyst's SQL over the lake.
//!
//! [`Lake`] finds the tables under a folder or URL (Delta tables, plain Parquet folders, JSON-lines
//! files) and gives DataFusion contexts that read them and never write. [`Session`] runs SQL text:
//! it splits scripts, refuses anything that would change the lake, renders errors with the place
//! and a remedy, and writes results as a table, JSON or CSV. [`repl`] is the prompt on top of it.
//! [`reports`] lists the batch reports of `queries/reports/`.
//!
//! Every statement reads the newest committed version of each Delta table; a commit that lands
//! while a statement runs is seen by the next one.
//!
//! This crate knows nothing of the streaming engine, Kafka, Redis or the API. Functions shared
//! with the engine are added by the caller through [`Session::with`] or [`Lake::context_with`].
//! Left out: writing, time travel, and one snapshot across several tables (Delta has none).

pub mod diagnose;
pub mod error;
pub mod execute;
mod json_lines;
pub mod lake;
pub mod output;
pub mod repl;
mod report;
pub mod script;
mod statement_error;

pub use error::{Error, Result};
pub use execute::{Options, Session, Summary};
pub use lake::{Lake, TableInfo, TableKind};
pub use output::Format;
pub use report::{Report, report, reports};
pub use statement_error::StatementError;
