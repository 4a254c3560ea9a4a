//! What a job does before it runs: its checkpoint is found and held against it, sources and sinks are opened, and what was
//! pre-committed is committed.

use std::sync::Arc;

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

/// Connects to all sources.
pub(super) async fn open_sources(
    plan: &JobPlan,
    connectors: &Connectors,
) -> Result<Vec<Arc<dyn Source>>, StreamError> {
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
pub(super) async fn open_sinks(
    plans: &[&SinkPlan],
    connectors: &Connectors,
) -> Result<Vec<Box<dyn Sink>>, StreamError> {
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
pub(super) fn letters_plan(table: TableDef, connectors: &Connectors) -> Result<SinkPlan, StreamError> {
    let factory = sink_factory(&table, connectors)?;
    factory.validate(&table)?;
    SinkPlan::of(table, factory, EmitMode::Final)
}

/// The newest checkpoint, if there is one; an error before any state is read if it does not fit the job.
pub(super) fn restored(
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
pub(super) async fn commit_again(
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
