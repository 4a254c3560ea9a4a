//! Measurements in processes of their own, held to as many processors as they have threads. One run is one
//! measurement of every case in turn, so that a slow quarter of an hour of the machine falls on all of them
//! alike; shares are taken within a run.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    case::{Case, Input},
    machine,
    measure::Measured,
};

/// The flag under which the program measures one case, in its own process, and prints [`Measured`] as JSON.
pub const CASE_FLAG: &str = "--case";

/// Measures every case so many times; `runs[i]` has one measurement of each.
pub fn all(cases: &[Case], runs: u32, pinned: bool) -> anyhow::Result<Vec<Vec<Measured>>> {
    let mut all = Vec::new();
    let mut rows: BTreeMap<(u64, String), u64> = BTreeMap::new();
    for run in 1..=runs {
        let mut measurements = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            let name = format!("{case}, {}, threads: {}", case.input.name(), case.threads);
            if let Input::File { path } | Input::Shop { folder: path } = &case.input {
                machine::cache(path).with_context(|| path.display().to_string())?;
            }
            let measured: Measured = child(case, case.threads, pinned).with_context(|| name.clone())?;
            eprintln!("run {run}, {}/{}: {name}: {:.2} s", number + 1, cases.len(), measured.seconds);
            check(case, &measured, &mut rows).with_context(|| name)?;
            measurements.push(measured);
        }
        all.push(measurements);
    }
    Ok(all)
}

/// Whoever computes it, on however many threads, from whatever input: a query over the same events has the
/// same number of final rows.
fn check(case: &Case, measured: &Measured, rows: &mut BTreeMap<(u64, String), u64>) -> anyhow::Result<()> {
    if let Input::Made { workload, .. } = &case.input {
        ensure!(measured.events == workload.events, "read {} of {} events", measured.events, workload.events);
    }
    for (table, count) in measured.final_rows.iter().chain([(&"events".to_owned(), &measured.events)]) {
        // Events that are made are other ones, since each partition has visits of its own.
        let group = match &case.input {
            Input::File { .. } | Input::Kafka { .. } | Input::Shop { .. } => 0,
            Input::Made { workload, .. } => workload.events,
        };
        let first = *rows.entry((group, table.clone())).or_insert(*count);
        ensure!(first == *count, "{table}: {first} in another measurement and {count} in this one");
    }
    Ok(())
}

/// Whether a process can be held to some processors.
pub fn can_pin() -> bool {
    let found = Command::new("taskset").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let can = found.is_ok_and(|status| status.success());
    if !can {
        eprintln!("no `taskset` here: processes are not held to their number of cores");
    }
    can
}

/// Measures one case of this program, on so many threads, in a process of its own.
pub fn child<C: Serialize, M: DeserializeOwned>(case: &C, threads: usize, pinned: bool) -> anyhow::Result<M> {
    let program = std::env::current_exe().context("where is this program?")?;
    let processors: Vec<String> = machine::processors().iter().take(threads).map(usize::to_string).collect();
    let mut command = if pinned && processors.len() == threads {
        let mut command = Command::new("taskset");
        command.arg("--cpu-list").arg(processors.join(",")).arg(program);
        command
    } else {
        Command::new(program)
    };
    let output =
        command.arg(CASE_FLAG).arg(serde_json::to_string(case)?).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("the measurement failed: {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the measurement printed no figures")
}
