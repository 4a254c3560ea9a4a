//! The catalogue: reading products.

use serde::Serialize;
use sqlx::PgPool;

use super::ids::ProductId;
use crate::error::ApiError;

/// A product as the API shows it.
#[derive(Debug, Serialize, sqlx::FromRow)]
pub(crate) struct Product {
    pub(crate) id: ProductId,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) category_id: i64,
    /// The category's name.
    pub(crate) category: String,
    /// Unit price, minor units of `currency`.
    pub(crate) price_minor: i64,
    /// ISO 4217.
    pub(crate) currency: String,
    /// Pieces left.
    pub(crate) stock: i32,
}

/// Active products with an id above `after`, by rising id, at most `limit`.
pub(crate) async fn list(
    pool: &PgPool,
    category_id: Option<i64>,
    after: i64,
    limit: i64,
) -> Result<Vec<Product>, ApiError> {
    Ok(sqlx::query_as::<_, Product>(
        "SELECT p.id, p.name, p.description, p.category_id, c.name AS category,
                p.price_minor, p.currency, p.stock
         FROM products p JOIN categories c ON c.id = p.category_id
         WHERE p.active AND p.id > $1 AND ($2::bigint IS NULL OR p.category_id = $2)
         ORDER BY p.id LIMIT $3",
    )
    .bind(after)
    .bind(category_id)
    .bind(limit)
    .fetch_all(pool)
    .await?)
}

/// One active product.
pub(crate) async fn get(pool: &PgPool, id: ProductId) -> Result<Product, ApiError> {
    sqlx::query_as::<_, Product>(
        "SELECT p.id, p.name, p.description, p.category_id, c.name AS category,
                p.price_minor, p.currency, p.stock
         FROM products p JOIN categories c ON c.id = p.category_id
         WHERE p.active AND p.id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?
    .ok_or_else(|| ApiError::NotFound { what: format!("product {id}") })
}
