//! Reading the lake.

use std::path::Path;

use arrow::{array::AsArray, datatypes::Int64Type, record_batch::RecordBatch};
use futures::TryStreamExt;
use queries::{Lake, Session};

use super::{block_on, check_script};

/// The rows of a statement.
pub(crate) fn query(lake: &Path, sql: &str) -> Vec<RecordBatch> {
    try_query(lake, sql).unwrap_or_else(|error| panic!("{error:#}\nin {sql}"))
}

/// The rows of a statement, where the tables are there.
pub(crate) fn try_query(lake: &Path, sql: &str) -> Result<Vec<RecordBatch>, anyhow::Error> {
    block_on(async {
        let lake = Lake::open(&lake.display().to_string())?;
        let session = Session::with(lake, stream::sql::functions::register);
        Ok(session.query(sql).await?.try_collect().await?)
    })
}

/// The one integer that a statement answers; 0 for NULL.
pub(crate) fn number(lake: &Path, sql: &str) -> i64 {
    try_number(lake, sql).unwrap_or_else(|error| panic!("{error:#}\nin {sql}"))
}

/// As [`number`], where the tables are there.
pub(crate) fn try_number(lake: &Path, sql: &str) -> Result<i64, anyhow::Error> {
    let sql = format!("SELECT CAST(COALESCE(n, 0) AS BIGINT) FROM ({sql}) AS t(n)");
    let batches = try_query(lake, &sql)?;
    let column = batches.iter().find(|batch| batch.num_rows() > 0).unwrap().column(0);
    Ok(column.as_primitive::<Int64Type>().value(0))
}

/// Rows of all batches.
pub(crate) fn rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

/// Rows in which a metric's table and batch SQL over the raw events differ.
pub(crate) fn differences(lake: &Path, metric: &str) -> Vec<RecordBatch> {
    query(lake, &check_script(metric))
}

/// The metric's table has rows, each once, and they are those of batch SQL over the raw events.
pub(crate) fn assert_equals_batch(lake: &Path, metric: &str) -> i64 {
    let different = differences(lake, metric);
    if rows(&different) > 0 {
        let table = arrow::util::pretty::pretty_format_batches(&different).unwrap().to_string();
        let start: Vec<&str> = table.lines().take(30).collect();
        panic!("{metric}: {} rows differ\n{}", rows(&different), start.join("\n"));
    }
    let all = number(lake, &format!("SELECT COUNT(*) FROM {metric}"));
    let once = number(lake, &format!("SELECT COUNT(*) FROM (SELECT DISTINCT * FROM {metric})"));
    assert!(all > 0, "{metric} has no rows");
    assert_eq!(all, once, "{metric}: rows are there twice");
    all
}
