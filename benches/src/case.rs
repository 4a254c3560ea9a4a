//! One measurement: an input, what is done with it, on how many threads.
//!
//! A case runs in a process of its own, so that its processor time and its memory are nobody else's. The clock
//! runs from just before sources are opened until everything is read and every window is written; reading
//! SQL and planning are not in it.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use stream::{
    decode::{Decoder, json::JsonDecoder, plan::DecodePlan},
    planner::{self, Connectors, JobPlan, SourcePlan},
    runtime::job::Job,
    source::{Polled, RawBatch, Source, StartAt},
};

use crate::{
    borrowed, kafka,
    limit::{self, Wanted},
    machine,
    measure::{MAX_RECORDS, Measured, Stopwatch, connectors, discard, job_options},
    shop,
    workload::{Workload, source},
};

/// A query of the workload: a script under `benches/sql`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// The ten best of ten minutes, every minute.
    TopProducts,
    /// Distinct sessions by step, every minute.
    Funnel,
    /// What each visit came to.
    Sessions,
}

impl Query {
    /// All three.
    pub const ALL: [Query; 3] = [Query::TopProducts, Query::Funnel, Query::Sessions];

    /// Its name: that of its file, of its table and of the variable for the table's options.
    pub const fn name(self) -> &'static str {
        match self {
            Query::TopProducts => "top_products",
            Query::Funnel => "funnel",
            Query::Sessions => "sessions",
        }
    }

    const fn script(self) -> &'static str {
        match self {
            Query::TopProducts => include_str!("../sql/top_products.sql"),
            Query::Funnel => include_str!("../sql/funnel.sql"),
            Query::Sessions => include_str!("../sql/sessions.sql"),
        }
    }
}

/// Some queries as one job over one table of events; `sink` gives the options of a query's table.
pub async fn plan(
    queries: &[Query],
    source: &str,
    sink: impl Fn(Query) -> String,
    connectors: &Connectors,
) -> anyhow::Result<JobPlan> {
    let mut script = include_str!("../sql/events.sql").to_owned();
    let mut values = BTreeMap::from([("source".to_owned(), source.to_owned())]);
    for query in queries {
        script.push_str(query.script());
        values.insert(query.name().to_owned(), sink(*query));
    }
    Ok(planner::plan(&script, &values, connectors).await?)
}

/// Where the events are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A file of JSON lines.
    File {
        /// Its path.
        path: PathBuf,
    },
    /// A filled topic.
    Kafka {
        /// `host:port, …`
        brokers: String,
        /// Its name.
        topic: String,
    },
    /// Nowhere: they are made as they are read.
    Made {
        /// What is made.
        workload: Workload,
        /// In how many partitions.
        partitions: u16,
    },
    /// Files of the shop's own events, by partition.
    Shop {
        /// Their folder.
        folder: PathBuf,
    },
}

impl Input {
    /// In a word.
    pub fn name(&self) -> String {
        match self {
            Input::File { .. } => "file".to_owned(),
            Input::Kafka { .. } => "Kafka".to_owned(),
            Input::Made { workload, .. } => format!("{} made", workload.events),
            Input::Shop { .. } => "files".to_owned(),
        }
    }

    /// The `WITH` options of a table over it, which ends where the input ends now.
    pub fn options(&self) -> String {
        let quoted = |path: &PathBuf| path.display().to_string().replace('\'', "''");
        match self {
            Input::File { path } | Input::Shop { folder: path } => {
                format!("'connector' = 'filesystem', 'path' = '{}'", quoted(path))
            }
            Input::Kafka { brokers, topic } => format!(
                "'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{brokers}', \
                 'properties.group.id' = 'plamatio-bench', 'scan.startup.mode' = 'earliest-offset', \
                 'scan.bounded.mode' = 'latest-offset'"
            ),
            Input::Made { workload, partitions } => source::options(workload, *partitions),
        }
    }
}

/// What is done with the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// The hand-written program's decoding, nothing else.
    LimitDecode,
    /// The hand-written program: the practical limit.
    Limit,
    /// Read and decoded into the six columns by the engine's parts, nothing else.
    Parse,
    /// Read by a plain consumer, each record parsed by `serde_json`.
    ParseSerde,
    /// The queries as one job; final rows only, discarded.
    Engine,
    /// The same, and provisional rows every 250 ms besides.
    EngineWithUpdates,
    /// The scripts under `queries/metrics`, each a job.
    Shop,
}

