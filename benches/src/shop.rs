//! The shop's own metrics: the scripts under `queries/metrics`, as they are, over the shop's own events.
//!
//! They are heavier than the standard workload: a duplicate check, allowed lateness, sessions of half an hour,
//! three rankings. Each script is a job, so every event is read and decoded three times.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use events::generate::{Generator, GeneratorConfig};
use stream::{planner, runtime::job::Job};

use crate::measure::{Measured, Stopwatch, connectors, discard, job_options};

const SCRIPTS: [(&str, &str); 3] = [
    ("top_products", include_str!("../../queries/metrics/top_products.sql")),
    ("conversion", include_str!("../../queries/metrics/conversion.sql")),
    ("cart_abandonment", include_str!("../../queries/metrics/cart_abandonment.sql")),
];

/// Partitions of the generated traffic.
const PARTITIONS: usize = 4;

/// A folder below `data` with so many events without faults, one file a partition, by visitor; made unless it
/// is there already.
pub fn files(data: &Path, events: u64, seed: u64) -> anyhow::Result<PathBuf> {
    let folder = data.join(format!("shop-{events}-{seed}"));
    // Files with a `_` in front are no part of the data.
    let marker = folder.join("_complete");
    if marker.exists() {
        return Ok(folder);
    }
    let failed = || format!("cannot write events below {}; is the disk full?", folder.display());
    std::fs::create_dir_all(&folder).with_context(failed)?;
    let mut outputs = Vec::new();
    for partition in 0..PARTITIONS {
        let file = File::create(folder.join(format!("part-{partition}.jsonl"))).with_context(failed)?;
        outputs.push(BufWriter::with_capacity(1 << 20, file));
    }
    let config =
        GeneratorConfig { events: Some(events), seed, ..GeneratorConfig::default().without_faults() };
    for record in Generator::new(config)? {
        // FNV-1a: the same on every machine and with every compiler.
        let hash = record.key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let output = &mut outputs[usize::try_from(hash >> 32)? % PARTITIONS];
        output.write_all(&record.payload).with_context(failed)?;
        output.write_all(b"\n").with_context(failed)?;
    }
    for output in outputs {
        output.into_inner().with_context(failed)?.sync_all().with_context(failed)?;
    }
    std::fs::write(&marker, b"").with_context(failed)?;
    Ok(folder)
}

/// Runs the three scripts at once over `source`, on so many threads each.
pub(crate) async fn run(source: &str, threads: usize) -> anyhow::Result<Measured> {
    let connectors = connectors();
    let mut plans = Vec::new();
    for (name, script) in SCRIPTS {
        let values = [("source", source.to_owned()), ("live", discard("final")), ("final", discard("final"))];
        let values = values.map(|(name, value)| (name.to_owned(), value)).into();
        let plan = planner::plan(script, &values, &connectors).await;
        plans.push((name, plan.with_context(|| format!("in {name}.sql"))?));
    }
    let clock = Stopwatch::start();
    let mut jobs = Vec::new();
    for (name, plan) in plans {
        jobs.push((name, Job::start(plan, &connectors, job_options(threads)).await?));
    }
    let (mut events, mut final_rows) = (None, BTreeMap::new());
    for (name, job) in jobs {
        let ledger = job.wait().await?;
        let source = ledger.sources.get("events").context("the script has no table 'events'")?;
        ensure!(
            source.read == source.on_time && events.is_none_or(|events| events == source.read),
            "{name}: the ledger is not as it must be without faults: {ledger:?}",
        );
        events = Some(source.read);
        let written = ledger.sinks.values().map(|sink| sink.finals).max().unwrap_or_default();
        ensure!(written > 0, "{name} wrote nothing");
        final_rows.insert(format!("shop {name}"), written);
    }
    Ok(clock.stop(events.unwrap_or_default(), final_rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Input;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_metrics_are_computed_over_every_event() {
        let folder = tempfile::tempdir().unwrap();
        let input = Input::Shop { folder: files(folder.path(), 10_000, 1).unwrap() };
        let one = run(&input.options(), 1).await.unwrap();
        let two = run(&input.options(), 2).await.unwrap();
        assert_eq!((one.events, two.events), (10_000, 10_000));
        assert_eq!(one.final_rows, two.final_rows);
        assert_eq!(one.final_rows.len(), 3);
    }
}
