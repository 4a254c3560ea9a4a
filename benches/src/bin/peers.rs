//! What `benches/peers/compare.py` asks of this crate beyond the other programs: a topic to share with Flink, and
//! the engine's rows, to be compared with those of others.

#![allow(clippy::print_stdout, reason = "a command-line program talks to its user on standard output")]

use std::{
    io::{Read, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, ensure};
use clap::{Args, Parser};
use plamatio_benches::{
    case::{self, Input, Query},
    kafka::Topic,
    measure::{connectors, job_options},
    workload::Workload,
};
use stream::runtime::job::Job;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A shared topic, and rows to compare.
#[derive(Parser)]
#[command(version)]
enum Cli {
    /// Fills a topic with the workload, prints its name, and deletes it when standard input ends.
    Topic(TopicArgs),
    /// Runs queries of the workload as one job and writes their rows as JSON lines, a folder a query.
    Rows(RowsArgs),
}

#[derive(Args)]
struct TopicArgs {
    /// Apache Kafka, host:port.
    #[arg(long)]
    brokers: String,
    /// Events of the workload.
    #[arg(long)]
    events: u64,
    /// Events per second of event time.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    event_rate: u64,
}

#[derive(Args)]
struct RowsArgs {
    /// A file of events, or a folder of files.
    #[arg(long, required_unless_present = "topic")]
    path: Option<PathBuf>,
    /// Apache Kafka, host:port.
    #[arg(long, requires = "topic")]
    brokers: Option<String>,
    /// A topic of events instead.
    #[arg(long, requires = "brokers", conflicts_with = "path")]
    topic: Option<String>,
    /// Compute threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Where the rows go.
    #[arg(long)]
    out: PathBuf,
    /// Which queries.
    #[arg(long, value_parser = query, value_delimiter = ',', required = true)]
    queries: Vec<Query>,
}

/// A query by its name, as its file has it.
fn query(name: &str) -> Result<Query, String> {
    serde_json::from_value(name.into()).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    let outcome = match Cli::parse() {
        Cli::Topic(args) => run(1, topic(args)),
        Cli::Rows(args) => run(args.threads, rows(args)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(threads: usize, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(work)
}

async fn topic(args: TopicArgs) -> anyhow::Result<()> {
    let workload = Workload { rate: args.event_rate, ..Workload::new(args.events) };
    let topic = Topic::filled(&args.brokers, &workload).await?;
    println!("{}", topic.name);
    std::io::stdout().flush()?;
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
    topic.delete().await?;
    ended??;
    Ok(())
}

async fn rows(args: RowsArgs) -> anyhow::Result<()> {
    let input = match (args.path, args.brokers, args.topic) {
        (Some(path), ..) => Input::File { path },
        (None, Some(brokers), Some(topic)) => Input::Kafka { brokers, topic },
        _ => anyhow::bail!("--path, or --brokers and --topic"),
    };
    let sink = |query: Query| {
        let folder = args.out.join(query.name()).display().to_string().replace('\'', "''");
        format!("'connector' = 'filesystem', 'path' = '{folder}'")
    };
    let connectors = connectors();
    let plan = case::plan(&args.queries, &input.options(), sink, &connectors).await?;
    let ledger = Job::start(plan, &connectors, job_options(args.threads)).await?.wait().await?;
    let source = ledger.sources.get("events").context("the script has no table 'events'")?;
    ensure!(source.read == source.on_time, "the ledger is not as it must be without faults: {ledger:?}");
    println!("{}", serde_json::json!({ "events": source.read }));
    Ok(())
}
