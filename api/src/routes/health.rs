//! `GET /livez` and `GET /readyz`.

use std::collections::BTreeMap;
use std::future::Future;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;

use crate::state::AppState;

/// The process answers; nothing else is asked.
pub(crate) async fn livez() -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], Json(serde_json::json!({ "status": "ok" })))
}

/// The state of each part. A part that is off by configuration does not make the whole unready.
#[derive(Serialize)]
pub(crate) struct Ready {
    /// `ok` or `unavailable`.
    status: &'static str,
    /// `ok`, `off` or `unavailable`, by part.
    parts: BTreeMap<&'static str, &'static str>,
}

/// 200 when every part that is on answers in time, else 503. What exactly fails is in the log.
pub(crate) async fn readyz(State(state): State<AppState>) -> impl IntoResponse {
    let postgres = async {
        match state.database() {
            Err(_) => "off",
            Ok(pool) => bounded(&state, "postgres", sqlx::query("SELECT 1").execute(pool)).await,
        }
    };
    let (postgres, kafka, live) = tokio::join!(
        postgres,
        bounded(&state, "kafka", state.publisher().check()),
        bounded(&state, "live", state.live().check()),
    );
    let parts = BTreeMap::from([("postgres", postgres), ("kafka", kafka), ("live", live)]);
    let ready = parts.values().all(|part| *part != UNAVAILABLE);
    let (code, status) =
        if ready { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE) };
    (code, [(header::CACHE_CONTROL, "no-store")], Json(Ready { status, parts }))
}

const UNAVAILABLE: &str = "unavailable";

async fn bounded<T, E: std::error::Error + 'static>(
    state: &AppState,
    part: &'static str,
    check: impl Future<Output = Result<T, E>>,
) -> &'static str {
    match tokio::time::timeout(state.config().ready_timeout, check).await {
        Ok(Ok(_)) => "ok",
        Ok(Err(error)) => {
            tracing::warn!(part, error = &error as &dyn std::error::Error, "not ready");
            UNAVAILABLE
        }
        Err(_) => {
            tracing::warn!(part, "not ready: no answer in time");
            UNAVAILABLE
        }
    }
}
