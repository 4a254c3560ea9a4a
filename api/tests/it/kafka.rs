//! The Kafka publisher against librdkafka's mock broker: the wire format, and a broker that goes and comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::publish::kafka::{KafkaPublisher, KafkaSettings};
use api::relay::{self, RelayConfig};
use api::{ApiConfig, EventPublisher, Record};
use axum::http::StatusCode;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{ClientConfig, Message};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::app::{TestApp, builder};
use crate::support::{PATIENCE, eventually};

type Mock = MockCluster<'static, DefaultProducerContext>;

const TOPICS: [&str; 3] = ["product-views", "cart-events", "order-events"];

fn cluster() -> Mock {
    let mock = MockCluster::new(1).unwrap();
    for topic in TOPICS {
        mock.create_topic(topic, 4, 1).unwrap();
    }
    mock
}

fn publisher(mock: &Mock) -> Arc<KafkaPublisher> {
    let mut settings = KafkaSettings::new(mock.bootstrap_servers());
    settings.delivery_timeout = Duration::from_secs(2);
    Arc::new(KafkaPublisher::connect(settings).unwrap())
}

fn consumer(mock: &Mock) -> StreamConsumer {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", mock.bootstrap_servers())
        .set("group.id", "test")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&TOPICS).unwrap();
    consumer
}

async fn next(consumer: &StreamConsumer) -> BorrowedMessage<'_> {
    tokio::time::timeout(PATIENCE, consumer.recv()).await.expect("a message in time").unwrap()
}

fn headers(message: &BorrowedMessage<'_>) -> BTreeMap<String, String> {
    let headers = message.headers().unwrap();
    headers
        .iter()
        .map(|header| (header.key.to_owned(), String::from_utf8(header.value.unwrap().to_vec()).unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_travels_to_kafka_with_key_headers_and_timestamp() {
    let mock = cluster();
    let app = TestApp::new().await;
    let order = app.order(&app.cart(&[(1, 2), (9, 1)]).await).await.json();
    let token = CancellationToken::new();
    let relay = tokio::spawn(relay::run(
        app.db().pool.clone(),
        publisher(&mock),
        RelayConfig::default(),
        token.clone(),
    ));
    let consumer = consumer(&mock);
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for _ in 0..5 {
        let message = next(&consumer).await;
        let event: events::Event = serde_json::from_slice(message.payload().unwrap()).unwrap();
        assert_eq!(message.key(), Some(b"visitor-1".as_slice()));
        assert_eq!(message.timestamp().to_millis(), Some(event.time.timestamp_millis()));
        let headers = headers(&message);
        assert_eq!(headers["ce_id"], event.id);
        assert_eq!((headers["ce_source"].as_str(), headers["ce_specversion"].as_str()), ("api", "1.0"));
        if event.order_id.is_some() {
            assert_eq!(json!(event.order_id), order["id"]);
        }
        kinds.entry(message.topic().to_owned()).or_default().push(headers["ce_type"].clone());
    }
    assert_eq!(kinds["cart-events"], ["add_to_cart", "add_to_cart"]);
    assert_eq!(kinds["order-events"], ["purchase", "purchase_item", "purchase_item"]);
    token.cancel();
    relay.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_was_down_gets_everything_in_order() {
    let mock = cluster();
    let app = TestApp::new().await;
    let token = CancellationToken::new();
    let config = RelayConfig {
        backoff: (Duration::from_millis(10), Duration::from_millis(200)),
        ..RelayConfig::default()
    };
    let relay = tokio::spawn(relay::run(app.db().pool.clone(), publisher(&mock), config, token.clone()));
    let cart = app.cart(&[(1, 1)]).await;
    let pending = "SELECT count(*) FROM outbox WHERE published_at IS NULL";
    eventually("the first is sent", || async { app.db().count(pending).await == 0 }).await;
    mock.broker_down(-1).unwrap();
    for quantity in 2..=6 {
        let path = format!("/v1/carts/{cart}/items/1");
        assert_eq!(app.put(&path, json!({ "quantity": quantity })).await.status, StatusCode::OK);
    }
    assert_eq!(app.order(&cart).await.status, StatusCode::CREATED, "orders do not need Kafka");
    assert_eq!(app.db().count(pending).await, 7);
    mock.broker_up(-1).unwrap();
    eventually("all are sent", || async { app.db().count(pending).await == 0 }).await;
    token.cancel();
    relay.await.unwrap();

    let sent: Vec<(String, String)> = sqlx::query_as("SELECT topic, event_id FROM outbox ORDER BY id")
        .fetch_all(&app.db().pool)
        .await
        .unwrap();
    let consumer = consumer(&mock);
    let mut got: Vec<(String, String)> = Vec::new();
    while got.len() < sent.len() {
        let message = next(&consumer).await;
        let entry = (message.topic().to_owned(), headers(&message)["ce_id"].clone());
        if !got.contains(&entry) {
            got.push(entry);
        }
    }
    for topic in ["cart-events", "order-events"] {
        let of = |list: &[(String, String)]| -> Vec<String> {
            list.iter().filter(|(name, _)| name == topic).map(|(_, id)| id.clone()).collect()
        };
        assert_eq!(of(&got), of(&sent), "{topic}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn collected_events_are_answered_after_kafka_has_them() {
    let mock = cluster();
    let app = TestApp::without_database(ApiConfig::default());
    let config = ApiConfig { publish_timeout: Duration::from_millis(1500), ..ApiConfig::default() };
    let state = builder(publisher(&mock), &app.shop).config(config).build();
    let app = TestApp { router: api::router(state), ..app };
    let batch: Vec<_> = (0..100)
        .map(|n| {
            json!({ "id": format!("e-{n}"), "type": "view_item", "product_id": 1, "time": chrono::Utc::now(),
                    "anonymous_id": "visitor", "session_id": "s" })
        })
        .collect();
    assert_eq!(app.post("/v1/events", json!(batch)).await.status, StatusCode::OK);
    let consumer = consumer(&mock);
    for n in 0..100 {
        assert_eq!(headers(&next(&consumer).await)["ce_id"], format!("e-{n}"), "the batch's order is kept");
    }
    mock.broker_down(-1).unwrap();
    app.post("/v1/events", json!(batch[..1])).await.problem(503, "kafka-unavailable");
    let ready = app.get("/readyz").await;
    assert_eq!(
        (ready.status, &ready.json()["parts"]["kafka"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable"))
    );
    mock.broker_up(-1).unwrap();
    eventually("events are taken again", || async {
        app.post("/v1/events", json!(batch[..1])).await.status == StatusCode::OK
    })
    .await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_named() {
    let mut settings = KafkaSettings::new("localhost:1");
    settings.properties.insert("no.such.property".into(), "secret".into());
    assert!(!format!("{settings:?}").contains("secret"), "values may be passwords");
    let error = KafkaPublisher::connect(settings).err().unwrap().to_string();
    assert!(error.contains("no.such.property"), "{error}");
}

#[tokio::test]
async fn a_record_that_does_not_fit_fails_alone() {
    let mock = cluster();
    let record = |bytes: usize| Record {
        topic: "cart-events".into(),
        key: "k".into(),
        payload: "x".repeat(bytes),
        headers: vec![],
        event_time: chrono::Utc::now(),
    };
    let results = publisher(&mock).publish(&[record(1), record(2_000_000), record(1)]).await;
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
}
