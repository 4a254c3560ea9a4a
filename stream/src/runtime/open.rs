//! What a job does before it runs: its checkpoint is found and held against it, sources and sinks are opened, and what was
//! pre-committed is committed.

use std::{path::PathBuf, sync::Arc};

use super::{
    checkpoint::{Checkpoint, CheckpointStore},
    compatible,
    known::Known,
};
use crate::{
    error::StreamError,
    planner::{Connectors, JobPlan, SinkPlan},
    sink::{EmitMode, Sink, SinkFactory},
    source::Source,
    table::TableDef,
};

/// What a job has before it runs.
pub(super) struct Opened {
    pub(super) known: Known,
    /// Where checkpoints go.
    pub(super) store: Option<CheckpointStore>,
    /// Where the last run ended, or nothing yet.
    pub(super) checkpoint: Checkpoint,
    pub(super) sources: Vec<Arc<dyn Source>>,
    /// Those of the queries, then that of what is set aside.
    pub(super) sinks: Vec<Box<dyn Sink>>,
    pub(super) sink_tables: Vec<TableDef>,
}

impl Opened {
    /// Opens all that the plan names. `state` is where checkpoints go, and whether what does not fit there may be dropped.
    pub(super) async fn of(
        plan: &JobPlan,
        connectors: &Connectors,
        dead_letters: Option<TableDef>,
        (state, may_drop): (Option<PathBuf>, bool),
    ) -> Result<Self, StreamError> {
        let letters = dead_letters.map(|table| letters_plan(table, connectors)).transpose()?;
        let known = Known::of(plan, letters.as_ref());
        let store = state.as_ref().map(CheckpointStore::new);
        let checkpoint = match &store {
            Some(store) => restored(store, &known, may_drop)?,
            None => None,
        };
        let sources = open_sources(plan, connectors).await?;
        let sink_plans: Vec<&SinkPlan> = plan.sinks.iter().chain(&letters).collect();
        let mut sinks = open_sinks(&sink_plans, connectors).await?;
        let sink_tables = sink_plans.iter().map(|sink| sink.table.clone()).collect();
        if let Some(checkpoint) = &checkpoint {
            commit_again(checkpoint, &known, &mut sinks).await?;
        }
        let checkpoint = checkpoint.unwrap_or_default();
        Ok(Opened { known, store, checkpoint, sources, sinks, sink_tables })
    }
}

/// Connects to all sources.
async fn open_sources(plan: &JobPlan, connectors: &Connectors) -> Result<Vec<Arc<dyn Source>>, StreamError> {
    let mut opened = Vec::new();
    for source in &plan.sources {
        let connector = source.table.connector();
        let factory = connectors.sources.get(&connector);
        let factory =
            factory.ok_or_else(|| StreamError::internal(format!("connector {connector} got lost")))?;
        opened.push(factory.open(&source.table).await?);
    }
    Ok(opened)
}

/// Connects to all sinks.
async fn open_sinks(plans: &[&SinkPlan], connectors: &Connectors) -> Result<Vec<Box<dyn Sink>>, StreamError> {
    let mut sinks = Vec::new();
    for sink in plans {
        sinks.push(sink_factory(&sink.table, connectors)?.open(&sink.table).await?);
    }
    Ok(sinks)
}

fn sink_factory<'a>(
    table: &TableDef,
    connectors: &'a Connectors,
) -> Result<&'a dyn SinkFactory, StreamError> {
    let connector = table.connector();
    let factory = connectors.sinks.get(&connector).map(AsRef::as_ref);
    factory.ok_or_else(|| StreamError::internal(format!("connector {connector} got lost")))
}

/// The sink of what is set aside, its options looked at.
fn letters_plan(table: TableDef, connectors: &Connectors) -> Result<SinkPlan, StreamError> {
    let factory = sink_factory(&table, connectors)?;
    factory.validate(&table)?;
    SinkPlan::of(table, factory, EmitMode::Final)
}

/// The newest checkpoint, if there is one; an error before any state is read if it does not fit the job.
fn restored(
    store: &CheckpointStore,
    known: &Known,
    may_drop: bool,
) -> Result<Option<Checkpoint>, StreamError> {
    let Some(found) = store.newest()? else { return Ok(None) };
    let warnings =
        compatible::check(&found.manifest, known, may_drop).map_err(|problem| store.refused(problem))?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    found.read().map(Some)
}

/// What the last run pre-committed may not be visible yet; a sink that has it already does nothing.
async fn commit_again(
    checkpoint: &Checkpoint,
    known: &Known,
    sinks: &mut [Box<dyn Sink>],
) -> Result<(), StreamError> {
    let letters = known.dead_letters.as_ref().and(checkpoint.dead_letters.as_ref());
    let tokens = known.sinks.iter().map(|sink| checkpoint.sinks.iter().find(|state| state.name == sink.name));
    for (sink, state) in sinks.iter_mut().zip(tokens.chain([letters])) {
        if let Some(state) = state {
            sink.commit(checkpoint.epoch, state.token.clone()).await?;
        }
    }
    Ok(())
}
