//! A lake in a temporary folder, and the columns of the shipped metrics.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use deltalake::{DeltaTable, DeltaTableBuilder};
use plamatio_queries::{Error, Format, Lake, Options, Session};
use tempfile::TempDir;
use url::Url;

pub(crate) const MINUTE: i64 = 60_000_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// 2026-01-05T00:00:00Z, in microseconds.
pub(crate) const START: i64 = 1_767_571_200_000_000;

pub(crate) struct TestLake {
    pub(crate) folder: TempDir,
}

impl TestLake {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With one committed `conversion` table of two windows.
    pub(crate) async fn with_conversion() -> Self {
        let lake = Self::new();
        lake.append("conversion", conversion(&[(START, 100, 3), (START + MINUTE, 50, 1)])).await;
        lake
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn open(&self) -> Lake {
        Lake::open(self.path().to_str().unwrap()).unwrap()
    }

    pub(crate) fn session(&self) -> Session {
        Session::new(self.open())
    }

    /// Commits one version to the Delta table in `folder`, creating it if needed.
    pub(crate) async fn append(&self, folder: &str, batch: RecordBatch) -> DeltaTable {
        let path = self.path().join(folder);
        std::fs::create_dir_all(&path).unwrap();
        let url = Url::from_directory_path(path.canonicalize().unwrap()).unwrap();
        let mut table = DeltaTableBuilder::from_url(url).unwrap().build().unwrap();
        if table.verify_deltatable_existence().await.unwrap() {
            table.load().await.unwrap();
        }
        table.write(vec![batch]).await.unwrap()
    }

    pub(crate) async fn csv(&self, sql: &str) -> String {
        run(&self.session(), sql, Format::Csv).await.unwrap()
    }

    /// The error's text, without the folder's name.
    pub(crate) async fn error(&self, sql: &str) -> String {
        let error = run(&self.session(), sql, Format::Csv).await.unwrap_err();
        self.without_path(&error.to_string())
    }

    pub(crate) fn without_path(&self, text: &str) -> String {
        let path = self.path().canonicalize().unwrap();
        text.replace(path.to_str().unwrap(), "LAKE")
    }
}

pub(crate) async fn run(session: &Session, sql: &str, format: Format) -> Result<String, Error> {
    let mut out = Vec::new();
    let options = Options { format, ..Options::default() };
    session.run(sql, &options, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

pub(crate) fn times(values: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
}

pub(crate) fn longs(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// Rows of `conversion`: window start, sessions, purchasing sessions; windows of one minute.
pub(crate) fn conversion(rows: &[(i64, i64, i64)]) -> RecordBatch {
    let of = |f: fn(&(i64, i64, i64)) -> i64| longs(rows.iter().map(f));
    let rates =
        rows.iter().map(|(_, sessions, bought)| (*sessions > 0).then(|| *bought as f64 / *sessions as f64));
    let rates: ArrayRef = Arc::new(Float64Array::from_iter(rates));
    RecordBatch::try_from_iter_with_nullable([
        ("window_start", times(rows.iter().map(|row| row.0).collect()), true),
        ("window_end", times(rows.iter().map(|row| row.0 + MINUTE).collect()), true),
        ("sessions", of(|row| row.1), true),
        ("reached_view", of(|row| row.1), true),
        ("reached_cart", of(|row| row.2 * 3), true),
        ("reached_checkout", of(|row| row.2 * 2), true),
        ("reached_purchase", of(|row| row.2), true),
        ("purchasing_sessions", of(|row| row.2), true),
        ("conversion_rate", Arc::clone(&rates), true),
        ("visitors", of(|row| row.1), true),
        ("purchasing_visitors", of(|row| row.2), true),
        ("cr_user", rates, true),
    ])
    .unwrap()
}

/// Rows of `cart_abandonment`: window start, carts, abandoned, checkouts, checkouts abandoned.
pub(crate) fn cart_abandonment(rows: &[(i64, i64, i64, i64, i64)]) -> RecordBatch {
    let rate = |values: Vec<(i64, i64)>| -> ArrayRef {
        Arc::new(Float64Array::from_iter(
            values.into_iter().map(|(part, all)| (all > 0).then(|| part as f64 / all as f64)),
        ))
    };
    RecordBatch::try_from_iter_with_nullable([
        ("window_start", times(rows.iter().map(|row| row.0).collect()), true),
        ("window_end", times(rows.iter().map(|row| row.0 + HOUR).collect()), true),
        ("carts", longs(rows.iter().map(|row| row.1)), true),
        ("abandoned", longs(rows.iter().map(|row| row.2)), true),
        ("purchased", longs(rows.iter().map(|row| row.1 - row.2)), true),
        ("abandonment_rate", rate(rows.iter().map(|row| (row.2, row.1)).collect()), true),
        ("checkouts", longs(rows.iter().map(|row| row.3)), true),
        ("checkout_abandoned", longs(rows.iter().map(|row| row.4)), true),
        ("checkout_abandonment_rate", rate(rows.iter().map(|row| (row.4, row.3)).collect()), true),
        ("recovered", longs(rows.iter().map(|_| 1)), true),
    ])
    .unwrap()
}

/// Rows of `top_products`: window start and length, ranking, rank, product, units, revenue.
pub(crate) fn top_products(rows: &[(i64, i64, &str, i64, i64, i64, i64)]) -> RecordBatch {
    let ranked_by: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.2)));
    let rates: ArrayRef = Arc::new(Float64Array::from_iter_values(rows.iter().map(|_| 0.1)));
    let currency: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|_| "EUR")));
    RecordBatch::try_from_iter_with_nullable([
        ("window_start", times(rows.iter().map(|row| row.0).collect()), true),
        ("window_end", times(rows.iter().map(|row| row.0 + row.1).collect()), true),
        ("ranked_by", ranked_by, true),
        ("rank", longs(rows.iter().map(|row| row.3)), true),
        ("product_id", longs(rows.iter().map(|row| row.4)), true),
        ("views", longs(rows.iter().map(|row| row.5 * 10)), true),
        ("units", longs(rows.iter().map(|row| row.5)), true),
        ("revenue_minor", longs(rows.iter().map(|row| row.6)), true),
        ("currency", currency, true),
        ("cart_to_view_rate", Arc::clone(&rates), true),
        ("purchase_to_view_rate", rates, true),
    ])
    .unwrap()
}

/// Rows of `dead_letters`: topic, offset, reason, time set aside.
pub(crate) fn dead_letters(rows: &[(&str, i64, &str, i64)]) -> RecordBatch {
    let text = |values: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let payload: ArrayRef = Arc::new(BinaryArray::from_iter_values(rows.iter().map(|_| b"{\xff")));
    let partition: ArrayRef = Arc::new(Int32Array::from_iter_values(rows.iter().map(|_| 0)));
    let event_time: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from(vec![None; rows.len()]).with_timezone("UTC"));
    RecordBatch::try_from_iter_with_nullable([
        ("kind", text(rows.iter().map(|_| "malformed").collect()), true),
        ("source_table", text(rows.iter().map(|_| "cart_events").collect()), true),
        ("topic", text(rows.iter().map(|row| row.0).collect()), true),
        ("partition", partition, true),
        ("offset", longs(rows.iter().map(|row| row.1)), true),
        ("reason", text(rows.iter().map(|row| row.2).collect()), true),
        ("payload", payload, true),
        ("event_time", event_time, true),
        ("set_aside_at", times(rows.iter().map(|row| row.3).collect()), true),
    ])
    .unwrap()
}
