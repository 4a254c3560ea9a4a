//! Orders: a cart, priced by the server, taken out of stock and written down, all in one transaction.

use chrono::{DateTime, Utc};
use events::{Event, EventType};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

use super::carts::{self, Context};
use super::facts::Facts;
use super::idempotency::{self, Claim};
use super::ids::{CartId, OrderId, ProductId};
use super::visitor::Visitor;
use crate::error::{ApiError, FieldError};
use crate::outbox;

/// Scope of the idempotency keys of `POST /v1/orders`.
const SCOPE: &str = "orders";

/// HTTP status of a placed order, stored with its key.
const CREATED: u16 = 201;

/// An order as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) cart_id: CartId,
    /// `placed`.
    pub(crate) status: String,
    pub(crate) currency: String,
    /// Sum of the lines, minor units.
    pub(crate) total_minor: i64,
    pub(crate) items: Vec<OrderItem>,
    pub(crate) created_at: DateTime<Utc>,
}

/// One line of an order, with name and price as they were then.
#[derive(Debug, Serialize, sqlx::FromRow)]
pub(crate) struct OrderItem {
    /// From 1.
    pub(crate) line: i32,
    pub(crate) product_id: ProductId,
    pub(crate) name: String,
    pub(crate) quantity: i32,
    pub(crate) price_minor: i64,
    pub(crate) total_minor: i64,
}

/// The answer to placing an order.
pub(crate) struct Placed {
    /// HTTP status of the first answer.
    pub(crate) status: u16,
    /// The order's JSON.
    pub(crate) order: Value,
    /// Whether this is the stored answer of an earlier request with the same key.
    pub(crate) replayed: bool,
}

