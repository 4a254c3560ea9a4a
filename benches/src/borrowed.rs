//! The usual way in Rust to read such events: `serde_json` into a struct that borrows from the record. What the
//! engine's decoder is held against.

use std::hint::black_box;

use serde::Deserialize;
use stream::source::RawBatch;

/// The six fields that the queries use.
#[derive(Debug, Deserialize)]
pub struct Event<'a> {
    /// What happened.
    pub event_type: &'a str,
    /// When.
    pub event_time: &'a str,
    /// In which visit.
    pub session_id: &'a str,
    /// With which product.
    pub product_id: i64,
    /// How many of it.
    pub quantity: i64,
    /// At which price.
    pub price_cents: i64,
}

/// Parses records and builds nothing of them; answers how many there were.
pub fn parse(batch: &RawBatch) -> anyhow::Result<usize> {
    for record in batch.records() {
        black_box(serde_json::from_slice::<Event<'_>>(record)?);
    }
    Ok(batch.len())
}
