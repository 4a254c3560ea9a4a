//! State is known by what it is of: it is kept where that is the same, whatever else of the script has changed, and
//! refused where it is not.

#[path = "uids/keeps.rs"]
mod keeps;
#[path = "uids/refuses.rs"]
mod refuses;
#[path = "uids/words.rs"]
mod words;

use std::{collections::BTreeMap, sync::Arc};

use plamatio_stream::{
    StreamError,
    planner::{self, Connectors},
    runtime::job::{Job, JobOptions},
};

use crate::{
    collect::{CollectFactory, Collected},
    memory::Memory,
    run::{connectors, options},
    text,
};

/// The table of all scripts here, and its relation per minute.
const EVENTS: &str = "
    CREATE TABLE events (`time` TIMESTAMP(3), k STRING, v BIGINT, WATERMARK FOR `time` AS `time` - INTERVAL '5' SECOND)
    WITH ('connector' = 'kept', 'idle-timeout' = '0 s');";

/// Counts by minute and key, into `out`.
const MINUTES: &str = "
    CREATE TABLE out (w TIMESTAMP(3), k STRING, n BIGINT, total BIGINT)
    WITH ('connector' = 'collect', 'emit' = 'final');
    INSERT INTO out SELECT window_start, k, COUNT(*), SUM(v)
    FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
    WHERE v > 0 GROUP BY window_start, window_end, k;";

/// Sessions by key, into `visits`.
const VISITS: &str = "
    CREATE TABLE visits (w TIMESTAMP(3), k STRING, n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
    INSERT INTO visits SELECT window_start, k, COUNT(*)
    FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '3' SECOND))
    GROUP BY window_start, window_end, k;";

/// Two partitions with a record a second for four minutes, a little out of order.
fn records() -> Vec<Vec<Vec<u8>>> {
    let line = |partition: i64, number: i64| {
        let time = (number - number * 7 % 4).max(0);
        let (key, clock) = ((number / 5 + partition) % 3, format!("12:{:02}:{:02}", time / 60, time % 60));
        format!(r#"{{"time":"{}T{clock}Z","k":"{key}","v":{}}}"#, text::DAY, number % 6).into_bytes()
    };
    (0..2).map(|partition| (0..240).map(|number| line(partition, number)).collect()).collect()
}

/// A job over these records, with a state folder.
struct Folder {
    collected: Collected,
    events: Memory,
    others: Memory,
    state: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Folder {
            collected: Collected::default(),
            events: Memory::new(records()),
            others: Memory::new(records()),
            state: tempfile::tempdir().unwrap(),
        }
    }

    fn connectors(&self) -> Connectors {
        let mut connectors = connectors(&self.collected);
        connectors.sources.register("kept", Arc::new(self.events.clone()));
        connectors.sources.register("others", Arc::new(self.others.clone()));
        connectors.sinks.register("elsewhere", Arc::new(CollectFactory(self.collected.clone())));
        connectors
    }

    fn options(&self) -> JobOptions {
        options(Some(self.state.path()))
    }

    async fn start(&self, script: &str, options: JobOptions) -> Result<Job, StreamError> {
        let connectors = self.connectors();
        let plan = planner::plan(script, &BTreeMap::new(), &connectors).await?;
        Job::start(plan, &connectors, options).await
    }

    /// Reads the first 100 seconds and stops: in the middle of the second minute and of a session.
    async fn begin(&self, script: &str) {
        self.begin_with(script, self.options()).await;
    }

    async fn begin_with(&self, script: &str, options: JobOptions) {
        let before = self.events.handed_so_far();
        assert_eq!(before, 0);
        self.events.allow(100);
        self.others.allow(100);
        let job = self.start(script, options).await.unwrap();
        self.events.handed(200).await;
        job.stop();
        job.wait().await.unwrap();
    }

    /// Goes on to the end.
    async fn end(&self, script: &str, options: JobOptions) -> Result<(), StreamError> {
        self.events.end();
        self.others.end();
        let ledger = self.start(script, options).await?.wait().await?;
        assert!(ledger.is_balanced(), "{ledger:?}");
        Ok(())
    }

    /// The rows of a sink.
    fn rows(&self, table: &str) -> String {
        text::table(&self.collected.finals(table), false)
    }
}

/// The rows of a sink of a script that is not disturbed.
async fn undisturbed(script: &str, table: &str) -> String {
    let folder = Folder::new();
    folder.end(script, folder.options()).await.unwrap();
    let rows = folder.rows(table);
    assert!(rows.lines().count() > 3, "{rows}");
    rows
}
