//! The router with its parts, called without a socket.

use std::sync::Arc;

use api::live::redis::{RedisLive, RedisSettings};
use api::publish::memory::MemoryPublisher;
use api::{ApiConfig, AppState, AppStateBuilder, EventPublisher};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;
use uuid::Uuid;

use super::database::TestDb;
use super::services;

/// A browser that is not taken for a program.
pub(crate) const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0 Safari/537.36";

/// An app with a database, a list for Kafka, and Redis.
pub(crate) struct TestApp {
    pub(crate) db: Option<TestDb>,
    pub(crate) events: Arc<MemoryPublisher>,
    pub(crate) shop: String,
    pub(crate) router: Router,
}

/// A shop name of the test's own.
pub(crate) fn new_shop() -> String {
    format!("test-{}", Uuid::new_v4().simple())
}

/// A state without a database.
pub(crate) fn builder(publisher: Arc<dyn EventPublisher>, shop: &str) -> AppStateBuilder {
    let live = RedisLive::connect(RedisSettings::new(services::redis_url(), shop)).unwrap();
    AppState::builder(publisher, Arc::new(live))
}

impl TestApp {
    pub(crate) async fn new() -> Self {
        Self::with(ApiConfig::default()).await
    }

    pub(crate) async fn with(config: ApiConfig) -> Self {
        let db = TestDb::create().await;
        let mut app = Self::without_database(config.clone());
        let state = builder(app.events.clone(), &app.shop).config(config).database(db.pool.clone());
        app.router = api::router(state.build());
        app.db = Some(db);
        app
    }

    pub(crate) fn without_database(config: ApiConfig) -> Self {
        let (events, shop) = (Arc::new(MemoryPublisher::new()), new_shop());
        let router = api::router(builder(events.clone(), &shop).config(config).build());
        Self { db: None, events, shop, router }
    }

    pub(crate) fn db(&self) -> &TestDb {
        self.db.as_ref().unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Reply { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(request(Method::DELETE, path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(json(Method::PUT, path, &body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(json(Method::POST, path, &body)).await
    }

    /// A new cart with these products and quantities; its id.
    pub(crate) async fn cart(&self, items: &[(i64, i32)]) -> String {
        let reply = self.post("/v1/carts", Value::Null).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let id = reply.json()["id"].as_str().unwrap().to_owned();
        for (product, quantity) in items {
            let path = format!("/v1/carts/{id}/items/{product}");
            let reply = self.put(&path, serde_json::json!({ "quantity": quantity })).await;
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        }
        id
    }

    pub(crate) async fn order(&self, cart: &str) -> Reply {
        self.post("/v1/orders", serde_json::json!({ "cart_id": cart })).await
    }
}

/// A request of a visitor with a browser.
pub(crate) fn request(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("user-agent", BROWSER)
        .header("x-visitor-id", "visitor-1")
        .header("x-session-id", "session-1")
}

pub(crate) fn json(method: Method, path: &str, body: &Value) -> Request<Body> {
    request(method, path)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

/// An answer, read to its end.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as a problem, after checking that it is one.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:plamatio:problem:{code}"), "{problem}");
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        problem
    }
}
