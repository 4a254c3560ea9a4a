//! Validation of incoming events: what is refused and how it is said; nothing panics.

use chrono::{DateTime, TimeDelta, Utc};
use events::{Event, EventType, FieldError, Limits, Traffic, accept, check, wire_time};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn now() -> DateTime<Utc> {
    wire_time::parse("2026-01-05T12:00:00Z").unwrap()
}

/// A valid `add_to_cart`, with changes.
fn incoming(changes: Value) -> Value {
    let mut event = json!({
        "id": "e-1", "type": "add_to_cart", "time": "2026-01-05T11:59:59.5Z", "session_id": "s", "anonymous_id": "a",
        "product_id": 3, "quantity": 2, "price_minor": 1999, "currency": "EUR", "cart_id": "c",
    });
    let object = event.as_object_mut().unwrap();
    for (field, value) in changes.as_object().unwrap() {
        object.insert(field.clone(), value.clone());
    }
    event
}

fn read(value: &Value) -> Result<Event, Vec<FieldError>> {
    accept(value, now(), &Limits::default(), || "made".to_owned())
}

/// The findings as `field: problem`.
fn problems(changes: Value) -> Vec<String> {
    read(&incoming(changes)).unwrap_err().iter().map(|e| format!("{}: {}", e.field, e.problem)).collect()
}

#[test]
fn a_valid_event_and_its_defaults() {
    let event = read(&incoming(json!({"id": null, "extra": [1]}))).unwrap();
    assert_eq!((event.id.as_str(), event.source.as_str(), event.traffic), ("made", "web", Traffic::Human));
    assert_eq!(event.received_at, Some(now()));
    let event =
        read(&incoming(json!({"traffic": "staff", "source": "app", "type": "PRODUCT ADDED"}))).unwrap();
    assert_eq!(
        (event.traffic, event.event_type, event.id.as_str()),
        (Traffic::Staff, EventType::AddToCart, "e-1")
    );
    // The client does not say when we got it.
    let event = read(&incoming(json!({"received_at": "2020-01-01T00:00:00Z"}))).unwrap();
    assert_eq!(event.received_at, Some(now()));
}

