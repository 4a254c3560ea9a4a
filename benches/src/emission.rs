//! What provisional rows cost, by how many sessions are open.
//!
//! The shop's own `conversion.sql` counts sessions by the minute in which they began. So many of them are open, begun
//! evenly over half an hour; between two emissions some events come, each to a session of its own choice. The merge
//! stage is driven by hand, so that an emission is timed and nothing else: threads, channels and sinks are left out.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use serde::Serialize;
use stream::{
    decode::{Decoder, json::JsonDecoder},
    operator::{step::apply_all, window_aggregate::WindowPartial},
    planner::{self, JobPlan, Terminal},
    runtime::graph::Graph,
    source::RawBatch,
    time::Offset,
};

use crate::{machine, measure, workload::random::Random};

/// Events that are handed over at once.
const BATCH: u64 = 10_000;
/// Over how many seconds the sessions begin: as long as the gap that would end them.
const SPREAD_SECONDS: u64 = 30 * 60;
const STEPS: [&str; 4] = ["view_item", "add_to_cart", "begin_checkout", "purchase"];

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Sessions that are open.
    pub open: u64,
    /// Events between two emissions.
    pub events: u64,
    /// Emissions that are timed.
    pub emissions: u32,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Emission {
    /// Sessions that are open.
    pub open_sessions: u64,
    /// The median of an emission.
    pub median_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// Memory for each open session: all of the process, less what it held before the first.
    pub bytes_per_session: Option<u64>,
}

/// Opens sessions, and times emissions.
pub async fn measure(settings: Settings) -> anyhow::Result<Emission> {
    let mut stage = MergeStage::new().await?;
    let before = machine::resident_bytes();
    let mut random = Random::new(1, 0);
    let mut opened = 0;
    while opened < settings.open {
        let until = settings.open.min(opened + BATCH);
        let start = |session: u64| session * 1_000 * SPREAD_SECONDS / settings.open;
        stage.take((opened..until).map(|session| event(session, start(session), "view_item")))?;
        opened = until;
    }
    // The first emission shows all sessions, whatever is done about the next ones.
    ensure!(stage.emit()?.1 > 0, "nothing is shown of the sessions that are open");
    let mut times = Vec::new();
    for emission in 0..settings.emissions {
        let at = SPREAD_SECONDS * 1_000 - 1_000 + u64::from(emission);
        let events = (0..settings.events).map(|_| {
            let step = STEPS[usize::try_from(random.next() % 4).unwrap_or_default()];
            event(random.next() % settings.open, at, step)
        });
        stage.take(events.collect::<Vec<_>>())?;
        let (time, rows) = stage.emit()?;
        ensure!(rows > 0, "events came and nothing is shown of them");
        times.push(time);
    }
    times.sort_unstable();
    let milliseconds = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
    let held = machine::resident_bytes().zip(before).map(|(after, before)| after.saturating_sub(before));
    Ok(Emission {
        open_sessions: settings.open,
        median_ms: milliseconds(times.get(times.len() / 2)),
        max_ms: milliseconds(times.last()),
        bytes_per_session: held.map(|bytes| bytes / settings.open.max(1)),
    })
}

/// An event of a session's visitor, so many milliseconds after noon.
fn event(session: u64, at_ms: u64, step: &str) -> String {
    let seconds = 12 * 3_600 + at_ms / 1_000;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    // As long as a UUID is.
    let spread = session.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        r#"{{"id":"{session}-{at_ms}","source":"bench","type":"{step}","traffic":"human","time":"2026-01-05T{hour:02}:{minute:02}:{second:02}.{:03}Z","anonymous_id":"{spread:016x}-{session:019}"}}"#,
        at_ms % 1_000
    )
}

/// The merge stage, and what a compute thread would do before it.
struct MergeStage {
    plan: JobPlan,
    /// By local chain.
    windows: Vec<Option<WindowPartial>>,
    graph: Graph,
}

impl MergeStage {
    async fn new() -> anyhow::Result<Self> {
        let values = [
            ("source", "'connector' = 'filesystem', 'path' = 'unused'"),
            ("live", "'connector' = 'blackhole', 'emit' = 'updates'"),
            ("final", "'connector' = 'blackhole'"),
        ];
        let values: BTreeMap<String, String> =
            values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let script = include_str!("../../queries/metrics/conversion.sql");
        let plan = planner::plan(script, &values, &measure::connectors()).await?;
        let graph = Graph::new(&plan, 1)?;
        let windows = plan.locals.iter().map(|local| match &local.terminal {
            Terminal::Forward => Ok(None),
            Terminal::Window(spec) => WindowPartial::new(Arc::clone(spec)).map(Some),
        });
        let windows = windows.collect::<Result<_, _>>()?;
        Ok(MergeStage { plan, windows, graph })
    }

    /// Takes events as they come from the source.
    fn take(&mut self, events: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
        let source = self.plan.sources.first().context("the script reads no source")?;
        let mut raw = RawBatch::default();
        for event in events {
            raw.push(event.as_bytes(), Offset::ZERO);
        }
        let mut decoder = JsonDecoder::new("events", source.decode.clone())?;
        let decoded = decoder.decode(&raw)?;
        ensure!(decoded.rejects.is_empty(), "events were refused: {:?}", decoded.rejects);
        let rows = decoded.batch.num_rows();
        let generated = source.generated.iter();
        let generated = generated
            .map(|(expr, _)| expr.evaluate(&decoded.batch)?.into_array(rows))
            .collect::<Result<Vec<_>, _>>()?;
        let (columns, derived) = decoded.batch.columns().split_at(source.decode.columns.len());
        let columns = [columns, &generated, derived].concat();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&source.schema), columns, &options)?;
        for (local, window) in self.plan.locals.iter().zip(&mut self.windows) {
            let Some(batch) = apply_all(&local.steps, &batch, None)? else { continue };
            match window {
                None => self.graph.rows(local.node, batch)?,
                Some(window) => {
                    window.update(&batch, None)?;
                    for partial in window.take(None)? {
                        self.graph.partial(local.node, partial)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// How long an emission takes, and how many rows it has.
    fn emit(&mut self) -> anyhow::Result<(Duration, usize)> {
        let started = Instant::now();
        let outputs = self.graph.emit()?;
        Ok((started.elapsed(), outputs.iter().map(|output| output.batch.num_rows()).sum()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn emissions_show_what_came() {
        let found = measure(Settings { open: 500, events: 50, emissions: 3 }).await.unwrap();
        assert!(found.median_ms > 0.0 && found.median_ms <= found.max_ms);
    }
}
