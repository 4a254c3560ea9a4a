//! `GET /v1/products`, `GET /v1/products/{id}`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::extract::{Path, Query};
use crate::shop::ids::ProductId;
use crate::shop::products::{self, Product};
use crate::state::AppState;

/// Most products on a page, and how many without asking.
const MAX_LIMIT: i64 = 200;
const DEFAULT_LIMIT: i64 = 50;

/// Query of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    limit: Option<i64>,
    cursor: Option<String>,
    category_id: Option<i64>,
}

/// One page of products.
#[derive(Serialize)]
pub(crate) struct Page {
    items: Vec<Product>,
    /// Give it back as `cursor` for the next page; null on the last.
    next_cursor: Option<String>,
}

pub(crate) async fn list(
    State(state): State<AppState>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page>, ApiError> {
    let pool = state.database()?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::field("limit", format!("must be from 1 to {MAX_LIMIT}")));
    }
    let after = match &query.cursor {
        None => 0,
        Some(cursor) => read_cursor(cursor)
            .ok_or_else(|| ApiError::field("cursor", "must be a next_cursor of an earlier answer"))?,
    };
    // One more than asked tells whether there is a next page.
    let mut items = products::list(pool, query.category_id, after, limit + 1).await?;
    let more = i64::try_from(items.len()).is_ok_and(|found| found > limit);
    if more {
        items.pop();
    }
    let next_cursor = items.last().filter(|_| more).map(|last| write_cursor(last.id));
    Ok(Json(Page { items, next_cursor }))
}

// The cursor is opaque to clients; the prefix keeps them from computing with it and lets it change.
fn write_cursor(last: ProductId) -> String {
    format!("p{last}")
}

fn read_cursor(cursor: &str) -> Option<i64> {
    cursor.strip_prefix('p')?.parse().ok().filter(|after| *after >= 0)
}

pub(crate) async fn get(
    State(state): State<AppState>,
    Path(id): Path<ProductId>,
) -> Result<Json<Product>, ApiError> {
    Ok(Json(products::get(state.database()?, id).await?))
}
