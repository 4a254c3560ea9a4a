//! The events of a shop: what producers write and what consumers read.
//!
//! Every part of the system that touches an event shares this crate, so that a name, a topic, a key or a
//! field means the same thing on both sides of Kafka. It holds no client of any service: no Kafka, no Redis,
//! no Arrow. It must not know the engine, the API or the sinks.
//!
//! # What is here
//!
//! | module | entry types | purpose |
//! |---|---|---|
//! | [`event`] | [`Event`], [`EventType`], [`Traffic`] | the wire format: one flat JSON object per event |
//! | [`validate`] | [`accept`], [`check`], [`Limits`], [`FieldError`] | what the HTTP collector accepts, with an error per field |
//! | [`alias`] | [`canonical`] | names of Segment and Shopify onto the canonical ones |
//! | [`topic`] | [`Topic`] | Kafka topics, the key rule, the record headers |
//! | [`live`] | [`LiveWindow`] | key names and hash fields of live values in Redis |
//! | [`generate`] | [`Generator`], [`GeneratorConfig`], [`Generated`], [`Summary`] | realistic traffic, reproducible by seed |
//!
//! # Wire format
//!
//! One flat JSON object per Kafka record, or per line of a JSON-lines file. Absent fields are left out.
//!
//! ```
//! use events::{Event, EventType};
//!
//! let line = r#"{"id":"6f1e7c0a-4f3b-4c57-9f0e-0d2f6c1a9b01","source":"web","type":"add_to_cart",
//!     "time":"2026-01-05T00:00:01.250Z","received_at":"2026-01-05T00:00:01.300Z","schema_version":1,
//!     "session_id":"s-1","anonymous_id":"a-1","traffic":"human","product_id":12,"category_id":3,
//!     "quantity":2,"price_minor":1999,"currency":"EUR","cart_id":"c-1"}"#;
//! let event: Event = serde_json::from_str(line)?;
//! assert_eq!(event.event_type, EventType::AddToCart);
//! assert_eq!(event.topic().name(), "cart-events");
//! assert_eq!(event.key(), "a-1");
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! - An event is unique by `(source, id)`: a second record with the same pair is a duplicate.
//! - Times are RFC 3339 in UTC with milliseconds and `Z`.
//! - Money is an integer in the currency's minor unit (cents), beside an ISO 4217 code.
//! - The Kafka key is `anonymous_id`, so one visitor's events stay in one partition. The record's timestamp
//!   is the event time.
//!
//! # Where the names come from
//!
//! Event types are those of Google Analytics 4's ecommerce guide. `purchase_item` is the one addition: GA4
//! carries an order's lines as an array inside `purchase`, and a flat format needs one event per line. The
//! envelope (`id`, `source`, `type`, `time`) is that of CloudEvents 1.0, whose attributes also travel as
//! `ce_*` record headers. `anonymous_id`, `user_id`, `received_at` and `sent_at` mean what they mean in
//! Segment's common fields; Segment's ecommerce spec v2 and Shopify's web pixel events are accepted as
//! aliases of the type.
//!
//! # Traffic
//!
//! ```
//! use events::{Generator, GeneratorConfig};
//!
//! let config = GeneratorConfig { seed: 7, events: Some(1_000), ..GeneratorConfig::default() };
//! let mut generator = Generator::new(config)?;
//! for record in generator.by_ref() {
//!     assert!(record.key.len() == 36);
//! }
//! assert_eq!(generator.summary().events, 1_000);
//! # Ok::<(), events::Error>(())
//! ```

#![warn(missing_docs)]

pub mod alias;
mod error;
pub mod event;
pub mod generate;
pub mod live;
pub mod topic;
pub mod validate;
pub mod wire_time;

pub use alias::canonical;
pub use error::Error;
pub use event::{Event, EventType, SCHEMA_VERSION, Traffic};
pub use generate::{
    Catalogue, Flaw, Funnel, Generated, Generator, GeneratorConfig, Kind, Product, Summary, shuffle_within,
};
pub use live::LiveWindow;
pub use topic::Topic;
pub use validate::{FieldError, Limits, accept, check};

/// Result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
