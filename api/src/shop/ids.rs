//! Ids as types of their own, so that a cart's id cannot be passed for an order's.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A product: a small rising number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub(crate) struct ProductId(i64);

impl ProductId {
    /// The number as the database and the events write it.
    pub(crate) fn number(self) -> i64 {
        self.0
    }
}

impl From<i64> for ProductId {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub(crate) struct $name(Uuid);

        impl $name {
            /// A new one: random, because knowing an id is the right to use it.
            pub(crate) fn random() -> Self {
                Self(Uuid::new_v4())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

random_id! {
    /// A cart.
    CartId
}
random_id! {
    /// An order.
    OrderId
}
