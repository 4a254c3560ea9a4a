//! All 23 queries of Nexmark: those that only ever add rows run, with the rows that batch SQL makes of the same events;
//! the others are refused, each with its reason.

#![allow(
    clippy::unwrap_used,
    reason = "the lint's exception for tests does not reach their helper functions"
)]

use std::{collections::BTreeMap, path::Path, sync::Arc};

use arrow::{
    datatypes::{DataType, Field, Schema, TimeUnit},
    util::pretty::pretty_format_batches,
};
use datafusion::prelude::{JsonReadOptions, SessionContext};
use plamatio_benches::nexmark::{Nexmark, Query, QueryCase};
use sinks::Extras;
use stream::{
    StreamError,
    planner::{self, Connectors, JobPlan},
    runtime::{
        clock,
        job::{Job, JobOptions},
    },
};

/// What becomes of a query.
enum Verdict {
    /// It runs; the same in batch SQL, without a window or a join of the engine.
    Runs(&'static str),
    /// It is refused, with this in the message.
    Refused(&'static str),
}
use Verdict::{Refused, Runs};

const JOIN: &str = "this JOIN is neither on equal windows nor on an interval of time";
const NO_WINDOW: &str = "this aggregation has no window, so it would never be final";
const NO_RANK: &str = "ROW_NUMBER() must be within a window, or it would never be final";

fn verdict(query: usize) -> Verdict {
    match query {
        0 => Runs("SELECT auction, bidder, price, date_time, extra FROM bid"),
        1 => Runs(
            "SELECT auction, bidder, CAST(CAST(price * 908 AS DECIMAL(26, 3)) / 1000 AS DECIMAL(23, 3)) AS price,
                    date_time, extra FROM bid",
        ),
        2 => Runs("SELECT auction, price FROM bid WHERE auction % 123 = 0"),
        3 | 4 | 6 | 9 | 20 => Refused(JOIN),
        5 => Runs(
            "WITH windows AS (
               SELECT auction, CAST(floor(date_part('epoch', date_time) / 2) AS BIGINT) * 2 - back AS began FROM bid
               CROSS JOIN (VALUES (0), (2), (4), (6), (8)) AS slides (back)
             ), counted AS (SELECT began, auction, count(*) AS num FROM windows GROUP BY began, auction),
             best AS (SELECT began, max(num) AS num FROM counted GROUP BY began)
             SELECT to_timestamp_millis(c.began * 1000) AS window_start,
                    to_timestamp_millis((c.began + 10) * 1000) AS window_end, min(c.auction) AS auction, c.num AS num
             FROM counted c JOIN best b ON b.began = c.began AND b.num = c.num GROUP BY c.began, c.num",
        ),
        // A bid at a window's very end counts for the window before as well.
        7 => Runs(
            "WITH best AS (
               SELECT max(price) AS maxprice, (CAST(floor(date_part('epoch', date_time) / 10) AS BIGINT) + 1) * 10 AS ended
               FROM bid GROUP BY 2
             )
             SELECT auction, bidder, price, date_time, extra FROM bid JOIN best ON price = maxprice
             WHERE date_time BETWEEN to_timestamp_millis((ended - 10) * 1000) AND to_timestamp_millis(ended * 1000)",
        ),
        8 => Runs(
            "WITH p AS (
               SELECT DISTINCT id, name, CAST(floor(date_part('epoch', date_time) / 10) AS BIGINT) AS began FROM person
             ), a AS (
               SELECT DISTINCT seller, CAST(floor(date_part('epoch', date_time) / 10) AS BIGINT) AS began FROM auction
             )
             SELECT id, name, to_timestamp_millis(p.began * 10000) AS starttime
             FROM p JOIN a ON id = seller AND p.began = a.began",
        ),
        10 => Runs(
            "SELECT auction, bidder, price, date_time, extra, to_char(date_time, '%Y-%m-%d') AS dt,
                    to_char(date_time, '%H:%M') AS hm FROM bid",
        ),
        11 => Runs(
            "WITH gaps AS (
               SELECT bidder, date_time, lag(date_time) OVER (PARTITION BY bidder ORDER BY date_time) AS last FROM bid
             ), numbered AS (
               SELECT bidder, date_time,
                 sum(CASE WHEN date_time <= last + INTERVAL '10' SECOND THEN 0 ELSE 1 END)
                   OVER (PARTITION BY bidder ORDER BY date_time RANGE UNBOUNDED PRECEDING) AS number FROM gaps
             )
             SELECT bidder, count(*) AS bid_count, min(date_time) AS starttime,
                    max(date_time) + INTERVAL '10' SECOND AS endtime
             FROM numbered GROUP BY bidder, number",
        ),
        12 => Refused("PROCTIME"),
        13 => Refused("SYSTEM_TIME"),
        14 => Runs(
            "SELECT auction, bidder, CAST(CAST(price * 908 AS DECIMAL(26, 3)) / 1000 AS DECIMAL(23, 3)) AS price,
                    CASE WHEN date_part('hour', date_time) BETWEEN 8 AND 18 THEN 'dayTime'
                         WHEN date_part('hour', date_time) <= 6 OR date_part('hour', date_time) >= 20 THEN 'nightTime'
                         ELSE 'otherTime' END AS bid_time_type,
                    date_time, extra, length(extra) - length(replace(extra, 'c', '')) AS c_counts
             FROM bid WHERE price * 908 > 1000000000 AND price * 908 < 50000000000",
        ),
        15..=17 => Refused(NO_WINDOW),
        18 | 19 => Refused(NO_RANK),
        21 => Runs(
            "SELECT * FROM (
               SELECT auction, bidder, price, channel,
                 CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2'
                   WHEN 'baidu' THEN '3' ELSE (regexp_match(url, '(&|^)channel_id=([^&]*)'))[2] END AS channel_id
               FROM bid
             ) WHERE channel_id IS NOT NULL",
        ),
        22 => Runs(
            "SELECT auction, bidder, price, channel, nullif(split_part(url, '/', 4), '') AS dir1,
                    nullif(split_part(url, '/', 5), '') AS dir2, nullif(split_part(url, '/', 6), '') AS dir3 FROM bid",
        ),
        other => panic!("there is no query {other}"),
    }
}