/// Reads an order.
pub(crate) async fn get(pool: &PgPool, id: OrderId) -> Result<Order, ApiError> {
    let mut db = pool.acquire().await?;
    let (cart_id, status, currency, total_minor, created_at): (CartId, String, String, i64, DateTime<Utc>) =
        sqlx::query_as("SELECT cart_id, status, currency, total_minor, created_at FROM orders WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *db)
            .await?
            .ok_or_else(|| ApiError::NotFound { what: format!("order {id}") })?;
    let items = sqlx::query_as(
        "SELECT line, product_id, name, quantity, price_minor, total_minor
         FROM order_items WHERE order_id = $1 ORDER BY line",
    )
    .bind(id)
    .fetch_all(&mut *db)
    .await?;
    Ok(Order { id, cart_id, status, currency, total_minor, items, created_at })
}

/// Makes an order of the cart. With an idempotency key, a repeated request gets the first one's answer.
///
/// One transaction: claim the key, lock the cart, lock the products' rows by rising id, take the pieces out of
/// stock, insert order and lines, append `purchase` and its `purchase_item`s to the outbox, mark the cart.
/// Nothing of it stays if any step fails.
pub(crate) async fn place(
    pool: &PgPool,
    cart_id: CartId,
    key: Option<&str>,
    context: Context<'_>,
) -> Result<Placed, ApiError> {
    let mut tx = pool.begin().await?;
    // A hot product makes orders queue for its row; waiting longer than this serves nobody.
    sqlx::query("SET LOCAL lock_timeout = '10s'").execute(&mut *tx).await?;
    if let Some(key) = key {
        let request = json!({ "cart_id": cart_id });
        match idempotency::claim(&mut tx, SCOPE, key, &request).await? {
            Claim::New => {}
            Claim::Replay { status, response } => {
                return Ok(Placed { status, order: response, replayed: true });
            }
        }
    }
    let cart = carts::lock(&mut tx, cart_id).await?;
    if cart.is_ordered() {
        return Err(already_ordered(&mut tx, cart_id).await?);
    }
    let lines = take_from_stock(&mut tx, cart_id).await?;
    let visitor = cart.visitor(context.session_id);
    let order = NewOrder::of(cart_id, lines, (context.clock)())?;
    insert(&mut tx, &order.order, &visitor).await?;
    let events = order_events(&order, visitor);
    outbox::append(&mut tx, &events, context.traceparent).await?;
    sqlx::query("UPDATE carts SET status = 'ordered', updated_at = $2 WHERE id = $1")
        .bind(cart_id)
        .bind(order.order.created_at)
        .execute(&mut *tx)
        .await?;
    let response = serde_json::to_value(&order.order)
        .map_err(|error| ApiError::Internal { detail: format!("order does not serialise: {error}") })?;
    if let Some(key) = key {
        idempotency::store(&mut tx, SCOPE, key, CREATED, &response).await?;
    }
    tx.commit().await?;
    metrics::counter!("plamatio_orders_placed_total").increment(1);
    Ok(Placed { status: CREATED, order: response, replayed: false })
}

async fn already_ordered(tx: &mut PgConnection, cart_id: CartId) -> Result<ApiError, ApiError> {
    let order: Option<OrderId> = sqlx::query_scalar("SELECT id FROM orders WHERE cart_id = $1")
        .bind(cart_id)
        .fetch_optional(tx)
        .await?;
    let order = order.map(|id| format!(", as order {id}")).unwrap_or_default();
    Ok(ApiError::conflict("cart-already-ordered", format!("cart {cart_id} is already ordered{order}")))
}

/// A cart line with its product's locked row.
#[derive(Debug, sqlx::FromRow)]
struct CartLine {
    product_id: ProductId,
    category_id: i64,
    name: String,
    quantity: i32,
    price_minor: i64,
    currency: String,
    stock: i32,
    active: bool,
}

async fn take_from_stock(tx: &mut PgConnection, cart_id: CartId) -> Result<Vec<CartLine>, ApiError> {
    // NO KEY UPDATE: conflicts with other orders, not with the key-share locks of foreign keys, so filling
    // carts goes on meanwhile. Rising id: two orders over the same products cannot deadlock.
    let lines: Vec<CartLine> = sqlx::query_as(
        "SELECT p.id AS product_id, p.category_id, p.name, i.quantity, p.price_minor, p.currency,
                p.stock, p.active
         FROM cart_items i JOIN products p ON p.id = i.product_id
         WHERE i.cart_id = $1 ORDER BY p.id FOR NO KEY UPDATE OF p",
    )
    .bind(cart_id)
    .fetch_all(&mut *tx)
    .await?;
    let Some(first) = lines.first() else {
        return Err(ApiError::conflict("cart-empty", format!("cart {cart_id} is empty")));
    };
    if lines.iter().any(|line| line.currency != first.currency) {
        return Err(ApiError::conflict(
            "currency-mismatch",
            format!("cart {cart_id} holds products of several currencies"),
        ));
    }
    let short: Vec<FieldError> = lines
        .iter()
        .filter(|line| !line.active || line.stock < line.quantity)
        .map(|line| {
            let left = if line.active { line.stock } else { 0 };
            let wanted = line.quantity;
            FieldError::new(format!("product {}", line.product_id), format!("{wanted} wanted, {left} left"))
        })
        .collect();
    if !short.is_empty() {
        return Err(ApiError::Conflict {
            code: "insufficient-stock",
            detail: "not enough in stock; nothing was ordered".to_owned(),
            errors: short,
        });
    }
    let (ids, quantities): (Vec<i64>, Vec<i32>) =
        lines.iter().map(|line| (line.product_id.number(), line.quantity)).unzip();
    sqlx::query(
        "UPDATE products p SET stock = p.stock - t.quantity, updated_at = now()
         FROM unnest($1::bigint[], $2::int[]) AS t (id, quantity) WHERE p.id = t.id",
    )
    .bind(ids)
    .bind(quantities)
    .execute(tx)
    .await?;
    Ok(lines)
}

/// An order with what its events need and its answer does not.
struct NewOrder {
    order: Order,
    /// Category of each line's product.
    categories: Vec<i64>,
}

impl NewOrder {
    /// The order of a cart's lines, at their prices of now.
    fn of(cart_id: CartId, lines: Vec<CartLine>, now: DateTime<Utc>) -> Result<Self, ApiError> {
        let too_much = || ApiError::conflict("total-too-large", "the order's total is out of range");
        let currency = lines.first().map(|line| line.currency.clone()).unwrap_or_default();
        let categories = lines.iter().map(|line| line.category_id).collect();
        let mut items = Vec::with_capacity(lines.len());
        let mut total_minor: i64 = 0;
        for (line, cart_line) in (1..).zip(lines) {
            let line_total =
                cart_line.price_minor.checked_mul(i64::from(cart_line.quantity)).ok_or_else(too_much)?;
            total_minor = total_minor.checked_add(line_total).ok_or_else(too_much)?;
            items.push(OrderItem {
                line,
                product_id: cart_line.product_id,
                name: cart_line.name,
                quantity: cart_line.quantity,
                price_minor: cart_line.price_minor,
                total_minor: line_total,
            });
        }
        let order = Order {
            id: OrderId::random(),
            cart_id,
            status: "placed".to_owned(),
            currency,
            total_minor,
            items,
            created_at: now,
        };
        Ok(NewOrder { order, categories })
    }
}

async fn insert(tx: &mut PgConnection, order: &Order, visitor: &Visitor) -> Result<(), ApiError> {
    sqlx::query(
        "INSERT INTO orders (id, cart_id, anonymous_id, session_id, status, currency, total_minor, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(order.id)
    .bind(order.cart_id)
    .bind(&visitor.anonymous_id)
    .bind(&visitor.session_id)
    .bind(&order.status)
    .bind(&order.currency)
    .bind(order.total_minor)
    .bind(order.created_at)
    .execute(&mut *tx)
    .await?;
    let items = &order.items;
    sqlx::query(
        "INSERT INTO order_items (order_id, line, product_id, name, quantity, price_minor, total_minor)
         SELECT $1, line, product_id, name, quantity, price_minor, total_minor
         FROM unnest($2::int[], $3::bigint[], $4::text[], $5::int[], $6::bigint[], $7::bigint[])
              AS t (line, product_id, name, quantity, price_minor, total_minor)",
    )
    .bind(order.id)
    .bind(items.iter().map(|item| item.line).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.product_id.number()).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.name.clone()).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.quantity).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.price_minor).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.total_minor).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// `purchase`, then one `purchase_item` per line.
fn order_events(NewOrder { order, categories }: &NewOrder, visitor: Visitor) -> Vec<Event> {
    let facts = Facts::new(visitor, order.created_at);
    let of_order = |kind| {
        let mut event = facts.event(kind);
        event.cart_id = Some(order.cart_id.to_string());
        event.order_id = Some(order.id.to_string());
        event.currency = Some(order.currency.clone());
        event
    };
    let mut purchase = of_order(EventType::Purchase);
    purchase.value_minor = Some(order.total_minor);
    let mut events = vec![purchase];
    for (item, category_id) in order.items.iter().zip(categories) {
        let mut event = of_order(EventType::PurchaseItem);
        event.line = Some(i64::from(item.line));
        event.product_id = Some(item.product_id.number());
        event.category_id = Some(*category_id);
        event.quantity = Some(i64::from(item.quantity));
        event.price_minor = Some(item.price_minor);
        event.value_minor = Some(item.total_minor);
        events.push(event);
    }
    events
}
