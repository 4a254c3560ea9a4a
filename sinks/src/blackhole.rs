//! `blackhole`: counts rows and forgets them, to measure a query without a sink's cost.
//!
//! # Options
//!
//! | Option | Default | Meaning |
//! |---|---|---|
//! | `emit` | `final` | `updates` or `final` |
//!
//! # Delivery
//!
//! None: rows are counted in `plamatio_sink_rows_total` and dropped.
//!
//! # Schema
//!
//! Any.

mod factory;
mod writer;

pub use factory::BlackholeSinkFactory;
