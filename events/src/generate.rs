//! Realistic shop traffic, reproducible by seed. The demo, the benchmarks and the tests use it.
//!
//! # The model
//!
//! - **Visitors** arrive at random (exponential gaps) and are interleaved. A session draws how far down the
//!   funnel it goes: about 9 % put something into the cart, 5 % begin the checkout, 3 % purchase. Pauses
//!   between acts are log-normal: seconds to minutes on pages (median 12 s), longer in forms (35 s), never
//!   20 minutes, so that a visit is one session by the 30-minute rule.
//! - **Products** are viewed by Zipf's law. Carts hold up to six lines; items are taken out again at times.
//! - **Returns.** A fifth of the visitors come back after 31 minutes to 8 hours, of those who left a cart
//!   behind almost a third, and some of these purchase it: a recovered cart.
//! - **Orders** are a `purchase` and its `purchase_item` lines, with one event time and source `api`, as the
//!   outbox writes them. One order in seven has 10 % off. A few are refunded, in whole or by one line, after
//!   at least 31 minutes; the `refund` carries the session of the order.
//! - **Bots** view 20 to 60 products in a row, two or three a second, and nothing else. **Staff** behave as
//!   shoppers do, and **test** visitors always place an order; all are flagged in `traffic`.
//! - **Steady from the first second.** At the start visitors are already in the middle of their sessions and
//!   others are away, so the first events include purchases of carts whose beginnings lie before the stream,
//!   as with any stream that is tapped while the shop is open. For the same reason late events from before
//!   the start arrive in the first minutes.
//! - The rate is the same by day and by night.
//!
//! # Arrival
//!
//! Records come in arrival order. Let `seen` be the highest event time given out so far, over all topics:
//!
//! | kind | event time |
//! |---|---|
//! | [`Kind::OnTime`], [`Kind::Duplicate`], [`Kind::Malformed`] | at least `seen - max_disorder` |
//! | [`Kind::Late`] | below `seen - late_by`, with `late_by` drawn from its range |
//!
//! A duplicate has the bytes of its original, comes after it, soon (within the time of about two thousand
//! events), and its original is never a late one. A malformed record comes beside its event, not instead of
//! it, and has an id of its own. Faults have a random stream of their own: switching them changes no shopper.
//!
//! # Bounds
//!
//! Memory is bounded by [`GeneratorConfig::max_active_visitors`] and
//! [`GeneratorConfig::max_away_visitors`], plus the records within `max_disorder` and the late ones that are
//! held. A stream that ends after `events` records is cut there: the last order may lack its lines, and late
//! events still held are not given out.
//!
//! Left out: daily and weekly rhythm, several currencies, stock, cancelled orders, visitors with two devices.

mod arrival;
mod catalogue;
mod config;
mod emitter;
mod flaw;
mod generator;
mod random;
mod shuffle;
mod steady;
mod summary;
mod visitor;
mod writer;

use chrono::DateTime;
use uuid::Uuid;

use crate::{EventType, Topic, Traffic, topic, wire_time};

pub use catalogue::{Catalogue, Product};
pub use config::{Funnel, GeneratorConfig};
pub use flaw::Flaw;
pub use generator::Generator;
pub use shuffle::shuffle_within;
pub use summary::Summary;

/// One record, ready for Kafka or for a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Where it goes.
    pub topic: Topic,
    /// The Kafka key: the visitor's `anonymous_id`, also of malformed records.
    pub key: String,
    /// The bytes of the record. Of well-formed ones a JSON object without line breaks.
    pub payload: Vec<u8>,
    /// Event time in milliseconds since the Unix epoch, and the Kafka timestamp. Of a malformed record the
    /// time that it would have.
    pub time_ms: i64,
    /// Whether and how it is faulty.
    pub kind: Kind,
    /// Its type; of a malformed record the type that it would have. So are the next three.
    pub event_type: EventType,
    /// Who is behind it.
    pub traffic: Traffic,
    /// Its id, unique within the source.
    pub id: Uuid,
    /// `web` for views and carts, `api` for orders.
    pub source: &'static str,
}

impl Generated {
    /// The Kafka headers, as those of [`crate::Event::headers`].
    pub fn headers(&self) -> [(&'static str, String); 6] {
        let time = wire_time::format(DateTime::from_timestamp_millis(self.time_ms).unwrap_or_default());
        topic::headers(&self.id.to_string(), self.source, self.event_type.name(), &time)
    }
}

/// Whether and how a record is faulty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Well-formed, within the bound on disorder, and the first of its id.
    OnTime,
    /// Well-formed, and further below the highest event time than on-time records may lie.
    Late,
    /// The bytes of an on-time record once more.
    Duplicate,
    /// No event.
    Malformed(Flaw),
}
