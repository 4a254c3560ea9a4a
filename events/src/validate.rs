//! What the HTTP collector accepts, with one finding per field.
//!
//! [`accept`] reads a JSON value as it came from a client and gives an [`Event`] or *all* that is wrong with
//! it; [`check`] holds an event that is already typed against the same rules. Both are pure: the time of
//! reception is an argument.
//!
//! | type | required beside the envelope |
//! |---|---|
//! | `view_item_list` | – |
//! | `view_item` | `product_id` |
//! | `add_to_cart`, `remove_from_cart` | `product_id`, `quantity`, `cart_id` |
//! | `view_cart`, `begin_checkout`, `add_payment_info` | `cart_id` |
//! | `purchase` | `order_id`, `cart_id`, `value_minor`, `currency` |
//! | `purchase_item` | `order_id`, `cart_id`, `line`, `product_id`, `quantity`, `price_minor`, `value_minor`, `currency` |
//! | `refund` | `order_id`, `value_minor` above 0, `currency` |
//!
//! The envelope: `type`, `time`, `session_id`, `anonymous_id` from the client; `id`, `source`, `traffic` and
//! `schema_version` have defaults; `received_at` is always the server's. A price or a value needs a currency.
//! Fields that the format does not know are passed over.
//!
//! Not here: who may send which type (the API refuses order events from browsers), sizes of batches and
//! bodies, whether a product exists.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Event, EventType, SCHEMA_VERSION, Traffic, canonical, wire_time};

/// One finding about an incoming event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Name of the field on the wire; `event` when the whole value is not an object.
    pub field: &'static str,
    /// What is wrong and what would be right; lowercase, no final stop.
    pub problem: String,
}

impl FieldError {
    fn new(field: &'static str, problem: impl Into<String>) -> Self {
        FieldError { field, problem: problem.into() }
    }
}

/// Bounds of what is accepted. All are inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest text field, in bytes of UTF-8.
    pub text_bytes: usize,
    /// Highest quantity of one event.
    pub quantity: i64,
    /// Highest price or value, in minor units.
    pub price_minor: i64,
    /// How far event time may lie ahead of the server's clock. Browser clocks are wrong by minutes; an event
    /// from farther ahead would push the watermark and make everyone else late.
    pub ahead: TimeDelta,
}

impl Default for Limits {
    /// 128 bytes, 1,000 pieces, 10,000,000.00 of a currency with cents, five minutes.
    fn default() -> Self {
        Limits { text_bytes: 128, quantity: 1_000, price_minor: 1_000_000_000, ahead: TimeDelta::minutes(5) }
    }
}

/// Reads an event that a client sent. `new_id` is called when the client gave no `id`.
///
/// ```
/// use events::{EventType, Limits, accept, wire_time};
/// let now = wire_time::parse("2026-01-05T00:00:02Z").unwrap();
/// let sent = serde_json::json!({"type": "Product Viewed", "time": "2026-01-05T00:00:01Z",
///     "session_id": "s", "anonymous_id": "a", "product_id": 12});
/// let event = accept(&sent, now, &Limits::default(), || "made".to_owned()).unwrap();
/// assert_eq!((event.event_type, event.id.as_str()), (EventType::ViewItem, "made"));
///
/// let sent = serde_json::json!({"type": "view_item"});
/// let errors = accept(&sent, now, &Limits::default(), || "made".to_owned()).unwrap_err();
/// let fields: Vec<_> = errors.iter().map(|e| e.field).collect();
/// assert_eq!(fields, ["time", "session_id", "anonymous_id", "product_id"]);
/// ```
///
/// # Errors
/// Every finding, in the order of the wire format's fields; never an empty list.
pub fn accept(
    value: &Value,
    received_at: DateTime<Utc>,
    limits: &Limits,
    new_id: impl FnOnce() -> String,
) -> Result<Event, Vec<FieldError>> {
    let Value::Object(object) = value else {
        let problem = format!("must be a JSON object, is {}", kind(value));
        return Err(vec![FieldError::new("event", problem)]);
    };
    let mut reader = Reader { object, errors: Vec::new() };
    let id = reader.text("id");
    let source = reader.text("source");
    let event_type = reader.event_type();
    let time = reader.required("time", Reader::time);
    let sent_at = reader.time("sent_at");
    if reader.int("schema_version").is_some_and(|version| version != i64::from(SCHEMA_VERSION)) {
        reader.wrong("schema_version", format!("must be {SCHEMA_VERSION}"));
    }
    let session_id = reader.required("session_id", Reader::text);
    let anonymous_id = reader.required("anonymous_id", Reader::text);
    let user_id = reader.text("user_id");
    let traffic = reader.traffic();
    // Placeholders stand for what could not be read, so that the other fields are checked in the same pass;
    // such an event never leaves this function.
    let event = Event {
        id: id.unwrap_or_else(new_id),
        source: source.unwrap_or_else(|| "web".to_owned()),
        event_type: event_type.unwrap_or(EventType::ViewItemList),
        time: time.unwrap_or(received_at),
        received_at: Some(received_at),
        sent_at,
        schema_version: SCHEMA_VERSION,
        session_id: session_id.unwrap_or_default(),
        anonymous_id: anonymous_id.unwrap_or_default(),
        user_id,
        traffic: traffic.unwrap_or_default(),
        product_id: reader.int("product_id"),
        category_id: reader.int("category_id"),
        quantity: reader.int("quantity"),
        price_minor: reader.int("price_minor"),
        currency: reader.text("currency"),
        cart_id: reader.text("cart_id"),
        order_id: reader.text("order_id"),
        line: reader.int("line"),
        value_minor: reader.int("value_minor"),
    };
    let mut errors = reader.errors;
    for error in check(&event, received_at, limits) {
        // What could not be read is reported once, as that.
        if !errors.iter().any(|e| e.field == error.field) {
            errors.push(error);
        }
    }
    if errors.is_empty() {
        return Ok(event);
    }
    errors.sort_by_key(|e| FIELDS.iter().position(|field| *field == e.field));
    Err(errors)
}

