//! A database per test, dropped at its end.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgPool};
use uuid::Uuid;

use super::services;

/// A migrated database of its own.
pub(crate) struct TestDb {
    name: String,
    pub(crate) pool: PgPool,
}

fn options() -> PgConnectOptions {
    PgConnectOptions::from_str(services::postgres_url()).unwrap()
}

async fn admin(statement: String) -> Result<(), sqlx::Error> {
    let mut connection = options().connect().await?;
    connection.execute(AssertSqlSafe(statement)).await.map(|_| ())
}

impl TestDb {
    /// Creates it and runs the migrations.
    pub(crate) async fn create() -> Self {
        let db = Self::empty().await;
        api::MIGRATOR.run(&db.pool).await.unwrap();
        db
    }

    /// Without a schema.
    pub(crate) async fn empty() -> Self {
        let name = format!("plm_test_{}", Uuid::new_v4().simple());
        admin(format!("CREATE DATABASE {name}")).await.unwrap();
        let pool = PgPoolOptions::new().max_connections(16).connect_lazy_with(options().database(&name));
        Self { name, pool }
    }

    /// One number.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap()
    }

    /// Statements without an answer.
    pub(crate) async fn run(&self, statements: &'static str) {
        self.pool.execute(statements).await.unwrap();
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // Its own thread and runtime: the test's may be ending, and this must be waited for.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(admin(statement))
        });
        if !matches!(dropping.join(), Ok(Ok(()))) {
            eprintln!("database {} was left behind", self.name);
        }
    }
}
