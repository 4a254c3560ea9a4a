//! The one binary: wires engine, sinks, API and query engine together.
//!
//! Each subcommand is a module; nothing else in the workspace reads flags, environment or starts processes.

#![allow(clippy::print_stdout, reason = "a command-line program talks to its user on standard output")]

mod cli;
mod connectors;
mod demo;
mod explain;
mod generate;
mod live;
mod migrate;
mod produce;
mod report;
mod run;
mod serve;
mod sql;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init_tracing(cli.verbose);
    let outcome = match cli.command {
        Command::Demo(args) => Box::pin(demo::demo(args)).await,
        Command::Run(args) => Box::pin(run::run(args)).await,
        Command::Explain(args) => Box::pin(explain::explain(args)).await,
        Command::Sql(args) => Box::pin(sql::sql(args)).await,
        Command::Generate(args) => Box::pin(generate::generate(args)).await,
        Command::Serve(args) => Box::pin(serve::serve(args)).await,
        Command::Migrate(args) => Box::pin(migrate::migrate(args)).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::error(&error);
            ExitCode::FAILURE
        }
    }
}
