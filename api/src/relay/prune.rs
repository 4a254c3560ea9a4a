//! Deleting what has served its time, in small transactions so that nobody waits long for a lock.

use sqlx::PgConnection;

use super::RelayConfig;

/// Rows deleted per statement.
const CHUNK: i64 = 5_000;

/// Deletes published outbox rows and idempotency keys that are older than the settings keep them.
pub(super) async fn prune(connection: &mut PgConnection, config: &RelayConfig) -> Result<(), sqlx::Error> {
    loop {
        let deleted = sqlx::query(
            "DELETE FROM outbox WHERE id IN (
                 SELECT id FROM outbox WHERE published_at < now() - make_interval(secs => $1) LIMIT $2)",
        )
        .bind(config.keep_published.as_secs_f64())
        .bind(CHUNK)
        .execute(&mut *connection)
        .await?
        .rows_affected();
        if deleted < CHUNK as u64 {
            break;
        }
    }
    sqlx::query("DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(secs => $1)")
        .bind(config.keep_idempotency_keys.as_secs_f64())
        .execute(connection)
        .await?;
    Ok(())
}
