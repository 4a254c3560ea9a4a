//! Integration tests: Delta tables written by delta-rs, read through the public interface.

#![allow(
    clippy::unwrap_used,
    reason = "the lint's exception for tests does not reach their helper functions"
)]

#[path = "it/support.rs"]
mod support;

#[path = "it/errors.rs"]
mod errors;
#[path = "it/formats.rs"]
mod formats;
#[path = "it/freshness.rs"]
mod freshness;
#[path = "it/json_lines.rs"]
mod json_lines;
#[path = "it/lake.rs"]
mod lake;
#[path = "it/read_only.rs"]
mod read_only;
#[path = "it/reports.rs"]
mod reports;
