//! The Nexmark queries in the engine: events per second from generated files.
//!
//! As in the throughput harness, every measurement is a process of its own, held to as many processors as it has
//! threads, and a run is one measurement of every query in turn. `benches/peers/compare.py --nexmark` runs the same
//! queries beside Flink.

#![allow(clippy::print_stdout, reason = "a command-line program talks to its user on standard output")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, ensure};
use clap::Parser;
use plamatio_benches::{
    machine::{self, Machine},
    nexmark::{Nexmark, NexmarkFiles, Query, QueryCase, QueryMeasured},
    run,
    table::Spread,
};
use serde::Serialize;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Nexmark queries from files of generated events.
///
/// Example: nexmark --events 1000000 --runs 5 --queries q0,q5
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Generated events; 46 of 50 are bids.
    #[arg(long, default_value_t = 2_000_000)]
    events: u64,
    /// Measurements of each query.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Seed of the generated events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Events per second of event time: how many lie in a window.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    event_rate: u64,
    /// Compute threads, files and processors.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    threads: Vec<usize>,
    /// Which queries.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Query::ALL)]
    queries: Vec<Query>,
    /// Where generated events are kept for the next time; otherwise in a temporary folder.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Only generates the events, below --data, and prints one line of JSON for each number of threads.
    #[arg(long, requires = "data")]
    generate: bool,
    /// Where all figures go as JSON.
    #[arg(long, default_value = "plamatio-data/nexmark.json")]
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
    events: u64,
    seed: u64,
    events_per_second: u64,
    rows: &'a [Row],
}

impl Report<'_> {
    fn write(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(path, serde_json::to_vec_pretty(self)?)?)
    }
}

