//! `plamatio run`: one script, as one job.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use sinks::Extras;
use stream::{
    planner::{self, Connectors, JobPlan, explain::Explanation},
    runtime::{
        clock, dead_letters,
        job::{Job, JobOptions},
    },
    sql::variables,
    table::TableDef,
};

use crate::{cli::RunArgs, connectors, report, telemetry};

/// Variables of a script that have a setting of their own.
const FROM_ENVIRONMENT: [(&str, &str); 4] = [
    ("brokers", "KAFKA_BROKERS"),
    ("redis", "REDIS_URL"),
    ("shop", "PLAMATIO_SHOP"),
    ("lake", "PLAMATIO_LAKE"),
];

/// Runs a script until its sources end or a signal comes.
pub(crate) async fn run(args: RunArgs) -> anyhow::Result<()> {
    if let Some(address) = args.metrics {
        telemetry::serve_metrics(address)?;
    }
    let connectors = connectors::all(Extras::default());
    let plan = plan(&args.file, args.set, &connectors).await?;
    if plan.is_explained {
        report::line(&Explanation::of(&plan).to_string());
        return Ok(());
    }
    let name = args.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let none = |path: &PathBuf| path.as_os_str() == "none";
    let state = match args.state {
        Some(path) if none(&path) => None,
        Some(path) => Some(path),
        None if plan.is_bounded() => None,
        None => Some(args.data_dir.join("state").join(&name)),
    };
    let dead_letters = args.dead_letters.unwrap_or_else(|| {
        let lake =
            std::env::var_os("PLAMATIO_LAKE").map_or_else(|| args.data_dir.join("lake"), PathBuf::from);
        lake.join("dead_letters").join(&name).display().to_string()
    });
    let options = JobOptions {
        name,
        state,
        may_drop_state: args.allow_dropped_state,
        dead_letters: dead_letter_table(&dead_letters),
        clock: clock::system(),
        parallelism: args.threads,
    };
    let job = Job::start(plan, &connectors, options).await?;
    let stopper = job.stopper();
    tokio::spawn(async move {
        wait_for_signal().await;
        // The first signal drains; a second one ends the process at once.
        stopper.send_replace(true);
        wait_for_signal().await;
        std::process::exit(130);
    });
    let ledger = job.wait().await?;
    report::ledger(&ledger, args.summary)
}

/// Plans the script in a file, with values for its variables.
pub(crate) async fn plan(
    file: &Path,
    set: Vec<(String, String)>,
    connectors: &Connectors,
) -> anyhow::Result<JobPlan> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the script {}", file.display()))?;
    let mut values = BTreeMap::new();
    for (name, value) in set {
        if values.insert(name.clone(), value).is_some() {
            bail!("--set {name} is given twice");
        }
    }
    let used = variables::names(&text);
    for (name, variable) in FROM_ENVIRONMENT {
        if used.contains(name)
            && let Ok(value) = std::env::var(variable)
        {
            values.entry(name.to_owned()).or_insert(value);
        }
    }
    planner::plan(&text, &values, connectors).await.with_context(|| format!("in {}", file.display()))
}

/// A Delta table for what is set aside; `none` for none.
pub(crate) fn dead_letter_table(path: &str) -> Option<TableDef> {
    let options = [("connector", "delta"), ("path", path)].map(|(k, v)| (k.to_owned(), v.to_owned()));
    (path != "none").then(|| dead_letters::table("dead_letters", options))
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn wait_for_signal() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::warn!(%error, "SIGTERM is not handled");
            // A signal that cannot be listened to must not look like one that came.
            return std::future::pending().await;
        }
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => {
            if let Err(error) = interrupted {
                tracing::warn!(%error, "Ctrl-C is not handled");
                std::future::pending::<()>().await;
            }
        }
        _ = terminate.recv() => {}
    }
}
