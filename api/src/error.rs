//! The one error type of the HTTP side and its RFC 9457 body.
//!
//! Every error answer of the router goes through [`ApiError`], so every one is `application/problem+json`:
//! `{type, title, status, detail, errors?, ...}`. `type` is `urn:plamatio:problem:<code>`. Text from the
//! database, from Kafka or from Redis is logged here once, for 5xx, and never sent.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::live::LiveError;

/// What is wrong with one part of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field, header or parameter.
    pub field: String,
    /// What is wrong and what would be right; lowercase, no final stop.
    pub problem: String,
}

impl FieldError {
    /// Of this field.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl From<events::FieldError> for FieldError {
    fn from(error: events::FieldError) -> Self {
        Self::new(error.field, error.problem)
    }
}

/// Why [`serve()`](crate::serve()) stopped other than by its token.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listening socket failed.
    #[error("the HTTP listener failed")]
    Listener {
        /// What the socket said.
        #[source]
        source: std::io::Error,
    },
}

/// An error answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request is not well formed (400).
    #[error("{detail}")]
    BadRequest {
        /// What is wrong and what would be right.
        detail: String,
    },
    /// No such route or resource (404).
    #[error("{what} not found")]
    NotFound {
        /// The resource, with its id.
        what: String,
    },
    /// The route exists, but not for this method (405).
    #[error("this method is not allowed here; the Allow header lists those that are")]
    MethodNotAllowed,
    /// The request is fine but the resource's state forbids it (409).
    #[error("{detail}")]
    Conflict {
        /// Last part of the problem's `type`.
        code: &'static str,
        /// What stands in the way.
        detail: String,
        /// Per-field reasons; may be empty.
        errors: Vec<FieldError>,
    },
    /// The body or the batch is larger than allowed (413).
    #[error("{detail}")]
    TooLarge {
        /// The limit and what was sent.
        detail: String,
    },
    /// The body is not of a media type that the route reads (415).
    #[error("{detail}")]
    UnsupportedMedia {
        /// The types that are read.
        detail: String,
    },
    /// The content is well formed but not valid (422).
    #[error("{detail}")]
    Invalid {
        /// Last part of the problem's `type`.
        code: &'static str,
        /// A summary.
        detail: String,
        /// What is wrong, by field.
        errors: Vec<FieldError>,
    },
    /// The storefront has no database (503).
    #[error("storefront is off: no database (set DATABASE_URL to a PostgreSQL and start again)")]
    StorefrontOff,
    /// A part that the request needs does not answer; trying again later may help (503).
    #[error("{detail}")]
    Unavailable {
        /// Last part of the problem's `type`.
        code: &'static str,
        /// Which part, without its own words.
        detail: String,
    },
    /// PostgreSQL failed; mapped to 4xx where the constraint says whose fault it was, else 500 or 503.
    #[error("database error")]
    Database {
        /// What sqlx said; logged, not sent.
        #[from]
        source: sqlx::Error,
    },
    /// A defect of ours (500).
    #[error("internal error")]
    Internal {
        /// For the log; not sent.
        detail: String,
    },
}

impl ApiError {
    /// 422 for one field.
    pub(crate) fn field(field: &str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self::Invalid {
            code: "invalid-request",
            detail: format!("{field}: {problem}"),
            errors: vec![FieldError::new(field, problem)],
        }
    }

