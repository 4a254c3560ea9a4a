//! `plamatio migrate`: the PostgreSQL schema.

use std::time::Duration;

use anyhow::Context;
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::cli::MigrateArgs;

/// Applies the migrations that are missing.
pub(crate) async fn migrate(args: MigrateArgs) -> anyhow::Result<()> {
    let pool = connect(&args.database_url).await?;
    apply(&pool).await?;
    println!("the schema is up to date");
    Ok(())
}

/// Connects to PostgreSQL.
pub(crate) async fn connect(url: &str) -> anyhow::Result<PgPool> {
    PgPoolOptions::new()
        .max_connections(16)
        .acquire_timeout(Duration::from_secs(10))
        .connect(url)
        .await
        .context("cannot connect to PostgreSQL; check DATABASE_URL and that the server runs")
}

/// Applies the migrations that are missing.
pub(crate) async fn apply(pool: &PgPool) -> anyhow::Result<()> {
    api::MIGRATOR.run(pool).await.context("cannot bring the schema up to date")
}

/// Whether the server answers.
pub(crate) async fn try_connect(url: &str) -> bool {
    use sqlx::{Connection, PgConnection};
    match PgConnection::connect(url).await {
        Ok(connection) => connection.close().await.is_ok(),
        Err(_) => false,
    }
}
