//! HTTP in, HTTP out: one file per resource. What is done is in [`crate::shop`] and its neighbours.

pub(crate) mod carts;
pub(crate) mod collect;
pub(crate) mod health;
pub(crate) mod live;
pub(crate) mod metrics;
pub(crate) mod orders;
pub(crate) mod page;
pub(crate) mod products;
