//! Kafka topics, the key rule and the record headers.
//!
//! **Key rule.** A record's key is the event's `anonymous_id`, in every topic. With the same number of
//! partitions per topic and the same partitioner, a visitor has one partition number everywhere, and the
//! visitor's events keep their order within a topic.
//!
//! **Timestamp.** The record's timestamp is the event time in milliseconds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Event, wire_time};

/// One of the three shared topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// `product-views`: `view_item_list`, `view_item`.
    ProductViews,
    /// `cart-events`: `add_to_cart`, `remove_from_cart`, `view_cart`, `begin_checkout`, `add_payment_info`.
    CartEvents,
    /// `order-events`: `purchase`, `purchase_item`, `refund`. Written by the API's outbox only.
    OrderEvents,
}

impl Topic {
    /// All topics, in a fixed order.
    pub const ALL: [Topic; 3] = [Topic::ProductViews, Topic::CartEvents, Topic::OrderEvents];

    /// The name in Kafka.
    pub const fn name(self) -> &'static str {
        match self {
            Topic::ProductViews => "product-views",
            Topic::CartEvents => "cart-events",
            Topic::OrderEvents => "order-events",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Topic {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Topic::ALL
            .into_iter()
            .find(|topic| topic.name() == name)
            .ok_or_else(|| Error::UnknownTopic { name: name.to_owned() })
    }
}

/// Header names in the order in which they are written: CloudEvents 1.0 in Kafka's binary mode.
pub const HEADERS: [&str; 6] = ["ce_id", "ce_source", "ce_type", "ce_time", "ce_specversion", "content-type"];

/// The headers of a record, from the envelope's values. `time` is RFC 3339, as in the payload.
pub fn headers(id: &str, source: &str, event_type: &str, time: &str) -> [(&'static str, String); 6] {
    let values = [id, source, event_type, time, "1.0", "application/json"];
    std::array::from_fn(|i| (HEADERS[i], values[i].to_owned()))
}

impl Event {
    /// The topic this event belongs to.
    pub fn topic(&self) -> Topic {
        self.event_type.topic()
    }

    /// The Kafka key: `anonymous_id`.
    pub fn key(&self) -> &str {
        &self.anonymous_id
    }

    /// The Kafka headers.
    pub fn headers(&self) -> [(&'static str, String); 6] {
        headers(&self.id, &self.source, self.event_type.name(), &wire_time::format(self.time))
    }

    /// The Kafka record timestamp: milliseconds since the Unix epoch.
    pub fn timestamp_ms(&self) -> i64 {
        self.time.timestamp_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for topic in Topic::ALL {
            assert_eq!(topic.name().parse::<Topic>().unwrap(), topic);
            assert_eq!(serde_json::to_string(&topic).unwrap(), format!("{:?}", topic.name()));
            assert_eq!(Topic::ALL[topic.index()], topic);
        }
        assert_eq!(
            "orders".parse::<Topic>().unwrap_err().to_string(),
            "unknown topic \"orders\"; known topics: product-views, cart-events, order-events"
        );
    }
}