fn filesystem(folder: &Path) -> String {
    format!("'connector' = 'filesystem', 'path' = '{}'", folder.display())
}

async fn plan(query: usize, events: &Path, rows: &Path) -> Result<JobPlan, StreamError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/nexmark");
    let read = |name: String| std::fs::read_to_string(folder.join(name)).unwrap();
    let script = read("events.sql".to_owned()) + &read(format!("q{query}.sql"));
    let values =
        BTreeMap::from([("source".to_owned(), filesystem(events)), (format!("q{query}"), filesystem(rows))]);
    planner::plan(&script, &values, &connectors()).await
}

fn connectors() -> Connectors {
    Connectors { sinks: sinks::registry(Extras::default()), ..Connectors::default() }
}

fn millis() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, None)
}

async fn table(context: &SessionContext, name: &str, folder: &Path, schema: &Schema) {
    let options = JsonReadOptions::default().schema(schema).file_extension(".jsonl");
    context.register_json(name, folder.to_str().unwrap(), options).await.unwrap();
}

async fn events(context: &SessionContext, folder: &Path) {
    let texts = ["extra", "name", "city", "state", "item_name", "description", "channel", "url"];
    let numbers =
        ["event_type", "id", "initial_bid", "reserve", "seller", "category", "auction", "bidder", "price"];
    let fields = texts.iter().map(|name| Field::new(*name, DataType::Utf8, true));
    let fields = fields.chain(numbers.iter().map(|name| Field::new(*name, DataType::Int64, true)));
    let times = ["date_time", "expires"].map(|name| Field::new(name, millis(), true));
    let schema = Schema::new(fields.chain(times).collect::<Vec<_>>());
    table(context, "nexmark", folder, &schema).await;
    for (number, view) in ["person", "auction", "bid"].iter().enumerate() {
        // What each lacks is NULL.
        let sql = format!("CREATE VIEW {view} AS SELECT * FROM nexmark WHERE event_type = {number}");
        context.sql(&sql).await.unwrap();
    }
}

/// What a query's rows are read back as.
fn written(plan: &JobPlan) -> Schema {
    let columns = plan.sinks[0].table.columns.iter().map(|column| match &column.data_type {
        DataType::Timestamp(..) => Field::new(&column.name, millis(), true),
        other => Field::new(&column.name, other.clone(), true),
    });
    Schema::new(columns.collect::<Vec<_>>())
}

