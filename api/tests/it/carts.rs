//! Carts and the events of their changes.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{TestApp, request};
use crate::support::pretty;

/// Payloads in the outbox, by rising id.
pub(crate) async fn outbox(app: &TestApp) -> Vec<Value> {
    let payloads: Vec<String> =
        sqlx::query_scalar("SELECT payload FROM outbox ORDER BY id").fetch_all(&app.db().pool).await.unwrap();
    payloads.iter().map(|payload| serde_json::from_str(payload).unwrap()).collect()
}

#[tokio::test]
async fn quantities_are_set_and_differences_are_events() {
    let app = TestApp::new().await;
    let id = app.cart(&[]).await;
    let item = format!("/v1/carts/{id}/items/2");
    for quantity in [2, 5, 5, 1] {
        let cart = app.put(&item, json!({ "quantity": quantity })).await.json();
        assert_eq!(cart["items"][0]["quantity"], quantity);
        assert_eq!(cart["total_minor"], 4900 * quantity);
    }
    assert_eq!(app.delete(&item).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.delete(&item).await.status, StatusCode::NO_CONTENT, "again: nothing to do");

    let events = outbox(&app).await;
    let changes: Vec<_> =
        events.iter().map(|e| (e["type"].as_str().unwrap(), e["quantity"].as_i64().unwrap())).collect();
    let (add, remove) = ("add_to_cart", "remove_from_cart");
    assert_eq!(changes, [(add, 2), (add, 3), (remove, 4), (remove, 1)]);
    for event in &events {
        assert_eq!(event["cart_id"], id);
        assert_eq!(
            (&event["anonymous_id"], &event["session_id"]),
            (&json!("visitor-1"), &json!("session-1"))
        );
        assert_eq!((&event["source"], &event["traffic"]), (&json!("api"), &json!("human")));
        assert_eq!((&event["product_id"], &event["category_id"]), (&json!(2), &json!(1)));
        assert_eq!((&event["price_minor"], &event["currency"]), (&json!(4900), &json!("EUR")));
        assert!(serde_json::from_value::<events::Event>(event.clone()).is_ok());
    }
    let rows: Vec<(String, String, Value)> =
        sqlx::query_as("SELECT topic, key, headers FROM outbox ORDER BY id")
            .fetch_all(&app.db().pool)
            .await
            .unwrap();
    for ((topic, key, headers), event) in rows.iter().zip(&events) {
        assert_eq!((topic.as_str(), key.as_str()), ("cart-events", "visitor-1"));
        assert_eq!((&headers["ce_id"], &headers["ce_type"]), (&event["id"], &event["type"]));
        assert_eq!(
            (&headers["ce_source"], &headers["content-type"]),
            (&json!("api"), &json!("application/json"))
        );
    }
}

#[tokio::test]
async fn a_cart_reads_as_it_was_written() {
    let app = TestApp::new().await;
    let id = app.cart(&[(5, 1), (1, 2)]).await;
    let cart = app.get(&format!("/v1/carts/{id}")).await.json();
    insta::assert_snapshot!(pretty(&redacted(cart)), @r#"
        {
          "created_at": "[time]",
          "currency": "EUR",
          "id": "[id]",
          "items": [
            {
              "name": "Halfmoon lamp",
              "price_minor": 6900,
              "product_id": 5,
              "quantity": 1,
              "total_minor": 6900
            },
            {
              "name": "Tidewater mug",
              "price_minor": 1490,
              "product_id": 1,
              "quantity": 2,
              "total_minor": 2980
            }
          ],
          "status": "open",
          "total_minor": 9880,
          "updated_at": "[time]"
        }
        "#);
}

/// Replaces what differs from run to run.
pub(crate) fn redacted(mut value: Value) -> Value {
    let object = value.as_object_mut().unwrap();
    for (name, entry) in object.iter_mut() {
        match name.as_str() {
            "id" | "cart_id" | "order_id" => *entry = json!("[id]"),
            "created_at" | "updated_at" | "time" => *entry = json!("[time]"),
            _ => {}
        }
    }
    value
}

#[tokio::test]
async fn a_cart_needs_its_visitor() {
    let app = TestApp::new().await;
    let bare = Request::post("/v1/carts").body(Body::empty()).unwrap();
    let problem = app.send(bare).await.problem(422, "visitor-required");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2);
    let long =
        Request::post("/v1/carts").header("x-visitor-id", "v".repeat(129)).body(Body::empty()).unwrap();
    assert_eq!(app.send(long).await.problem(422, "invalid-request")["errors"][0]["field"], "x-visitor-id");
    let strange =
        request(Method::POST, "/v1/carts").header("x-traffic", "alien").body(Body::empty()).unwrap();
    assert_eq!(app.send(strange).await.problem(422, "invalid-request")["errors"][0]["field"], "x-traffic");
}

