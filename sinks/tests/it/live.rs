//! `'url' = 'memory://'`: the store within the process.

use plamatio_sinks::{Extras, MemoryLiveStore};

use crate::support::{self, rows, watermark, window_rows, window_table};

#[tokio::test]
async fn a_reader_of_the_shared_store_sees_the_sinks_values() {
    let live = MemoryLiveStore::new();
    let extras = Extras { live: live.clone(), ..Extras::default() };
    let table = window_table("t", &[("connector", "redis"), ("url", "memory://"), ("metric", "conversion")]);
    let mut sink = support::open_with(&table, extras).await.unwrap();
    let mut changes = live.subscribe();

    let mut write = rows(window_rows(&[(60_000, "a", 1), (120_000, "b", 2), (60_000, "c", 3)]), 1, 5, false);
    write.watermark = watermark(60_000);
    sink.write(write).await.unwrap();
    sink.write(rows(window_rows(&[(60_000, "a", 9)]), 1, 4, true)).await.unwrap();

    let windows = live.windows("conversion", 10);
    let ends: Vec<_> = windows.iter().map(|window| window.window_end.timestamp_millis()).collect();
    assert_eq!(ends, [120_000, 60_000]);
    assert_eq!(windows[1].rows.len(), 2);
    assert_eq!((windows[1].revision, windows[1].is_final), (5, false));
    assert_eq!(live.current("conversion").unwrap().timestamp_millis(), 120_000);
    assert_eq!(live.window("conversion", windows[0].window_end).unwrap().rows[0]["n"], 2);
    assert_eq!(&*changes.recv().await.unwrap().metric, "conversion");
    assert_eq!(changes.recv().await.unwrap().id, "120000");
}

#[tokio::test]
async fn rows_by_primary_key() {
    let live = MemoryLiveStore::new();
    let extras = Extras { live: live.clone(), ..Extras::default() };
    let columns = [("name", arrow::datatypes::DataType::Utf8), ("n", arrow::datatypes::DataType::Int64)];
    let mut table = support::table("stock", &columns, &[("connector", "redis"), ("url", "memory://")]);
    table.primary_key = vec!["name".to_owned()];
    let mut sink = support::open_with(&table, extras).await.unwrap();
    let batch = window_rows(&[(0, "a", 1), (0, "b", 2)]).project(&[2, 3]).unwrap();
    sink.write(rows(batch, 1, 1, true)).await.unwrap();
    assert_eq!(live.row("stock", "b").unwrap()["n"], 2);
    assert!(live.row("stock", "c").is_none());
    assert!(live.windows("stock", 10).is_empty());
}