/// Holds an event against the rules. `now` is the server's time.
pub fn check(event: &Event, now: DateTime<Utc>, limits: &Limits) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check_texts(event, limits, &mut errors);
    check_numbers(event, limits, &mut errors);
    if event.schema_version != SCHEMA_VERSION {
        errors.push(FieldError::new("schema_version", format!("must be {SCHEMA_VERSION}")));
    }
    if event.currency.as_ref().is_some_and(|c| c.len() != 3 || !c.bytes().all(|b| b.is_ascii_uppercase())) {
        errors.push(FieldError::new("currency", "must be an ISO 4217 code: three capital letters, like EUR"));
    }
    // Compared as a difference: adding to a time near the end of the calendar would overflow.
    if event.time.signed_duration_since(now) > limits.ahead {
        let seconds = limits.ahead.num_seconds();
        errors.push(FieldError::new(
            "time",
            format!("must not be more than {seconds} s ahead of the server's clock"),
        ));
    }
    for field in required(event.event_type) {
        if !has(event, field) {
            errors.push(FieldError::new(field, format!("is required for {}", event.event_type)));
        }
    }
    let priced = event.price_minor.is_some() || event.value_minor.is_some();
    if priced && event.currency.is_none() && !errors.iter().any(|e| e.field == "currency") {
        errors.push(FieldError::new("currency", "is required with price_minor or value_minor"));
    }
    errors.sort_by_key(|e| FIELDS.iter().position(|field| *field == e.field));
    errors
}

fn check_texts(event: &Event, limits: &Limits, errors: &mut Vec<FieldError>) {
    let texts = [
        ("id", Some(&event.id)),
        ("source", Some(&event.source)),
        ("session_id", Some(&event.session_id)),
        ("anonymous_id", Some(&event.anonymous_id)),
        ("user_id", event.user_id.as_ref()),
        ("cart_id", event.cart_id.as_ref()),
        ("order_id", event.order_id.as_ref()),
    ];
    for (field, text) in texts {
        if let Some(problem) = text.and_then(|text| text_problem(text, limits)) {
            errors.push(FieldError::new(field, problem));
        }
    }
}

fn check_numbers(event: &Event, limits: &Limits, errors: &mut Vec<FieldError>) {
    let least_value = i64::from(event.event_type == EventType::Refund);
    let numbers = [
        ("product_id", event.product_id, 1, i64::MAX),
        ("category_id", event.category_id, 1, i64::MAX),
        ("quantity", event.quantity, 1, limits.quantity),
        ("price_minor", event.price_minor, 0, limits.price_minor),
        ("line", event.line, 1, i64::from(i32::MAX)),
        ("value_minor", event.value_minor, least_value, limits.price_minor),
    ];
    for (field, number, low, high) in numbers {
        if number.is_some_and(|n| !(low..=high).contains(&n)) {
            let problem = match high {
                i64::MAX => format!("must be at least {low}"),
                _ => format!("must be from {low} to {high}"),
            };
            errors.push(FieldError::new(field, problem));
        }
    }
}

