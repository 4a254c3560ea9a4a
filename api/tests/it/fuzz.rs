//! Bad input, many times over, never makes a 500.

use api::ApiConfig;
use axum::body::Body;
use axum::http::{Method, Request};

use crate::support::app::TestApp;

/// A small generator of numbers; the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

const SEEDS: &[&str] = &[
    r#"[{"id":"e","type":"view_item","time":"2026-01-01T00:00:00Z","product_id":3,"anonymous_id":"a","session_id":"s"}]"#,
    r#"{"events":[{"type":"Product Added","time":"2026-01-01T00:00:00.5+02:00","quantity":1e3,"cart_id":"\u0000"}]}"#,
    r#"{"cart_id":"00000000-0000-4000-8000-000000000001"}"#,
    r#"{"quantity":99999999999999999999}"#,
    r#"[{"id":null,"type":["x"],"time":-1,"traffic":{},"price_minor":-0.0,"currency":"€€€"}]"#,
    r#"[{"id":"e","type":"view_cart","time":"+262142-12-31T23:59:59Z","cart_id":"c","anonymous_id":"a","session_id":"s"}]"#,
];

/// Bytes that mean something to a JSON parser, or to nobody.
const SPECIAL: &[u8] = b"\"{}[],:\\0-9eE.\0\xff";

fn mutated(numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = SEEDS[numbers.below(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..numbers.below(6) {
        let at = numbers.below(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        match numbers.below(5) {
            _ if bytes.is_empty() => bytes.push(b'['),
            0 => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, SPECIAL[numbers.below(SPECIAL.len())]),
            3 => {
                let piece = SEEDS[numbers.below(SEEDS.len())].as_bytes();
                let from = numbers.below(piece.len());
                bytes.splice(at..at, piece[from..].iter().copied());
            }
            _ => {
                bytes.remove(at);
            }
        }
    }
    bytes
}

#[tokio::test]
async fn bodies_paths_and_headers() {
    let app = TestApp::new().await;
    let cart = app.cart(&[]).await;
    let mut numbers = Numbers(7);
    let targets = [
        (Method::POST, "/v1/events".to_owned()),
        (Method::POST, "/v1/orders".to_owned()),
        (Method::PUT, format!("/v1/carts/{cart}/items/1")),
        (Method::POST, "/v1/carts".to_owned()),
    ];
    for round in 0..2_000 {
        let (method, path) = &targets[numbers.below(targets.len())];
        let body = mutated(&mut numbers);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("x-visitor-id", "v")
            .header("idempotency-key", format!("{}", numbers.below(3)))
            .body(Body::from(body.clone()))
            .unwrap();
        let reply = app.send(request).await;
        let shown = String::from_utf8_lossy(&body);
        assert!(!reply.status.is_server_error(), "round {round}: {path} {shown}: {}", reply.text());
        if reply.status.is_client_error() {
            assert_eq!(reply.header("content-type"), "application/problem+json", "{path} {shown}");
        }
    }
}

#[tokio::test]
async fn paths() {
    let app = TestApp::new().await;
    let odd =
        ["%00", "%ff", "..", "-1", "9223372036854775808", "0", "''", "%F0%9F%92%A9", "1%20OR%201", "null"];
    for prefix in [
        "/v1/products/",
        "/v1/carts/",
        "/v1/orders/",
        "/v1/live/",
        "/v1/products?cursor=",
        "/v1/products?limit=",
    ] {
        for part in odd {
            let reply = app.get(&format!("{prefix}{part}")).await;
            assert!(!reply.status.is_server_error(), "{prefix}{part}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn headers_that_are_not_text() {
    let app = TestApp::without_database(ApiConfig::default());
    for name in ["x-visitor-id", "user-agent", "traceparent", "x-request-id", "content-type", "origin"] {
        let request =
            Request::post("/v1/events").header(name, b"\xff\xfe".as_slice()).body(Body::from("[]")).unwrap();
        assert!(app.send(request).await.status.is_client_error(), "{name}");
    }
}