/// A measurement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Case {
    /// Where the events are.
    pub input: Input,
    /// Threads; the process is held to as many processors.
    pub threads: usize,
    /// What is done.
    pub work: Work,
    /// For these queries; none where the work has none.
    pub queries: Vec<Query>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queries = match self.queries.as_slice() {
            [query] => query.name(),
            _ => "three at once",
        };
        match self.work {
            Work::LimitDecode => f.write_str("by hand: decoding"),
            Work::Limit => write!(f, "by hand: {queries}"),
            Work::Parse => f.write_str("bare parse"),
            Work::ParseSerde => f.write_str("bare parse by serde_json"),
            Work::Engine => f.write_str(queries),
            Work::EngineWithUpdates => write!(f, "{queries}, with provisional rows"),
            Work::Shop => f.write_str("the shop's own metrics"),
        }
    }
}

impl Case {
    /// Runs it, in this process.
    pub async fn run(&self) -> anyhow::Result<Measured> {
        match self.work {
            Work::LimitDecode | Work::Limit => self.run_limit(),
            Work::Parse | Work::ParseSerde => self.run_parse().await,
            Work::Engine => self.run_engine("final").await,
            Work::EngineWithUpdates => self.run_engine("updates").await,
            Work::Shop => shop::run(&self.input.options(), self.threads).await,
        }
    }

    fn run_limit(&self) -> anyhow::Result<Measured> {
        let Input::File { path } = &self.input else { bail!("the hand-written program reads a file") };
        let has = |query| self.queries.contains(&query);
        let wanted = Wanted {
            top_products: has(Query::TopProducts),
            funnel: has(Query::Funnel),
            sessions: has(Query::Sessions),
            rows: false,
        };
        let clock = Stopwatch::start();
        let answer = limit::run(path, self.threads, wanted)?;
        let count = |query| match query {
            Query::TopProducts => answer.counts.top_products,
            Query::Funnel => answer.counts.funnel,
            Query::Sessions => answer.counts.sessions,
        };
        let final_rows = self.queries.iter().map(|query| (query.name().to_owned(), count(*query))).collect();
        Ok(clock.stop(answer.events, final_rows))
    }

    async fn run_parse(&self) -> anyhow::Result<Measured> {
        let connectors = connectors();
        let plan = plan(&Query::ALL, &self.input.options(), |_| discard("final"), &connectors).await?;
        let source = plan.sources.first().context("the script has no source")?;
        let clock = Stopwatch::start();
        let events = match (&self.input, self.work) {
            (Input::Kafka { brokers, topic }, Work::ParseSerde) => {
                kafka::bare_loop(brokers, topic, self.threads, || Ok(borrowed::parse))?
            }
            (Input::Kafka { brokers, topic }, _) => kafka::bare_loop(brokers, topic, self.threads, || {
                let mut decoder = decoder(source)?;
                Ok(move |batch: &RawBatch| decode(&mut decoder, batch))
            })?,
            (_, Work::ParseSerde) => bail!("records are parsed by serde_json from Kafka only"),
            _ => parse(source, &connectors, self.threads).await?,
        };
        Ok(clock.stop(events, BTreeMap::new()))
    }

