//! One query over generated files, in the engine.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use sinks::Extras;
use stream::{
    planner::{self, Connectors},
    runtime::{
        clock,
        job::{Job, JobOptions},
    },
};

use crate::machine;

/// A query of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// Every bid as it is.
    Q0,
    /// Every bid with its price converted.
    Q1,
    /// Bids for some auctions.
    Q2,
    /// The auction with the most bids.
    Q5,
}

impl Query {
    /// All that the engine runs.
    pub const ALL: [Query; 4] = [Query::Q0, Query::Q1, Query::Q2, Query::Q5];

    /// Its name, and that of its sink.
    pub const fn name(self) -> &'static str {
        match self {
            Query::Q0 => "q0",
            Query::Q1 => "q1",
            Query::Q2 => "q2",
            Query::Q5 => "q5",
        }
    }

    /// Its script, the table that it reads included. Variables: `source`, and the query's name for its sink.
    pub const fn script(self) -> &'static str {
        match self {
            Query::Q0 => concat!(
                include_str!("../../sql/nexmark/events.sql"),
                include_str!("../../sql/nexmark/q0.sql")
            ),
            Query::Q1 => concat!(
                include_str!("../../sql/nexmark/events.sql"),
                include_str!("../../sql/nexmark/q1.sql")
            ),
            Query::Q2 => concat!(
                include_str!("../../sql/nexmark/events.sql"),
                include_str!("../../sql/nexmark/q2.sql")
            ),
            Query::Q5 => concat!(
                include_str!("../../sql/nexmark/events.sql"),
                include_str!("../../sql/nexmark/q5.sql")
            ),
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A measurement of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryCase {
    /// The folder of the events.
    pub folder: PathBuf,
    /// Compute threads.
    pub threads: usize,
    /// The query.
    pub query: Query,
    /// Where its rows go as JSON lines, a folder; discarded if there is none.
    pub rows: Option<PathBuf>,
}

/// What it took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueryMeasured {
    /// Events read, of all three kinds.
    pub events: u64,
    /// Rows written.
    pub rows: u64,
    /// On the clock, from before the source is opened until every row is written. Planning is not in it.
    pub seconds: f64,
    /// On processors, all threads together.
    pub cpu_seconds: Option<f64>,
    /// Most memory held, in bytes.
    pub peak_bytes: Option<u64>,
}

impl QueryCase {
    /// Runs it, in this process.
    pub async fn run(&self) -> anyhow::Result<QueryMeasured> {
        let connectors = Connectors { sinks: sinks::registry(Extras::default()), ..Connectors::default() };
        let sink = match &self.rows {
            None => "'connector' = 'blackhole'".to_owned(),
            Some(folder) => filesystem(folder),
        };
        let values = BTreeMap::from([
            ("source".to_owned(), filesystem(&self.folder)),
            (self.query.name().to_owned(), sink),
        ]);
        let plan = planner::plan(self.query.script(), &values, &connectors).await;
        let plan = plan.with_context(|| format!("in {}.sql", self.query))?;
        let options = JobOptions {
            name: "nexmark".to_owned(),
            state: None,
            may_drop_state: false,
            dead_letters: None,
            clock: clock::system(),
            parallelism: Some(self.threads),
        };
        let (started, cpu) = (Instant::now(), machine::cpu_seconds());
        let ledger = Job::start(plan, &connectors, options).await?.wait().await?;
        let seconds = started.elapsed().as_secs_f64();
        let cpu_seconds = machine::cpu_seconds().zip(cpu).map(|(after, before)| after - before);
        let source = ledger.sources.get("nexmark").context("the script has no table 'nexmark'")?;
        ensure!(
            source.read == source.on_time,
            "{}: events in order were not all on time: {ledger:?}",
            self.query
        );
        let rows = ledger.sinks.values().map(|sink| sink.finals).sum();
        Ok(QueryMeasured {
            events: source.read,
            rows,
            seconds,
            cpu_seconds,
            peak_bytes: machine::peak_bytes(),
        })
    }
}

/// `WITH` options of a folder's files.
fn filesystem(folder: &Path) -> String {
    format!("'connector' = 'filesystem', 'path' = '{}'", folder.display().to_string().replace('\'', "''"))
}
