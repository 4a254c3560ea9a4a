//! `make bench`: events per second through the whole engine, beside the bare parse and a hand-written program of
//! the same run; with other flags, how memory and rate grow with open sessions and events.

#![allow(clippy::print_stdout, reason = "a command-line program talks to its user on standard output")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, ensure};
use clap::Parser;
use plamatio_benches::{
    case::{Case, Input, Query, Work},
    kafka::Topic,
    machine::Machine,
    run, shop,
    table::{Row, Table, rows},
    workload::{Shape, Workload},
};
use serde::Serialize;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Characters of a session id.
const KEY_BYTES: u64 = 32;

/// Measures the engine from a file and, where KAFKA_BROKERS is set, from Apache Kafka.
///
/// Examples:
///   throughput --events 1000000 --runs 5 --out figures.json
///   throughput --open-sessions 10000000
///   throughput --scale 1000000,10000000,100000000
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Cli {
    /// Events of the workload.
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    events: u64,
    /// Measurements of each case [default: 3; of --open-sessions and --scale: 1].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Seed of the workload.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Events per second of event time: how many lie in a window.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    event_rate: u64,
    /// Threads, and processors for the process; Kafka and what is made on the fly is measured with the most.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    threads: Vec<usize>,
    /// Where generated events are kept for the next time; otherwise in a temporary folder.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Only generates the events, below --data, and prints where as a line of JSON.
    #[arg(long, requires = "data")]
    generate: bool,
    /// Instead: memory of so many sessions that are open at once.
    #[arg(long, conflicts_with = "scale", value_parser = clap::value_parser!(u64).range(1..))]
    open_sessions: Option<u64>,
    /// Instead: three at once over so many events, made as they are read.
    #[arg(long, value_delimiter = ',')]
    scale: Vec<u64>,
    /// Apache Kafka, host:port; empty for none.
    #[arg(long, env = "KAFKA_BROKERS", default_value = "")]
    brokers: String,
    /// Where all figures go as JSON [default: plamatio-data/throughput.json, open-sessions.json or scale.json].
    #[arg(long)]
    out: Option<PathBuf>,
    /// One measurement, in this process.
    #[arg(long, hide = true)]
    case: Option<String>,
}

#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    machine: &'a Machine,
    optimised: bool,
    pinned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<&'a Workload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_sessions: Option<OpenSessions>,
    rows: &'a [Row],
}