/// Holds the rows in `folder`, read as the table `name`, against the text of those expected.
async fn assert_written(
    context: &SessionContext,
    name: &str,
    folder: &Path,
    columns: &Schema,
    expected: &str,
) {
    table(context, name, folder, columns).await;
    let (_, found) = rows(context, &format!("SELECT * FROM {name}"), columns).await;
    // Not assert_eq: both are thousands of lines.
    let differing = || found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(found == expected, "{name}: {:?}", differing());
}

/// Rows as text, ordered by all columns.
async fn rows(context: &SessionContext, sql: &str, columns: &Schema) -> (usize, String) {
    let column = |field: &Arc<Field>| {
        let name = field.name();
        match field.data_type() {
            // The sink writes the zone, the generator does not.
            DataType::Timestamp(..) => {
                format!("arrow_cast(arrow_cast({name}, 'Timestamp(Millisecond, None)'), 'Int64') AS {name}")
            }
            _ => name.clone(),
        }
    };
    let names: Vec<String> = columns.fields().iter().map(column).collect();
    let order: Vec<String> = (1..=names.len()).map(|column| column.to_string()).collect();
    let sql = format!("SELECT {} FROM ({sql}) ORDER BY {}", names.join(", "), order.join(", "));
    let batches = context.sql(&sql).await.unwrap().collect().await.unwrap();
    let count = batches.iter().map(|batch| batch.num_rows()).sum();
    (count, pretty_format_batches(&batches).unwrap().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_have_the_rows_of_batch_sql_or_are_refused_with_the_reason() {
    let data = tempfile::tempdir().unwrap();
    let nexmark = Nexmark { events: 20_000, seed: 3, events_per_second: 500, files: 2 };
    let files = nexmark.files(data.path()).unwrap();
    let context = SessionContext::new();
    events(&context, &files.folder).await;
    for query in 0..=22 {
        let folder = data.path().join(format!("q{query}"));
        let planned = plan(query, &files.folder, &folder).await;
        let batch = match (verdict(query), planned.as_ref()) {
            (Runs(batch), Ok(_)) => batch,
            (Refused(reason), Err(StreamError::Sql(error))) => {
                assert!(error.to_string().contains(reason), "q{query}: {error}");
                continue;
            }
            (Runs(_), Err(error)) => panic!("q{query} was refused: {error}"),
            (Refused(_), Err(error)) => panic!("q{query} was not refused as a script's mistake: {error}"),
            (Refused(_), Ok(_)) => panic!("q{query} was not refused"),
        };
        let planned = planned.unwrap();
        let columns = written(&planned);
        let options = JobOptions {
            name: format!("q{query}"),
            state: None,
            dead_letters: None,
            clock: clock::system(),
            parallelism: Some(2),
            may_drop_state: false,
        };
        let ledger = Job::start(planned, &connectors(), options).await.unwrap().wait().await.unwrap();
        assert_eq!(ledger.sources["nexmark"].on_time, 20_000, "q{query}: {ledger:?}");
        let (count, expected) = rows(&context, batch, &columns).await;
        assert!(count > 2, "q{query}: {count} rows show little");
        assert_written(&context, &format!("q{query}"), &folder, &columns, &expected).await;
    }
}

/// As they are measured, on one thread and on two.
#[tokio::test(flavor = "multi_thread")]
async fn every_measured_query_has_the_rows_of_batch_sql() {
    let data = tempfile::tempdir().unwrap();
    // 500 a second: 50,000 events are 100 seconds, so that windows of ten close on the way.
    let nexmark = Nexmark { events: 50_000, seed: 7, events_per_second: 500, files: 2 };
    let files = nexmark.files(data.path()).unwrap();
    let context = SessionContext::new();
    events(&context, &files.folder).await;
    for query in Query::ALL {
        let number = query.name().trim_start_matches('q').parse().unwrap();
        let Runs(batch) = verdict(number) else { panic!("{query} is measured, but refused") };
        let columns = written(&plan(number, &files.folder, data.path()).await.unwrap());
        let (count, expected) = rows(&context, batch, &columns).await;
        assert!(count > 40, "{query}: {count} rows show little");
        for threads in [1, 2] {
            let folder = data.path().join(format!("{query}-{threads}"));
            let case = QueryCase { folder: files.folder.clone(), threads, query, rows: Some(folder.clone()) };
            let measured = case.run().await.unwrap();
            assert_eq!(measured.events, 50_000, "{query}");
            assert_eq!(usize::try_from(measured.rows).unwrap(), count, "{query}, {threads} threads");
            assert_written(&context, &format!("{query}_{threads}"), &folder, &columns, &expected).await;
        }
    }
}
