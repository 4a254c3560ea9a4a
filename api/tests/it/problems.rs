//! Errors are RFC 9457 problems, whatever goes wrong.

use api::ApiConfig;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::support::app::{TestApp, request};
use crate::support::pretty;

fn app() -> TestApp {
    TestApp::without_database(ApiConfig::default())
}

#[tokio::test]
async fn the_shape() {
    let app = app();
    let reply = app.get("/v1/nowhere").await;
    insta::assert_snapshot!(pretty(&reply.json()), @r#"
        {
          "detail": "route /v1/nowhere not found",
          "status": 404,
          "title": "Not found",
          "type": "urn:plamatio:problem:not-found"
        }
        "#);
    let invalid = app.get("/v1/live/conversion?windows=0").await.json();
    insta::assert_snapshot!(pretty(&invalid), @r#"
        {
          "detail": "windows: must be from 1 to 500",
          "errors": [
            {
              "field": "windows",
              "problem": "must be from 1 to 500"
            }
          ],
          "status": 422,
          "title": "The request is not valid",
          "type": "urn:plamatio:problem:invalid-request"
        }
        "#);
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[tokio::test]
async fn routes_and_methods() {
    let app = app();
    for path in ["/v1", "/v1/", "/v1/products/", "/index.php", "/v1/carts/x/items", "/%ff"] {
        app.get(path).await.problem(404, "not-found");
    }
    let reply = app.delete("/v1/products").await;
    reply.problem(405, "method-not-allowed");
    assert_eq!(reply.header("allow"), "GET,HEAD");
    app.get("/v1/events").await.problem(405, "method-not-allowed");
    app.post("/", json!({})).await.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn without_a_database_the_storefront_says_so() {
    let app = app();
    let id = uuid::Uuid::new_v4();
    let replies = [
        app.get("/v1/products").await,
        app.get("/v1/products/1").await,
        app.post("/v1/carts", json!({})).await,
        app.get(&format!("/v1/carts/{id}")).await,
        app.put(&format!("/v1/carts/{id}/items/1"), json!({"quantity": 1})).await,
        app.delete(&format!("/v1/carts/{id}/items/1")).await,
        app.post("/v1/orders", json!({ "cart_id": id })).await,
        app.get(&format!("/v1/orders/{id}")).await,
    ];
    for reply in replies {
        let problem = reply.problem(503, "storefront-off");
        assert!(problem["detail"].as_str().unwrap().contains("DATABASE_URL"));
    }
}

#[tokio::test]
async fn bodies() {
    let app = TestApp::new().await;
    let order = |content_type: &str, body: String| {
        request(Method::POST, "/v1/orders")
            .header("content-type", content_type)
            .body(Body::from(body))
            .unwrap()
    };
    app.send(order("application/json", "{".into())).await.problem(400, "bad-request");
    app.send(order("application/json", String::new())).await.problem(400, "bad-request");
    app.send(order("application/json", "{}".into())).await.problem(422, "invalid-request");
    app.send(order("application/json", r#"{"cart_id": 7}"#.into())).await.problem(422, "invalid-request");
    app.send(order("text/plain", "{}".into())).await.problem(415, "unsupported-media-type");
    let large = json!({ "cart_id": "x".repeat(70_000) }).to_string();
    app.send(order("application/json", large)).await.problem(413, "too-large");
    let nested = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let nested = request(Method::POST, "/v1/events")
        .header("content-type", "application/json")
        .body(Body::from(nested))
        .unwrap();
    app.send(nested).await.problem(400, "bad-request");
}

#[tokio::test]
async fn a_schema_that_is_missing_is_our_fault_and_stays_inside() {
    let app = TestApp::new().await;
    app.db().run("ALTER TABLE products RENAME TO elsewhere").await;
    let reply = app.get("/v1/products").await;
    reply.problem(500, "internal");
    assert!(!reply.text().contains("products\\\" does not exist") && !reply.text().contains("relation"));
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_503() {
    let app = TestApp::new().await;
    app.db().pool.close().await;
    app.get("/v1/products").await.problem(503, "database-unavailable");
    let ready = app.get("/readyz").await;
    assert_eq!(
        (ready.status, &ready.json()["parts"]["postgres"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable"))
    );
    assert_eq!(app.get("/livez").await.status, StatusCode::OK);
}

#[tokio::test]
async fn request_ids_and_origins() {
    let app = app();
    let made = app.get("/livez").await.header("x-request-id").to_owned();
    assert!(uuid::Uuid::parse_str(&made).is_ok());
    for (sent, kept) in [("abc-1.2_3", true), ("two words", false), (&"x".repeat(65), false)] {
        let request =
            request(Method::GET, "/nowhere").header("x-request-id", sent).body(Body::empty()).unwrap();
        assert_eq!(app.send(request).await.header("x-request-id") == sent, kept, "{sent}");
    }

    let from =
        |origin: &str| request(Method::GET, "/livez").header("origin", origin).body(Body::empty()).unwrap();
    assert_eq!(app.send(from("https://shop.example")).await.header("access-control-allow-origin"), "");
    let config = ApiConfig { cors_origins: vec!["https://shop.example".into()], ..ApiConfig::default() };
    let app = TestApp::without_database(config);
    let allowed = app.send(from("https://shop.example")).await;
    assert_eq!(allowed.header("access-control-allow-origin"), "https://shop.example");
    assert_eq!(app.send(from("https://other.example")).await.header("access-control-allow-origin"), "");
    let preflight = request(Method::OPTIONS, "/v1/orders")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,idempotency-key")
        .body(Body::empty())
        .unwrap();
    let reply = app.send(preflight).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.header("access-control-allow-headers").contains("idempotency-key"));
}
