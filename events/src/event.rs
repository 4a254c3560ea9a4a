//! The wire format of one event: a flat JSON object. See the crate's page for an example and for the sources
//! of the names.
//!
//! Reading is lenient about what it does not know (an unknown field is passed over, so that a newer producer
//! does not break an older consumer) and strict about what it does: a wrong type, an unknown event type or a
//! time that is not RFC 3339 is an error. Rules beyond the types are in [`crate::validate`].

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Error, Topic, wire_time};

/// The `schema_version` that this crate writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// One event, as it is on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unique within `source`; a UUID where we make it.
    pub id: String,
    /// Who made the event: `web`, `api`, … Together with `id` the unique key.
    pub source: String,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Event time: when it happened.
    #[serde(with = "wire_time::required")]
    pub time: DateTime<Utc>,
    /// When the collector got it. Set by the server.
    #[serde(with = "wire_time::optional", default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<DateTime<Utc>>,
    /// When the client sent it, if it said so (later than `time` after a phase offline).
    #[serde(with = "wire_time::optional", default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<DateTime<Utc>>,
    /// Version of this format: [`SCHEMA_VERSION`].
    #[serde(default = "current_version")]
    pub schema_version: u32,
    /// The client's own session token. Sessions in metrics are found from event times, not from this.
    pub session_id: String,
    /// The visitor, and the Kafka key.
    pub anonymous_id: String,
    /// The account, once the visitor has logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Who is behind it; metrics count people only. Absent means [`Traffic::Human`].
    #[serde(default)]
    pub traffic: Traffic,
    /// Product, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<i64>,
    /// Category, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_id: Option<i64>,
    /// Pieces, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// Unit price in the currency's minor unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_minor: Option<i64>,
    /// ISO 4217, three capital letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The cart, on cart and order events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cart_id: Option<String>,
    /// The order, on order events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// Line of the order, from 1 (`purchase_item`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<i64>,
    /// Minor units, net of discounts, without tax and shipping. `purchase`: the order's total.
    /// `purchase_item`: the line's total. `refund`: the amount given back, as a positive number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_minor: Option<i64>,
}

fn current_version() -> u32 {
    SCHEMA_VERSION
}

impl Event {
    /// An event of a person with the required fields; the rest is absent and set through the public fields.
    pub fn new(
        event_type: EventType,
        id: impl Into<String>,
        source: impl Into<String>,
        time: DateTime<Utc>,
        anonymous_id: impl Into<String>,
        session_id: impl Into<String>,
    ) -> Self {
        Event {
            id: id.into(),
            source: source.into(),
            event_type,
            time,
            received_at: None,
            sent_at: None,
            schema_version: SCHEMA_VERSION,
            session_id: session_id.into(),
            anonymous_id: anonymous_id.into(),
            user_id: None,
            traffic: Traffic::Human,
            product_id: None,
            category_id: None,
            quantity: None,
            price_minor: None,
            currency: None,
            cart_id: None,
            order_id: None,
            line: None,
            value_minor: None,
        }
    }
}

/// What happened, by its canonical name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// A list of products was shown.
    ViewItemList,
    /// A product's page was shown.
    ViewItem,
    /// Pieces of a product were put into a cart.
    AddToCart,
    /// Pieces of a product were taken out of a cart.
    RemoveFromCart,
    /// The cart's page was shown.
    ViewCart,
    /// The checkout was entered.
    BeginCheckout,
    /// Payment details were given.
    AddPaymentInfo,
    /// An order was placed: one event per order.
    Purchase,
    /// One line of an order; follows its `purchase`. Our addition to GA4's names.
    PurchaseItem,
    /// Money was given back for an order.
    Refund,
}

impl EventType {
    /// All types, in funnel order.
    pub const ALL: [EventType; 10] = [
        EventType::ViewItemList,
        EventType::ViewItem,
        EventType::AddToCart,
        EventType::RemoveFromCart,
        EventType::ViewCart,
        EventType::BeginCheckout,
        EventType::AddPaymentInfo,
        EventType::Purchase,
        EventType::PurchaseItem,
        EventType::Refund,
    ];

