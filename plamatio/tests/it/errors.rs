//! Errors as a user meets them: one clear message that names the place and the remedy.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::support::{
    lake, metric_script,
    process::{Ended, plamatio, run, run_script, with_values},
    project, services, traffic,
};

/// A folder with a few events.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), "2000");
    folder
}

fn generate(folder: &Path, events: &str) {
    run(plamatio(folder, &["generate", "--events", events, "--out", "events.jsonl", "--summary", "none"]))
        .ok();
}

/// `plamatio run FILE` without state or dead letters.
fn run_with(folder: &Path, file: &str, values: &[(&str, &str)]) -> Ended {
    let mut command = plamatio(folder, &["run", file, "--state", "none", "--dead-letters", "none"]);
    with_values(&mut command, values);
    run(command)
}

/// A metric's script over the events of the folder, with these values beside.
fn metric(folder: &Path, values: &[(&str, &str)]) -> Ended {
    let script = metric_script("top_products");
    let mut all = vec![("source", "'connector' = 'filesystem', 'path' = 'events.jsonl'"), ("lake", "lake")];
    all.retain(|(name, _)| values.iter().all(|(other, _)| other != name));
    all.extend_from_slice(values);
    run_with(folder, script.to_str().unwrap(), &all)
}

/// It failed, said all of `phrases`, and said them in one error.
#[track_caller]
fn assert_says(ended: &Ended, phrases: &[&str]) {
    assert_eq!(ended.status.code(), Some(1), "{}\n{}", ended.text(), ended.stderr);
    // delta-rs catches a panic of its upload when the disk is full, and the runtime prints that beside our error.
    assert!(
        !ended.stderr.contains("panicked") || ended.stderr.contains("the disk is full"),
        "{}",
        ended.stderr
    );
    for phrase in phrases {
        assert!(ended.stderr.contains(phrase), "'{phrase}' is not in:\n{}", ended.stderr);
    }
    assert_eq!(
        ended.stderr.lines().filter(|line| line.starts_with("error: ")).count(),
        1,
        "more than one error:\n{}",
        ended.stderr
    );
}

#[test]
fn a_script_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(
        &run_with(folder.path(), "missing.sql", &[]),
        &["cannot read the script missing.sql", "No such file"],
    );
}

#[test]
fn a_file_of_which_every_line_is_malformed() {
    let folder = tempfile::tempdir().unwrap();
    let lines = ["no json", "{\"id\":", "[1, 2]", "", "\u{0}\u{1}", "{\"id\":\"x\"}"];
    std::fs::write(folder.path().join("events.jsonl"), lines.join("\n")).unwrap();
    let values = [
        ("source", "'connector' = 'filesystem', 'path' = 'events.jsonl'"),
        ("live", "'connector' = 'blackhole'"),
        ("lake", "lake"),
    ];
    let letters = folder.path().join("lake/dead_letters");
    let ledger = run_script(folder.path(), &metric_script("top_products"), letters, &values);
    assert_eq!((traffic::count(&ledger, "read"), traffic::count(&ledger, "dead_letter")), (6, 6), "{ledger}");
    let sql = "SELECT COUNT(*) FROM dead_letters WHERE topic = 'events.jsonl' AND reason <> ''";
    assert_eq!(lake::number(&folder.path().join("lake"), sql), 6);
}

#[test]
fn a_table_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let script = "CREATE TABLE out (n BIGINT) WITH ('connector' = 'print');\nINSERT INTO out\nSELECT n FROM nowhere;\n";
    std::fs::write(folder.path().join("a.sql"), script).unwrap();
    assert_says(&run_with(folder.path(), "a.sql", &[]), &["in a.sql", "nowhere", "line 3"]);
    // In the lake.
    std::fs::create_dir(folder.path().join("lake")).unwrap();
    let ended = run(plamatio(folder.path(), &["sql", "--lake", "lake", "-c", "SELECT * FROM nowhere"]));
    assert!(!ended.status.success() && ended.stderr.contains("nowhere"), "{}", ended.stderr);
}

#[test]
fn a_bad_option() {
    let folder = folder();
    let source = "'connector' = 'filesystem', 'path' = 'events.jsonl', 'pth' = 'x'";
    assert_says(
        &metric(folder.path(), &[("source", source)]),
        &["table events", "unknown option 'pth'", "path"],
    );
    let values = [("lateness", "soon")];
    assert_says(
        &metric(folder.path(), &values),
        &["table events", "option 'allowed-lateness' = 'soon'", "a duration such as"],
    );
    let source = "'connector' = 'filesytem', 'path' = 'events.jsonl'";
    assert_says(&metric(folder.path(), &[("source", source)]), &["'filesytem'", "filesystem"]);
}

