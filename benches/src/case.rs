//! One measurement: an input, what is done with it, on how many threads.
//!
//! A case runs in a process of its own, so that its processor time and its memory are nobody else's. The clock
//! runs from just before sources are opened until everything is read and every window is written; reading
//! SQL and planning are not in it.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail, ensure};
use arrow::datatypes::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use sinks::Extras;
use stream::{
    decode::{Decoder, json::JsonDecoder},
    planner::{self, Connectors, JobPlan},
    runtime::{
        clock,
        job::{Job, JobOptions},
    },
    source::{Polled, RawBatch, Source, StartAt},
};

use crate::{kafka, machine};

/// Records read at once, as in the engine.
const MAX_RECORDS: usize = 8_192;

/// One of the shop's metrics: a script under `queries/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Hopping windows and three rankings.
    TopProducts,
    /// Sessions, then counted per minute.
    Conversion,
    /// Cart sessions, then counted per minute.
    CartAbandonment,
}

impl Metric {
    /// All three.
    pub const ALL: [Metric; 3] = [Metric::TopProducts, Metric::Conversion, Metric::CartAbandonment];

    /// Its script.
    pub const fn script(self) -> &'static str {
        match self {
            Metric::TopProducts => include_str!("../../queries/metrics/top_products.sql"),
            Metric::Conversion => include_str!("../../queries/metrics/conversion.sql"),
            Metric::CartAbandonment => include_str!("../../queries/metrics/cart_abandonment.sql"),
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::TopProducts => "top_products",
            Metric::Conversion => "conversion",
            Metric::CartAbandonment => "cart_abandonment",
        }
    }
}

/// Where the events are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Files of JSON lines.
    Files {
        /// Their folder.
        folder: PathBuf,
    },
    /// A filled topic.
    Kafka {
        /// `host:port, …`
        brokers: String,
        /// Its name.
        topic: String,
    },
}

impl Input {
    /// The connector's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Input::Files { .. } => "file",
            Input::Kafka { .. } => "Kafka",
        }
    }

    /// The `WITH` options of a table over it, which ends where the input ends now.
    fn options(&self) -> String {
        match self {
            Input::Files { folder } => {
                let path = folder.display().to_string().replace('\'', "''");
                format!("'connector' = 'filesystem', 'path' = '{path}'")
            }
            Input::Kafka { brokers, topic } => format!(
                "'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{brokers}', \
                 'properties.group.id' = 'plamatio-bench', 'scan.startup.mode' = 'earliest-offset', \
                 'scan.bounded.mode' = 'latest-offset'"
            ),
        }
    }
}

/// What is done with the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Read and decoded into columns: those that the metrics use, each once. The limit to hold the engine to.
    Parse,
    /// The metrics' scripts, each a job, all in one process; final rows only, discarded.
    Engine,
    /// The same, and provisional rows every 250 ms besides.
    EngineWithUpdates,
}

/// A measurement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Case {
    /// Where the events are.
    pub input: Input,
    /// Threads per job; the process is held to as many processors.
    pub threads: usize,
    /// What is done.
    pub work: Work,
    /// For these.
    pub metrics: Vec<Metric>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metrics = match self.metrics.as_slice() {
            [metric] => metric.name(),
            _ => "three at once",
        };
        match self.work {
            Work::Parse => write!(f, "bare parse, columns of {metrics}"),
            Work::Engine => f.write_str(metrics),
            Work::EngineWithUpdates => write!(f, "{metrics}, with provisional rows"),
        }
    }
}

/// What a case took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Events read; several jobs over the same input read the same events.
    pub events: u64,
    /// On the clock.
    pub seconds: f64,
    /// On processors, all threads together.
    pub cpu_seconds: Option<f64>,
    /// Most memory held, in bytes.
    pub peak_bytes: Option<u64>,
    /// Final rows of each metric.
    pub final_rows: BTreeMap<Metric, u64>,
}

