//! Carts: a visitor's choice before it becomes an order.
//!
//! Quantities are set, not added to, so repeating a call changes nothing. The difference to the quantity
//! before is the event: more is `add_to_cart`, less is `remove_from_cart`, none is no event.

use chrono::{DateTime, Utc};
use events::EventType;
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use super::facts::Facts;
use super::ids::{CartId, ProductId};
use super::visitor::Visitor;
use crate::clock::Clock;
use crate::error::ApiError;
use crate::outbox;

/// Most different products in one cart; bounds an order's transaction.
const MAX_LINES: i64 = 100;

/// A cart as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Cart {
    pub(crate) id: CartId,
    /// `open` or `ordered`.
    pub(crate) status: String,
    /// The items' currency; absent while the cart is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) currency: Option<String>,
    /// Sum of the items at today's prices, minor units.
    pub(crate) total_minor: i64,
    pub(crate) items: Vec<CartItem>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// One product in a cart, at today's price.
#[derive(Debug, Serialize, sqlx::FromRow)]
pub(crate) struct CartItem {
    pub(crate) product_id: ProductId,
    pub(crate) name: String,
    pub(crate) quantity: i32,
    pub(crate) price_minor: i64,
    pub(crate) total_minor: i64,
    #[serde(skip)]
    currency: String,
}

/// A cart's own row, locked until the transaction ends.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct LockedCart {
    pub(crate) id: CartId,
    pub(crate) anonymous_id: String,
    pub(crate) session_id: String,
    traffic: String,
    status: String,
}

impl LockedCart {
    /// The visitor whose events these are. The session is the caller's when it says one: a visitor who comes
    /// back to an old cart does so in a new session.
    pub(crate) fn visitor(&self, session_id: Option<&str>) -> Visitor {
        Visitor {
            anonymous_id: self.anonymous_id.clone(),
            session_id: session_id.unwrap_or(&self.session_id).to_owned(),
            // The column's check admits only names that parse.
            traffic: self.traffic.parse().unwrap_or_default(),
        }
    }

    /// Whether it became an order.
    pub(crate) fn is_ordered(&self) -> bool {
        self.status == "ordered"
    }
}

/// Opens an empty cart for the visitor.
pub(crate) async fn create(pool: &PgPool, visitor: &Visitor, now: DateTime<Utc>) -> Result<Cart, ApiError> {
    let id = CartId::random();
    sqlx::query(
        "INSERT INTO carts (id, anonymous_id, session_id, traffic, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $5)",
    )
    .bind(id)
    .bind(&visitor.anonymous_id)
    .bind(&visitor.session_id)
    .bind(visitor.traffic.name())
    .bind(now)
    .execute(pool)
    .await?;
    get(&mut *pool.acquire().await?, id).await
}

/// Reads a cart with its items, in the order they were put in.
pub(crate) async fn get(db: &mut PgConnection, id: CartId) -> Result<Cart, ApiError> {
    let (status, created_at, updated_at): (String, DateTime<Utc>, DateTime<Utc>) =
        sqlx::query_as("SELECT status, created_at, updated_at FROM carts WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *db)
            .await?
            .ok_or_else(|| not_found(id))?;
    let items: Vec<CartItem> = sqlx::query_as(
        "SELECT i.product_id, p.name, i.quantity, p.price_minor,
                p.price_minor * i.quantity AS total_minor, p.currency
         FROM cart_items i JOIN products p ON p.id = i.product_id
         WHERE i.cart_id = $1 ORDER BY i.added_at, i.product_id",
    )
    .bind(id)
    .fetch_all(&mut *db)
    .await?;
    Ok(Cart {
        id,
        status,
        currency: items.first().map(|item| item.currency.clone()),
        total_minor: items.iter().fold(0, |sum: i64, item| sum.saturating_add(item.total_minor)),
        items,
        created_at,
        updated_at,
    })
}

fn not_found(id: CartId) -> ApiError {
    ApiError::NotFound { what: format!("cart {id}") }
}

/// Locks the cart's row. Everything that changes a cart or makes an order of it begins here.
pub(crate) async fn lock(tx: &mut PgConnection, id: CartId) -> Result<LockedCart, ApiError> {
    sqlx::query_as("SELECT id, anonymous_id, session_id, traffic, status FROM carts WHERE id = $1 FOR UPDATE")
        .bind(id)
        .fetch_optional(tx)
        .await?
        .ok_or_else(|| not_found(id))
}

async fn lock_open(tx: &mut PgConnection, id: CartId) -> Result<LockedCart, ApiError> {
    let cart = lock(tx, id).await?;
    if cart.is_ordered() {
        return Err(ApiError::conflict(
            "cart-already-ordered",
            format!("cart {id} is already ordered; start a new cart"),
        ));
    }
    Ok(cart)
}

/// What the request brings beside the change itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// `X-Session-Id`, when sent.
    pub(crate) session_id: Option<&'a str>,
    /// W3C trace context, when sent.
    pub(crate) traceparent: Option<&'a str>,
    /// Tells the time of the change, asked once the locks are held: waiting for a lock must not make the
    /// event look older than it is.
    pub(crate) clock: Clock,
}