    /// The canonical name.
    pub const fn name(self) -> &'static str {
        match self {
            EventType::ViewItemList => "view_item_list",
            EventType::ViewItem => "view_item",
            EventType::AddToCart => "add_to_cart",
            EventType::RemoveFromCart => "remove_from_cart",
            EventType::ViewCart => "view_cart",
            EventType::BeginCheckout => "begin_checkout",
            EventType::AddPaymentInfo => "add_payment_info",
            EventType::Purchase => "purchase",
            EventType::PurchaseItem => "purchase_item",
            EventType::Refund => "refund",
        }
    }

    /// The topic of this type.
    pub const fn topic(self) -> Topic {
        match self {
            EventType::ViewItemList | EventType::ViewItem => Topic::ProductViews,
            EventType::AddToCart
            | EventType::RemoveFromCart
            | EventType::ViewCart
            | EventType::BeginCheckout
            | EventType::AddPaymentInfo => Topic::CartEvents,
            EventType::Purchase | EventType::PurchaseItem | EventType::Refund => Topic::OrderEvents,
        }
    }

    /// All canonical names, in funnel order.
    pub fn names() -> [&'static str; 10] {
        EventType::ALL.map(EventType::name)
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EventType {
    type Err = Error;

    /// Reads a canonical name; for aliases see [`crate::canonical`].
    fn from_str(name: &str) -> Result<Self, Error> {
        EventType::ALL
            .into_iter()
            .find(|t| t.name() == name)
            .ok_or_else(|| Error::UnknownEventType { name: name.to_owned() })
    }
}

/// Who is behind an event. Metrics count [`Traffic::Human`] only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Traffic {
    /// A shopper.
    #[default]
    Human,
    /// A crawler or another program.
    Bot,
    /// A test order or a test run.
    Test,
    /// The shop's own people.
    Staff,
}

impl Traffic {
    /// All classes.
    pub const ALL: [Traffic; 4] = [Traffic::Human, Traffic::Bot, Traffic::Test, Traffic::Staff];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Traffic::Human => "human",
            Traffic::Bot => "bot",
            Traffic::Test => "test",
            Traffic::Staff => "staff",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Traffic {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Traffic::ALL
            .into_iter()
            .find(|t| t.name() == name)
            .ok_or_else(|| Error::UnknownTraffic { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_agree_with_serde() {
        for (i, t) in EventType::ALL.into_iter().enumerate() {
            assert_eq!(serde_json::to_value(t).unwrap(), t.name());
            assert_eq!(t.name().parse::<EventType>().unwrap(), t);
            assert_eq!(t.index(), i);
        }
        for (i, t) in Traffic::ALL.into_iter().enumerate() {
            assert_eq!(serde_json::to_value(t).unwrap(), t.name());
            assert_eq!(t.name().parse::<Traffic>().unwrap(), t);
            assert_eq!(t.index(), i);
        }
        assert!("Purchase".parse::<EventType>().unwrap_err().to_string().contains("purchase_item"));
        assert!("robot".parse::<Traffic>().is_err());
    }

    #[test]
    fn smallest_event_and_its_bytes() {
        let time = wire_time::parse("2026-01-05T00:00:01.2Z").unwrap();
        let event = Event::new(EventType::ViewItemList, "i", "web", time, "a", "s");
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(
            text,
            r#"{"id":"i","source":"web","type":"view_item_list","time":"2026-01-05T00:00:01.200Z","schema_version":1,"session_id":"s","anonymous_id":"a","traffic":"human"}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }

    #[test]
    fn unknown_fields_pass_and_wrong_types_do_not() {
        let ok = r#"{"id":"i","source":"web","type":"purchase","time":"2026-01-05T00:00:01Z","session_id":"s","anonymous_id":"a","colour":"red","order_id":null}"#;
        let event: Event = serde_json::from_str(ok).unwrap();
        assert_eq!((event.schema_version, event.traffic, event.order_id), (1, Traffic::Human, None));
        for bad in [
            ok.replace("\"purchase\"", "\"bought\""),
            ok.replace("\"2026-01-05T00:00:01Z\"", "1767571201"),
            ok.replace("2026-01-05T00:00:01Z", "yesterday"),
            ok.replace("\"id\":\"i\",", ""),
        ] {
            assert!(serde_json::from_str::<Event>(&bad).is_err(), "{bad}");
        }
    }
}
