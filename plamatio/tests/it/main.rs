//! The whole program as its users meet it: the real binary, real PostgreSQL, Redis and Apache Kafka.
//!
//! Addresses come from `DATABASE_URL`, `REDIS_URL` and `KAFKA_BROKERS`; what is not set is started by
//! `scripts/services.sh`. Every wait has a bound, every child ends with its test.

#![allow(
    clippy::unwrap_used,
    reason = "the lint's exception for tests does not reach their helper functions"
)]

mod support;

mod demo;
mod errors;
mod generate;
mod kafka;
mod metrics;
mod order;
mod restart;
mod stopped;
