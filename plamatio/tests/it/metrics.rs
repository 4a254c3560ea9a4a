//! The three metrics on a million events equal batch SQL over the raw events, however these arrive.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use arrow::{
    array::AsArray,
    datatypes::{Int32Type, Int64Type},
};
use events::generate::{GeneratorConfig, Summary, shuffle_within};
use tempfile::TempDir;

use crate::support::{
    lake, metric_script,
    process::{plamatio, run, run_script},
    traffic::{self, Letter, assert_ledger, count},
};

const EVENTS: u64 = 1_000_000;
/// The metrics' watermark delay.
const DELAY: Duration = Duration::from_secs(5);
const METRICS: [&str; 3] = ["conversion", "cart_abandonment", "top_products"];

/// The same million events, in three arrangements.
struct Data {
    folder: PathBuf,
    made: Summary,
    one_file: Arrangement,
    four_files: Arrangement,
    shuffled: Arrangement,
}

struct Arrangement {
    path: PathBuf,
    /// The malformed records, in order of place.
    letters: Vec<Letter>,
}

fn data() -> &'static Data {
    static DATA: OnceLock<Data> = OnceLock::new();
    DATA.get_or_init(|| {
        // What a static holds is not dropped at the end: the next run makes it anew in the same place.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a-million-events");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        std::fs::create_dir_all(&folder).unwrap();
        let config = GeneratorConfig { seed: 11, events: Some(EVENTS), ..GeneratorConfig::default() };
        let (records, made) = traffic::records(config);
        assert!(made.late > 500 && made.duplicates > 1_000 && made.malformed > 300, "{made:?}");
        traffic::write_batch_events(&folder, &records);

        let path = folder.join("one.jsonl");
        let one_file = Arrangement { letters: traffic::write_lines(&path, &records), path };

        let path = folder.join("four");
        std::fs::create_dir(&path).unwrap();
        let mut letters = Vec::new();
        for part in 0..4 {
            let of_part = records.iter().filter(|record| {
                let mut hasher = DefaultHasher::new();
                record.key.hash(&mut hasher);
                hasher.finish() % 4 == part
            });
            letters.extend(traffic::write_lines(&path.join(format!("part-{part}.jsonl")), of_part));
        }
        let four_files = Arrangement { path, letters };

        let records = shuffle_within(records, DELAY, 5);
        let path = folder.join("shuffled.jsonl");
        let shuffled = Arrangement { letters: traffic::write_lines(&path, &records), path };
        Data { folder, made, one_file, four_files, shuffled }
    })
}

/// A lake of its own that holds the raw events.
fn new_lake() -> TempDir {
    // Beside the events, so that these can be linked.
    let lake = tempfile::tempdir_in(&data().folder).unwrap();
    std::fs::create_dir(lake.path().join("events")).unwrap();
    let part = "events/part-0.parquet";
    std::fs::hard_link(data().folder.join(part), lake.path().join(part)).unwrap();
    lake
}

fn values(path: &Path, lake: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("source", format!("'connector' = 'filesystem', 'path' = '{}'", path.display())),
        ("live", "'connector' = 'blackhole'".to_owned()),
        ("lake", lake.display().to_string()),
    ]
}

/// Runs the metrics over an arrangement into `lake`, and holds ledger and dead letters against the generator.
fn run_the_metrics(lake: &Path, arrangement: &Arrangement, one_sequence: bool) {
    for metric in METRICS {
        let letters = lake.join("dead_letters").join(metric);
        let values = values(&arrangement.path, lake);
        let ledger = run_script(lake, &metric_script(metric), &letters, &values);
        assert_ledger(&ledger, &data().made, one_sequence);
        let rows = lake::number(lake, &format!("SELECT COUNT(*) FROM {metric}"));
        assert_eq!(ledger["sinks"][format!("{metric}_lake")]["final"], rows, "{ledger}");
        assert_eq!(ledger["sinks"][format!("{metric}_lake")]["provisional"], 0, "{ledger}");
        assert_eq!(dead_letters(lake, metric), arrangement.letters, "{metric}");
    }
}