/// Memory of open sessions, in bytes; the highest of all runs.
#[derive(Serialize)]
struct OpenSessions {
    sessions: u64,
    key_bytes: u64,
    /// Until the last event had been read: all sessions are open.
    peak_open: Option<u64>,
    peak_open_per_session: Option<u64>,
    /// Until the end, when all of them are closed and written at once.
    peak: Option<u64>,
    peak_per_session: Option<u64>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match (&cli.case, cli.open_sessions) {
        (Some(case), _) => measure(case),
        (None, Some(sessions)) => open_sessions(&cli, sessions),
        (None, None) if !cli.scale.is_empty() => scale(&cli),
        (None, None) => compare(&cli),
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
    let case: Case = serde_json::from_str(case).context(run::CASE_FLAG)?;
    let measured = runtime(case.threads)?.block_on(case.run())?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

/// The machine, looked at before anything is measured.
fn begin() -> Machine {
    if cfg!(debug_assertions) {
        eprintln!("THIS IS A DEBUG BUILD: it shows that the measurements work, not how fast anything is");
    }
    Machine::look()
}

impl Cli {
    fn workload(&self) -> Workload {
        Workload { events: self.events, seed: self.seed, rate: self.event_rate, shape: Shape::Visitors }
    }

    fn most_threads(&self) -> usize {
        self.threads.iter().copied().max().unwrap_or(1)
    }
}

fn compare(cli: &Cli) -> anyhow::Result<()> {
    let machine = begin();
    let workload = cli.workload();
    let temporary;
    let data: &Path = match &cli.data {
        Some(data) => data,
        None => {
            temporary = tempfile::tempdir().context("cannot make a temporary folder; use --data")?;
            temporary.path()
        }
    };
    eprintln!("generating {} events", workload.events);
    let file = workload.file(data)?;
    if cli.generate {
        println!("{}", serde_json::to_string(&file)?);
        return Ok(());
    }
    let mut cases = file_cases(&Input::File { path: file.path.clone() }, &cli.threads);
    let shop = Input::Shop { folder: shop::files(data, workload.events, workload.seed)? };
    let most = cli.most_threads();
    cases.push(Case { input: shop, threads: most, work: Work::Shop, queries: Vec::new() });
    let runtime = runtime(1)?;
    let mut topic = None;
    if cli.brokers.is_empty() {
        eprintln!("NOT MEASURED FROM KAFKA: set KAFKA_BROKERS (`make services` starts one)");
    } else {
        eprintln!("filling a topic at {}", cli.brokers);
        let filled = runtime.block_on(Topic::filled(&cli.brokers, &workload))?;
        cases.extend(kafka_cases(&cli.brokers, &filled, most));
        topic = Some(filled);
    }
    let pinned = run::can_pin();
    let runs = cli.runs.unwrap_or(3);
    let measured = run::all(&cases, runs, pinned);
    if let Some(topic) = topic {
        runtime.block_on(topic.delete())?;
    }
    let rows = rows(&cases, &measured?);
    let read = rows.iter().filter(|row| row.case.work != Work::Shop).flat_map(|row| &row.runs);
    for measured in read {
        let events = workload.events;
        ensure!(measured.events == events, "read {} of {events} events", measured.events);
    }

    headline(&machine);
    println!(
        "{} events, {} bytes each; {runs} runs, medians; {} events/s of event time\n",
        workload.events,
        file.bytes / workload.events,
        workload.rate
    );
    println!("{}", Table(&rows));
    let report =
        Report { workload: Some(&workload), bytes: Some(file.bytes), ..Report::new(&machine, pinned, &rows) };
    report.write(cli, "throughput.json")
}

/// The bare parse and the engine, from Kafka.
fn kafka_cases(brokers: &str, topic: &Topic, threads: usize) -> [Case; 4] {
    let input = Input::Kafka { brokers: brokers.to_owned(), topic: topic.name.clone() };
    let case = |work, queries| Case { input: input.clone(), threads, work, queries };
    [
        case(Work::Parse, Vec::new()),
        case(Work::ParseSerde, Vec::new()),
        case(Work::Engine, Query::ALL.to_vec()),
        case(Work::EngineWithUpdates, Query::ALL.to_vec()),
    ]
}

/// The hand-written program, the bare parse and the engine, for all three queries and for each.
fn file_cases(input: &Input, threads: &[usize]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &threads in threads {
        let mut add = |work, queries: &[Query]| {
            cases.push(Case { input: input.clone(), threads, work, queries: queries.to_vec() });
        };
        add(Work::LimitDecode, &[]);
        add(Work::Parse, &[]);
        add(Work::Limit, &Query::ALL);
        add(Work::Engine, &Query::ALL);
        add(Work::EngineWithUpdates, &Query::ALL);
        for query in Query::ALL {
            add(Work::Limit, &[query]);
            add(Work::Engine, &[query]);
        }
    }
    cases
}

fn scale(cli: &Cli) -> anyhow::Result<()> {
    let machine = begin();
    let threads = cli.most_threads();
    let mut cases = Vec::new();
    for &events in &cli.scale {
        ensure!(events > 0, "--scale: 0 events are none");
        let partitions =
            u16::try_from(threads).ok().filter(|threads| *threads <= 256).context("--threads")?;
        let input = Input::Made { workload: Workload { events, ..cli.workload() }, partitions };
        let case = |work, queries| Case { input: input.clone(), threads, work, queries };
        cases.push(case(Work::Parse, Vec::new()));
        cases.push(case(Work::Engine, Query::ALL.to_vec()));
    }
    let pinned = run::can_pin();
    let rows = rows(&cases, &run::all(&cases, cli.runs.unwrap_or(1), pinned)?);
    headline(&machine);
    println!("events are made by the threads that read them; {} events/s of event time\n", cli.event_rate);
    println!("{}", Table(&rows));
    Report::new(&machine, pinned, &rows).write(cli, "scale.json")
}

fn open_sessions(cli: &Cli, sessions: u64) -> anyhow::Result<()> {
    let machine = begin();
    let workload = Workload { seed: cli.seed, ..Workload::open_sessions(sessions) };
    let threads = cli.most_threads();
    let partitions = u16::try_from(threads).ok().filter(|threads| *threads <= 256).context("--threads")?;
    let input = Input::Made { workload, partitions };
    let cases = [Case { input, threads, work: Work::Engine, queries: vec![Query::Sessions] }];
    let pinned = run::can_pin();
    let rows = rows(&cases, &run::all(&cases, cli.runs.unwrap_or(1), pinned)?);

    let runs = || rows.iter().flat_map(|row| &row.runs);
    let start = runs().filter_map(|run| run.start_bytes).min();
    let peak_open = runs().filter_map(|run| run.read_peak_bytes).max();
    let peak = runs().filter_map(|run| run.peak_bytes).max();
    let each = |peak: Option<u64>| Some(peak?.saturating_sub(start?) / sessions);
    let found = OpenSessions {
        sessions,
        key_bytes: KEY_BYTES,
        peak_open,
        peak_open_per_session: each(peak_open),
        peak,
        peak_per_session: each(peak),
    };
    headline(&machine);
    println!("{}", Table(&rows));
    println!("{sessions} sessions open at once, ids of {KEY_BYTES} bytes");
    let print = |what: &str, peak: Option<u64>, each: Option<u64>| match (peak, each) {
        (Some(peak), Some(each)) => println!("{what}: {} MiB, {each} bytes a session", peak >> 20),
        _ => println!("{what}: unknown on this system"),
    };
    print("peak while all are open", found.peak_open, found.peak_open_per_session);
    print("peak, all closed and written at once", found.peak, found.peak_per_session);
    let report = Report { open_sessions: Some(found), ..Report::new(&machine, pinned, &rows) };
    report.write(cli, "open-sessions.json")
}

fn headline(machine: &Machine) {
    println!(
        "{}; {} cores, {} MiB; {}",
        machine.processor, machine.processors, machine.memory_mib, machine.system
    );
    if let Some(load) = machine.load {
        println!("load {load:.1} before the first run (0.0 is a machine of our own)");
    }
}

impl<'a> Report<'a> {
    fn new(machine: &'a Machine, pinned: bool, rows: &'a [Row]) -> Self {
        Report {
            version: env!("CARGO_PKG_VERSION"),
            machine,
            optimised: !cfg!(debug_assertions),
            pinned,
            workload: None,
            bytes: None,
            open_sessions: None,
            rows,
        }
    }

    fn write(&self, cli: &Cli, name: &str) -> anyhow::Result<()> {
        let out = cli.out.clone().unwrap_or_else(|| Path::new("plamatio-data").join(name));
        let write = || -> anyhow::Result<()> {
            if let Some(folder) = out.parent() {
                std::fs::create_dir_all(folder)?;
            }
            Ok(std::fs::write(&out, serde_json::to_vec_pretty(self)?)?)
        };
        write().with_context(|| format!("cannot write {} (--out)", out.display()))?;
        println!("all figures: {}", out.display());
        Ok(())
    }
}
