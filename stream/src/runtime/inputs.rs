//! The sources' partitions: where each begins, and which compute thread reads it.

use std::sync::Arc;

use super::{
    checkpoint::Checkpoint,
    clock::Clock,
    intake::IntakePlan,
    known::{Known, Named},
    partition::{Partition, SharedPartition},
    worker::{WorkerPartition, WorkerSource},
};
use crate::{
    error::StreamError,
    format::FormatRegistry,
    ledger::{SourceCounters, SourceLedger},
    planner::{JobPlan, LocalPlan},
    source::{RawBatch, Source, StartAt},
    time::{PartitionId, Watermark},
};

/// What had been promised of each source at a checkpoint.
pub(super) fn promised(known: &Known, checkpoint: &Checkpoint) -> Vec<Watermark> {
    let before = |name: &str| checkpoint.sources.iter().find(|source| source.name == name);
    let of = |source: &Named| before(&source.name).map_or(Watermark::START, |source| source.promised);
    known.sources.iter().map(of).collect()
}

/// A source with its partitions as they are when the job starts.
pub(super) struct Input {
    source: Arc<dyn Source>,
    partitions: Vec<(Arc<SharedPartition>, StartAt)>,
    /// Every worker reads every partition.
    is_shared: bool,
}

impl Input {
    /// More workers than this would have nothing to read.
    pub(super) fn most_workers(&self) -> usize {
        if self.is_shared && !self.partitions.is_empty() { usize::MAX } else { self.partitions.len() }
    }

    /// What one worker reads: everything, or every `workers`-th partition.
    fn of(
        &self,
        (worker, workers): (usize, usize),
    ) -> impl Iterator<Item = &(Arc<SharedPartition>, StartAt)> {
        let (skip, step) = if self.is_shared { (0, 1) } else { (worker, workers) };
        self.partitions.iter().skip(skip).step_by(step)
    }
}

/// The sources' partitions, each where the checkpoint left it. With checkpoints a partition has one reader:
/// its position is then a single one.
pub(super) fn inputs(
    plan: &JobPlan,
    opened: Vec<Arc<dyn Source>>,
    (checkpoint, promised): (&Checkpoint, &[Watermark]),
    has_checkpoints: bool,
) -> Result<Vec<Input>, StreamError> {
    let mut inputs = Vec::new();
    for (index, (source, open)) in plan.sources.iter().zip(opened).enumerate() {
        let before = checkpoint.sources.iter().find(|before| before.name == source.table.name);
        let delay_us = source.table.watermark.as_ref().map_or(0, |watermark| watermark.delay_us);
        let mut partitions = Vec::new();
        for id in open.partitions() {
            let mut partition = Partition::new(id.clone(), source);
            let mut states = before.iter().flat_map(|before| &before.partitions);
            let state = states.find(|state| state.id == id);
            if let Some(state) = state {
                state.restore(&mut partition, delay_us)?;
            }
            // Of one that was idle, or was not there, more has been promised than it says itself.
            partition.wake(promised[index]);
            let start = state.and_then(|state| state.position).map_or(StartAt::Configured, StartAt::Position);
            partitions.push((Arc::new(SharedPartition::new(partition)), start));
        }
        let is_shared = open.is_shareable() && !has_checkpoints;
        inputs.push(Input { source: open, partitions, is_shared });
    }
    Ok(inputs)
}

/// The sources as one worker of so many reads them.
pub(super) fn worker_sources(
    (plan, formats): (&JobPlan, &FormatRegistry),
    inputs: &[Input],
    counters: &[(String, Arc<SourceCounters>)],
    clock: &Clock,
    worker: (usize, usize),
) -> Result<Vec<WorkerSource>, StreamError> {
    let mut sources = Vec::new();
    for (index, (source, input)) in plan.sources.iter().zip(inputs).enumerate() {
        let starts: Vec<(PartitionId, StartAt)> =
            input.of(worker).map(|(partition, start)| (partition.id().clone(), *start)).collect();
        if starts.is_empty() {
            continue;
        }
        let partitions: Vec<WorkerPartition> =
            input.of(worker).map(|(partition, _)| WorkerPartition::new(Arc::clone(partition))).collect();
        let windows = plan.locals.iter().filter(|local| local.source == index).flat_map(LocalPlan::windows);
        sources.push(WorkerSource {
            source: index,
            plan: IntakePlan {
                source: Arc::new(source.clone()),
                table: Arc::from(source.table.name.as_str()),
                windows: windows.collect(),
                clock: Arc::clone(clock),
            },
            reader: input.source.reader(&starts)?,
            decoder: formats.of(&source.table)?.decoder(&source.table, source.decode.clone())?,
            batches: partitions.iter().map(|_| RawBatch::default()).collect(),
            partitions,
            counters: Arc::clone(&counters[index].1),
            counts: SourceLedger::default(),
            ended: false,
            lost: 0,
        });
    }
    Ok(sources)
}