/// The lake of the one file. Batch SQL takes a while, so it is asked once, here; the other arrangements are
/// held against these rows, which equal it.
fn one_file() -> &'static Path {
    static LAKE: OnceLock<TempDir> = OnceLock::new();
    let lake = LAKE.get_or_init(|| {
        let lake = new_lake();
        run_the_metrics(lake.path(), &data().one_file, true);
        for metric in METRICS {
            lake::assert_equals_batch(lake.path(), metric);
        }
        lake
    });
    lake.path()
}

/// The metrics of an arrangement have the rows of the one file.
fn assert_same_rows(arrangement: &Arrangement, one_sequence: bool) {
    let lake = new_lake();
    run_the_metrics(lake.path(), arrangement, one_sequence);
    for metric in METRICS {
        let rows = |lake: &Path| {
            let batches = lake::query(lake, &format!("SELECT * FROM {metric}"));
            let table = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
            let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        let (expected, found) = (rows(one_file()), rows(lake.path()));
        let first = expected.iter().zip(&found).find(|(expected, found)| expected != found);
        assert!(expected == found, "{metric} differs, first in {first:?}");
    }
}

/// The malformed records that were set aside, in order of place. Each has a reason.
fn dead_letters(lake: &Path, metric: &str) -> Vec<Letter> {
    let sql = format!(
        "SELECT topic, partition, \"offset\", payload, reason FROM dead_letters.{metric}
         WHERE kind = 'malformed' AND source_table = 'events' ORDER BY topic, \"offset\""
    );
    let mut letters = Vec::new();
    for batch in lake::query(lake, &sql) {
        let text =
            |index| arrow::compute::cast(batch.column(index), &arrow::datatypes::DataType::Utf8).unwrap();
        let (topics, reasons) = (text(0), text(4));
        let payloads = arrow::compute::cast(batch.column(3), &arrow::datatypes::DataType::Binary).unwrap();
        for row in 0..batch.num_rows() {
            assert_eq!(batch.column(1).as_primitive::<Int32Type>().value(row), 0);
            assert!(!reasons.as_string::<i32>().value(row).is_empty());
            letters.push((
                topics.as_string::<i32>().value(row).to_owned(),
                batch.column(2).as_primitive::<Int64Type>().value(row),
                payloads.as_binary::<i32>().value(row).to_vec(),
            ));
        }
    }
    letters
}

#[test]
fn of_one_file_equal_batch_sql() {
    one_file();
}

#[test]
fn of_four_partitions_are_the_same() {
    assert_same_rows(&data().four_files, false);
}

#[test]
fn of_events_shuffled_within_the_watermark_delay_are_the_same() {
    assert_same_rows(&data().shuffled, true);
}

#[test]
fn what_comes_too_late_is_counted_and_set_aside() {
    let lake = new_lake();
    let letters = lake.path().join("dead_letters/top_products");
    let mut values = values(&data().one_file.path, lake.path());
    values.push(("lateness", "0 s".to_owned()));
    let ledger = run_script(lake.path(), &metric_script("top_products"), &letters, &values);
    let made = &data().made;
    assert_eq!(count(&ledger, "read"), made.events);
    assert_eq!(count(&ledger, "on_time"), made.on_time);
    let dropped = count(&ledger, "late_dropped");
    assert!(dropped > 0, "{ledger}");
    assert_eq!(dropped + count(&ledger, "late_accepted"), made.late, "{ledger}");
    // By the binary this time, as an analyst would ask.
    let sql =
        "SELECT COUNT(*) AS n, COUNT(event_time) AS timed FROM dead_letters.top_products WHERE kind = 'late'";
    let mut command = plamatio(lake.path(), &["sql", "--format", "json", "-c", sql, "--lake"]);
    command.arg(lake.path());
    let answer = run(command).ok().json();
    let answer = answer.get(0).unwrap_or(&answer);
    assert_eq!((&answer["n"], &answer["timed"]), (&dropped.into(), &dropped.into()), "{answer}");
}
