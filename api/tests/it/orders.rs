//! Orders: one transaction, no overselling, no doubles.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use futures::future::join_all;
use serde_json::json;

use crate::carts::{outbox, redacted};
use crate::support::app::{Reply, TestApp, request};
use crate::support::pretty;

async fn order_with_key(app: &TestApp, cart: &str, key: &str) -> Reply {
    let request = request(Method::POST, "/v1/orders")
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(Body::from(json!({ "cart_id": cart }).to_string()))
        .unwrap();
    app.send(request).await
}

#[tokio::test]
async fn an_order_is_written_down_whole() {
    let app = TestApp::new().await;
    let cart = app.cart(&[(5, 1), (1, 2)]).await;
    let before = app.db().count("SELECT sum(stock) FROM products").await;
    let reply = app.order(&cart).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    let order = reply.json();
    let id = order["id"].as_str().unwrap();
    assert_eq!(reply.header("location"), format!("/v1/orders/{id}"));
    insta::assert_snapshot!(pretty(&redacted(order.clone())), @r#"
        {
          "cart_id": "[id]",
          "created_at": "[time]",
          "currency": "EUR",
          "id": "[id]",
          "items": [
            {
              "line": 1,
              "name": "Tidewater mug",
              "price_minor": 1490,
              "product_id": 1,
              "quantity": 2,
              "total_minor": 2980
            },
            {
              "line": 2,
              "name": "Halfmoon lamp",
              "price_minor": 6900,
              "product_id": 5,
              "quantity": 1,
              "total_minor": 6900
            }
          ],
          "status": "placed",
          "total_minor": 9880
        }
        "#);
    assert_eq!(app.get(&format!("/v1/orders/{id}")).await.json(), order);
    assert_eq!(app.db().count("SELECT sum(stock) FROM products").await, before - 3);
    assert_eq!(app.get(&format!("/v1/carts/{cart}")).await.json()["status"], "ordered");

    let events = outbox(&app).await;
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["add_to_cart", "add_to_cart", "purchase", "purchase_item", "purchase_item"]);
    for event in &events[2..] {
        assert_eq!((&event["order_id"], &event["cart_id"]), (&json!(id), &json!(cart)));
        assert_eq!((&event["time"], &event["source"]), (&order["created_at"], &json!("api")));
        let typed: events::Event = serde_json::from_value(event.clone()).unwrap();
        assert_eq!(events::check(&typed, typed.time, &events::Limits::default()), []);
    }
    assert_eq!(events[2]["value_minor"], 9880);
    assert_eq!((&events[3]["line"], &events[3]["value_minor"]), (&json!(1), &json!(2980)));
    assert_eq!((&events[4]["product_id"], &events[4]["value_minor"]), (&json!(5), &json!(6900)));
    assert_eq!(app.db().count("SELECT count(*) FROM outbox WHERE topic = 'order-events'").await, 3);
}

#[tokio::test]
async fn the_price_is_the_servers_at_the_time_of_the_order() {
    let app = TestApp::new().await;
    let cart = app.cart(&[(1, 1)]).await;
    app.db().run("UPDATE products SET price_minor = 2000 WHERE id = 1").await;
    let order = app.order(&cart).await.json();
    assert_eq!(order["total_minor"], 2000);
    app.db().run("UPDATE products SET price_minor = 3000, name = 'Renamed' WHERE id = 1").await;
    let path = format!("/v1/orders/{}", order["id"].as_str().unwrap());
    assert_eq!(app.get(&path).await.json(), order, "history stays");
}

#[tokio::test]
async fn too_little_stock_orders_nothing() {
    let app = TestApp::new().await;
    app.db().run("UPDATE products SET stock = 1 WHERE id = 5").await;
    let cart = app.cart(&[(1, 2), (5, 3)]).await;
    let (stock, rows) = (
        app.db().count("SELECT sum(stock) FROM products").await,
        app.db().count("SELECT count(*) FROM outbox").await,
    );
    let problem = order_with_key(&app, &cart, "k").await.problem(409, "insufficient-stock");
    assert_eq!(problem["errors"], json!([{ "field": "product 5", "problem": "3 wanted, 1 left" }]));
    assert_eq!(app.db().count("SELECT sum(stock) FROM products").await, stock);
    assert_eq!(app.db().count("SELECT count(*) FROM outbox").await, rows);
    assert_eq!(app.db().count("SELECT count(*) FROM orders").await, 0);
    assert_eq!(app.db().count("SELECT count(*) FROM idempotency_keys").await, 0);

    app.db().run("UPDATE products SET stock = 3 WHERE id = 5").await;
    assert_eq!(order_with_key(&app, &cart, "k").await.status, StatusCode::CREATED, "the key is still free");
}

#[tokio::test]
async fn a_failure_at_the_last_step_leaves_nothing() {
    let app = TestApp::new().await;
    let cart = app.cart(&[(1, 2)]).await;
    let stock = app.db().count("SELECT sum(stock) FROM products").await;
    app.db()
        .run(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'secret of the database'; END $$;
             CREATE TRIGGER fail BEFORE INSERT ON outbox FOR EACH ROW
                 WHEN (NEW.topic = 'order-events') EXECUTE FUNCTION fail()",
        )
        .await;
    let reply = app.order(&cart).await;
    reply.problem(500, "internal");
    assert!(!reply.text().contains("secret"), "{}", reply.text());
    assert_eq!(app.db().count("SELECT count(*) FROM orders").await, 0);
    assert_eq!(app.db().count("SELECT count(*) FROM order_items").await, 0);
    assert_eq!(app.db().count("SELECT sum(stock) FROM products").await, stock);
    assert_eq!(app.get(&format!("/v1/carts/{cart}")).await.json()["status"], "open");
}

