//! Stopped by a signal and killed, on Kafka: nothing is missing and nothing is there twice.

use events::generate::{Generated, GeneratorConfig};
use serde_json::Value;

use crate::support::{
    broker, eventually, lake, metric_script,
    process::{Ended, Running, checkpointed, script_command},
    services,
    traffic::{self, count},
    unique,
};

const PARTITIONS: i32 = 4;

/// A job on topics of its own.
struct Setting {
    folder: tempfile::TempDir,
    values: Vec<(&'static str, String)>,
    prefix: String,
}

impl Setting {
    fn new() -> Self {
        let kafka = services::kafka();
        let folder = tempfile::tempdir().unwrap();
        let prefix = unique("it-restart");
        let topics = broker::TOPICS.map(|topic| format!("{prefix}-{topic}"));
        broker::create_topics(&kafka.brokers, &topics.each_ref().map(String::as_str), PARTITIONS);
        let source = format!(
            "'connector' = 'kafka', 'topic' = '{}', 'properties.bootstrap.servers' = '{}',
             'properties.group.id' = '{prefix}'",
            topics.join(";"),
            kafka.brokers
        );
        let values = vec![
            ("source", source),
            ("redis", services::redis_url().to_owned()),
            ("shop", prefix.clone()),
            ("lake", folder.path().join("lake").display().to_string()),
        ];
        // The metric as it is, with checkpoints often enough to be killed between two.
        let script = std::fs::read_to_string(metric_script("top_products")).unwrap();
        let script = format!("SET 'checkpoint.interval' = '200 ms';\n{script}");
        std::fs::write(folder.path().join("top_products.sql"), script).unwrap();
        Setting { folder, values, prefix }
    }

    fn lake(&self) -> std::path::PathBuf {
        self.folder.path().join("lake")
    }

    fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("state")
    }

    fn start(&self) -> Running {
        let letters = self.lake().join("dead_letters/top_products");
        let script = self.folder.path().join("top_products.sql");
        let mut command = script_command(self.folder.path(), &script, letters, &self.values);
        command.arg("--state").arg(self.state());
        Running::start(command)
    }

    fn wait_for(&self, job: &mut Running, records: u64) {
        job.wait_for_checkpoint(&self.state(), records);
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let topics = broker::TOPICS.map(|topic| format!("{}-{topic}", self.prefix));
        if !std::thread::panicking() {
            broker::delete_topics(&services::kafka().brokers, &topics.each_ref().map(String::as_str));
        }
    }
}

/// The ledger of a run that a signal has ended.
fn ledger(ended: Ended) -> Value {
    let ledger = ended.ok().json();
    assert_eq!(ledger["balanced"], true, "{ledger}");
    ledger
}

/// Events that close every window, one to each partition: by staff, so that no metric counts them.
fn close_all_windows(sender: &broker::Sender, records: &[Generated]) -> u64 {
    let last = records.iter().map(|record| record.time_ms).max().unwrap();
    let later = chrono::DateTime::from_timestamp_millis(last + 3 * 3_600_000).unwrap();
    let time = later.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    sender.send_everywhere(PARTITIONS, |topic, partition| {
        format!(
            r#"{{"id":"closing-{topic}-{partition}","source":"test","type":"view_item","time":"{time}","traffic":"staff","anonymous_id":"x","product_id":1}}"#
        )
    });
    u64::try_from(PARTITIONS).unwrap() * 3
}

#[test]
fn a_job_that_is_stopped_and_killed_ends_with_the_same_rows() {
    let kafka = services::kafka();
    let setting = Setting::new();
    let number = kafka.events(400_000);
    let config = GeneratorConfig { seed: 31, events: Some(number), ..GeneratorConfig::default() };
    let (records, made) = traffic::records(config);
    traffic::write_batch_events(&setting.lake(), &records);
    let sender = broker::Sender::new(&kafka.brokers, &setting.prefix);
    let quarter = records.len() / 4;
    let parts: Vec<&[Generated]> = vec![
        &records[..quarter],
        &records[quarter..2 * quarter],
        &records[2 * quarter..3 * quarter],
        &records[3 * quarter..],
    ];

    // Stopped by SIGTERM while records come.
    sender.send(parts[0]);
    let mut job = setting.start();
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(parts[1]));
        setting.wait_for(&mut job, 1);
        job.signal("TERM");
    });
    let first = ledger(job.wait());
    let read = count(&first, "read");
    assert!(read > 0 && read <= 2 * quarter as u64, "{first}");
    assert_eq!(checkpointed(&setting.state()), read, "the last checkpoint is that of the end");

    // Killed while records come, after it has gone on.
    let mut job = setting.start();
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(parts[2]));
        setting.wait_for(&mut job, read + 1);
        job.signal("KILL");
    });
    assert!(!job.wait().status.success());
    let at_kill = checkpointed(&setting.state());

    // Started again, to the end.
    sender.send(parts[3]);
    let closing = close_all_windows(&sender, &records);
    let mut job = setting.start();
    setting.wait_for(&mut job, made.events + closing);
    let last = ledger(job.terminate());
    assert!(read < at_kill && at_kill <= made.events, "{read} {at_kill}");
    assert_eq!(count(&last, "read"), made.events + closing, "{last}");
    assert_eq!(count(&last, "duplicate"), made.duplicates, "{last}");
    assert_eq!(count(&last, "dead_letter"), made.malformed, "{last}");
    assert_eq!(count(&last, "late_dropped"), 0, "{last}");

    let rows = lake::assert_equals_batch(&setting.lake(), "top_products");
    assert_eq!(last["sinks"]["top_products_lake"]["final"], rows, "{last}");
    let letters = "SELECT COUNT(*) FROM dead_letters.top_products WHERE kind = 'malformed'";
    assert_eq!(u64::try_from(lake::number(&setting.lake(), letters)).unwrap(), made.malformed);
}

#[test]
fn state_of_another_script_is_refused_with_a_remedy() {
    let setting = Setting::new();
    let mut job = setting.start();
    setting.wait_for_state(&mut job);
    ledger(job.terminate());
    let script = setting.folder.path().join("top_products.sql");
    let text = std::fs::read_to_string(&script).unwrap();
    std::fs::write(
        &script,
        text.replace("COUNT(*) FILTER (WHERE `type` = 'view_item') AS views", "COUNT(*) AS views"),
    )
    .unwrap();
    let ended = setting.start().wait();
    assert!(!ended.status.success(), "{}", ended.text());
    let state = setting.state().display().to_string();
    assert!(ended.stderr.contains(&state) && ended.stderr.contains("script"), "{}", ended.stderr);
}

impl Setting {
    fn wait_for_state(&self, job: &mut Running) {
        eventually("a checkpoint", || {
            job.assert_runs();
            let mut folders = std::fs::read_dir(self.state()).ok()?.flatten();
            folders.any(|folder| folder.path().join("manifest.json").exists()).then_some(())
        });
    }
}