#[test]
fn all_findings_come_at_once_in_the_order_of_the_format() {
    let changes = json!({
        "type": "buy", "time": "noon", "session_id": "", "anonymous_id": 7, "traffic": "alien", "schema_version": 2,
        "product_id": 0, "quantity": 1.5, "price_minor": -1, "currency": "euro", "cart_id": "a\nb", "line": "1",
    });
    let found = problems(changes);
    insta::assert_snapshot!(found.join("\n"), @r#"
    type: unknown event type; use one of view_item_list, view_item, add_to_cart, remove_from_cart, view_cart, begin_checkout, add_payment_info, purchase, purchase_item, refund, or a Segment or Shopify name
    time: must be an RFC 3339 time, like 2026-01-05T00:00:01.250Z
    schema_version: must be 1
    session_id: must not be empty
    anonymous_id: must be a text, is a number
    traffic: must be human, bot, test or staff
    product_id: must be at least 1
    quantity: must be a whole number of 64 bits, is another number
    price_minor: must be from 0 to 1000000000
    currency: must be an ISO 4217 code: three capital letters, like EUR
    cart_id: must not hold control characters
    line: must be a whole number of 64 bits, is a text
    "#);
}

#[test]
fn bounds() {
    let long = "x".repeat(129);
    assert_eq!(problems(json!({"cart_id": long})), ["cart_id: must be at most 128 bytes, has 129"]);
    assert!(read(&incoming(json!({"cart_id": "x".repeat(128)}))).is_ok());
    assert_eq!(problems(json!({"quantity": 1001})), ["quantity: must be from 1 to 1000"]);
    assert!(read(&incoming(json!({"quantity": 1000}))).is_ok());
    assert_eq!(
        problems(json!({"price_minor": 1_000_000_001})),
        ["price_minor: must be from 0 to 1000000000"]
    );
    assert_eq!(problems(json!({"product_id": -3})), ["product_id: must be at least 1"]);
    assert_eq!(
        problems(json!({"currency": null})),
        ["currency: is required with price_minor or value_minor"]
    );
    assert!(read(&incoming(json!({"currency": null, "price_minor": null}))).is_ok());
    assert_eq!(
        problems(json!({"time": "2026-01-05T12:05:00.001Z"})),
        ["time: must not be more than 300 s ahead of the server's clock"]
    );
    assert!(read(&incoming(json!({"time": "2026-01-05T13:05:00+01:00"}))).is_ok());
    assert_eq!(problems(json!({"time": null})), ["time: is required"]);
    assert_eq!(
        problems(json!({"quantity": 1e30})),
        ["quantity: must be a whole number of 64 bits, is another number"]
    );
}

#[test]
fn required_fields_by_type() {
    let bare = |t: EventType| json!({"type": t.name(), "time": "2026-01-05T12:00:00Z", "session_id": "s", "anonymous_id": "a"});
    let missing = |t| -> Vec<&str> {
        read(&bare(t)).map_or_else(|errors| errors.iter().map(|e| e.field).collect(), |_| Vec::new())
    };
    assert_eq!(missing(EventType::ViewItemList), [""; 0]);
    assert_eq!(missing(EventType::ViewItem), ["product_id"]);
    assert_eq!(missing(EventType::AddToCart), ["product_id", "quantity", "cart_id"]);
    assert_eq!(missing(EventType::RemoveFromCart), ["product_id", "quantity", "cart_id"]);
    for t in [EventType::ViewCart, EventType::BeginCheckout, EventType::AddPaymentInfo] {
        assert_eq!(missing(t), ["cart_id"]);
    }
    assert_eq!(missing(EventType::Purchase), ["currency", "cart_id", "order_id", "value_minor"]);
    assert_eq!(
        missing(EventType::PurchaseItem),
        ["product_id", "quantity", "price_minor", "currency", "cart_id", "order_id", "line", "value_minor"]
    );
    assert_eq!(missing(EventType::Refund), ["currency", "order_id", "value_minor"]);
    let order = json!({"type": "refund", "order_id": "", "value_minor": 0});
    assert_eq!(
        problems(order),
        ["order_id: must not be empty", "value_minor: must be from 1 to 1000000000"],
        "an empty order id would make all such orders one"
    );
}

#[test]
fn what_is_no_object() {
    for (value, is) in
        [(json!([]), "an array"), (json!(1), "a number"), (Value::Null, "null"), (json!("x"), "a text")]
    {
        let errors = read(&value).unwrap_err();
        assert_eq!(
            (errors[0].field, errors[0].problem.clone()),
            ("event", format!("must be a JSON object, is {is}"))
        );
    }
    let json = serde_json::to_value(read(&json!({})).unwrap_err()).unwrap();
    assert_eq!(json[0], json!({"field": "type", "problem": "is required"}));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(EventType::names().to_vec()).prop_map(Value::from),
        Just(json!("+262142-12-31T23:59:59Z")),
        Just(json!("9999-12-31T23:59:59.999Z")),
        Just(json!("0000-01-01T00:00:00+23:59")),
        Just(json!("2026-01-05T00:00:00Z")),
        Just(json!("EUR")),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::from(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
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

proptest! {
    #[test]
    fn nothing_panics_and_what_is_accepted_holds(
        changes in prop::collection::btree_map(prop::sample::select(FIELDS.to_vec()), any_json(), 0..6),
        minutes_ahead in any::<i32>(),
    ) {
        let limits = Limits { ahead: TimeDelta::minutes(i64::from(minutes_ahead)), ..Limits::default() };
        let changes: Map<_, _> = changes.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        match accept(&incoming(Value::Object(changes)), now(), &limits, || "made".to_owned()) {
            Ok(event) => {
                prop_assert_eq!(check(&event, now(), &limits), []);
                let text = serde_json::to_string(&event).unwrap();
                let read: Event = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(read.id, event.id);
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                prop_assert!(errors.iter().all(|e| FIELDS.contains(&e.field) && !e.problem.is_empty()));
                let fields: std::collections::HashSet<_> = errors.iter().map(|e| e.field).collect();
                prop_assert_eq!(fields.len(), errors.len(), "one finding per field");
            }
        }
    }

    #[test]
    fn any_json_at_all(value in any_json()) {
        // None of these has the fields of an event by its keys; what counts is that it is said, not thrown.
        prop_assert!(read(&value).is_err());
        prop_assert!(serde_json::from_value::<Event>(value).is_err());
    }

    #[test]
    fn names_never_panic(name in any::<String>()) {
        prop_assert!(events::canonical(&name).is_none_or(|t| EventType::ALL.contains(&t)));
    }
}
