//! `POST /v1/events`.

use api::ApiConfig;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{BROWSER, TestApp, json as json_request, request};

fn view(id: &str) -> Value {
    json!({ "id": id, "type": "view_item", "time": chrono::Utc::now(), "product_id": 3,
            "anonymous_id": "a", "session_id": "s" })
}

fn app() -> TestApp {
    TestApp::without_database(ApiConfig::default())
}

#[tokio::test]
async fn every_event_gets_its_own_result() {
    let app = app();
    let now = chrono::Utc::now();
    let batch = json!([
        view("e-0"),
        { "id": "e-1", "type": "Product Added", "time": now, "anonymous_id": "a", "session_id": "s",
          "product_id": 3, "quantity": 2, "cart_id": "c", "price_minor": 100, "currency": "EUR" },
        { "id": "e-2", "type": "add_to_cart", "time": "yesterday", "anonymous_id": "a", "session_id": "s" },
        { "id": "e-3", "type": "purchase", "time": now, "anonymous_id": "a", "session_id": "s" },
        { "id": "e-4", "type": "checkout_completed", "time": now, "anonymous_id": "a", "session_id": "s" },
        "not an object",
        { "id": "e-6", "source": "api", "type": "view_item", "time": now, "product_id": 1,
          "anonymous_id": "a", "session_id": "s" },
        { "id": "e-7", "type": "view_cart", "time": now + chrono::TimeDelta::hours(1), "cart_id": "c",
          "anonymous_id": "a", "session_id": "s" },
    ]);
    let reply = app.post("/v1/events", batch).await;
    assert_eq!(reply.status, StatusCode::MULTI_STATUS, "{}", reply.text());
    let answer = reply.json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(2), &json!(6)));
    let results = answer["results"].as_array().unwrap();
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["index"], index);
        assert_eq!(result["status"], if index < 2 { "accepted" } else { "rejected" });
        assert_eq!(result["id"], if index == 5 { json!(null) } else { json!(format!("e-{index}")) });
    }
    let fields = |index: usize| -> Vec<String> {
        let errors = results[index]["errors"].as_array().unwrap();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(fields(2), ["time", "product_id", "quantity", "cart_id"]);
    assert_eq!((fields(3), fields(4)), (vec!["type".into()], vec!["type".into()]));
    assert_eq!(
        (fields(5), fields(6), fields(7)),
        (vec!["event".into()], vec!["source".into()], vec!["time".into()])
    );

    let records = app.events.records();
    assert_eq!(
        records.iter().map(|r| r.topic.as_str()).collect::<Vec<_>>(),
        ["product-views", "cart-events"]
    );
    for record in &records {
        let event: events::Event = serde_json::from_str(&record.payload).unwrap();
        assert_eq!(record.key, "a");
        assert!(event.received_at.is_some_and(|received| received >= now - chrono::TimeDelta::seconds(1)));
        assert_eq!((event.source.as_str(), event.traffic), ("web", events::Traffic::Human));
        assert_eq!(record.headers[0], ("ce_id".to_owned(), event.id.clone()));
    }
    assert!(records[1].payload.contains(r#""type":"add_to_cart""#), "the alias is mapped");
}

#[tokio::test]
async fn an_object_a_beacon_and_the_headers_of_the_visitor() {
    let app = app();
    let mut event = view("e");
    event.as_object_mut().unwrap().retain(|field, _| field != "anonymous_id" && field != "session_id");
    let beacon = request(Method::POST, "/v1/events")
        .header("content-type", "text/plain;charset=UTF-8")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .body(Body::from(json!({ "events": [event] }).to_string()))
        .unwrap();
    let reply = app.send(beacon).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let records = app.events.records();
    assert_eq!(records[0].key, "visitor-1");
    assert!(records[0].payload.contains(r#""session_id":"session-1""#));
    assert_eq!(records[0].headers.last().unwrap().0, "traceparent");
}

#[tokio::test]
async fn an_event_without_an_id_gets_the_same_one_every_time() {
    let app = app();
    let mut event = view("x");
    event.as_object_mut().unwrap().remove("id");
    let batch = json!([event, event]);
    let first = app.post("/v1/events", batch.clone()).await.json();
    let again = app.post("/v1/events", batch).await.json();
    let id = &first["results"][0]["id"];
    assert!(uuid::Uuid::parse_str(id.as_str().unwrap()).is_ok());
    for answer in [&first, &again] {
        assert_eq!((&answer["results"][0]["id"], &answer["results"][1]["id"]), (id, id));
    }
    assert_eq!(app.events.records().len(), 2, "a repetition within a batch is sent once");
}

#[tokio::test]
async fn programs_are_flagged() {
    let app = app();
    let mut staff = view("staff");
    staff["traffic"] = json!("staff");
    for (agent, batch) in [
        ("Googlebot/2.1 (+http://www.google.com/bot.html)", json!([view("bot"), staff])),
        (BROWSER, json!([view("person")])),
    ] {
        let request = Request::post("/v1/events")
            .header("user-agent", agent)
            .header("content-type", "application/json")
            .body(Body::from(batch.to_string()))
            .unwrap();
        assert_eq!(app.send(request).await.status, StatusCode::OK);
    }
    let traffic: Vec<String> = app
        .events
        .records()
        .iter()
        .map(|record| {
            let event: Value = serde_json::from_str(&record.payload).unwrap();
            format!("{} {}", event["id"].as_str().unwrap(), event["traffic"].as_str().unwrap())
        })
        .collect();
    assert_eq!(traffic, ["bot bot", "staff staff", "person human"]);
}

#[tokio::test]
async fn limits_and_shapes() {
    let app = app();
    let many: Vec<Value> = (0..501).map(|n| view(&n.to_string())).collect();
    let problem = app.post("/v1/events", json!(many)).await.problem(413, "too-large");
    assert!(problem["detail"].as_str().unwrap().contains("501"), "{problem}");
    assert_eq!(app.post("/v1/events", json!(many[..500])).await.status, StatusCode::OK);

    let mut large = view("large");
    large["padding"] = json!("x".repeat(1 << 20));
    app.post("/v1/events", json!([large])).await.problem(413, "too-large");
    for body in [json!([]), json!({}), json!({"events": 1}), json!({"events": []}), json!(1), json!(null)] {
        app.post("/v1/events", body).await.problem(422, "invalid-request");
    }
    let html =
        Request::post("/v1/events").header("content-type", "text/html").body(Body::from("[]")).unwrap();
    app.send(html).await.problem(415, "unsupported-media-type");
    let bare = Request::post("/v1/events").body(Body::from("[]")).unwrap();
    app.send(bare).await.problem(415, "unsupported-media-type");
    let mut broken = json_request(Method::POST, "/v1/events", &json!(1));
    *broken.body_mut() = Body::from("[{");
    app.send(broken).await.problem(400, "bad-request");
}

#[tokio::test]
async fn without_kafka_nothing_is_accepted() {
    let app = app();
    app.events.set_down(true);
    let reply = app.post("/v1/events", json!([view("e")])).await;
    reply.problem(503, "kafka-unavailable");
    assert_eq!(reply.header("retry-after"), "2");
    app.events.set_down(false);
    assert_eq!(app.post("/v1/events", json!([view("e")])).await.status, StatusCode::OK);
    assert_eq!(app.events.records().len(), 1);
}
