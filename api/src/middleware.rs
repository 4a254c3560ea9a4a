//! What happens around every request: id, span, time limit, panic guard, metrics.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tracing::Instrument;
use uuid::Uuid;

use crate::error::ApiError;
use crate::extract;
use crate::state::AppState;

/// Names a request in logs and answers; the caller's own is kept when it is harmless.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost layer.
pub(crate) async fn observe(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    // The template, not the path: paths hold ids, and labels must stay few.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let id = request_id(request.headers());
    let traceparent = extract::traceparent(request.headers()).unwrap_or_default();
    let span = tracing::info_span!("request", %method, route, request_id = id, traceparent);

    let limit = state.config().request_timeout;
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut response = async {
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(response)) => response,
            Ok(Err(panic)) => {
                ApiError::Internal { detail: format!("panic: {}", panic_text(&*panic)) }.into_response()
            }
            Err(_) => ApiError::Unavailable {
                code: "timeout",
                detail: "the request took too long and was given up".to_owned(),
            }
            .into_response(),
        }
    }
    .instrument(span.clone())
    .await;

    let (status, elapsed) = (response.status(), started.elapsed());
    let labels =
        [("method", method.as_str().to_owned()), ("route", route), ("status", status.as_str().to_owned())];
    metrics::counter!("plamatio_http_requests_total", &labels).increment(1);
    metrics::histogram!("plamatio_http_request_duration_seconds", &labels).record(elapsed);
    span.in_scope(|| tracing::debug!(status = status.as_u16(), elapsed_us = elapsed.as_micros(), "answered"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn request_id(headers: &HeaderMap) -> String {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        })
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;
    use crate::config::ApiConfig;
    use crate::live::redis::{RedisLive, RedisSettings};
    use crate::publish::memory::MemoryPublisher;

    async fn answer(path: &str) -> (u16, String) {
        // Nothing listens there; neither route asks.
        let live = RedisLive::connect(RedisSettings::new("redis://127.0.0.1:1", "shop")).unwrap();
        let config = ApiConfig { request_timeout: Duration::from_millis(20), ..ApiConfig::default() };
        let state =
            AppState::builder(Arc::new(MemoryPublisher::new()), Arc::new(live)).config(config).build();
        async fn panics() {
            panic!("a secret")
        }
        let app = Router::new()
            .route("/panic", get(panics))
            .route("/hang", get(std::future::pending::<()>))
            .layer(from_fn_with_state(state, observe));
        let response = app.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        assert!(response.headers().contains_key(REQUEST_ID));
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_without_its_text() {
        let (status, body) = answer("/panic").await;
        assert_eq!(status, 500);
        assert!(body.contains("problem:internal") && !body.contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn a_request_that_hangs_is_given_up() {
        let (status, body) = answer("/hang").await;
        assert_eq!(status, 503);
        assert!(body.contains("problem:timeout"), "{body}");
    }
}
