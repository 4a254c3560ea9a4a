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
