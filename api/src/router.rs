//! The routes and the layers around them.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::config::ApiConfig;
use crate::error::ApiError;
use crate::middleware;
use crate::routes::{carts, collect, health, live, metrics, orders, page, products};
use crate::state::AppState;

/// The whole API and the live page; the routes are listed on the crate's page.
pub fn router(state: AppState) -> Router {
    let config = state.config();
    let events = post(collect::collect).layer(DefaultBodyLimit::max(config.events_body_bytes));
    Router::new()
        .route("/v1/products", get(products::list))
        .route("/v1/products/{id}", get(products::get))
        .route("/v1/carts", post(carts::create))
        .route("/v1/carts/{id}", get(carts::get))
        .route("/v1/carts/{id}/items/{product_id}", put(carts::set_item).delete(carts::remove_item))
        .route("/v1/orders", post(orders::place))
        .route("/v1/orders/{id}", get(orders::get))
        .route("/v1/events", events)
        .route("/v1/live/{metric}", get(live::windows))
        .route("/v1/live/{metric}/stream", get(live::stream))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/", get(page::index))
        .route("/live.js", get(page::script))
        .route("/style.css", get(page::style))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(config.body_bytes))
        .layer(cors(config))
        .layer(from_fn_with_state(state.clone(), middleware::observe))
        .with_state(state)
}

async fn unknown_route(request: axum::extract::Request) -> ApiError {
    ApiError::NotFound { what: format!("route {}", request.uri().path()) }
}

async fn wrong_method() -> ApiError {
    ApiError::MethodNotAllowed
}

fn cors(config: &ApiConfig) -> CorsLayer {
    if config.cors_origins.is_empty() {
        return CorsLayer::new();
    }
    let origins = if config.cors_origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(config.cors_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            header::CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("traceparent"),
            HeaderName::from_static("x-session-id"),
            HeaderName::from_static("x-traffic"),
            HeaderName::from_static("x-visitor-id"),
            middleware::REQUEST_ID,
        ])
        .expose_headers([header::LOCATION, middleware::REQUEST_ID])
}