#[test]
fn a_value_that_the_script_does_not_use() {
    let folder = folder();
    assert_says(
        &metric(folder.path(), &[("lak", "x")]),
        &["--set lak:", "the script's variables: ", " lake, "],
    );
    let ended = run_with(folder.path(), "a.sql", &[("novalue", "")]);
    assert!(!ended.status.success());
    let ended = run(plamatio(folder.path(), &["run", "a.sql", "--set", "novalue"]));
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("write NAME=VALUE"), "{}", ended.stderr);
}

#[test]
fn a_broker_that_is_down() {
    let folder = tempfile::tempdir().unwrap();
    let script = project().join("queries/metrics/top_products.sql");
    let started = Instant::now();
    let values = [("brokers", "127.0.0.1:1"), ("live", "'connector' = 'blackhole'"), ("lake", "lake")];
    let ended = run_with(folder.path(), script.to_str().unwrap(), &values);
    assert!(started.elapsed() < Duration::from_secs(30), "it took {:?}", started.elapsed());
    assert_says(&ended, &["table events", "127.0.0.1:1", "'properties.bootstrap.servers'", "check"]);

    let ended = run(plamatio(folder.path(), &["generate", "--events", "10", "--brokers", "127.0.0.1:1"]));
    assert_says(&ended, &["127.0.0.1:1", "check --brokers and that the broker runs"]);
}

#[test]
fn a_topic_that_is_not_there() {
    let kafka = services::kafka();
    let folder = tempfile::tempdir().unwrap();
    let script = metric_script("top_products");
    let source = format!(
        "'connector' = 'kafka', 'topic' = 'it-no-such-topic', 'properties.bootstrap.servers' = '{}',
         'properties.group.id' = 'it-no-such-topic'",
        kafka.brokers
    );
    let values = [("source", source.as_str()), ("live", "'connector' = 'blackhole'"), ("lake", "lake")];
    if kafka.real {
        let ended = run_with(folder.path(), script.to_str().unwrap(), &values);
        assert_says(&ended, &["no topic 'it-no-such-topic'", &kafka.brokers, "create it or correct 'topic'"]);
    } else {
        eprintln!("NOT TESTED without Apache Kafka: a topic that is not there (the mock cluster makes it)");
    }
}

#[test]
fn a_redis_that_is_down() {
    let folder = folder();
    let started = Instant::now();
    let ended = metric(folder.path(), &[("redis", "redis://:secret@127.0.0.1:1")]);
    assert!(started.elapsed() < Duration::from_secs(30), "it took {:?}", started.elapsed());
    assert_says(&ended, &["table top_products_live", "127.0.0.1:1", "'url'"]);
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
}

#[test]
fn a_database_that_is_down() {
    let folder = tempfile::tempdir().unwrap();
    let url = "postgres://shop:secret@127.0.0.1:1/shop";
    let ended = run(plamatio(folder.path(), &["migrate", "--database-url", url]));
    assert_says(&ended, &["cannot connect to PostgreSQL", "DATABASE_URL"]);
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
}

#[test]
fn a_lake_that_cannot_be_written() {
    let folder = folder();
    std::fs::write(folder.path().join("file"), "in the way").unwrap();
    let ended = metric(folder.path(), &[("lake", "file"), ("live", "'connector' = 'blackhole'")]);
    assert_says(&ended, &["table top_products_lake", "file/top_products", "'path'"]);
}

#[test]
fn a_source_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let ended = metric(folder.path(), &[("live", "'connector' = 'blackhole'")]);
    assert_says(&ended, &["table events", "events.jsonl ('path')", "check that it exists"]);
}

/// A small file system in memory; unmounted when dropped.
struct Tiny {
    folder: tempfile::TempDir,
}

impl Tiny {
    /// `None` where this user may not mount.
    fn mount(bytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Tiny { folder })
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}

#[test]
fn a_full_disk() {
    let Some(tiny) = Tiny::mount(256 << 10) else {
        eprintln!(
            "\n*** NOT TESTED: a full disk. This user may not mount a tmpfs; run the tests as root. ***\n"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), "50000");
    let lake = tiny.folder.path().join("lake").display().to_string();
    let script = project().join("queries/archive/events.sql");
    let values = [("source", "'connector' = 'filesystem', 'path' = 'events.jsonl'"), ("lake", &lake)];
    let ended = run_with(folder.path(), script.to_str().unwrap(), &values);
    assert_says(&ended, &["table events_lake", &lake, "the disk is full", "free some space"]);

    let mut command = plamatio(folder.path(), &["generate", "--events", "10000", "--out"]);
    command.arg(tiny.folder.path().join("events.jsonl"));
    assert_says(&run(command), &["cannot write records", "No space left on device"]);
}