#[tokio::test]
async fn fifty_orders_for_the_last_piece() {
    let app = TestApp::new().await;
    app.db().run("UPDATE products SET stock = 1 WHERE id = 7").await;
    let carts = join_all((0..50).map(|_| app.cart(&[(7, 1)]))).await;
    let replies = join_all(carts.iter().map(|cart| app.order(cart))).await;
    let placed = replies.iter().filter(|reply| reply.status == StatusCode::CREATED).count();
    assert_eq!(placed, 1);
    for reply in replies.iter().filter(|reply| reply.status != StatusCode::CREATED) {
        reply.problem(409, "insufficient-stock");
    }
    assert_eq!(app.db().count("SELECT stock::bigint FROM products WHERE id = 7").await, 0);
    assert_eq!(app.db().count("SELECT count(*) FROM orders").await, 1);
    assert_eq!(app.db().count("SELECT count(*) FROM outbox WHERE topic = 'order-events'").await, 2);
}

#[tokio::test]
async fn opposite_carts_do_not_deadlock() {
    let app = TestApp::new().await;
    let carts = join_all((0..20).map(|n| {
        let items = if n % 2 == 0 { [(1, 1), (2, 1), (3, 1)] } else { [(3, 1), (2, 1), (1, 1)] };
        let app = &app;
        async move { app.cart(&items).await }
    }))
    .await;
    let replies = join_all(carts.iter().map(|cart| app.order(cart))).await;
    assert!(replies.iter().all(|reply| reply.status == StatusCode::CREATED));
}

#[tokio::test]
async fn the_same_key_gives_the_same_answer() {
    let app = TestApp::new().await;
    let cart = app.cart(&[(1, 1)]).await;
    let first = order_with_key(&app, &cart, "key-1").await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (StatusCode::CREATED, ""));
    let again = order_with_key(&app, &cart, "key-1").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (StatusCode::CREATED, "true"));
    assert_eq!(again.json(), first.json());
    assert_eq!(again.header("location"), first.header("location"));

    let other = app.cart(&[(2, 1)]).await;
    order_with_key(&app, &other, "key-1").await.problem(422, "idempotency-key-reused");
    let problem = order_with_key(&app, &cart, "key-2").await.problem(409, "cart-already-ordered");
    assert!(problem["detail"].as_str().unwrap().contains(first.json()["id"].as_str().unwrap()));
    app.order(&cart).await.problem(409, "cart-already-ordered");
    assert_eq!(app.db().count("SELECT count(*) FROM orders").await, 1);
    let empty = order_with_key(&app, &cart, "").await.problem(422, "invalid-request");
    assert_eq!(empty["errors"][0]["field"], "idempotency-key");
}

#[tokio::test]
async fn the_same_key_at_the_same_time_is_one_order() {
    let app = TestApp::new().await;
    let cart = app.cart(&[(1, 1)]).await;
    let replies = join_all((0..20).map(|_| order_with_key(&app, &cart, "key"))).await;
    for reply in &replies {
        assert_eq!((reply.status, reply.json()), (StatusCode::CREATED, replies[0].json()));
    }
    assert_eq!(replies.iter().filter(|reply| reply.header("idempotency-replayed").is_empty()).count(), 1);
    assert_eq!(app.db().count("SELECT count(*) FROM orders").await, 1);
    assert_eq!(app.db().count("SELECT count(*) FROM outbox WHERE payload LIKE '%\"purchase\"%'").await, 1);
}

#[tokio::test]
async fn an_ordered_cart_is_closed_and_an_empty_one_orders_nothing() {
    let app = TestApp::new().await;
    app.order(&app.cart(&[]).await).await.problem(409, "cart-empty");
    let cart = app.cart(&[(1, 1)]).await;
    assert_eq!(app.order(&cart).await.status, StatusCode::CREATED);
    let item = format!("/v1/carts/{cart}/items/1");
    app.put(&item, json!({"quantity": 3})).await.problem(409, "cart-already-ordered");
    app.delete(&item).await.problem(409, "cart-already-ordered");
    app.order(&uuid::Uuid::new_v4().to_string()).await.problem(404, "not-found");
    app.get(&format!("/v1/orders/{}", uuid::Uuid::new_v4())).await.problem(404, "not-found");
}

#[tokio::test]
async fn a_price_out_of_range_is_refused_not_wrapped() {
    let app = TestApp::new().await;
    app.db().run("UPDATE products SET price_minor = 9223372036854775807 WHERE id IN (1, 2)").await;
    app.db()
        .run(
            "INSERT INTO carts VALUES ('00000000-0000-4000-8000-000000000002', 'a', 's', 'human', 'open', now(), now());
             INSERT INTO cart_items VALUES
                 ('00000000-0000-4000-8000-000000000002', 1, 1, now()),
                 ('00000000-0000-4000-8000-000000000002', 2, 1, now())",
        )
        .await;
    app.order("00000000-0000-4000-8000-000000000002").await.problem(409, "total-too-large");
}
