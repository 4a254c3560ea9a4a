//! `redis` against a real server.

mod order;
mod outage;

use std::collections::BTreeMap;

use events::{LiveWindow, live};
use futures::StreamExt;
use plamatio_sinks::live::WINDOWS_KEPT;
use redis::{AsyncCommands, aio::MultiplexedConnection};
use stream::{
    sink::{Sink, SinkRows},
    table::TableDef,
};

use crate::support::{self, Picture, redis_server, rows, table, watermark, window_rows, window_table};

pub(crate) fn redis_table(url: &str, shop: &str) -> TableDef {
    window_table("conversion", &[("connector", "redis"), ("url", url), ("shop", shop)])
}

async fn connection(url: &str) -> MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

async fn fields(connection: &mut MultiplexedConnection, key: &str) -> BTreeMap<String, String> {
    connection.hgetall(key).await.unwrap()
}

async fn window(connection: &mut MultiplexedConnection, shop: &str, end_ms: i64) -> Option<LiveWindow> {
    let fields = fields(connection, &format!("plm:{{{shop}}}:live:conversion:{end_ms}")).await;
    (!fields.is_empty()).then(|| LiveWindow::from_fields(fields).unwrap())
}

struct Fixture {
    url: String,
    shop: String,
    connection: MultiplexedConnection,
    sink: Box<dyn Sink>,
}

impl Fixture {
    async fn new() -> Self {
        let (url, shop) = (redis_server::url(), redis_server::shop());
        let sink = support::open(&redis_table(&url, &shop)).await.unwrap();
        Fixture { connection: connection(&url).await, url, shop, sink }
    }

    async fn window(&mut self, end_ms: i64) -> Option<LiveWindow> {
        window(&mut self.connection, &self.shop, end_ms).await
    }

    async fn current(&mut self) -> Option<i64> {
        self.connection.get(live::current_key(&self.shop, "conversion")).await.unwrap()
    }
}

#[tokio::test]
async fn the_windows_of_a_write_are_as_readers_expect_them() {
    let mut fixture = Fixture::new().await;
    let client = redis::Client::open(fixture.url.as_str()).unwrap();
    let mut changes = client.get_async_pubsub().await.unwrap();
    changes.subscribe(live::channel(&fixture.shop, "conversion")).await.unwrap();

    let batch = window_rows(&[(60_000, "a", 1), (120_000, "b", 2), (60_000, "\"c\"", 3)]);
    fixture.sink.write(rows(batch, 4, 17, false)).await.unwrap();

    let first = fixture.window(60_000).await.unwrap();
    assert_eq!((first.metric.as_str(), first.epoch, first.revision), ("conversion", 4, 17));
    assert!(!first.is_final);
    assert_eq!(first.window_start.timestamp_millis(), 0);
    assert_eq!(first.window_end.timestamp_millis(), 60_000);
    let expected = serde_json::json!([
        {"window_start": "1970-01-01T00:00:00.000Z", "window_end": "1970-01-01T00:01:00.000Z", "name": "a", "n": 1},
        {"window_start": "1970-01-01T00:00:00.000Z", "window_end": "1970-01-01T00:01:00.000Z", "name": "\"c\"", "n": 3},
    ]);
    assert_eq!(serde_json::to_value(&first.rows).unwrap(), expected);
    assert_eq!(fixture.window(120_000).await.unwrap().rows[0]["n"], 2);

    let index = live::windows_key(&fixture.shop, "conversion");
    let listed: Vec<(String, i64)> = fixture.connection.zrange_withscores(&index, 0, -1).await.unwrap();
    assert_eq!(listed, [("60000".to_owned(), 60_000), ("120000".to_owned(), 120_000)]);
    let two_days = 2 * 24 * 3600;
    for key in [
        live::window_key(&fixture.shop, "conversion", first.window_end),
        live::current_key(&fixture.shop, "conversion"),
        index,
    ] {
        let ttl: i64 = fixture.connection.ttl(&key).await.unwrap();
        assert!((two_days - 60..=two_days).contains(&ttl), "{key}: {ttl} s");
    }

    let mut messages = changes.on_message();
    for expected in ["60000", "120000"] {
        let message: String = messages.next().await.unwrap().get_payload().unwrap();
        assert_eq!(message, expected);
    }
}