#[tokio::test]
async fn traffic_and_trace_travel_with_the_events() {
    let app = TestApp::new().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let open = request(Method::POST, "/v1/carts").header("x-traffic", "staff").body(Body::empty()).unwrap();
    let id = app.send(open).await.json()["id"].as_str().unwrap().to_owned();
    for (traceparent, product) in [(trace, 1), ("00-nonsense-00f067aa0ba902b7-01", 2)] {
        let change = request(Method::PUT, &format!("/v1/carts/{id}/items/{product}"))
            .header("traceparent", traceparent)
            .header("content-type", "application/json")
            .body(Body::from(r#"{"quantity":1}"#))
            .unwrap();
        assert_eq!(app.send(change).await.status, StatusCode::OK);
    }
    assert!(outbox(&app).await.iter().all(|event| event["traffic"] == "staff"));
    let traces: Vec<Option<String>> =
        sqlx::query_scalar("SELECT headers->>'traceparent' FROM outbox ORDER BY id")
            .fetch_all(&app.db().pool)
            .await
            .unwrap();
    assert_eq!(traces, [Some(trace.to_owned()), None]);
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_allowed() {
    let app = TestApp::new().await;
    let id = app.cart(&[]).await;
    let nowhere = Uuid::new_v4();
    app.get(&format!("/v1/carts/{nowhere}")).await.problem(404, "not-found");
    app.put(&format!("/v1/carts/{nowhere}/items/1"), json!({"quantity": 1})).await.problem(404, "not-found");
    app.put(&format!("/v1/carts/{id}/items/999"), json!({"quantity": 1})).await.problem(404, "not-found");
    app.get("/v1/carts/17").await.problem(400, "bad-request");
    for quantity in [0, -1, 1000, i32::MAX] {
        let reply = app.put(&format!("/v1/carts/{id}/items/1"), json!({ "quantity": quantity })).await;
        assert_eq!(reply.problem(422, "invalid-request")["errors"][0]["field"], "quantity");
    }
    for body in [
        json!({}),
        json!({"quantity": "2"}),
        json!({"quantity": 1.5}),
        json!({"quantity": 1, "price_minor": 1}),
    ] {
        app.put(&format!("/v1/carts/{id}/items/1"), body).await.problem(422, "invalid-request");
    }
    assert!(outbox(&app).await.is_empty());

    app.db().run("UPDATE products SET currency = 'SEK' WHERE id = 2").await;
    app.put(&format!("/v1/carts/{id}/items/1"), json!({"quantity": 1})).await;
    app.put(&format!("/v1/carts/{id}/items/2"), json!({"quantity": 1}))
        .await
        .problem(409, "currency-mismatch");
}

#[tokio::test]
async fn a_cart_has_a_bound() {
    let app = TestApp::new().await;
    app.db()
        .run(
            "INSERT INTO products (id, category_id, name, price_minor, currency, stock)
             SELECT n, 1, 'p', 1, 'EUR', 1 FROM generate_series(1000, 1099) n;
             INSERT INTO carts VALUES ('00000000-0000-4000-8000-000000000001', 'a', 's', 'human', 'open', now(), now());
             INSERT INTO cart_items
             SELECT '00000000-0000-4000-8000-000000000001', n, 1, now() FROM generate_series(1000, 1099) n",
        )
        .await;
    let cart = "/v1/carts/00000000-0000-4000-8000-000000000001/items";
    app.put(&format!("{cart}/1"), json!({"quantity": 1})).await.problem(409, "cart-full");
    assert_eq!(app.put(&format!("{cart}/1000"), json!({"quantity": 2})).await.status, StatusCode::OK);
}
