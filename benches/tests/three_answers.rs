//! The three queries of the workload, computed three times: by the engine, by the hand-written program, and in plain
//! batch SQL without any window function of the engine. All final rows must be equal.

#![allow(
    clippy::unwrap_used,
    reason = "the lint's exception for tests does not reach their helper functions"
)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, Int64Array, StringArray},
    record_batch::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::prelude::SessionContext;
use plamatio_benches::{
    case::{Input, Query, plan},
    limit::{self, Wanted, scan::time_ms},
    measure::{connectors, job_options},
    workload::Workload,
};
use serde_json::Value;
use stream::runtime::job::Job;

/// 20 minutes, so that windows of ten minutes open and close, and sessions end and are split.
const WORKLOAD: Workload = Workload { rate: 50, ..Workload::new(60_000) };

const COLUMNS: [(Query, &[&str]); 3] = [
    (
        Query::TopProducts,
        &["window_start", "window_end", "rank", "product_id", "revenue_cents", "units", "views"],
    ),
    (Query::Funnel, &["window_start", "window_end", "viewed", "carted", "ordered"]),
    (Query::Sessions, &["window_start", "window_end", "session_id", "views", "additions", "revenue_cents"]),
];

const TOP_PRODUCTS: &str = "
WITH slides AS (SELECT column1 AS back FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))),
totals AS (
  SELECT
    event_time - event_time % 60000 - back * 60000 AS window_start, product_id,
    SUM(CASE WHEN event_type = 'order_completed' THEN quantity * price_cents ELSE 0 END) AS revenue_cents,
    SUM(CASE WHEN event_type = 'order_completed' THEN quantity ELSE 0 END) AS units,
    SUM(CASE WHEN event_type = 'product_viewed' THEN 1 ELSE 0 END) AS views
  FROM events CROSS JOIN slides
  GROUP BY 1, 2
),
ranked AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start ORDER BY revenue_cents DESC, product_id) AS place
  FROM totals
)
SELECT window_start, window_start + 600000, place, product_id, revenue_cents, units, views
FROM ranked WHERE place <= 10";

const FUNNEL: &str = "
SELECT
  event_time - event_time % 60000, event_time - event_time % 60000 + 60000,
  COUNT(DISTINCT CASE WHEN event_type = 'product_viewed' THEN session_id END),
  COUNT(DISTINCT CASE WHEN event_type = 'cart_item_added' THEN session_id END),
  COUNT(DISTINCT CASE WHEN event_type = 'order_completed' THEN session_id END)
FROM events GROUP BY 1, 2";

/// Sums go over all events of the same time: of two of them, either may come first.
const SESSIONS: &str = "
WITH gaps AS (
  SELECT *, event_time - LAG(event_time) OVER (PARTITION BY session_id ORDER BY event_time) AS gap FROM events
),
numbered AS (
  SELECT *, SUM(CASE WHEN gap > 30000 THEN 1 ELSE 0 END) OVER (
    PARTITION BY session_id ORDER BY event_time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS number
  FROM gaps
)
SELECT
  MIN(event_time), MAX(event_time) + 30000, session_id,
  SUM(CASE WHEN event_type = 'product_viewed' THEN 1 ELSE 0 END),
  SUM(CASE WHEN event_type = 'cart_item_added' THEN 1 ELSE 0 END),
  SUM(CASE WHEN event_type = 'order_completed' THEN quantity * price_cents ELSE 0 END)
FROM numbered GROUP BY session_id, number";

/// A row as text: its values in the table's order, times in milliseconds.
type Rows = BTreeSet<String>;

/// Rows are never repeated: each names its window and its key.
fn unique(rows: impl IntoIterator<Item = String>) -> Rows {
    let rows: Vec<String> = rows.into_iter().collect();
    let count = rows.len();
    let rows: Rows = rows.into_iter().collect();
    assert_eq!(rows.len(), count, "a row came twice");
    rows
}

async fn by_the_engine(events: &Path, threads: usize) -> [Rows; 3] {
    let folder = tempfile::tempdir().unwrap();
    let file = |query: Query| folder.path().join(format!("{}.jsonl", query.name()));
    let sink = |query| format!("'connector' = 'filesystem', 'path' = '{}'", file(query).display());
    let connectors = connectors();
    let input = Input::File { path: events.to_owned() };
    let plan = plan(&Query::ALL, &input.options(), sink, &connectors).await.unwrap();
    let job = Job::start(plan, &connectors, job_options(threads)).await.unwrap();
    let ledger = job.wait().await.unwrap();
    assert_eq!(ledger.sources["events"].on_time, WORKLOAD.events, "{ledger:?}");
    COLUMNS.map(|(query, columns)| {
        let text = std::fs::read_to_string(file(query)).unwrap();
        unique(text.lines().map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let value = |name: &&str| match &row[*name] {
                Value::String(text) => time_ms(text).map_or(text.clone(), |time| time.to_string()),
                Value::Null => panic!("no {name} in {line}"),
                number => number.to_string(),
            };
            columns.iter().map(value).collect::<Vec<_>>().join(" ")
        }))
    })
}

