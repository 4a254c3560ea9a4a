//! Live values from a real Redis.

use std::pin::pin;
use std::time::Duration;

use api::live::redis::{RedisLive, RedisSettings};
use api::live::{LiveChange, LiveReader};
use axum::body::{Body, BodyDataStream};
use axum::http::{Method, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use events::{LiveWindow, live, wire_time};
use futures::StreamExt;
use redis::AsyncCommands;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::app::{TestApp, new_shop, request};
use crate::support::{PATIENCE, services};
use api::ApiConfig;

const METRIC: &str = "conversion";

fn end(minute: i64) -> DateTime<Utc> {
    wire_time::parse("2026-01-01T00:00:00Z").unwrap() + TimeDelta::minutes(minute)
}

fn window(minute: i64, revision: u64) -> LiveWindow {
    let row = json!({ "sessions": revision * 10, "conversion_rate": 0.03 });
    LiveWindow {
        metric: METRIC.into(),
        window_start: end(minute - 1),
        window_end: end(minute),
        epoch: 1,
        revision,
        is_final: false,
        updated_at: end(minute),
        rows: vec![row.as_object().unwrap().clone()],
    }
}

/// Writes as the sink does: hash, index, pointer, then the notification if wanted.
struct Writer {
    connection: redis::aio::MultiplexedConnection,
    shop: String,
}

impl Writer {
    async fn new(url: &str, shop: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        Self { connection: client.get_multiplexed_async_connection().await.unwrap(), shop: shop.to_owned() }
    }

    async fn write(&mut self, window: &LiveWindow, notify: bool) {
        let (shop, ms) = (&self.shop, window.window_end.timestamp_millis());
        let mut pipe = redis::pipe();
        let key = live::window_key(shop, METRIC, window.window_end);
        pipe.atomic().hset_multiple(&key, &window.to_fields()).ignore();
        pipe.expire(&key, 600).ignore();
        pipe.zadd(live::windows_key(shop, METRIC), ms, ms).ignore();
        pipe.expire(live::windows_key(shop, METRIC), 600).ignore();
        if notify {
            pipe.publish(live::channel(shop, METRIC), ms).ignore();
        }
        pipe.query_async::<()>(&mut self.connection).await.unwrap();
    }

    /// As the sink does: hash and index, then the notification.
    async fn take_back(&mut self, minute: i64) {
        let (shop, ms) = (&self.shop, end(minute).timestamp_millis());
        let mut pipe = redis::pipe();
        pipe.atomic().del(live::window_key(shop, METRIC, end(minute))).ignore();
        pipe.zrem(live::windows_key(shop, METRIC), ms).ignore();
        pipe.publish(live::channel(shop, METRIC), ms).ignore();
        pipe.query_async::<()>(&mut self.connection).await.unwrap();
    }

    async fn point(&mut self, minute: i64) {
        let key = live::current_key(&self.shop, METRIC);
        let _: () = self.connection.set_ex(key, end(minute).timestamp_millis(), 600).await.unwrap();
    }
}

fn app() -> TestApp {
    TestApp::without_database(ApiConfig::default())
}

#[tokio::test]
async fn windows_newest_first_and_the_current_one() {
    let app = app();
    let nothing = app.get("/v1/live/conversion").await;
    assert_eq!(nothing.status, StatusCode::OK);
    assert_eq!(nothing.json(), json!({ "metric": "conversion", "current": null, "windows": [] }));

    let mut writer = Writer::new(services::redis_url(), &app.shop).await;
    for minute in 1..=40 {
        writer.write(&window(minute, 1), false).await;
    }
    writer.point(3).await;
    let live = app.get("/v1/live/conversion").await.json();
    let ends: Vec<_> = live["windows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w["window_end"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ends.len(), 31, "30 newest and the current one");
    assert!(ends.is_sorted_by(|a, b| a > b));
    assert_eq!(
        (ends[0].as_str(), ends[30].as_str()),
        ("2026-01-01T00:40:00.000Z", "2026-01-01T00:03:00.000Z")
    );
    assert_eq!(live["current"], "2026-01-01T00:03:00.000Z");
    assert_eq!(serde_json::from_value::<LiveWindow>(live["windows"][0].clone()).unwrap(), window(40, 1));
    let two = app.get("/v1/live/conversion?windows=2").await.json();
    assert_eq!(two["windows"].as_array().unwrap().len(), 3);

    // An expired window stays in the index for a while; it is left out. So is one that does not read.
    let gone = live::window_key(&app.shop, METRIC, end(40));
    let _: () = writer.connection.del(&gone).await.unwrap();
    let bad = live::window_key(&app.shop, METRIC, end(39));
    let _: () = writer.connection.hset(&bad, "epoch", "?").await.unwrap();
    let live = app.get("/v1/live/conversion?windows=3").await.json();
    assert_eq!(live["windows"][0]["window_end"], "2026-01-01T00:38:00.000Z");
}

#[tokio::test]
async fn bad_requests() {
    let app = app();
    for path in ["/v1/live/conversion?windows=0", "/v1/live/conversion/stream?windows=501"] {
        assert_eq!(app.get(path).await.problem(422, "invalid-request")["errors"][0]["field"], "windows");
    }
    app.get("/v1/live/conversion?windows=x").await.problem(400, "bad-request");
    for metric in ["Conversion", "a-b", "..%2F..", "%00", "a:b"] {
        app.get(&format!("/v1/live/{metric}")).await.problem(404, "not-found");
        app.get(&format!("/v1/live/{metric}/stream")).await.problem(404, "not-found");
    }
}

/// Reads server-sent events.
struct Events {
    body: BodyDataStream,
    buffer: String,
}

impl Events {
    async fn open(app: &TestApp, path: &str) -> Self {
        let request = request(Method::GET, path).body(Body::empty()).unwrap();
        let response = app.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), buffer: String::new() }
    }

    /// The next block: the event's name and data, or a comment's.
    async fn next(&mut self) -> (String, Value) {
        let reading = async {
            loop {
                if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                    let field =
                        |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                    let event = field("event:").unwrap_or("comment").to_owned();
                    let data = field("data:").map_or(Value::Null, |data| serde_json::from_str(data).unwrap());
                    self.buffer = rest.to_owned();
                    return (event, data);
                }
                let chunk = self.body.next().await.expect("the stream goes on").unwrap();
                self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("an event in time")
    }
}

#[tokio::test]
async fn a_stream_opens_with_a_snapshot_and_tells_each_change() {
    let app = app();
    let mut writer = Writer::new(services::redis_url(), &app.shop).await;
    writer.write(&window(1, 1), true).await;
    writer.point(1).await;
    let mut events = Events::open(&app, "/v1/live/conversion/stream?windows=2").await;
    let (name, data) = events.next().await;
    assert_eq!((name.as_str(), &data["windows"][0]["revision"]), ("snapshot", &json!(1)));

    writer.write(&window(1, 2), true).await;
    let (name, data) = events.next().await;
    assert_eq!(name, "window");
    assert_eq!(serde_json::from_value::<LiveWindow>(data).unwrap(), window(1, 2));

    writer.point(2).await;
    writer.write(&window(2, 1), true).await;
    let (name, data) = events.next().await;
    assert_eq!((name.as_str(), &data["current"]), ("current", &json!("2026-01-01T00:02:00.000Z")));
    assert_eq!(events.next().await.1["window_end"], "2026-01-01T00:02:00.000Z");

    writer.write(&window(3, 1), true).await;
    assert_eq!(events.next().await.1["window_end"], "2026-01-01T00:03:00.000Z");
    let closed = LiveWindow { is_final: true, ..window(3, 2) };
    writer.write(&window(1, 3), true).await; // no longer among the two newest, nor current
    writer.write(&closed, true).await;
    let (_, data) = events.next().await;
    assert_eq!((&data["window_end"], &data["is_final"]), (&json!("2026-01-01T00:03:00.000Z"), &json!(true)));
}

#[tokio::test]
async fn a_lost_notification_is_made_good_by_the_poll() {
    let app = app();
    let mut writer = Writer::new(services::redis_url(), &app.shop).await;
    let mut events = Events::open(&app, "/v1/live/conversion/stream").await;
    assert_eq!(events.next().await.0, "snapshot");
    writer.write(&window(1, 1), false).await;
    assert_eq!(events.next().await.1["window_end"], "2026-01-01T00:01:00.000Z");
}

#[tokio::test]
async fn a_window_that_was_taken_back_is_in_the_next_snapshot_no_more() {
    let app = app();
    let mut writer = Writer::new(services::redis_url(), &app.shop).await;
    writer.write(&window(1, 1), false).await;
    writer.write(&window(2, 1), false).await;
    let mut events = Events::open(&app, "/v1/live/conversion/stream").await;
    assert_eq!(events.next().await.1["windows"].as_array().unwrap().len(), 2);
    // A notification is lost where nobody has subscribed yet.
    let (name, live) = loop {
        writer.take_back(2).await;
        if let Ok(event) = tokio::time::timeout(Duration::from_millis(200), events.next()).await {
            break event;
        }
    };
    assert_eq!((name.as_str(), live["windows"].as_array().unwrap().len()), ("snapshot", 1));
    assert_eq!(live["windows"][0]["window_end"], "2026-01-01T00:01:00.000Z");
}

#[tokio::test]
async fn a_silent_stream_has_a_heartbeat() {
    let config = ApiConfig { heartbeat: Duration::from_millis(20), ..ApiConfig::default() };
    let app = TestApp::without_database(config);
    let mut events = Events::open(&app, "/v1/live/conversion/stream").await;
    assert_eq!(events.next().await.0, "snapshot");
    assert_eq!(events.next().await.0, "comment");
}

#[tokio::test]
async fn streams_are_bounded_and_their_places_come_back() {
    let app = TestApp::without_database(ApiConfig { max_streams: 1, ..ApiConfig::default() });
    let first = Events::open(&app, "/v1/live/conversion/stream").await;
    app.get("/v1/live/conversion/stream").await.problem(503, "too-many-streams");
    drop(first);
    Events::open(&app, "/v1/live/conversion/stream").await;
}

#[tokio::test]
async fn a_redis_that_goes_and_comes_back() {
    let (port, redis) = services::start_redis();
    let url = format!("redis://127.0.0.1:{port}");
    let shop = new_shop();
    let mut settings = RedisSettings::new(&url, &shop);
    settings.poll = Duration::from_millis(50);
    settings.timeout = Duration::from_millis(500);
    let reader = RedisLive::connect(settings).unwrap();
    let mut changes = pin!(reader.subscribe(METRIC));
    let mut next = async || {
        let change = tokio::time::timeout(PATIENCE, changes.next()).await.expect("a change in time").unwrap();
        let LiveChange::Window { window, .. } = change else { panic!("{change:?}") };
        (*window).clone()
    };
    Writer::new(&url, &shop).await.write(&window(1, 1), true).await;
    assert_eq!(next().await, window(1, 1));
    assert_eq!(reader.windows(METRIC, 5).await.unwrap(), [window(1, 1)]);
    services::stop(redis);
    assert!(reader.check().await.is_err());
    assert!(reader.windows(METRIC, 5).await.is_err());

    let redis = services::start_redis_at(port);
    Writer::new(&url, &shop).await.write(&window(1, 2), false).await;
    assert_eq!(next().await, window(1, 2), "the subscription goes on by itself");
    assert_eq!(reader.windows(METRIC, 5).await.unwrap(), [window(1, 2)]);
    services::stop(redis);
}

#[tokio::test]
async fn shop_names_that_would_break_keys_are_refused() {
    for shop in ["", "a{b", "a*", "a[b"] {
        assert!(RedisLive::connect(RedisSettings::new(services::redis_url(), shop)).is_err());
    }
}
