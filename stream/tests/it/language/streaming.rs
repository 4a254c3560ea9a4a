//! A script in the engine, from files or from memory, with stops and restarts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arrow::datatypes::{Field, Schema, SchemaRef};
use plamatio_stream::{
    StreamError,
    ledger::Ledger,
    planner::{self, Connectors, JobPlan},
    runtime::job::Job,
};
use tempfile::TempDir;

use super::{data::Table, rows::Rows, script::Script};
use crate::{
    collect::Collected,
    memory::Memory,
    run::{connectors, files, options},
};

/// No script has so many rows that it may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A script that was planned.
pub(crate) struct Planned {
    connectors: Connectors,
    collected: Collected,
    memories: Vec<Memory>,
    /// Files that are read, until the end of the run.
    _folders: Vec<TempDir>,
    text: String,
    plan: JobPlan,
}

/// Plans a script.
pub(crate) async fn plan(script: &Script) -> Result<Planned, StreamError> {
    let collected = Collected::default();
    let mut connectors = connectors(&collected);
    let (mut memories, mut folders) = (Vec::new(), BTreeMap::new());
    for table in &script.tables {
        match script.run.step {
            Some(step) => {
                let memory = Memory::new(table.lines()).in_steps(step);
                connectors.sources.register(connector(table), Arc::new(memory.clone()));
                memories.push(memory);
            }
            None => {
                folders.insert(table.name.clone(), files(&table.lines()));
            }
        }
    }
    let text = script.streaming(|table| match folders.get(&table.name) {
        Some(folder) => format!("'connector' = 'filesystem', 'path' = '{}'", folder.path().display()),
        None => format!("'connector' = '{}'", connector(table)),
    });
    let plan = Box::pin(planner::plan(&text, &BTreeMap::new(), &connectors)).await?;
    Ok(Planned { connectors, collected, memories, _folders: folders.into_values().collect(), text, plan })
}

/// The connector of a table that is held in memory; the engine wants names that outlive it.
fn connector(table: &Table) -> &'static str {
    match table.name.as_str() {
        "t0" => "memory-0",
        "t1" => "memory-1",
        _ => "memory-2",
    }
}

impl Planned {
    /// The sinks' schemas, in the script's order.
    pub(crate) fn schemas(&self) -> Vec<SchemaRef> {
        let schema = |columns: Vec<Field>| Arc::new(Schema::new(columns));
        let fields = |sink: &planner::SinkPlan| {
            sink.table.columns.iter().map(|c| Field::new(&c.name, c.data_type.clone(), true)).collect()
        };
        self.plan.sinks.iter().map(|sink| schema(fields(sink))).collect()
    }

    /// Runs it to its end: the rows of each sink.
    pub(crate) async fn run(self, script: &Script) -> Result<Vec<Rows>, String> {
        let schemas = self.schemas();
        let state = tempfile::tempdir().unwrap();
        let keeps_state = !script.run.stops.is_empty();
        let mut ledger = None;
        // Sources that the script does not read are not opened.
        let read: Vec<bool> = script
            .tables
            .iter()
            .map(|table| self.plan.sources.iter().any(|source| source.table.name == table.name))
            .collect();
        let mut next = Some(self.plan);
        let mut before = vec![0; self.memories.len()];
        let limits = script.run.stops.iter().map(|stop| Some(*stop)).chain([None]);
        for limit in limits {
            for memory in &self.memories {
                limit.map_or_else(|| memory.end(), |records| memory.allow(records));
            }
            let plan = match next.take() {
                Some(plan) => plan,
                None => Box::pin(planner::plan(&self.text, &BTreeMap::new(), &self.connectors))
                    .await
                    .map_err(|error| format!("planned once, then refused: {error}"))?,
            };
            let options = options(keeps_state.then(|| state.path()));
            let job = Box::pin(Job::start(plan, &self.connectors, options))
                .await
                .map_err(|error| format!("did not start: {error}"))?;
            if let Some(limit) = limit {
                for (index, memory) in self.memories.iter().enumerate().filter(|(index, _)| read[*index]) {
                    let all = memory.count(limit);
                    let handed = memory.handed(all - before[index]);
                    tokio::time::timeout(PATIENCE, handed)
                        .await
                        .map_err(|_| "no records were read in time")?;
                    before[index] = all;
                }
                job.stop();
            }
            let end = tokio::time::timeout(PATIENCE, job.wait()).await.map_err(|_| "did not end in time")?;
            ledger = Some(end.map_err(|error| format!("failed: {error}"))?);
        }
        in_time(script, &ledger.unwrap())?;
        let names = script.sinks.iter().map(|sink| &sink.name);
        names.zip(&schemas).map(|(name, schema)| Rows::new(&self.collected.finals(name), schema)).collect()
    }
}

/// Every record was in time, or late by no more than its table allows.
fn in_time(script: &Script, ledger: &Ledger) -> Result<(), String> {
    if !ledger.is_balanced() {
        return Err(format!("the ledger is not balanced: {ledger:?}"));
    }
    for (name, source) in &ledger.sources {
        let is_strict = script.tables.iter().any(|table| table.name == *name && table.lateness_s == 0);
        let late = source.late_dropped + if is_strict { source.late_accepted } else { 0 };
        if late + source.dead_letter + source.duplicate > 0 {
            return Err(format!("records were late, broken or known: {source:?}"));
        }
    }
    Ok(())
}
