//! The API against real PostgreSQL and Redis, and librdkafka's mock broker.
//!
//! Services come from `DATABASE_URL` and `REDIS_URL`; where these are unset, private instances are started
//! from installed binaries, once per run (see `support::services`). Every test has a database and a shop of
//! its own.
#![allow(clippy::unwrap_used)]

// The name that the rest of the workspace knows the crate by.
extern crate plamatio_api as api;

mod carts;
mod collect;
mod fuzz;
mod health;
mod kafka;
mod live;
mod orders;
mod problems;
mod products;
mod relay;
mod serve;
mod support;