    /// 409 without field reasons.
    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict { code, detail: detail.into(), errors: Vec::new() }
    }

    /// Status, last part of the type, and title.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest { .. } => (StatusCode::BAD_REQUEST, "bad-request", "Bad request"),
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed")
            }
            Self::Conflict { code, .. } => (StatusCode::CONFLICT, code, "Conflict"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Content too large"),
            Self::UnsupportedMedia { .. } => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type")
            }
            Self::Invalid { code, .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, code, "The request is not valid")
            }
            Self::StorefrontOff => (StatusCode::SERVICE_UNAVAILABLE, "storefront-off", "Storefront is off"),
            Self::Unavailable { code, .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, code, "Temporarily unavailable")
            }
            Self::Database { source } => database_kind(source),
            Self::Internal { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }

    /// What the client reads.
    fn detail(&self) -> String {
        match self {
            Self::Database { source } => match database_kind(source).0 {
                StatusCode::INTERNAL_SERVER_ERROR => "the server failed; the failure is logged".to_owned(),
                StatusCode::SERVICE_UNAVAILABLE => {
                    "the database does not answer or is busy; try again".to_owned()
                }
                _ => constraint(source)
                    .and_then(|name| constraint_detail(&name))
                    .unwrap_or("the change conflicts with another")
                    .to_owned(),
            },
            Self::Internal { .. } => "the server failed; the failure is logged".to_owned(),
            other => other.to_string(),
        }
    }

    fn errors(&self) -> &[FieldError] {
        match self {
            Self::Conflict { errors, .. } | Self::Invalid { errors, .. } => errors,
            _ => &[],
        }
    }

    fn log(&self, status: StatusCode) {
        match self {
            Self::Database { source } if status.is_server_error() => {
                tracing::error!(error = source as &dyn std::error::Error, "database error");
            }
            Self::Internal { detail } => tracing::error!(detail, "internal error"),
            _ => {}
        }
    }
}

/// The name of the violated constraint, when that is what happened.
fn constraint(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.constraint().map(str::to_owned)
}

/// Constraint names that a client can run into, in words.
fn constraint_detail(name: &str) -> Option<&'static str> {
    Some(match name {
        "products_stock_check" => "not enough in stock",
        "orders_cart_id_key" => "the cart is already ordered",
        "cart_items_quantity_check" => "quantity must be between 1 and 999",
        "cart_items_product_id_fkey" | "order_items_product_id_fkey" => "there is no such product",
        "cart_items_cart_id_fkey" | "orders_cart_id_fkey" => "there is no such cart",
        _ => return None,
    })
}

fn database_kind(error: &sqlx::Error) -> (StatusCode, &'static str, &'static str) {
    const DOWN: (StatusCode, &str, &str) =
        (StatusCode::SERVICE_UNAVAILABLE, "database-unavailable", "Temporarily unavailable");
    match constraint(error).as_deref() {
        Some("products_stock_check") => return (StatusCode::CONFLICT, "insufficient-stock", "Conflict"),
        Some("orders_cart_id_key") => return (StatusCode::CONFLICT, "cart-already-ordered", "Conflict"),
        Some(name) if constraint_detail(name).is_some() => {
            return (StatusCode::UNPROCESSABLE_ENTITY, "invalid-request", "The request is not valid");
        }
        _ => {}
    }
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => DOWN,
        // Class 08 connection, 53 resources, 57 operator intervention (57014 is our own lock or statement
        // timeout), 55P03 lock not available, 40001 and 40P01 serialisation and deadlock.
        sqlx::Error::Database(db) => match db.code().as_deref() {
            Some("55P03" | "40001" | "40P01") => DOWN,
            Some(code) if ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => DOWN,
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        },
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
    }
}

impl From<LiveError> for ApiError {
    fn from(error: LiveError) -> Self {
        tracing::warn!(error = &error as &dyn std::error::Error, "live values could not be read");
        Self::Unavailable {
            code: "live-unavailable",
            detail: "the live store does not answer; try again".to_owned(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code, title) = self.kind();
        self.log(status);
        let mut body = Map::new();
        body.insert("type".into(), json!(format!("urn:plamatio:problem:{code}")));
        body.insert("title".into(), json!(title));
        body.insert("status".into(), json!(status.as_u16()));
        body.insert("detail".into(), json!(self.detail()));
        if !self.errors().is_empty() {
            body.insert("errors".into(), json!(self.errors()));
        }
        let mut response = (status, Json(Value::Object(body))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE && !matches!(self, Self::StorefrontOff) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}