/// Sets how many of a product are in the cart (at least 1).
pub(crate) async fn set_item(
    pool: &PgPool,
    id: CartId,
    product_id: ProductId,
    quantity: i32,
    context: Context<'_>,
) -> Result<Cart, ApiError> {
    let mut tx = pool.begin().await?;
    let cart = lock_open(&mut tx, id).await?;
    let (category_id, price_minor, currency): (i64, i64, String) =
        sqlx::query_as("SELECT category_id, price_minor, currency FROM products WHERE id = $1 AND active")
            .bind(product_id)
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| ApiError::NotFound { what: format!("product {product_id}") })?;
    let (before, others, foreign): (Option<i32>, i64, i64) = sqlx::query_as(
        "SELECT max(i.quantity) FILTER (WHERE i.product_id = $2),
                count(*) FILTER (WHERE i.product_id <> $2),
                count(*) FILTER (WHERE p.currency <> $3)
         FROM cart_items i JOIN products p ON p.id = i.product_id WHERE i.cart_id = $1",
    )
    .bind(id)
    .bind(product_id)
    .bind(&currency)
    .fetch_one(&mut *tx)
    .await?;
    if foreign > 0 {
        return Err(ApiError::conflict(
            "currency-mismatch",
            format!("product {product_id} is priced in {currency}, the cart in another currency"),
        ));
    }
    if before.is_none() && others >= MAX_LINES {
        return Err(ApiError::conflict(
            "cart-full",
            format!("the cart holds {MAX_LINES} different products, the most there can be"),
        ));
    }
    let change = quantity - before.unwrap_or(0);
    if change != 0 {
        let now = (context.clock)();
        sqlx::query(
            "INSERT INTO cart_items (cart_id, product_id, quantity, added_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (cart_id, product_id) DO UPDATE SET quantity = EXCLUDED.quantity",
        )
        .bind(id)
        .bind(product_id)
        .bind(quantity)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        let line = Line { product_id, category_id, price_minor, currency };
        record_change(&mut tx, &cart, line, change, now, context).await?;
    }
    let cart = get(&mut tx, id).await?;
    tx.commit().await?;
    Ok(cart)
}

/// Takes a product out of the cart; nothing happens if it is not in it.
pub(crate) async fn remove_item(
    pool: &PgPool,
    id: CartId,
    product_id: ProductId,
    context: Context<'_>,
) -> Result<(), ApiError> {
    let mut tx = pool.begin().await?;
    let cart = lock_open(&mut tx, id).await?;
    let removed: Option<(i32, i64, i64, String)> = sqlx::query_as(
        "DELETE FROM cart_items i USING products p
         WHERE i.cart_id = $1 AND i.product_id = $2 AND p.id = i.product_id
         RETURNING i.quantity, p.category_id, p.price_minor, p.currency",
    )
    .bind(id)
    .bind(product_id)
    .fetch_optional(&mut *tx)
    .await?;
    if let Some((quantity, category_id, price_minor, currency)) = removed {
        let line = Line { product_id, category_id, price_minor, currency };
        record_change(&mut tx, &cart, line, -quantity, (context.clock)(), context).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// The product of a cart change, as its event tells it.
struct Line {
    product_id: ProductId,
    category_id: i64,
    price_minor: i64,
    currency: String,
}

async fn record_change(
    tx: &mut PgConnection,
    cart: &LockedCart,
    line: Line,
    change: i32,
    now: DateTime<Utc>,
    context: Context<'_>,
) -> Result<(), ApiError> {
    sqlx::query("UPDATE carts SET updated_at = $2 WHERE id = $1")
        .bind(cart.id)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    let kind = if change > 0 { EventType::AddToCart } else { EventType::RemoveFromCart };
    let facts = Facts::new(cart.visitor(context.session_id), now);
    let mut event = facts.event(kind);
    event.cart_id = Some(cart.id.to_string());
    event.product_id = Some(line.product_id.number());
    event.category_id = Some(line.category_id);
    event.quantity = Some(i64::from(change.unsigned_abs()));
    event.price_minor = Some(line.price_minor);
    event.currency = Some(line.currency);
    outbox::append(tx, &[event], context.traceparent).await
}