impl Case {
    /// Runs it, in this process.
    pub async fn run(&self) -> anyhow::Result<Measured> {
        let connectors = Connectors { sinks: sinks::registry(Extras::default()), ..Connectors::default() };
        let mut plans = Vec::new();
        for metric in &self.metrics {
            let discard = |emit: &str| format!("'connector' = 'blackhole', 'emit' = '{emit}'");
            let live = if self.work == Work::EngineWithUpdates { "updates" } else { "final" };
            let values =
                [("source", self.input.options()), ("live", discard(live)), ("final", discard("final"))];
            let values = values.map(|(name, value)| (name.to_owned(), value)).into();
            let plan = planner::plan(metric.script(), &values, &connectors).await;
            plans.push(plan.with_context(|| format!("in {}.sql", metric.name()))?);
        }
        let (started, cpu) = (Instant::now(), machine::cpu_seconds());
        let mut final_rows = BTreeMap::new();
        let events = if self.work == Work::Parse {
            let columns = columns(&plans)?;
            match &self.input {
                Input::Files { .. } => parse_files(&plans, &connectors, &columns, self.threads).await?,
                Input::Kafka { brokers, topic } => kafka::bare_loop(brokers, topic, &columns, self.threads)?,
            }
        } else {
            let mut jobs = Vec::new();
            for (plan, metric) in plans.into_iter().zip(&self.metrics) {
                let options = JobOptions {
                    name: "bench".to_owned(),
                    state: None,
                    dead_letters: None,
                    clock: clock::system(),
                    parallelism: Some(self.threads),
                };
                jobs.push((*metric, Job::start(plan, &connectors, options).await?));
            }
            let mut events = None;
            for (metric, job) in jobs {
                let ledger = job.wait().await?;
                let source = ledger.sources.get("events").context("the script has no table 'events'")?;
                ensure!(
                    source.read == source.on_time && events.is_none_or(|events| events == source.read),
                    "{}: the ledger is not as it must be without faults: {ledger:?}",
                    metric.name(),
                );
                events = Some(source.read);
                let written = ledger.sinks.values().map(|sink| sink.finals).max().unwrap_or_default();
                ensure!(written > 0, "{} wrote nothing", metric.name());
                final_rows.insert(metric, written);
            }
            events.unwrap_or_default()
        };
        let seconds = started.elapsed().as_secs_f64();
        let cpu_seconds = machine::cpu_seconds().zip(cpu).map(|(after, before)| after - before);
        Ok(Measured { events, seconds, cpu_seconds, peak_bytes: machine::peak_bytes(), final_rows })
    }
}

/// The columns that the plans decode, each once.
fn columns(plans: &[JobPlan]) -> anyhow::Result<SchemaRef> {
    let schemas = plans.iter().flat_map(|plan| &plan.sources).map(|source| Schema::clone(&source.decoded));
    Ok(Arc::new(Schema::try_merge(schemas)?))
}

/// Reads with the engine's own reader and decodes, nothing else.
async fn parse_files(
    plans: &[JobPlan],
    connectors: &Connectors,
    columns: &SchemaRef,
    threads: usize,
) -> anyhow::Result<u64> {
    let table = &plans.first().and_then(|plan| plan.sources.first()).context("no source")?.table;
    let factory = connectors.sources.get(&table.connector()).context("no such connector")?;
    let source: Arc<dyn Source> = factory.open(table).await?;
    let work = |thread: usize| -> anyhow::Result<u64> {
        let partitions = source.partitions().into_iter().skip(thread).step_by(threads);
        let partitions: Vec<_> = partitions.map(|partition| (partition, StartAt::Configured)).collect();
        let mut batches: Vec<RawBatch> = partitions.iter().map(|_| RawBatch::default()).collect();
        if partitions.is_empty() {
            return Ok(0);
        }
        let mut reader = source.reader(&partitions)?;
        let mut decoder = JsonDecoder::new(&table.name, Arc::clone(columns))?;
        let mut rows = 0;
        while reader.poll(&mut batches, MAX_RECORDS, Duration::ZERO)? != Polled::End {
            for batch in batches.iter_mut().filter(|batch| !batch.is_empty()) {
                let decoded = decoder.decode(batch)?;
                if let Some(reject) = decoded.rejects.first() {
                    bail!("a generated record was refused: {}", reject.reason);
                }
                rows += decoded.records.len();
                batch.clear();
            }
        }
        Ok(u64::try_from(rows)?)
    };
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        let results = threads.into_iter().map(|t| t.join().map_err(|_| anyhow!("a reader panicked"))?);
        results.sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::Traffic;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_case_reads_every_event_and_threads_change_no_row_count() {
        let folder = tempfile::tempdir().unwrap();
        let traffic = Traffic { events: 20_000, seed: 1, events_per_second: 20.0 };
        let files = traffic.files(folder.path()).unwrap();
        let mut rows = Vec::new();
        for (work, threads) in
            [(Work::Parse, 2), (Work::Engine, 1), (Work::Engine, 2), (Work::EngineWithUpdates, 2)]
        {
            let input = Input::Files { folder: files.folder.clone() };
            let case = Case { input, threads, work, metrics: Metric::ALL.to_vec() };
            let measured = case.run().await.unwrap();
            assert_eq!(measured.events, 20_000, "{case}");
            if work != Work::Parse {
                rows.push(measured.final_rows);
            }
        }
        assert_eq!(rows[0].len(), 3);
        assert_eq!(rows[0], rows[1]);
        assert_eq!(rows[0], rows[2]);
    }
}
