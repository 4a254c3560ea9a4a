//! Reading requests: axum's extractors, with every refusal as an [`ApiError`], and the headers of our own.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use events::Traffic;
use serde::de::DeserializeOwned;

use crate::error::{ApiError, FieldError};
use crate::shop::visitor::Visitor;

/// Longest value of a header of ours, in bytes; the same bound as for text fields of events.
const HEADER_BYTES: usize = 128;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::JsonDataError(error)) => Err(ApiError::Invalid {
                code: "invalid-request",
                detail: error.body_text(),
                errors: Vec::new(),
            }),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(ApiError::UnsupportedMedia { detail: "send the body as application/json".to_owned() })
            }
            Err(JsonRejection::BytesRejection(error)) => Err(bytes_error(&error)),
            Err(error) => Err(ApiError::BadRequest { detail: error.body_text() }),
        }
    }
}

/// A body as bytes, within the route's limit.
pub(crate) struct Raw(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        Bytes::from_request(request, state).await.map(Self).map_err(|error| bytes_error(&error))
    }
}

fn bytes_error(error: &BytesRejection) -> ApiError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::TooLarge {
            detail: "the body is larger than this route takes; send less at a time".to_owned(),
        }
    } else {
        ApiError::BadRequest { detail: "the body could not be read to its end".to_owned() }
    }
}

/// Path parameters.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(error) => Err(ApiError::BadRequest { detail: error.body_text() }),
        }
    }
}

/// Query parameters.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(error) => Err(ApiError::BadRequest { detail: error.body_text() }),
        }
    }
}

/// A header of ours: absent, or 1 to 128 visible ASCII characters.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ApiError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=HEADER_BYTES).contains(&text.len()));
    match text {
        Some(text) => Ok(Some(text)),
        None => Err(ApiError::field(name, format!("must be 1 to {HEADER_BYTES} visible ASCII characters"))),
    }
}

/// `X-Visitor-Id`, `X-Session-Id` (both required) and `X-Traffic`.
pub(crate) fn visitor(headers: &HeaderMap) -> Result<Visitor, ApiError> {
    let (anonymous_id, session_id) = (header(headers, "x-visitor-id")?, header(headers, "x-session-id")?);
    let (Some(anonymous_id), Some(session_id)) = (anonymous_id, session_id) else {
        let missing = [("x-visitor-id", anonymous_id), ("x-session-id", session_id)];
        return Err(ApiError::Invalid {
            code: "visitor-required",
            detail: "a cart belongs to a visitor and a session: send both headers".to_owned(),
            errors: missing
                .into_iter()
                .filter(|(_, value)| value.is_none())
                .map(|(name, _)| FieldError::new(name, "is required"))
                .collect(),
        });
    };
    let traffic = match header(headers, "x-traffic")? {
        None => Traffic::Human,
        Some(name) => {
            name.parse().map_err(|_| ApiError::field("x-traffic", "must be human, bot, test or staff"))?
        }
    };
    Ok(Visitor { anonymous_id: anonymous_id.to_owned(), session_id: session_id.to_owned(), traffic })
}

/// W3C `traceparent`, when it is one (version 00); anything else is left out, as the standard asks.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let hex = |part: &&str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (lengths == [2, 32, 16, 2] && parts.iter().all(hex)).then_some(text)
}
