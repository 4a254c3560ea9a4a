//! The sinks against what they write to: real Redis, Delta tables and files in temporary folders, and
//! librdkafka's mock cluster.
//!
//! Redis is that of `REDIS_URL`, else a private one that ends with the tests.

// Clippy's setting for tests does not reach the helpers of an integration test.
#![allow(clippy::unwrap_used)]

mod delta;
mod filesystem;
mod kafka;
mod live;
mod metrics;
mod output;
mod redis;
mod support;