/// A query over all runs.
#[derive(Serialize)]
struct Row {
    query: Query,
    threads: usize,
    events_per_second: Option<Spread>,
    per_core: Option<Spread>,
    cpu_per_million: Option<Spread>,
    peak_bytes: Option<u64>,
    runs: Vec<QueryMeasured>,
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "numbers of events are far below 2^53")]
    fn new(case: &QueryCase, runs: Vec<QueryMeasured>) -> Self {
        let cpu = || {
            let used = |run: &QueryMeasured| {
                run.cpu_seconds.filter(|cpu| *cpu > 0.0).map(|cpu| (run.events as f64, cpu))
            };
            runs.iter().filter_map(used)
        };
        Row {
            query: case.query,
            threads: case.threads,
            events_per_second: Spread::of(runs.iter().map(|run| run.events as f64 / run.seconds)),
            per_core: Spread::of(cpu().map(|(events, cpu)| events / cpu)),
            cpu_per_million: Spread::of(cpu().map(|(events, cpu)| cpu / events * 1e6)),
            peak_bytes: runs.iter().filter_map(|run| run.peak_bytes).max(),
            runs,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.case {
        Some(case) => measure(case),
        None if cli.generate => generate(&cli),
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

fn measure(case: &str) -> anyhow::Result<()> {
    let case: QueryCase = serde_json::from_str(case).context(run::CASE_FLAG)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(case.threads).enable_all().build();
    let measured = runtime.context("cannot start the runtime")?.block_on(case.run())?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

fn files(cli: &Cli, threads: usize, data: &Path) -> anyhow::Result<NexmarkFiles> {
    let nexmark =
        Nexmark { events: cli.events, seed: cli.seed, events_per_second: cli.event_rate, files: threads };
    nexmark.files(data)
}

fn generate(cli: &Cli) -> anyhow::Result<()> {
    let data = cli.data.as_deref().context("--generate needs --data")?;
    for threads in &cli.threads {
        println!("{}", serde_json::to_string(&files(cli, *threads, data)?)?);
    }
    Ok(())
}

fn compare(cli: &Cli) -> anyhow::Result<()> {
    let optimised = !cfg!(debug_assertions);
    if !optimised {
        eprintln!("THIS IS A DEBUG BUILD: it shows that the measurements work, not how fast anything is");
    }
    let machine = Machine::look();
    let temporary;
    let data: &Path = match &cli.data {
        Some(data) => data,
        None => {
            temporary = tempfile::tempdir().context("cannot make a temporary folder; use --data")?;
            temporary.path()
        }
    };
    eprintln!("generating {} events", cli.events);
    let mut cases = Vec::new();
    let mut bytes = 0;
    for threads in &cli.threads {
        let files = files(cli, *threads, data)?;
        bytes = files.bytes;
        for query in &cli.queries {
            cases.push(QueryCase {
                folder: files.folder.clone(),
                threads: *threads,
                query: *query,
                rows: None,
            });
        }
    }
    let pinned = run::can_pin();
    let rows = run_all(&cases, cli, pinned)?;

    println!(
        "{}; {} cores, {} MiB; {}",
        machine.processor, machine.processors, machine.memory_mib, machine.system
    );
    println!(
        "{} events, {} bytes each; {} runs, medians; {} events/s of event time\n",
        cli.events,
        bytes / cli.events.max(1),
        cli.runs,
        cli.event_rate
    );
    print_table(&rows);
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        machine,
        optimised,
        pinned,
        events: cli.events,
        seed: cli.seed,
        events_per_second: cli.event_rate,
        rows: &rows,
    };
    report.write(&cli.out).with_context(|| format!("cannot write {} (--out)", cli.out.display()))?;
    println!("\nall figures: {}", cli.out.display());
    Ok(())
}

fn run_all(cases: &[QueryCase], cli: &Cli, pinned: bool) -> anyhow::Result<Vec<Row>> {
    let mut all = vec![Vec::new(); cases.len()];
    for run in 1..=cli.runs {
        for (number, case) in cases.iter().enumerate() {
            let name = format!("{}, {} threads", case.query, case.threads);
            machine::cache(&case.folder).with_context(|| case.folder.display().to_string())?;
            let measured: QueryMeasured =
                run::child(case, case.threads, pinned).with_context(|| name.clone())?;
            ensure!(measured.events == cli.events, "{name}: read {} of {}", measured.events, cli.events);
            eprintln!("run {run}, {}/{}: {name}: {:.2} s", number + 1, cases.len(), measured.seconds);
            all[number].push(measured);
        }
    }
    // However many threads: a query has the same number of rows.
    let mut rows = BTreeMap::new();
    for (case, measured) in
        cases.iter().zip(&all).flat_map(|(case, runs)| runs.iter().map(move |m| (case, m)))
    {
        let first = *rows.entry(case.query).or_insert(measured.rows);
        ensure!(
            first == measured.rows,
            "{} wrote {first} rows in one run and {} in another",
            case.query,
            measured.rows
        );
    }
    Ok(cases.iter().zip(all).map(|(case, runs)| Row::new(case, runs)).collect())
}

fn print_table(rows: &[Row]) {
    println!("| query | cores | M events/s | lowest to highest | per core | CPU s/M | peak MiB |   rows |");
    println!("|-------|------:|-----------:|------------------:|---------:|--------:|---------:|-------:|");
    let dash = || "-".to_owned();
    for row in rows {
        let rate = row.events_per_second;
        println!(
            "| {:<5} | {:>5} | {:>10} | {:>17} | {:>8} | {:>7} | {:>8} | {:>6} |",
            row.query.name(),
            row.threads,
            rate.map_or_else(dash, |rate| format!("{:.3}", rate.median / 1e6)),
            rate.map_or_else(dash, |rate| format!("{:.3} to {:.3}", rate.min / 1e6, rate.max / 1e6)),
            row.per_core.map_or_else(dash, |rate| format!("{:.3}", rate.median / 1e6)),
            row.cpu_per_million.map_or_else(dash, |cpu| format!("{:.2}", cpu.median)),
            row.peak_bytes.map_or_else(dash, |bytes| (bytes >> 20).to_string()),
            row.runs.first().map_or(0, |run| run.rows),
        );
    }
}