    async fn run_engine(&self, emit: &str) -> anyhow::Result<Measured> {
        let connectors = connectors();
        let plan = plan(&self.queries, &self.input.options(), |_| discard(emit), &connectors).await?;
        let clock = Stopwatch::start();
        let job = Job::start(plan, &connectors, job_options(self.threads)).await?;
        let watching = match &self.input {
            Input::Made { workload, .. } => {
                let (status, events) = (job.status(), workload.events);
                Some(tokio::spawn(async move {
                    while status.ledger().sources.values().any(|source| source.read < events) {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    machine::peak_bytes()
                }))
            }
            _ => None,
        };
        let ledger = job.wait().await?;
        let source = ledger.sources.get("events").context("the script has no table 'events'")?;
        ensure!(source.read == source.on_time, "the ledger is not as it must be without faults: {ledger:?}");
        let mut final_rows = BTreeMap::new();
        for (sink, rows) in &ledger.sinks {
            ensure!(rows.finals > 0, "{sink} wrote nothing");
            final_rows.insert(sink.clone(), rows.finals);
        }
        let measured = clock.stop(source.read, final_rows);
        let read_peak_bytes = match watching {
            Some(watching) => watching.await?,
            None => None,
        };
        // Asked again, since the watch may have looked a moment after the clock stopped.
        Ok(Measured { read_peak_bytes, peak_bytes: machine::peak_bytes(), ..measured })
    }
}

/// A decoder of all fields that the queries use, each as it is.
fn decoder(source: &SourcePlan) -> anyhow::Result<JsonDecoder> {
    Ok(JsonDecoder::new(&source.table.name, DecodePlan::all(Arc::clone(&source.decode.fields)))?)
}

fn decode(decoder: &mut JsonDecoder, batch: &RawBatch) -> anyhow::Result<usize> {
    let decoded = decoder.decode(batch)?;
    if let Some(reject) = decoded.rejects.first() {
        bail!("a generated record was refused: {}", reject.reason);
    }
    Ok(decoded.records.len())
}

/// Reads with the engine's own reader and decodes, nothing else.
async fn parse(plan: &SourcePlan, connectors: &Connectors, threads: usize) -> anyhow::Result<u64> {
    let factory = connectors.sources.get(&plan.table.connector()).context("no such connector")?;
    let source: Arc<dyn Source> = factory.open(&plan.table).await?;
    let work = |thread: usize| -> anyhow::Result<u64> {
        // As the engine does it: every thread takes runs of a shared partition, others have one thread each.
        let (skip, step) = if source.is_shareable() { (0, 1) } else { (thread, threads) };
        let partitions = source.partitions().into_iter().skip(skip).step_by(step);
        let partitions: Vec<_> = partitions.map(|partition| (partition, StartAt::Configured)).collect();
        let mut batches: Vec<RawBatch> = partitions.iter().map(|_| RawBatch::default()).collect();
        if partitions.is_empty() {
            return Ok(0);
        }
        let mut reader = source.reader(&partitions)?;
        let mut decoder = decoder(plan)?;
        let mut rows = 0;
        while reader.poll(&mut batches, MAX_RECORDS, Duration::ZERO)? != Polled::End {
            for batch in batches.iter_mut().filter(|batch| !batch.is_empty()) {
                rows += decode(&mut decoder, batch)?;
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
    use crate::workload::Workload;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_case_reads_every_event_and_writes_the_same_number_of_rows() {
        let folder = tempfile::tempdir().unwrap();
        let workload = Workload { rate: 50, ..Workload::new(20_000) };
        let path = workload.file(folder.path()).unwrap().path;
        let mut rows = Vec::new();
        for (work, threads) in [
            (Work::Parse, 2),
            (Work::LimitDecode, 2),
            (Work::Limit, 1),
            (Work::Limit, 2),
            (Work::Engine, 1),
            (Work::Engine, 2),
            (Work::EngineWithUpdates, 2),
        ] {
            let decodes = matches!(work, Work::Parse | Work::LimitDecode);
            let queries = if decodes { Vec::new() } else { Query::ALL.to_vec() };
            let case = Case { input: Input::File { path: path.clone() }, threads, work, queries };
            let measured = case.run().await.unwrap();
            assert_eq!(measured.events, 20_000, "{case}");
            if !decodes {
                rows.push(measured.final_rows);
            }
        }
        assert_eq!(rows[0].len(), 3);
        assert!(rows.iter().all(|each| *each == rows[0]), "{rows:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn events_are_made_as_they_are_read() {
        let input = Input::Made { workload: Workload::open_sessions(5_000), partitions: 2 };
        let queries = vec![Query::Sessions];
        let case = Case { input: input.clone(), threads: 2, work: Work::Engine, queries };
        let measured = case.run().await.unwrap();
        assert_eq!((measured.events, measured.final_rows["sessions"]), (5_000, 5_000));
        assert!(measured.read_peak_bytes <= measured.peak_bytes);
        let parse = Case { input, threads: 2, work: Work::Parse, queries: Vec::new() };
        assert_eq!(parse.run().await.unwrap().events, 5_000);
    }
}
