//! `make bench`: events per second through the whole engine, beside the bare parse loop of the same run.
//!
//! Every measurement is a child process of its own, held to as many processors as it has threads. One run is
//! one measurement of every case in turn, so that a slow quarter of an hour of the machine falls on all of
//! them alike; shares are taken within a run.

#![allow(clippy::print_stdout, reason = "a command-line program talks to its user on standard output")]

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use plamatio_benches::{
    case::{Case, Input, Measured, Metric, Work},
    kafka::FilledTopic,
    machine::{self, Machine},
    table::{Row, Table, rows},
    traffic::Traffic,
};
use serde::Serialize;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the engine from files and, where KAFKA_BROKERS is set, from Apache Kafka.
///
/// Example: throughput --events 1000000 --runs 5 --out figures.json
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Generated events.
    #[arg(long, default_value_t = 2_000_000)]
    events: u64,
    /// Measurements of each case.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Seed of the generated traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Events per second of event time: how many lie in a window.
    #[arg(long, default_value_t = 200.0)]
    event_rate: f64,
    /// Threads per job, and processors for the process.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    threads: Vec<usize>,
    /// Where generated events are kept for the next time; otherwise in a temporary folder.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Apache Kafka, host:port; empty for none.
    #[arg(long, env = "KAFKA_BROKERS", default_value = "")]
    brokers: String,
    /// Where all figures go as JSON.
    #[arg(long, default_value = "plamatio-data/throughput.json")]
    out: PathBuf,
    /// One measurement, in this process.
    #[arg(long, hide = true)]
    case: Option<String>,
}

#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    machine: Machine,
    optimised: bool,
    pinned: bool,
    traffic: &'a Traffic,
    bytes: u64,
    rows: &'a [Row],
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.case {
        Some(case) => measure(case),
        None => compare(&cli),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn runtime(threads: usize) -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    runtime.context("cannot start the runtime")
}

fn measure(case: &str) -> anyhow::Result<()> {
    let case: Case = serde_json::from_str(case).context("--case")?;
    let measured = runtime(case.threads)?.block_on(case.run())?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

fn compare(cli: &Cli) -> anyhow::Result<()> {
    let optimised = !cfg!(debug_assertions);
    if !optimised {
        eprintln!("THIS IS A DEBUG BUILD: it shows that the measurements work, not how fast anything is");
    }
    let machine = Machine::look();
    let traffic = Traffic { events: cli.events, seed: cli.seed, events_per_second: cli.event_rate };
    let temporary;
    let data: &Path = match &cli.data {
        Some(data) => data,
        None => {
            temporary = tempfile::tempdir().context("cannot make a temporary folder; use --data")?;
            temporary.path()
        }
    };
    eprintln!("generating {} events", traffic.events);
    let files = traffic.files(data)?;
    let mut inputs = vec![Input::Files { folder: files.folder.clone() }];
    let runtime = runtime(1)?;
    let mut topic = None;
    if cli.brokers.is_empty() {
        eprintln!("NOT MEASURED FROM KAFKA: set KAFKA_BROKERS (`make services` starts one)");
    } else {
        eprintln!("filling a topic at {}", cli.brokers);
        let filled = runtime.block_on(FilledTopic::fill(&cli.brokers, &traffic))?;
        inputs.push(Input::Kafka { brokers: cli.brokers.clone(), topic: filled.name.clone() });
        topic = Some(filled);
    }
    let pinned = can_pin();
    if !pinned {
        eprintln!("no `taskset` here: processes are not held to their number of cores");
    }
    let cases = cases(&inputs, &cli.threads);
    let runs = run_all(&cases, cli.runs, traffic.events, pinned);
    if let Some(topic) = topic {
        runtime.block_on(topic.delete())?;
    }
    let rows = rows(&cases, &runs?);

    println!(
        "{}; {} cores, {} MiB; {}",
        machine.processor, machine.processors, machine.memory_mib, machine.system
    );
    if let Some(load) = machine.load {
        println!("load {load:.1} before the first run (0.0 is a machine of our own)");
    }
    println!(
        "{} events, {} bytes each; {} runs, medians; windows of {} events/s of event time\n",
        traffic.events,
        files.bytes / traffic.events.max(1),
        cli.runs,
        traffic.events_per_second
    );
    println!("{}", Table(&rows));
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        machine,
        optimised,
        pinned,
        traffic: &traffic,
        bytes: files.bytes,
        rows: &rows,
    };
    let write = || -> anyhow::Result<()> {
        if let Some(folder) = cli.out.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(&cli.out, serde_json::to_vec_pretty(&report)?)?)
    };
    write().with_context(|| format!("cannot write {} (--out)", cli.out.display()))?;
    println!("all figures: {}", cli.out.display());
    Ok(())
}

/// From files each metric and all three; from Kafka all three.
fn cases(inputs: &[Input], threads: &[usize]) -> Vec<Case> {
    let all = Metric::ALL.to_vec();
    let mut sets: Vec<Vec<Metric>> = vec![all.clone()];
    sets.extend(all.iter().map(|metric| vec![*metric]));
    let mut cases = Vec::new();
    for input in inputs {
        let sets = if matches!(input, Input::Kafka { .. }) { &sets[..1] } else { &sets };
        for &threads in threads {
            for metrics in sets {
                for work in [Work::Parse, Work::Engine, Work::EngineWithUpdates] {
                    // Provisional rows are measured for the whole load only.
                    if work != Work::EngineWithUpdates || metrics.len() > 1 {
                        cases.push(Case { input: input.clone(), threads, work, metrics: metrics.clone() });
                    }
                }
            }
        }
    }
    cases
}

fn run_all(cases: &[Case], runs: u32, events: u64, pinned: bool) -> anyhow::Result<Vec<Vec<Measured>>> {
    let mut all = Vec::new();
    for run in 1..=runs {
        let mut measurements = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            let name = format!("{case} from {}, {} threads", case.input.name(), case.threads);
            let measured = child(case, pinned).with_context(|| name.clone())?;
            ensure!(measured.events == events, "{name}: read {} of {events} events", measured.events);
            eprintln!("run {run}, {}/{}: {name}: {:.2} s", number + 1, cases.len(), measured.seconds);
            measurements.push(measured);
        }
        all.push(measurements);
    }
    // However many threads and whatever the input: a metric has the same number of final rows.
    let mut rows = std::collections::BTreeMap::new();
    for (metric, count) in all.iter().flatten().flat_map(|measured| &measured.final_rows) {
        let first = *rows.entry(metric).or_insert(count);
        ensure!(first == count, "{} wrote {first} rows in one run and {count} in another", metric.name());
    }
    Ok(all)
}

fn can_pin() -> bool {
    let found = Command::new("taskset").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// Measures in a process of its own.
fn child(case: &Case, pinned: bool) -> anyhow::Result<Measured> {
    let program = std::env::current_exe().context("where is this program?")?;
    let processors: Vec<String> =
        machine::processors().iter().take(case.threads).map(usize::to_string).collect();
    let mut command = if pinned && processors.len() == case.threads {
        let mut command = Command::new("taskset");
        command.arg("--cpu-list").arg(processors.join(",")).arg(program);
        command
    } else {
        Command::new(program)
    };
    let output = command.arg("--case").arg(serde_json::to_string(case)?).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("the measurement failed: {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the measurement printed no figures")
}
