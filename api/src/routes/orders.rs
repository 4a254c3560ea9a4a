//! `POST /v1/orders`, `GET /v1/orders/{id}`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

use super::carts::context;
use crate::error::ApiError;
use crate::extract::{self, Body, Path};
use crate::shop::ids::{CartId, OrderId};
use crate::shop::orders::{self, Order};
use crate::state::AppState;

/// Body of `POST`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceOrder {
    cart_id: CartId,
}

/// Answers 201 with the order. `Idempotency-Key` is optional: without it a repeated request is refused with
/// 409, because a cart becomes one order only; with it the first answer is repeated, marked by
/// `Idempotency-Replayed`.
pub(crate) async fn place(
    State(state): State<AppState>,
    headers: HeaderMap,
    Body(PlaceOrder { cart_id }): Body<PlaceOrder>,
) -> Result<Response, ApiError> {
    let pool = state.database()?;
    let key = extract::header(&headers, "idempotency-key")?;
    let placed = orders::place(pool, cart_id, key, context(&state, &headers)?).await?;
    let location = match placed.order.get("id") {
        Some(Value::String(id)) => HeaderValue::from_str(&format!("/v1/orders/{id}")).ok(),
        _ => None,
    };
    let status = StatusCode::from_u16(placed.status).unwrap_or(StatusCode::CREATED);
    let mut response = (status, Json(placed.order)).into_response();
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if placed.replayed {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

pub(crate) async fn get(
    State(state): State<AppState>,
    Path(id): Path<OrderId>,
) -> Result<Json<Order>, ApiError> {
    Ok(Json(orders::get(state.database()?, id).await?))
}
