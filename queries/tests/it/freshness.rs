//! Readers see whole versions, and the newest one at each statement.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use plamatio_queries::Format;
use tokio::sync::watch;

use crate::support::{MINUTE, START, TestLake, conversion, run};

/// Rows that one version adds; a reader must only ever see multiples.
const ROWS: i64 = 50;

fn version(number: i64) -> arrow::array::RecordBatch {
    let rows: Vec<_> = (0..ROWS).map(|row| (START + (number * ROWS + row) * MINUTE, 10, 1)).collect();
    conversion(&rows)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_during_commits_see_whole_versions() {
    let lake = Arc::new(TestLake::new());
    lake.append("conversion", version(0)).await;
    let done = Arc::new(AtomicBool::new(false));
    let (reads, mut reads_seen) = watch::channel(0_u64);
    let writer = tokio::spawn({
        let (lake, done) = (Arc::clone(&lake), Arc::clone(&done));
        async move {
            for number in 1..40 {
                lake.append("conversion", version(number)).await;
                if number % 10 == 0 {
                    // The second read from here on began after this commit.
                    let next = *reads_seen.borrow() + 2;
                    reads_seen.wait_for(|reads| *reads >= next).await.unwrap();
                }
            }
            done.store(true, Ordering::Release);
        }
    });

    let session = lake.session();
    let mut seen = vec![ROWS];
    // A self-join must read one version on both sides.
    let sql = "SELECT COUNT(*) AS n, SUM(a.sessions) AS s, COUNT(b.window_start) AS m
               FROM conversion a LEFT JOIN conversion b ON a.window_start = b.window_start";
    loop {
        let finished = done.load(Ordering::Acquire);
        let csv = run(&session, sql, Format::Csv).await.unwrap();
        let row = csv.lines().nth(1).unwrap();
        let values: Vec<i64> = row.split(',').map(|value| value.parse().unwrap()).collect();
        let count = values[0];
        assert_eq!(count % ROWS, 0, "part of a version was read: {row}");
        assert_eq!(values, [count, count * 10, count], "two versions in one statement: {row}");
        assert!(count >= *seen.last().unwrap(), "a reader went back");
        seen.push(count);
        reads.send_modify(|reads| *reads += 1);
        if finished {
            break;
        }
    }
    writer.await.unwrap();
    assert_eq!(seen.last(), Some(&(ROWS * 40)), "a statement after the last commit sees it");
    seen.dedup();
    assert!(seen.len() > 3, "the reader must have run beside the writer: {seen:?}");
}

#[tokio::test]
async fn new_deleted_and_recreated_tables_are_noticed() {
    let lake = TestLake::new();
    let session = lake.session();
    let count = "SELECT COUNT(*) AS n FROM conversion";
    assert!(run(&session, count, Format::Csv).await.is_err());
    lake.append("conversion", version(0)).await;
    lake.append("conversion", version(1)).await;
    assert_eq!(run(&session, count, Format::Csv).await.unwrap(), "n\n100\n");
    fs::remove_dir_all(lake.path().join("conversion")).unwrap();
    assert!(run(&session, count, Format::Csv).await.is_err());
    lake.append("conversion", version(2)).await;
    assert_eq!(run(&session, count, Format::Csv).await.unwrap(), "n\n50\n");
}

#[tokio::test]
async fn files_added_to_a_parquet_folder_are_noticed() {
    let lake = TestLake::new();
    let add = |name: &str| {
        let path = lake.path().join("plain").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let batch = version(0);
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None)
                .unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    };
    let session = lake.session();
    for files in 1..=3 {
        add(&format!("part-{files}.parquet"));
        let csv = run(&session, "SELECT COUNT(*) AS n FROM plain", Format::Csv).await.unwrap();
        assert_eq!(csv, format!("n\n{}\n", files * ROWS));
    }
}

#[tokio::test]
async fn a_long_log_stays_quick_to_open() {
    let lake = TestLake::new();
    for number in 0..120 {
        lake.append("conversion", version(number)).await;
    }
    let log = lake.path().join("conversion/_delta_log");
    let checkpoints = fs::read_dir(log)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("checkpoint"));
    assert!(checkpoints.count() > 0, "opening anew for each statement relies on checkpoints");
    assert_eq!(lake.csv("SELECT COUNT(*) AS n FROM conversion").await, "n\n6000\n");
}
