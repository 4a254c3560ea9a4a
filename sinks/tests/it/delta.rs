//! `delta`: rows once per epoch, after any crash, beside any other writer.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, AsArray, Int64Array, ListArray, MapArray, StringArray, StructArray},
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Field, Fields, Int64Type},
    record_batch::RecordBatch,
};
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use stream::{
    sink::Sink,
    table::{TableDef, timestamp_type},
    time::Epoch,
};
use tempfile::TempDir;

use crate::support::{self, commit, message, rows, window_rows, window_table};

fn table(path: &Path, options: &[(&str, &str)]) -> TableDef {
    let mut all = vec![("connector", "delta"), ("path", path.to_str().unwrap())];
    all.extend_from_slice(options);
    window_table("top_products", &all)
}

async fn open(path: &Path) -> Box<dyn Sink> {
    support::open(&table(path, &[])).await.unwrap()
}

async fn load(path: &Path) -> DeltaTable {
    let url = url::Url::from_directory_path(fs::canonicalize(path).unwrap()).unwrap();
    deltalake::open_table(url).await.unwrap()
}

/// The first column of a query over the table, as numbers.
async fn query(path: &Path, sql: &str) -> Vec<i64> {
    let context = SessionContext::new();
    context.register_table("t", load(path).await.table_provider().await.unwrap()).unwrap();
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let numbers =
        batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
    numbers.collect()
}

async fn numbers(path: &Path) -> Vec<i64> {
    query(path, "SELECT n FROM t ORDER BY n").await
}

/// The actions of a version of the log.
fn log(path: &Path, version: u64) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path.join(format!("_delta_log/{version:020}.json"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn action<'a>(log: &'a [serde_json::Value], name: &str) -> Vec<&'a serde_json::Value> {
    log.iter().filter_map(|action| action.get(name)).collect()
}

fn parquet_files(path: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "parquet")).collect()
}

