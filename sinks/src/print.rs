//! `print`: rows as lines of text, to look at a query.
//!
//! ```text
//! ~ {"window_end":"2026-01-01T00:01:00.000Z","views":12}
//! - {"window_end":"2026-01-01T00:01:00.000Z","views":12}
//! = {"window_end":"2026-01-01T00:01:00.000Z","views":15}
//! ```
//!
//! `~` marks a provisional row, `-` one that holds no longer, `=` a final one; then the row as JSON. A provisional row
//! that is final as it was is not said to be gone.
//!
//! # Options
//!
//! | Option | Default | Meaning |
//! |---|---|---|
//! | `emit` | `updates` | `updates` or `final` |
//! | `prefix` | none | text before each line, to tell several sinks apart |
//!
//! # Delivery
//!
//! Rows are written when they come, before the epoch commits, and flushed at the end of every batch: after a
//! crash some are written again.
//!
//! # Schema
//!
//! Every column of the table under its own name, types as in JSON records of the other sinks: numbers,
//! strings, RFC 3339 times, `null`.

mod factory;
mod writer;

pub use factory::PrintSinkFactory;
pub use writer::SharedWriter;