#[tokio::test]
async fn older_values_and_provisional_ones_over_final_are_refused() {
    let mut fixture = Fixture::new().await;
    let mut picture = Picture::default();
    let mut write = async |epoch, revision, is_final, n| {
        let rows = picture.rows(&[(60_000, "a", n)], epoch, revision, is_final);
        fixture.sink.write(rows).await.unwrap();
        fixture.sink.pre_commit(stream::time::Epoch::new(epoch)).await.unwrap();
        let window = window(&mut fixture.connection, &fixture.shop, 60_000).await.unwrap();
        (window.rows[0]["n"].as_i64().unwrap(), window.is_final)
    };
    assert_eq!(write(2, 5, false, 1).await, (1, false));
    assert_eq!(write(2, 4, false, 2).await, (1, false));
    assert_eq!(write(1, 99, true, 3).await, (1, false));
    // Numbers beyond 2^53, where floating point would see no difference; and of another length.
    assert_eq!(write(2, (1 << 53) + 1, false, 4).await, (4, false));
    assert_eq!(write(2, 1 << 53, false, 5).await, (4, false));
    assert_eq!(write(2, 9, false, 5).await, (4, false));
    assert_eq!(write(u64::MAX - 1, 0, true, 6).await, (6, true));
    assert_eq!(write(u64::MAX, 0, false, 7).await, (6, true));
    assert_eq!(write(u64::MAX, 0, true, 8).await, (8, true));
}

#[tokio::test]
async fn what_is_gone_is_taken_back() {
    let mut fixture = Fixture::new().await;
    let mut picture = Picture::default();
    let sink = &mut fixture.sink;
    // Two sessions that end together make one value; one of them grows.
    let rows = picture.rows(&[(60_000, "a", 1), (60_000, "b", 2), (120_000, "c", 3)], 1, 1, false);
    sink.write(rows).await.unwrap();
    let grown = SinkRows {
        gone: Some(window_rows(&[(60_000, "a", 1)])),
        ..support::rows(window_rows(&[(90_000, "a", 4)]), 1, 2, false)
    };
    sink.write(grown).await.unwrap();
    assert_eq!(fixture.window(60_000).await.unwrap().rows[0]["name"], "b");
    assert_eq!(fixture.window(60_000).await.unwrap().rows.len(), 1);
    assert_eq!(fixture.window(90_000).await.unwrap().rows[0]["n"], 4);

    let client = redis::Client::open(fixture.url.as_str()).unwrap();
    let mut changes = client.get_async_pubsub().await.unwrap();
    changes.subscribe(live::channel(&fixture.shop, "conversion")).await.unwrap();
    let gone = SinkRows {
        gone: Some(window_rows(&[(60_000, "b", 2)])),
        ..support::rows(window_rows(&[]), 1, 3, false)
    };
    fixture.sink.write(gone).await.unwrap();
    assert!(fixture.window(60_000).await.is_none());
    let index = live::windows_key(&fixture.shop, "conversion");
    let listed: Vec<i64> = fixture.connection.zrange(&index, 0, -1).await.unwrap();
    assert_eq!(listed, [90_000, 120_000]);
    assert_eq!(fixture.current().await, Some(90_000));
    let message: String = changes.on_message().next().await.unwrap().get_payload().unwrap();
    assert_eq!(message, "60000");

    // A final value stands, whatever was shown of its window before.
    let last = SinkRows {
        gone: Some(window_rows(&[(90_000, "a", 4), (120_000, "c", 3)])),
        ..support::rows(window_rows(&[(90_000, "a", 5)]), 1, 4, true)
    };
    fixture.sink.write(last).await.unwrap();
    assert!(fixture.window(90_000).await.unwrap().is_final);
    assert!(fixture.window(120_000).await.is_none());
    let listed: Vec<i64> = fixture.connection.zrange(&index, 0, -1).await.unwrap();
    assert_eq!(listed, [90_000]);
}

#[tokio::test]
async fn the_last_window_leaves_no_pointer() {
    let mut fixture = Fixture::new().await;
    let mut picture = Picture::default();
    fixture.sink.write(picture.rows(&[(60_000, "a", 1)], 1, 1, false)).await.unwrap();
    assert_eq!(fixture.current().await, Some(60_000));
    fixture.sink.write(picture.taken_back(&[60_000], 1, 2)).await.unwrap();
    assert_eq!(fixture.current().await, None);
    assert!(fixture.window(60_000).await.is_none());
}

#[tokio::test]
async fn the_pointer_follows_the_watermark() {
    let mut fixture = Fixture::new().await;
    let batch = window_rows(&[(60_000, "a", 1), (70_000, "a", 1), (80_000, "a", 1)]);
    for (revision, (watermark_ms, current)) in
        [(0, 60_000), (60_000, 70_000), (79_999, 80_000), (90_000, 80_000)].into_iter().enumerate()
    {
        let mut write = rows(batch.clone(), 1, revision as u64, false);
        write.watermark = watermark(watermark_ms);
        fixture.sink.write(write).await.unwrap();
        assert_eq!(fixture.current().await, Some(current), "watermark {watermark_ms}");
    }
    let mut last = rows(window_rows(&[(70_000, "a", 1)]), 2, 0, true);
    last.watermark = stream::time::Watermark::END;
    fixture.sink.write(last).await.unwrap();
    assert_eq!(fixture.current().await, Some(80_000));
}

