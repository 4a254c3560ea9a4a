//! `filesystem`: what is visible when, and after which crash.

use std::{
    fs,
    path::{Path, PathBuf},
};

use stream::{sink::Sink, table::TableDef, time::Epoch};
use tempfile::TempDir;

use crate::support::{self, commit, message, rows, window_rows, window_table};

fn table(path: &Path) -> TableDef {
    window_table("t", &[("connector", "filesystem"), ("path", path.to_str().unwrap())])
}

async fn open(path: &Path) -> Box<dyn Sink> {
    support::open(&table(path)).await.unwrap()
}

/// Files that a reader sees.
fn visible(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

fn hidden(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with('.')).collect()
}

/// The values of `n`, line by line.
fn numbers(file: &Path) -> Vec<i64> {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["n"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_folder_gets_one_part_per_epoch_with_rows() {
    let temp = TempDir::new().unwrap();
    let folder = temp.path().join("a/b");
    let mut sink = open(&folder).await;
    sink.write(rows(window_rows(&[(60_000, "x", 1)]), 1, 1, true)).await.unwrap();
    assert_eq!(visible(&folder), [""; 0], "nothing is visible before the commit");
    sink.write(rows(window_rows(&[(60_000, "y", 2)]), 1, 2, true)).await.unwrap();
    let token = sink.pre_commit(Epoch::new(1)).await.unwrap();
    assert_eq!(visible(&folder), [""; 0]);
    sink.commit(Epoch::new(1), token.clone()).await.unwrap();
    sink.commit(Epoch::new(1), token).await.unwrap();
    commit(sink.as_mut(), 2, window_rows(&[])).await;
    commit(sink.as_mut(), 3, window_rows(&[(120_000, "z", 3)])).await;
    sink.close().await.unwrap();
    assert_eq!(visible(&folder), ["part-1.jsonl", "part-3.jsonl"]);
    assert_eq!(numbers(&folder.join("part-1.jsonl")), [1, 2]);
    assert!(hidden(&folder).is_empty());
    let line = fs::read_to_string(folder.join("part-3.jsonl")).unwrap();
    let expected = concat!(
        r#"{"window_start":"1970-01-01T00:01:00.000Z","window_end":"1970-01-01T00:02:00.000Z","#,
        r#""name":"z","n":3}"#,
        "\n"
    );
    assert_eq!(line, expected);
}

#[tokio::test]
async fn a_new_process_finishes_the_commit() {
    let temp = TempDir::new().unwrap();
    for (path, file) in [("folder", "folder/part-7.jsonl"), ("rows.jsonl", "rows.jsonl")] {
        let path = temp.path().join(path);
        let mut crashed = open(&path).await;
        crashed.write(rows(window_rows(&[(60_000, "x", 1), (60_000, "y", 2)]), 7, 1, true)).await.unwrap();
        let token = crashed.pre_commit(Epoch::new(7)).await.unwrap();
        drop(crashed);
        for _ in 0..2 {
            let mut next = open(&path).await;
            next.commit(Epoch::new(7), token.clone()).await.unwrap();
            assert_eq!(numbers(&temp.path().join(file)), [1, 2]);
        }
    }
}

#[tokio::test]
async fn a_file_grows_and_survives_a_torn_append() {
    let temp = TempDir::new().unwrap();
    let file = temp.path().join("rows.jsonl");
    let url = format!("file://{}", file.display());
    let table = window_table("t", &[("connector", "filesystem"), ("path", &url)]);
    let mut sink = support::open(&table).await.unwrap();
    commit(sink.as_mut(), 1, window_rows(&[(60_000, "x", 1)])).await;
    sink.write(rows(window_rows(&[(60_000, "x", 2), (60_000, "y", 3)]), 2, 1, true)).await.unwrap();
    let token = sink.pre_commit(Epoch::new(2)).await.unwrap();
    assert_eq!(numbers(&file), [1]);
    drop(sink);

    // The crashed process got as far as the middle of a line.
    let rest = fs::read(&hidden(temp.path())[0]).unwrap();
    let before = fs::read(&file).unwrap();
    for cut in [1, rest.len() / 2, rest.len() - 1] {
        fs::write(&file, [&before[..], &rest[..cut]].concat()).unwrap();
        open(&file).await;
        numbers(&file);
    }
    let mut sink = open(&file).await;
    sink.commit(Epoch::new(2), token.clone()).await.unwrap();
    assert_eq!(numbers(&file), [1, 2, 3]);
    commit(sink.as_mut(), 3, window_rows(&[(60_000, "z", 4)])).await;
    sink.commit(Epoch::new(2), token).await.unwrap();
    assert_eq!(numbers(&file), [1, 2, 3, 4]);
    assert!(hidden(temp.path()).is_empty());
}

#[tokio::test]
async fn another_runs_part_is_not_replaced() {
    let temp = TempDir::new().unwrap();
    commit(open(temp.path()).await.as_mut(), 1, window_rows(&[(60_000, "x", 1)])).await;
    let mut reset = open(temp.path()).await;
    reset.write(rows(window_rows(&[(60_000, "x", 2)]), 1, 1, true)).await.unwrap();
    let token = reset.pre_commit(Epoch::new(1)).await.unwrap();
    let error = reset.commit(Epoch::new(1), token).await.unwrap_err();
    assert!(message(&error).contains("part-1.jsonl holds rows of another run"), "{error}");
    assert_eq!(numbers(&temp.path().join("part-1.jsonl")), [1]);
}

#[tokio::test]
async fn lost_rows_are_reported() {
    let temp = TempDir::new().unwrap();
    let mut sink = open(temp.path()).await;
    sink.write(rows(window_rows(&[(60_000, "x", 2)]), 1, 1, true)).await.unwrap();
    let token = sink.pre_commit(Epoch::new(1)).await.unwrap();
    fs::remove_file(&hidden(temp.path())[0]).unwrap();
    let error = sink.commit(Epoch::new(1), token).await.unwrap_err();
    assert!(message(&error).contains("the rows of epoch 1 are gone"), "{error}");
    let error = sink.commit(Epoch::new(1), b"{}".to_vec()).await.unwrap_err();
    assert!(message(&error).contains("is damaged"), "{error}");
}

#[tokio::test]
async fn a_path_that_cannot_be_made_is_named() {
    let temp = TempDir::new().unwrap();
    let blocker = temp.path().join("file");
    fs::write(&blocker, "").unwrap();
    let error = support::refusal(&table(&blocker.join("folder"))).await;
    assert!(error.contains("cannot create the folder") && error.contains("file/folder"), "{error}");
}

#[tokio::test]
async fn rows_as_separated_fields() {
    let temp = TempDir::new().unwrap();
    let path = temp.path().join("parts");
    let options = [
        ("connector", "filesystem"),
        ("path", path.to_str().unwrap()),
        ("format", "csv"),
        ("csv.field-delimiter", ";"),
    ];
    let mut sink = support::open(&window_table("t", &options)).await.unwrap();
    commit(sink.as_mut(), 1, window_rows(&[(60_000, "a;b", 1), (60_000, "c", 2)])).await;
    sink.close().await.unwrap();
    assert_eq!(visible(&path), ["part-1.csv"]);
    let window = "1970-01-01 00:00:00.000Z;1970-01-01 00:01:00.000Z";
    let text = fs::read_to_string(path.join("part-1.csv")).unwrap();
    assert_eq!(text, format!("{window};\"a;b\";1\n{window};c;2\n"));
}
