//! Part of `make bench`: what an emission of provisional rows costs, by how many sessions are open. What exactly is
//! measured is said in `plamatio_benches::emission`.

#![allow(clippy::print_stdout, reason = "a command-line program talks to its user on standard output")]

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use plamatio_benches::emission::{Emission, Settings, measure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures emissions of `queries/metrics/conversion.sql`.
///
/// Example: emission --open 10000,1000000 --events 10000
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Cli {
    /// Sessions that are open, each a measurement.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000])]
    open: Vec<u64>,
    /// Events between two emissions.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    events: u64,
    /// Emissions that are timed.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    emissions: u32,
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
    if cfg!(debug_assertions) {
        eprintln!("THIS IS A DEBUG BUILD: it shows that the measurement works, not how fast anything is");
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().context("cannot start the runtime")?;
    println!("an emission of conversion.sql with {} events since the last, in milliseconds\n", cli.events);
    println!("| open sessions |  median |     max | bytes a session |");
    println!("|--------------:|--------:|--------:|----------------:|");
    for open in &cli.open {
        let settings = Settings { open: *open, events: cli.events, emissions: cli.emissions };
        let Emission { open_sessions, median_ms, max_ms, bytes_per_session } =
            runtime.block_on(measure(settings))?;
        let bytes = bytes_per_session.map_or_else(|| "unknown".to_owned(), |bytes| bytes.to_string());
        println!("| {open_sessions:>13} | {median_ms:>7.2} | {max_ms:>7.2} | {bytes:>15} |");
    }
    Ok(())
}