#[tokio::test]
async fn each_epoch_is_one_commit_with_its_transaction_and_statistics() {
    let temp = TempDir::new().unwrap();
    let mut sink = open(temp.path()).await;
    sink.write(rows(window_rows(&[(60_000, "a", 1), (60_000, "b", 2)]), 1, 1, true)).await.unwrap();
    sink.write(rows(window_rows(&[(120_000, "c", 3)]), 1, 2, true)).await.unwrap();
    let token = sink.pre_commit(Epoch::new(1)).await.unwrap();
    assert!(numbers(temp.path()).await.is_empty(), "nothing is visible before the commit");
    sink.commit(Epoch::new(1), token.clone()).await.unwrap();
    sink.commit(Epoch::new(1), token).await.unwrap();
    assert_eq!(numbers(temp.path()).await, [1, 2, 3]);
    commit(sink.as_mut(), 2, window_rows(&[])).await;
    commit(sink.as_mut(), 3, window_rows(&[(180_000, "d", 4)])).await;
    assert_eq!(numbers(temp.path()).await, [1, 2, 3, 4]);

    let delta = load(temp.path()).await;
    assert_eq!(delta.version(), Some(2), "creation and two epochs with rows");
    let first = log(temp.path(), 1);
    let adds = action(&first, "add");
    assert_eq!(adds.len(), 1);
    let stats: serde_json::Value = serde_json::from_str(adds[0]["stats"].as_str().unwrap()).unwrap();
    assert_eq!(stats["numRecords"], 3);
    assert_eq!((&stats["minValues"]["n"], &stats["maxValues"]["n"]), (&1.into(), &3.into()));
    let latest = stats["maxValues"]["window_end"].as_str().unwrap();
    assert!(latest.starts_with("1970-01-01T00:02:00"), "{latest}");
    let transaction = action(&first, "txn")[0];
    assert_eq!(
        (transaction["appId"].as_str(), transaction["version"].as_i64()),
        (Some("top_products"), Some(1))
    );
    let info = action(&first, "commitInfo")[0];
    assert_eq!((info["engine"].as_str(), info["epoch"].as_i64()), (Some("plamatio"), Some(1)));
    assert_eq!(info["operation"], "STREAMING UPDATE");
    assert_eq!(action(&log(temp.path(), 2), "txn")[0]["version"], 3);

    let schema = serde_json::to_string(&delta.snapshot().unwrap().schema()).unwrap();
    assert!(schema.contains(r#""name":"window_end","type":"timestamp","nullable":true"#), "{schema}");
}

#[tokio::test]
async fn readers_skip_by_time_and_see_utc() {
    let temp = TempDir::new().unwrap();
    let mut sink = open(temp.path()).await;
    commit(sink.as_mut(), 1, window_rows(&[(60_000, "a", 1)])).await;
    commit(sink.as_mut(), 2, window_rows(&[(120_000, "b", 2)])).await;
    let later =
        query(temp.path(), "SELECT n FROM t WHERE window_end > TIMESTAMP '1970-01-01T00:01:30Z'").await;
    assert_eq!(later, [2]);
}

#[tokio::test]
async fn a_new_process_commits_what_a_crashed_one_prepared() {
    let temp = TempDir::new().unwrap();
    let mut crashed = open(temp.path()).await;
    commit(crashed.as_mut(), 1, window_rows(&[(60_000, "a", 1)])).await;
    crashed.write(rows(window_rows(&[(60_000, "b", 2)]), 2, 1, true)).await.unwrap();
    let token = crashed.pre_commit(Epoch::new(2)).await.unwrap();
    drop(crashed);
    assert_eq!(numbers(temp.path()).await, [1]);
    for _ in 0..2 {
        let mut next = open(temp.path()).await;
        next.commit(Epoch::new(2), token.clone()).await.unwrap();
        assert_eq!(numbers(temp.path()).await, [1, 2]);
    }
    let mut next = open(temp.path()).await;
    commit(next.as_mut(), 3, window_rows(&[(60_000, "c", 3)])).await;
    // A token that comes late, after a newer epoch, is just as harmless.
    next.commit(Epoch::new(2), token).await.unwrap();
    assert_eq!(numbers(temp.path()).await, [1, 2, 3]);
}

#[tokio::test]
async fn files_of_a_lost_epoch_are_never_seen() {
    let temp = TempDir::new().unwrap();
    let mut crashed = open(temp.path()).await;
    crashed.write(rows(window_rows(&[(60_000, "a", 1)]), 1, 1, true)).await.unwrap();
    crashed.pre_commit(Epoch::new(1)).await.unwrap();
    drop(crashed);
    let mut next = open(temp.path()).await;
    commit(next.as_mut(), 2, window_rows(&[(60_000, "a", 1)])).await;
    assert_eq!(numbers(temp.path()).await, [1]);
    assert_eq!(parquet_files(temp.path()).len(), 2, "the orphan is there, but no reader opens it");
}

#[tokio::test]
async fn new_rows_of_an_old_epoch_are_an_error_and_not_lost_in_silence() {
    let temp = TempDir::new().unwrap();
    commit(open(temp.path()).await.as_mut(), 5, window_rows(&[(60_000, "a", 1)])).await;
    let mut reset = open(temp.path()).await;
    reset.write(rows(window_rows(&[(60_000, "b", 2)]), 5, 1, true)).await.unwrap();
    let token = reset.pre_commit(Epoch::new(5)).await.unwrap();
    let error = message(&reset.commit(Epoch::new(5), token).await.unwrap_err());
    assert!(error.contains("epoch 5 has new rows") && error.contains("'app-id'"), "{error}");
    // Another app-id has its own epochs.
    let mut other = support::open(&table(temp.path(), &[("app-id", "other")])).await.unwrap();
    commit(other.as_mut(), 5, window_rows(&[(60_000, "c", 3)])).await;
    assert_eq!(numbers(temp.path()).await, [1, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_jobs_write_one_table() {
    const EPOCHS: u64 = 12;
    let temp = TempDir::new().unwrap();
    let path = Arc::new(temp.path().to_owned());
    let jobs = ["a", "b"].map(|app| {
        let path = path.clone();
        tokio::spawn(async move {
            let mut sink = support::open(&table(&path, &[("app-id", app)])).await.unwrap();
            for epoch in 1..=EPOCHS {
                commit(sink.as_mut(), epoch, window_rows(&[(60_000, app, epoch as i64)])).await;
            }
        })
    });
    for job in jobs {
        job.await.unwrap();
    }
    let count = query(temp.path(), "SELECT COUNT(*) FROM t GROUP BY name").await;
    assert_eq!(count, [EPOCHS as i64; 2]);
}

#[tokio::test]
async fn one_epoch_of_two_processes_is_committed_once() {
    let temp = TempDir::new().unwrap();
    let mut prepared = Vec::new();
    for _ in 0..2 {
        let mut sink = open(temp.path()).await;
        sink.write(rows(window_rows(&[(60_000, "a", 1)]), 1, 1, true)).await.unwrap();
        let token = sink.pre_commit(Epoch::new(1)).await.unwrap();
        prepared.push((sink, token));
    }
    let commits = prepared.iter_mut().map(|(sink, token)| sink.commit(Epoch::new(1), token.clone()));
    let results = futures::future::join_all(commits).await;
    let failed: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert_eq!(failed.len(), 1, "the second is told that its rows are not in the table");
    assert_eq!(numbers(temp.path()).await, [1]);
}

#[tokio::test]
async fn the_transaction_survives_deltas_own_checkpoint() {
    let temp = TempDir::new().unwrap();
    let mut sink = open(temp.path()).await;
    for epoch in 1..=101 {
        commit(sink.as_mut(), epoch, window_rows(&[(60_000, "a", epoch as i64)])).await;
    }
    assert!(temp.path().join("_delta_log/_last_checkpoint").exists());
    let mut crashed = open(temp.path()).await;
    crashed.write(rows(window_rows(&[(60_000, "a", 102)]), 102, 1, true)).await.unwrap();
    let token = crashed.pre_commit(Epoch::new(102)).await.unwrap();
    for _ in 0..2 {
        open(temp.path()).await.commit(Epoch::new(102), token.clone()).await.unwrap();
    }
    assert_eq!(query(temp.path(), "SELECT COUNT(*) FROM t").await, [102]);
}

#[tokio::test]
async fn partitions_with_odd_values_and_nulls() {
    let temp = TempDir::new().unwrap();
    let columns = [("day", DataType::Utf8), ("n", DataType::Int64)];
    let path = temp.path().to_str().unwrap();
    let options = [("connector", "delta"), ("path", path), ("partition-by", "day")];
    let definition = support::table("t", &columns, &options);
    let mut sink = support::open(&definition).await.unwrap();
    let days = [Some("2026-01-01"), Some("a b:c/d=ü%20"), None, Some("2026-01-01")];
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("day", Arc::new(StringArray::from(days.to_vec())) as ArrayRef, true),
        ("n", Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(3), None])), true),
    ])
    .unwrap();
    commit(sink.as_mut(), 1, batch).await;
    assert_eq!(action(&log(temp.path(), 1), "add").len(), 3);
    assert_eq!(query(temp.path(), "SELECT n FROM t WHERE day = 'a b:c/d=ü%20'").await, [2]);
    assert_eq!(query(temp.path(), "SELECT n FROM t WHERE day IS NULL").await, [3]);
    assert_eq!(query(temp.path(), "SELECT COUNT(*) FROM t WHERE n IS NULL").await, [1]);
    support::open(&definition).await.unwrap();
}

