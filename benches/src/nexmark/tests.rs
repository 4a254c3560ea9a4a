//! What is generated, and the queries against batch SQL over the same files.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use arrow::{
    datatypes::{DataType, Field, Schema, TimeUnit},
    util::pretty::pretty_format_batches,
};
use datafusion::prelude::{JsonReadOptions, SessionContext};
use serde_json::Value;
use tempfile::TempDir;

use super::*;

fn nexmark(events: u64, files: usize) -> Nexmark {
    // 500 a second: 50,000 events are 100 seconds, so that windows of ten close on the way.
    Nexmark { events, seed: 7, events_per_second: 500, files }
}

fn objects(folder: &Path, file: usize) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(format!("part-{file}.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn proportions_and_ranges_are_those_of_the_specification() {
    let data = TempDir::new().unwrap();
    let files = nexmark(50_000, 2).files(data.path()).unwrap();
    for file in 0..2 {
        let objects = objects(&files.folder, file);
        let mut kinds = BTreeMap::new();
        let mut last = String::new();
        let (mut hot, mut bytes) = (0, 0);
        for object in &objects {
            let number = |name: &str| object[name].as_u64().unwrap();
            *kinds.entry(number("event_type")).or_insert(0) += 1;
            let time = object["date_time"].as_str().unwrap();
            assert!(last.as_str() <= time, "events are in order");
            time.clone_into(&mut last);
            match number("event_type") {
                0 => assert!((1_000..2_000).contains(&number("id")), "1,000 persons in 50,000 events"),
                1 => {
                    assert!((1_000..4_000).contains(&number("id")));
                    assert!((10..15).contains(&number("category")));
                    assert!(number("reserve") > number("initial_bid"));
                    assert!(object["expires"].as_str().unwrap() > time);
                }
                _ => {
                    assert!((1_000..4_010).contains(&number("auction")));
                    assert!((1_000..2_010).contains(&number("bidder")));
                    assert!((100..=100_000_000).contains(&number("price")));
                    hot += u64::from(number("auction") % 100 == 0);
                    bytes += 4 * 8 + object["extra"].as_str().unwrap().len();
                }
            }
        }
        assert_eq!(kinds, BTreeMap::from([(0, 500), (1, 1_500), (2, 23_000)]));
        // Half of the bids, and the few of the rest that fall on a hundredth auction.
        assert!((11_500..12_500).contains(&hot), "{hot}");
        assert!((95..105).contains(&(bytes / 23_000)), "{bytes}");
    }
}

#[test]
fn files_are_the_same_bytes_and_kept() {
    let (data, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let first = nexmark(1_000, 1).files(data.path()).unwrap();
    let second = nexmark(1_000, 1).files(other.path()).unwrap();
    let read = |files: &NexmarkFiles| std::fs::read(files.folder.join("part-0.jsonl")).unwrap();
    assert_eq!(read(&first), read(&second));
    assert_eq!(u64::try_from(read(&first).len()).unwrap(), first.bytes + 1_000);

    let part = first.folder.join("part-0.jsonl");
    let written = std::fs::metadata(&part).unwrap().modified().unwrap();
    nexmark(1_000, 1).files(data.path()).unwrap();
    assert_eq!(std::fs::metadata(&part).unwrap().modified().unwrap(), written);
}

/// The query in batch SQL, without a window function of the engine.
fn batch(query: Query) -> &'static str {
    match query {
        Query::Q0 => "SELECT auction, bidder, price, date_time, extra FROM nexmark WHERE event_type = 2",
        Query::Q1 => {
            "SELECT auction, bidder, CAST(CAST(price * 908 AS DECIMAL(26, 3)) / 1000 AS DECIMAL(23, 3)) AS price,
                    date_time, extra
             FROM nexmark WHERE event_type = 2"
        }
        Query::Q2 => "SELECT auction, price FROM nexmark WHERE event_type = 2 AND auction % 123 = 0",
        Query::Q5 => {
            "WITH bids AS (
               SELECT auction, CAST(floor(date_part('epoch', date_time) / 2) AS BIGINT) * 2 AS pane
               FROM nexmark WHERE event_type = 2
             ), windows AS (
               SELECT auction, pane - back AS began FROM bids
               CROSS JOIN (VALUES (0), (2), (4), (6), (8)) AS slides (back)
             ), counted AS (
               SELECT began, auction, count(*) AS num FROM windows GROUP BY began, auction
             ), best AS (
               SELECT began, max(num) AS num FROM counted GROUP BY began
             )
             SELECT to_timestamp_millis(c.began * 1000) AS window_start,
                    to_timestamp_millis((c.began + 10) * 1000) AS window_end,
                    min(c.auction) AS auction, c.num AS num
             FROM counted c JOIN best b ON b.began = c.began AND b.num = c.num
             GROUP BY c.began, c.num"
        }
    }
}

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn millis() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, None)
}

/// What a query's rows are read back as.
fn written(query: Query) -> Schema {
    let number = |name| field(name, DataType::Int64);
    let bid = |price| {
        let rest = [price, field("date_time", millis()), field("extra", DataType::Utf8)];
        [number("auction"), number("bidder")].into_iter().chain(rest).collect::<Vec<_>>()
    };
    Schema::new(match query {
        Query::Q0 => bid(number("price")),
        Query::Q1 => bid(field("price", DataType::Decimal128(23, 3))),
        Query::Q2 => vec![number("auction"), number("price")],
        Query::Q5 => {
            let bounds = [field("window_start", millis()), field("window_end", millis())];
            bounds.into_iter().chain([number("auction"), number("num")]).collect()
        }
    })
}

async fn table(context: &SessionContext, name: &str, folder: &Path, schema: &Schema) {
    let options = JsonReadOptions::default().schema(schema).file_extension(".jsonl");
    context.register_json(name, folder.to_str().unwrap(), options).await.unwrap();
}

/// A query's rows as text, every column by its text, ordered by all of them.
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
async fn every_query_has_the_rows_of_batch_sql() {
    let data = TempDir::new().unwrap();
    let files = nexmark(50_000, 2).files(data.path()).unwrap();
    let context = SessionContext::new();
    let source = Schema::new(vec![
        field("event_type", DataType::Int32),
        field("auction", DataType::Int64),
        field("bidder", DataType::Int64),
        field("price", DataType::Int64),
        field("date_time", millis()),
        field("extra", DataType::Utf8),
    ]);
    table(&context, "nexmark", &files.folder, &source).await;
    for query in Query::ALL {
        let columns = written(query);
        let (count, expected) = rows(&context, batch(query), &columns).await;
        assert!(count > 40, "{query}: {count} rows show little");
        for threads in [1, 2] {
            let folder = data.path().join(format!("{query}-{threads}"));
            let case = QueryCase { folder: files.folder.clone(), threads, query, rows: Some(folder.clone()) };
            let measured = case.run().await.unwrap();
            assert_eq!(measured.events, 50_000, "{query}");
            assert_eq!(usize::try_from(measured.rows).unwrap(), count, "{query}, {threads} threads");
            let name = format!("{query}_{threads}");
            table(&context, &name, &folder, &columns).await;
            let (_, found) = rows(&context, &format!("SELECT * FROM {name}"), &columns).await;
            // Not assert_eq: both are thousands of lines.
            let differing =
                || found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
            assert!(found == expected, "{query}, {threads} threads: {:?}", differing());
        }
    }
}