const FIELDS: [&str; 20] = [
    "id",
    "source",
    "type",
    "time",
    "received_at",
    "sent_at",
    "schema_version",
    "session_id",
    "anonymous_id",
    "user_id",
    "traffic",
    "product_id",
    "category_id",
    "quantity",
    "price_minor",
    "currency",
    "cart_id",
    "order_id",
    "line",
    "value_minor",
];

const fn required(event_type: EventType) -> &'static [&'static str] {
    match event_type {
        EventType::ViewItemList => &[],
        EventType::ViewItem => &["product_id"],
        EventType::AddToCart | EventType::RemoveFromCart => &["product_id", "quantity", "cart_id"],
        EventType::ViewCart | EventType::BeginCheckout | EventType::AddPaymentInfo => &["cart_id"],
        EventType::Purchase => &["currency", "cart_id", "order_id", "value_minor"],
        EventType::PurchaseItem => &[
            "product_id",
            "quantity",
            "price_minor",
            "currency",
            "cart_id",
            "order_id",
            "line",
            "value_minor",
        ],
        EventType::Refund => &["currency", "order_id", "value_minor"],
    }
}

fn has(event: &Event, field: &str) -> bool {
    match field {
        "product_id" => event.product_id.is_some(),
        "quantity" => event.quantity.is_some(),
        "price_minor" => event.price_minor.is_some(),
        "currency" => event.currency.is_some(),
        "cart_id" => event.cart_id.is_some(),
        "order_id" => event.order_id.is_some(),
        "line" => event.line.is_some(),
        "value_minor" => event.value_minor.is_some(),
        _ => false,
    }
}

fn text_problem(text: &str, limits: &Limits) -> Option<String> {
    if text.is_empty() {
        // An empty order id would make all such orders one: GA4 has this trap.
        Some("must not be empty".to_owned())
    } else if text.len() > limits.text_bytes {
        Some(format!("must be at most {} bytes, has {}", limits.text_bytes, text.len()))
    } else if text.chars().any(char::is_control) {
        Some("must not hold control characters".to_owned())
    } else {
        None
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

struct Reader<'a> {
    object: &'a Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Reader<'_> {
    fn wrong(&mut self, field: &'static str, problem: String) {
        self.errors.push(FieldError { field, problem });
    }

    fn required<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        if self.object.get(field).is_none_or(Value::is_null) {
            self.wrong(field, "is required".to_owned());
        }
        read(self, field)
    }

    fn event_type(&mut self) -> Option<EventType> {
        let name = self.required("type", Reader::text)?;
        let found = canonical(&name);
        if found.is_none() {
            let known = EventType::names().join(", ");
            let problem = format!("unknown event type; use one of {known}, or a Segment or Shopify name");
            self.wrong("type", problem);
        }
        found
    }

    fn traffic(&mut self) -> Option<Traffic> {
        let found = self.text("traffic")?.parse::<Traffic>();
        if found.is_err() {
            self.wrong("traffic", "must be human, bot, test or staff".to_owned());
        }
        found.ok()
    }

    fn text(&mut self, field: &'static str) -> Option<String> {
        match self.object.get(field)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => {
                self.wrong(field, format!("must be a text, is {}", kind(other)));
                None
            }
        }
    }

    fn int(&mut self, field: &'static str) -> Option<i64> {
        let value = self.object.get(field)?;
        let number = value.as_i64();
        if number.is_none() && !value.is_null() {
            let is = if value.is_number() { "another number" } else { kind(value) };
            self.wrong(field, format!("must be a whole number of 64 bits, is {is}"));
        }
        number
    }

    fn time(&mut self, field: &'static str) -> Option<DateTime<Utc>> {
        let text = self.text(field)?;
        let time = wire_time::parse(&text);
        if time.is_err() {
            self.wrong(field, "must be an RFC 3339 time, like 2026-01-05T00:00:01.250Z".to_owned());
        }
        time.ok()
    }
}
