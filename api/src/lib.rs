//! The commerce API and the live page, as a library that the `plamatio` binary serves.
//!
//! Entry points:
//!
//! - [`AppState::builder`] collects the parts (database, event publisher, live reader, metrics),
//!   [`router()`] makes the axum router of them and [`serve()`] runs it until a token is cancelled;
//! - [`relay::run`] sends the outbox to Kafka, one relay at a time;
//! - [`MIGRATOR`] holds the SQL migrations.
//!
//! The traits [`EventPublisher`] and [`LiveReader`] are what the crate knows about Kafka and about the live
//! store; [`publish::kafka`] and [`live::redis`] are the real ones. The database is optional: without it the
//! storefront routes answer 503 and say how to turn them on, while the live page and `POST /v1/events` work.
//!
//! | route | what it does |
//! |---|---|
//! | `GET /v1/products?limit&cursor&category_id`, `GET /v1/products/{id}` | the catalogue, by cursor |
//! | `POST /v1/carts`, `GET /v1/carts/{id}` | a cart of the visitor in `X-Visitor-Id`, `X-Session-Id` |
//! | `PUT`, `DELETE /v1/carts/{id}/items/{product_id}` | sets a quantity, takes a product out |
//! | `POST /v1/orders` `{"cart_id"}`, `GET /v1/orders/{id}` | an order of a cart; `Idempotency-Key` |
//! | `POST /v1/events` | a batch of view and cart events, with a result each |
//! | `GET /v1/live/{metric}?windows`, `GET /v1/live/{metric}/stream?windows` | live values; as server-sent events |
//! | `GET /livez`, `/readyz`, `/metrics` | health by part, Prometheus text |
//! | `GET /` | the live page |
//!
//! Layers, top down: `routes` (HTTP only), `shop` (what the shop does, in SQL transactions), `outbox`
//! (events written with the facts). The crate must not know the streaming engine, its sinks, or the lake;
//! it reads no environment and starts no process. Accounts, payments, API keys and caching are later work.

pub mod clock;
pub mod config;
pub mod error;
pub mod live;
pub mod publish;
pub mod relay;

mod bots;
mod extract;
mod middleware;
mod outbox;
mod router;
mod routes;
mod serve;
mod shop;
mod state;

pub use config::ApiConfig;
pub use error::{ApiError, ServeError};
pub use live::LiveReader;
pub use publish::{EventPublisher, PublishError, Record};
pub use router::router;
pub use serve::serve;
pub use state::{AppState, AppStateBuilder};

/// The SQL migrations, embedded. Run them with `MIGRATOR.run(&pool)` (or `plamatio migrate`).
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");
