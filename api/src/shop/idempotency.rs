//! Idempotency keys: the same key with the same request gets the same answer, however often it is sent.
//!
//! The key's row is inserted in the transaction of the work itself. A second request with the key waits at
//! the insert until the first has committed (then it reads the answer) or rolled back (then it does the work
//! itself). A failed request therefore leaves no trace, and its key can be used again.

use serde_json::Value;
use sqlx::PgConnection;

use crate::error::ApiError;

/// What a key turns out to be.
pub(crate) enum Claim {
    /// Not seen before: do the work, then call [`store`] in the same transaction.
    New,
    /// Done before: status and body of the answer given then.
    Replay {
        /// HTTP status.
        status: u16,
        /// JSON body.
        response: Value,
    },
}

/// Claims the key, or finds what it did.
pub(crate) async fn claim(
    tx: &mut PgConnection,
    scope: &str,
    key: &str,
    request: &Value,
) -> Result<Claim, ApiError> {
    let inserted = sqlx::query(
        "INSERT INTO idempotency_keys (scope, key, request) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(scope)
    .bind(key)
    .bind(request)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if inserted == 1 {
        return Ok(Claim::New);
    }
    let stored: Option<(Value, Option<i32>, Option<Value>)> = sqlx::query_as(
        "SELECT request, status, response FROM idempotency_keys WHERE scope = $1 AND key = $2",
    )
    .bind(scope)
    .bind(key)
    .fetch_optional(&mut *tx)
    .await?;
    match stored {
        Some((before, _, _)) if before != *request => Err(ApiError::Invalid {
            code: "idempotency-key-reused",
            detail: "this Idempotency-Key was used with another payload; use a new key for a new request"
                .to_owned(),
            errors: Vec::new(),
        }),
        Some((_, Some(status), Some(response))) => {
            Ok(Claim::Replay { status: u16::try_from(status).unwrap_or(200), response })
        }
        // Stored in one transaction, so a visible key has its answer; or it was pruned between the two
        // statements. Either way the client may simply try again.
        _ => Err(ApiError::conflict(
            "idempotency-key-in-use",
            "a request with this Idempotency-Key is still running; try again",
        )),
    }
}

/// Keeps the answer beside the claimed key.
pub(crate) async fn store(
    tx: &mut PgConnection,
    scope: &str,
    key: &str,
    status: u16,
    response: &Value,
) -> Result<(), ApiError> {
    sqlx::query("UPDATE idempotency_keys SET status = $3, response = $4 WHERE scope = $1 AND key = $2")
        .bind(scope)
        .bind(key)
        .bind(i32::from(status))
        .bind(response)
        .execute(tx)
        .await?;
    Ok(())
}