#[tokio::test]
async fn large_epochs_become_several_files() {
    let temp = TempDir::new().unwrap();
    let mut sink = support::open(&table(temp.path(), &[("target-file-size", "20 kB")])).await.unwrap();
    let names: Vec<String> = (0..5_000).map(|n| format!("name {}", n * 7_919)).collect();
    let ends: Vec<_> = (0_i64..).zip(&names).map(|(n, name)| (n * 1_000, name.as_str(), n)).collect();
    for part in ends.chunks(500) {
        sink.write(rows(window_rows(part), 1, 1, true)).await.unwrap();
    }
    let token = sink.pre_commit(Epoch::new(1)).await.unwrap();
    sink.commit(Epoch::new(1), token).await.unwrap();
    let files = action(&log(temp.path(), 1), "add").len();
    assert!((2..20).contains(&files), "{files} files");
    assert_eq!(query(temp.path(), "SELECT COUNT(DISTINCT n) FROM t").await, [5_000]);
}

#[tokio::test]
async fn another_schema_is_refused_with_every_difference() {
    let temp = TempDir::new().unwrap();
    open(temp.path()).await;
    let path = temp.path().to_str().unwrap();
    let columns = [("window_end", timestamp_type()), ("name", DataType::Int64), ("units", DataType::Int64)];
    let options = [("connector", "delta"), ("path", path), ("partition-by", "name")];
    let error = support::refusal(&support::table("t", &columns, &options)).await;
    for part in [
        "column name is string in the table and long in the declaration",
        "column units is not in the table",
        "column window_start (timestamp) is not declared",
        "column n (long) is not declared",
        "partitioned by nothing, the declaration says name",
        "change the declaration, or choose another 'path'",
    ] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_written_is_named() {
    let temp = TempDir::new().unwrap();
    let blocker = temp.path().join("file");
    fs::write(&blocker, "").unwrap();
    let error = support::refusal(&table(&blocker.join("lake"), &[])).await;
    assert!(error.contains("file/lake") && error.contains("'path'"), "{error}");
    // The folder goes away while the job runs.
    let lake = temp.path().join("lake");
    let mut sink = open(&lake).await;
    fs::remove_dir_all(&lake).unwrap();
    fs::write(&lake, "").unwrap();
    sink.write(rows(window_rows(&[(60_000, "a", 1)]), 1, 1, true)).await.unwrap();
    let error = message(&sink.pre_commit(Epoch::new(1)).await.unwrap_err());
    assert!(error.contains("cannot write to the Delta table in") && error.contains("lake"), "{error}");
}

/// Arrays, rows and maps, NULLs among them.
fn nested_columns() -> Vec<(&'static str, ArrayRef)> {
    let items: Fields =
        vec![Field::new("name", DataType::Utf8, true), Field::new("n", DataType::Int64, true)].into();
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("mug"), None, Some("cup")]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), None]));
    let rows = StructArray::new(items.clone(), vec![names, numbers], None);
    let item = Arc::new(Field::new_list_field(DataType::Struct(items), true));
    let nulls = Some(NullBuffer::from(vec![true, false, true]));
    let lists = ListArray::new(item, OffsetBuffer::from_lengths([2, 0, 1]), Arc::new(rows.clone()), nulls);
    let entries: Fields =
        vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int64, true)].into();
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "a"]));
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let entries_of = StructArray::new(entries.clone(), vec![keys, values], None);
    let entry = Arc::new(Field::new("entries", DataType::Struct(entries), false));
    let maps = MapArray::new(entry, OffsetBuffer::from_lengths([2, 0, 1]), entries_of, None, false);
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    vec![("id", id), ("items", Arc::new(lists)), ("row", Arc::new(rows)), ("params", Arc::new(maps))]
}

