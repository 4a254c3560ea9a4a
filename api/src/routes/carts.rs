//! `POST /v1/carts`, `GET /v1/carts/{id}`, `PUT` and `DELETE /v1/carts/{id}/items/{product_id}`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;

use crate::error::ApiError;
use crate::extract::{self, Body, Path};
use crate::shop::carts::{self, Cart, Context};
use crate::shop::ids::{CartId, ProductId};
use crate::state::AppState;

/// Most pieces of one product in a cart.
const MAX_QUANTITY: i32 = 999;

pub(crate) async fn create(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let pool = state.database()?;
    let visitor = extract::visitor(&headers)?;
    let cart = carts::create(pool, &visitor, (state.clock())()).await?;
    let location = format!("/v1/carts/{}", cart.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(cart)))
}

pub(crate) async fn get(
    State(state): State<AppState>,
    Path(id): Path<CartId>,
) -> Result<Json<Cart>, ApiError> {
    let mut db = state.database()?.acquire().await?;
    Ok(Json(carts::get(&mut db, id).await?))
}

/// Body of `PUT`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetItem {
    quantity: i32,
}

pub(crate) async fn set_item(
    State(state): State<AppState>,
    Path((id, product_id)): Path<(CartId, ProductId)>,
    headers: HeaderMap,
    Body(SetItem { quantity }): Body<SetItem>,
) -> Result<Json<Cart>, ApiError> {
    let pool = state.database()?;
    if !(1..=MAX_QUANTITY).contains(&quantity) {
        let problem = format!("must be from 1 to {MAX_QUANTITY}; DELETE takes the product out");
        return Err(ApiError::field("quantity", problem));
    }
    let context = context(&state, &headers)?;
    Ok(Json(carts::set_item(pool, id, product_id, quantity, context).await?))
}

pub(crate) async fn remove_item(
    State(state): State<AppState>,
    Path((id, product_id)): Path<(CartId, ProductId)>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let context = context(&state, &headers)?;
    carts::remove_item(state.database()?, id, product_id, context).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What cart changes and orders take from the headers.
pub(super) fn context<'a>(state: &AppState, headers: &'a HeaderMap) -> Result<Context<'a>, ApiError> {
    Ok(Context {
        session_id: extract::header(headers, "x-session-id")?,
        traceparent: extract::traceparent(headers),
        clock: state.clock(),
    })
}
