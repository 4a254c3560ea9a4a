//! `make bench-latency`: from an event to the value in Redis that has counted it. What exactly is measured is
//! said in `plamatio_benches::latency`.

#![allow(clippy::print_stdout, reason = "a command-line program talks to its user on standard output")]

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use plamatio_benches::{
    latency::{self, Latency, Settings},
    machine::Machine,
};
use serde::Serialize;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures how long it takes from an event, through Kafka and the engine, to its trace in Redis.
///
/// Example: latency --brokers localhost:9092 --redis redis://localhost:6379 --rate 50000
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Cli {
    /// Events per second.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Events of the first seconds do not count.
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// Measurements.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The engine's compute threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How often provisional values are written, in milliseconds.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    emit_interval: u64,
    /// Apache Kafka, host:port.
    #[arg(long, env = "KAFKA_BROKERS")]
    brokers: String,
    /// Redis, redis://host:port.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis: String,
    /// Where all figures go as JSON.
    #[arg(long, default_value = "plamatio-data/latency.json")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    machine: &'a Machine,
    optimised: bool,
    rate: u64,
    seconds: u64,
    warm_up_seconds: u64,
    emit_interval_ms: u64,
    threads: usize,
    runs: &'a [Latency],
}

fn main() -> ExitCode {
    match compare(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compare(cli: &Cli) -> anyhow::Result<()> {
    let optimised = !cfg!(debug_assertions);
    if !optimised {
        eprintln!("THIS IS A DEBUG BUILD: it shows that the measurement works, not how fast anything is");
    }
    let machine = Machine::look();
    let settings = Settings {
        brokers: cli.brokers.clone(),
        redis: cli.redis.clone(),
        rate: cli.rate,
        seconds: cli.seconds,
        warm_up_seconds: cli.warm_up,
        threads: cli.threads,
        emit_interval_ms: cli.emit_interval,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    println!(
        "{}; {} cores, {} MiB; {}",
        machine.processor, machine.processors, machine.memory_mib, machine.system
    );
    println!(
        "{} events/s for {} s, the first {} s left out; provisional values every {} ms; in milliseconds\n",
        cli.rate, cli.seconds, cli.warm_up, cli.emit_interval
    );
    println!("| run |    events |    p50 |    p90 |    p99 |    max | producer late at most |");
    println!("|----:|----------:|-------:|-------:|-------:|-------:|----------------------:|");
    let mut runs = Vec::new();
    for run in 1..=cli.runs {
        let found = runtime.block_on(latency::measure(&settings))?;
        let Latency { events, p50_ms, p90_ms, p99_ms, max_ms, producer_behind_ms, .. } = &found;
        println!(
            "| {run:>3} | {events:>9} | {p50_ms:>6.1} | {p90_ms:>6.1} | {p99_ms:>6.1} | {max_ms:>6.1} | \
             {producer_behind_ms:>21.1} |"
        );
        runs.push(found);
    }
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        machine: &machine,
        optimised,
        rate: cli.rate,
        seconds: cli.seconds,
        warm_up_seconds: cli.warm_up,
        emit_interval_ms: cli.emit_interval,
        threads: cli.threads,
        runs: &runs,
    };
    let write = || -> anyhow::Result<()> {
        if let Some(folder) = cli.out.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(&cli.out, serde_json::to_vec_pretty(&report)?)?)
    };
    write().with_context(|| format!("cannot write {} (--out)", cli.out.display()))?;
    println!("\nall figures: {}", cli.out.display());
    Ok(())
}