#[tokio::test]
async fn nested_values_are_kept() {
    let temp = TempDir::new().unwrap();
    let columns = nested_columns();
    let declared: Vec<(&str, DataType)> =
        columns.iter().map(|(name, array)| (*name, array.data_type().clone())).collect();
    let options = [("connector", "delta"), ("path", temp.path().to_str().unwrap())];
    let mut sink = support::open(&support::table("nested", &declared, &options)).await.unwrap();
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.iter().map(|(name, array)| (*name, Arc::clone(array), true)),
    );
    commit(sink.as_mut(), 1, batch.unwrap()).await;

    let context = SessionContext::new();
    context.register_table("t", load(temp.path()).await.table_provider().await.unwrap()).unwrap();
    let sql = "SELECT id, items, row, map_keys(params) AS ks, map_values(params) AS vs FROM t ORDER BY id";
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let table = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    let expected = "\
+----+---------------------------------------+--------------------+--------+-------+
| id | items                                 | row                | ks     | vs    |
+----+---------------------------------------+--------------------+--------+-------+
| 1  | [{name: mug, n: 1}, {name: , n: 2}]   | {name: mug, n: 1}  | [a, b] | [1, ] |
| 2  |                                       | {name: , n: 2}     | []     | []    |
| 3  | [{name: cup, n: }]                    | {name: cup, n: }   | [a]    | [3]   |
+----+---------------------------------------+--------------------+--------+-------+";
    // What matters are the cells, not how wide they are.
    let cells = |table: &str| -> Vec<Vec<String>> {
        let rows = table.lines().filter(|line| line.starts_with('|'));
        rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
    };
    assert_eq!(cells(&table), cells(expected));
}