#[tokio::test]
async fn the_list_of_windows_is_bounded() {
    let mut fixture = Fixture::new().await;
    let ends: Vec<_> = (1..=2_500).map(|n| (n * 60_000, "a", n)).collect();
    fixture.sink.write(rows(window_rows(&ends), 1, 1, false)).await.unwrap();
    let index = live::windows_key(&fixture.shop, "conversion");
    let listed: Vec<i64> = fixture.connection.zrange(&index, 0, -1).await.unwrap();
    assert_eq!(
        (listed.len(), listed[0], listed.last()),
        (WINDOWS_KEPT, 501 * 60_000, Some(&(2_500 * 60_000)))
    );
    assert_eq!(fixture.current().await, Some(501 * 60_000));
}

#[tokio::test]
async fn a_write_is_one_call_and_long_windows_live_long() {
    let server = redis_server::RedisServer::start(redis_server::free_port());
    let url = server.url();
    let columns = [
        ("window_start", stream::table::timestamp_type()),
        ("window_end", stream::table::timestamp_type()),
        ("name", arrow::datatypes::DataType::Utf8),
        ("n", arrow::datatypes::DataType::Int64),
    ];
    let options = [("connector", "redis"), ("url", &url), ("ttl", "10 s"), ("metric", "m")];
    let mut sink = support::open(&table("t", &columns, &options)).await.unwrap();
    let batch = window_rows(&[(60_000, "a", 1), (120_000, "a", 1), (180_000, "a", 1)]);
    sink.write(rows(batch.clone(), 1, 1, false)).await.unwrap();
    let mut connection = connection(&url).await;
    let calls = async |connection: &mut MultiplexedConnection| {
        let stats: String = redis::cmd("INFO").arg("commandstats").query_async(connection).await.unwrap();
        let line = stats.lines().find(|line| line.starts_with("cmdstat_evalsha:")).unwrap().to_owned();
        line.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = calls(&mut connection).await;
    sink.write(rows(batch, 1, 2, true)).await.unwrap();
    assert_eq!(calls(&mut connection).await, before + 1);
    let ttl: i64 = connection.ttl("plm:{default}:live:m:60000").await.unwrap();
    assert!((119..=120).contains(&ttl), "twice the window of a minute, not {ttl} s");
}

#[tokio::test]
async fn without_windows_each_key_is_a_value() {
    let (url, shop) = (redis_server::url(), redis_server::shop());
    let columns = [("name", arrow::datatypes::DataType::Utf8), ("n", arrow::datatypes::DataType::Int64)];
    let options = [("connector", "redis"), ("url", &url), ("shop", &shop)];
    let mut keyed = table("stock", &columns, &options);
    keyed.primary_key = vec!["name".to_owned()];
    let mut sink = support::open(&keyed).await.unwrap();
    let batch = |pairs: &[(i64, &str, i64)]| window_rows(pairs).project(&[2, 3]).unwrap();
    sink.write(rows(batch(&[(0, "a:b", 1), (0, "c", 2), (0, "c", 3)]), 1, 1, false)).await.unwrap();
    sink.write(rows(batch(&[(0, "a:b", 4)]), 1, 0, false)).await.unwrap();
    let mut connection = connection(&url).await;
    let c = fields(&mut connection, &format!("plm:{{{shop}}}:live:stock:c")).await;
    assert_eq!(c["rows"], r#"[{"name":"c","n":3}]"#);
    assert_eq!((c["revision"].as_str(), c["is_final"].as_str()), ("1", "false"));
    assert!(!c.contains_key("window_end"));
    let ab = fields(&mut connection, &format!("plm:{{{shop}}}:live:stock:a:b")).await;
    assert_eq!(ab["rows"], r#"[{"name":"a:b","n":1}]"#);
    let index: bool = connection.exists(live::windows_key(&shop, "stock")).await.unwrap();
    assert!(!index);
}

#[tokio::test]
async fn a_key_of_another_program_is_an_error_that_says_so() {
    let mut fixture = Fixture::new().await;
    let key = format!("plm:{{{}}}:live:conversion:60000", fixture.shop);
    let _: () = fixture.connection.set(&key, "mine").await.unwrap();
    let write = fixture.sink.write(rows(window_rows(&[(60_000, "a", 1)]), 1, 1, false)).await;
    let error = support::message(&write.unwrap_err());
    assert!(error.contains("refuses the write") && error.contains("WRONGTYPE"), "{error}");
}