fn by_hand(events: &Path, threads: usize) -> [Rows; 3] {
    let wanted = Wanted { top_products: true, funnel: true, sessions: true, rows: true };
    let answer = limit::run(events, threads, wanted).unwrap();
    assert_eq!(answer.events, WORKLOAD.events);
    let top = answer.top_products.iter().map(|row| {
        let limit::TopRow { start_ms, end_ms, rank, product, revenue_cents, units, views } = row;
        format!("{start_ms} {end_ms} {rank} {product} {revenue_cents} {units} {views}")
    });
    let funnel = answer.funnel.iter().map(|row| {
        let limit::FunnelRow { start_ms, end_ms, viewed, carted, ordered } = row;
        format!("{start_ms} {end_ms} {viewed} {carted} {ordered}")
    });
    let sessions = answer.sessions.iter().map(|row| {
        let limit::SessionRow { start_ms, end_ms, session, views, additions, revenue_cents } = row;
        format!("{start_ms} {end_ms} {session} {views} {additions} {revenue_cents}")
    });
    let rows = [unique(top), unique(funnel), unique(sessions)];
    let counts = [answer.counts.top_products, answer.counts.funnel, answer.counts.sessions];
    assert_eq!(counts, rows.each_ref().map(|rows| rows.len() as u64));
    rows
}

/// The events as a table, parsed by another parser than those that are tested.
fn table(events: &Path) -> RecordBatch {
    let text = std::fs::read_to_string(events).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let texts = |name: &str| -> ArrayRef {
        Arc::new(lines.iter().map(|line| line[name].as_str()).collect::<StringArray>())
    };
    let numbers = |name: &str| -> ArrayRef {
        Arc::new(lines.iter().map(|line| line[name].as_i64()).collect::<Int64Array>())
    };
    let time = |line: &Value| {
        let time = stream::decode::json::value::timestamp(line["event_time"].as_str()?.as_bytes())?;
        Some(time / 1_000)
    };
    let times: ArrayRef = Arc::new(lines.iter().map(time).collect::<Int64Array>());
    RecordBatch::try_from_iter([
        ("event_type", texts("event_type")),
        ("event_time", times),
        ("session_id", texts("session_id")),
        ("product_id", numbers("product_id")),
        ("quantity", numbers("quantity")),
        ("price_cents", numbers("price_cents")),
    ])
    .unwrap()
}

async fn in_batch_sql(events: &Path) -> [Rows; 3] {
    let context = SessionContext::new();
    context.register_batch("events", table(events)).unwrap();
    let mut all = Vec::new();
    for query in [TOP_PRODUCTS, FUNNEL, SESSIONS] {
        let batches = context.sql(query).await.unwrap().collect().await.unwrap();
        let mut rows = Vec::new();
        for batch in batches {
            let options = FormatOptions::new().with_null("NULL");
            let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
            let columns: Vec<_> = columns.collect::<Result<_, _>>().unwrap();
            for row in 0..batch.num_rows() {
                let values: Vec<String> =
                    columns.iter().map(|column| column.value(row).to_string()).collect();
                rows.push(values.join(" "));
            }
        }
        all.push(unique(rows));
    }
    all.try_into().unwrap()
}

fn differences(name: &str, found: &Rows, expected: &Rows) {
    let missing: Vec<_> = expected.difference(found).take(5).collect();
    let wrong: Vec<_> = found.difference(expected).take(5).collect();
    assert!(missing.is_empty() && wrong.is_empty(), "{name}: missing {missing:#?}, wrong {wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_the_hand_written_program_and_batch_sql_agree() {
    let folder = tempfile::tempdir().unwrap();
    let events: PathBuf = WORKLOAD.file(folder.path()).unwrap().path;
    let expected = in_batch_sql(&events).await;
    assert!(expected[0].len() > 200 && expected[1].len() >= 20 && expected[2].len() > 7_000);
    for threads in [1, 2] {
        let (engine, hand) = (by_the_engine(&events, threads).await, by_hand(&events, threads));
        for (index, (query, _)) in COLUMNS.iter().enumerate() {
            let name = |by: &str| format!("{} {by}, threads: {threads}", query.name());
            differences(&name("by hand"), &hand[index], &expected[index]);
            differences(&name("by the engine"), &engine[index], &expected[index]);
        }
    }
}
