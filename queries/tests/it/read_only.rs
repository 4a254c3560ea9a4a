//! Nothing that an analyst types changes the lake.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use plamatio_queries::Format;

use crate::support::{TestLake, run};

const WRITES: [&str; 24] = [
    "INSERT INTO conversion SELECT * FROM conversion",
    "INSERT INTO nowhere VALUES (1)",
    "UPDATE conversion SET sessions = 0",
    "DELETE FROM conversion",
    "TRUNCATE TABLE conversion",
    "MERGE INTO conversion USING conversion AS s ON false WHEN NOT MATCHED THEN INSERT VALUES (1)",
    "COPY conversion TO 'LAKE/out.parquet'",
    "COPY (SELECT 1) TO 'LAKE/out.csv'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE VIEW v AS SELECT 1",
    "CREATE SCHEMA s",
    "CREATE DATABASE d",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'LAKE/out'",
    "CREATE FUNCTION f() RETURNS BIGINT RETURN 1",
    "DROP TABLE conversion",
    "DROP VIEW conversion",
    "DROP SCHEMA public CASCADE",
    "ALTER TABLE conversion ADD COLUMN x INT",
    "SELECT * INTO t FROM conversion",
    "EXPLAIN ANALYZE INSERT INTO conversion SELECT * FROM conversion",
    "EXPLAIN COPY (SELECT 1) TO 'LAKE/out.csv'",
    "WITH x AS (SELECT * FROM conversion) INSERT INTO conversion SELECT * FROM x",
    "SET datafusion.runtime.temp_directory = 'LAKE/tmp'",
    "PREPARE p AS SELECT 1",
];

#[tokio::test]
async fn writes_are_refused() {
    let lake = TestLake::with_conversion().await;
    let before = files(lake.path());
    let mut refusals = String::new();
    for sql in WRITES {
        let sql = sql.replace("LAKE", lake.path().to_str().unwrap());
        let error = run(&lake.session(), &sql, Format::Csv).await.unwrap_err();
        assert!(error.is_user_error(), "{sql}: {error}");
        let text = error.to_string();
        let first = text.lines().next().unwrap();
        assert!(
            first.contains("read-only")
                || first.contains("cannot be changed")
                || first.contains("does not work here"),
            "{sql}: {text}"
        );
        refusals.push_str(&format!("{}\n", lake.without_path(first)));
    }
    assert_eq!(files(lake.path()), before);
    insta::assert_snapshot!(refusals);
}

#[tokio::test]
async fn a_plain_context_does_not_write_either() {
    let lake = TestLake::with_conversion().await;
    let before = files(lake.path());
    for sql in WRITES {
        let sql = sql.replace("LAKE", lake.path().to_str().unwrap());
        let context = lake.open().context();
        if let Ok(frame) = context.sql(&sql).await {
            // Some statements only touch this context (SET, PREPARE, CREATE DATABASE).
            drop(frame.collect().await);
        }
    }
    assert_eq!(files(lake.path()), before);
    let refused = lake.open().context().sql("INSERT INTO conversion SELECT * FROM conversion").await.unwrap();
    assert!(refused.collect().await.unwrap_err().to_string().contains("read-only"));
}

#[tokio::test]
async fn harmless_settings_last_for_the_session() {
    let lake = TestLake::with_conversion().await;
    let session = lake.session();
    let script = "SET datafusion.execution.batch_size = 100; SHOW datafusion.execution.batch_size";
    let csv = run(&session, script, Format::Csv).await.unwrap();
    assert_eq!(csv, "name,value\ndatafusion.execution.batch_size,100\n");
    run(&session, "SET TIME ZONE = 'Europe/Paris'", Format::Csv).await.unwrap();
    run(&session, "RESET datafusion.execution.batch_size", Format::Csv).await.unwrap();
    let csv = run(&session, "SHOW datafusion.execution.batch_size", Format::Csv).await.unwrap();
    assert_eq!(csv, "name,value\ndatafusion.execution.batch_size,8192\n");
}

/// Every file with its content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    found
}
