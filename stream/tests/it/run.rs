//! Runs a script on files to its end.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use plamatio_stream::{
    StreamError,
    ledger::Ledger,
    planner::{self, Connectors, JobPlan},
    runtime::{
        clock, dead_letters,
        job::{Job, JobOptions},
    },
};
use tempfile::TempDir;

use crate::{
    collect::{CollectFactory, Collected},
    text::{self, DAY_US},
};

/// The clock of all jobs: noon of the day after that of the events.
pub(crate) const NOW_US: i64 = DAY_US + 36 * 3_600_000_000;

/// A script that has run.
pub(crate) struct Done {
    /// What the sinks and the dead-letter sink (`dead_letters`) were given.
    pub(crate) collected: Collected,
    pub(crate) ledger: Ledger,
}

impl Done {
    /// The final rows of `out`.
    pub(crate) fn finals(&self) -> String {
        text::table(&self.collected.finals("out"), false)
    }

    /// `read on_time late_accepted late_dropped duplicate dead_letter` of the table `events`.
    pub(crate) fn counts(&self) -> [u64; 6] {
        let events = &self.ledger.sources["events"];
        assert!(events.is_balanced(), "{events:?}");
        let late = [events.late_accepted, events.late_dropped];
        [events.read, events.on_time, late[0], late[1], events.duplicate, events.dead_letter]
    }
}

/// The built-in sources, and `collect`.
pub(crate) fn connectors(collected: &Collected) -> Connectors {
    let mut connectors = Connectors::default();
    connectors.sinks.register("collect", Arc::new(CollectFactory(collected.clone())));
    connectors
}

/// Plans a script.
pub(crate) fn plan(script: &str) -> Result<JobPlan, StreamError> {
    let (values, connectors) = (BTreeMap::new(), connectors(&Collected::default()));
    block_on(planner::plan(script, &values, &connectors))
}

/// A job's options: dead letters are collected.
pub(crate) fn options(state: Option<&Path>) -> JobOptions {
    let collect = [("connector".to_owned(), "collect".to_owned())];
    JobOptions {
        name: "test".to_owned(),
        state: state.map(Path::to_owned),
        may_drop_state: false,
        dead_letters: Some(dead_letters::table("dead_letters", collect)),
        clock: clock::fixed(NOW_US),
        parallelism: Some(2),
    }
}

/// Plans and runs `script` to its end.
pub(crate) async fn try_run(script: &str) -> Result<Done, StreamError> {
    let collected = Collected::default();
    let connectors = connectors(&collected);
    let plan = planner::plan(script, &BTreeMap::new(), &connectors).await?;
    let job = Job::start(plan, &connectors, options(None)).await?;
    Ok(Done { ledger: job.wait().await?, collected })
}

/// Writes each partition's lines to a file of its own.
pub(crate) fn files(partitions: &[Vec<Vec<u8>>]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, lines) in partitions.iter().enumerate() {
        fs::write(folder.path().join(format!("part-{number}.jsonl")), lines.join(&b'\n')).unwrap();
    }
    folder
}

/// `CREATE TABLE events` over the files of a folder: event time `time`, delay 10 seconds.
pub(crate) fn events(columns: &str, folder: &TempDir, more: &str) -> String {
    format!(
        "CREATE TABLE events (`time` TIMESTAMP(3), {columns}, WATERMARK FOR `time` AS `time` - INTERVAL '10' SECOND)
         WITH ('connector' = 'filesystem', 'path' = '{}'{more});\n",
        folder.path().display()
    )
}

/// Runs `statements` on one file that holds the text table `input`, as table `events (time, k, v)`.
pub(crate) fn run(input: &str, statements: &str) -> Done {
    let lines = text::json_lines(input).into_iter().map(String::into_bytes).collect();
    run_bytes(&[lines], "k STRING, v BIGINT", "", statements)
}

/// Runs `statements` on files of these lines, as table `events (time, columns)`.
pub(crate) fn run_bytes(partitions: &[Vec<Vec<u8>>], columns: &str, more: &str, statements: &str) -> Done {
    let folder = files(partitions);
    let script = events(columns, &folder, more) + statements;
    block_on(try_run(&script)).unwrap_or_else(|error| panic!("{error}"))
}

/// The final rows of `query` into a table of `columns`.
pub(crate) fn check(input: &str, columns: &str, query: &str) -> String {
    let sink = format!("CREATE TABLE out ({columns}) WITH ('connector' = 'collect', 'emit' = 'final');");
    let done = run(input, &format!("{sink} INSERT INTO out {query}"));
    assert!(done.ledger.is_balanced(), "{:?}", done.ledger);
    done.finals()
}

/// Runs a future on a runtime of its own.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(future)
}
