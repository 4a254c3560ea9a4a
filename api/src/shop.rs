//! What the shop does, apart from HTTP: the catalogue, carts and orders, each change in one transaction that
//! also writes its events to the outbox.
//!
//! Prices are server side and in minor units. Locks are taken in one order everywhere: the cart's row first,
//! then product rows by rising id.

pub(crate) mod carts;
pub(crate) mod facts;
pub(crate) mod idempotency;
pub(crate) mod ids;
pub(crate) mod orders;
pub(crate) mod products;
pub(crate) mod visitor;
