//! The merge stage at work: takes what the compute threads send, closes windows, and does what the
//! [`coordinator`](super::coordinator) decides. It runs on a thread of its own; sinks, checkpoints and clocks are Tokio's.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::MissedTickBehavior,
};

use super::{
    checkpoint::{CheckpointStore, PartitionState},
    coordinator::{Coordinator, Decision, Event},
    dead_letters,
    graph::{Graph, SinkOutput},
    known::Known,
    messages::{Control, MERGE_QUEUE, ToMerge},
    sink_task::ToSink,
    status::Status,
};
use crate::{
    error::StreamError,
    ledger::{Ledger, SourceLedger},
    sink::SinkRows,
    source::Source,
    time::{PartitionId, Progress, Watermark},
};

/// How often the ledger goes to the metrics.
const EXPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What a worker has sent that waits.
#[derive(Default)]
pub(super) struct FromWorker {
    /// What came behind its barrier.
    held: Vec<ToMerge>,
    /// Its partitions at its last barrier.
    pub(super) partitions: Vec<PartitionState>,
    /// What it had counted there, by source.
    pub(super) counts: Vec<(usize, SourceLedger)>,
}

/// The merge stage with all that it needs to act.
pub(super) struct Driver {
    pub(super) coordinator: Coordinator,
    pub(super) settings: crate::planner::Settings,
    pub(super) graph: Graph,
    pub(super) sources: Vec<Arc<dyn Source>>,
    pub(super) outboxes: Vec<mpsc::Sender<ToSink>>,
    pub(super) tasks: JoinSet<Result<(), StreamError>>,
    pub(super) threads: Vec<thread::JoinHandle<()>>,
    pub(super) control: Arc<Control>,
    pub(super) store: Option<CheckpointStore>,
    pub(super) status: Arc<Status>,
    pub(super) revision: u64,
    /// Sinks of the script; one more is for dead letters.
    pub(super) query_sinks: usize,
    pub(super) workers: Vec<FromWorker>,
    /// By source and worker: its progress, and the awakenings that it knew of.
    pub(super) told: BTreeMap<(usize, usize), (Progress, u64)>,
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) last_states: BTreeMap<(usize, PartitionId), PartitionState>,
    pub(super) source_tables: Vec<String>,
    /// What its state is known by.
    pub(super) known: Known,
    /// To be set aside, of what lies before the barrier.
    pub(super) letters: Vec<dead_letters::DeadLetter>,
    /// The ledger of the checkpoint that the job began with.
    pub(super) restored: Ledger,
    pub(super) name: String,
}

impl Driver {
    /// Drives the job to its end, its stop or its first failure.
    pub(super) async fn run(mut self, merge: mpsc::Receiver<Vec<ToMerge>>) -> Result<(), StreamError> {
        let result = self.drive(merge).await;
        self.control.abort.store(true, Ordering::Relaxed);
        // Closing the outboxes ends the sink tasks.
        self.outboxes.clear();
        let mut first = result;
        while let Some(ended) = self.tasks.join_next().await {
            let ended =
                ended.unwrap_or_else(|e| Err(StreamError::internal(format!("a sink task failed: {e}"))));
            // A sink's own error says more than the closed channel that the others saw.
            if let Err(error) = ended {
                let closed = matches!(&first, Err(StreamError::Internal { problem }) if problem == SINK_GONE);
                if first.is_ok() || closed {
                    first = Err(error);
                }
            }
        }
        let threads = std::mem::take(&mut self.threads);
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().all(|thread| thread.join().is_ok()))
                .await;
        if first.is_ok() && !joined.unwrap_or(false) {
            return Err(StreamError::internal("a compute thread panicked"));
        }
        first
    }

    async fn drive(&mut self, mut merge: mpsc::Receiver<Vec<ToMerge>>) -> Result<(), StreamError> {
        let every = |interval| {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut emit, mut cut) =
            (every(self.settings.emit_interval), every(self.settings.checkpoint_interval));
        cut.reset();
        let mut export = tokio::time::interval(EXPORT_INTERVAL);
        let emits = self.graph.emits();
        let mut stopped = self.stopped.clone();
        let mut is_stopped = false;
        loop {
            tokio::select! {
                messages = merge.recv() => {
                    let Some(messages) = messages else {
                        return Err(StreamError::internal("the compute threads are gone"));
                    };
                    self.take_all(messages)?;
                    // Take what is there before windows are closed: one pass for many messages. Not without end:
                    // threads that wait for room would fill it up again and again.
                    for _ in 0..MERGE_QUEUE {
                        let Ok(messages) = merge.try_recv() else { break };
                        self.take_all(messages)?;
                    }
                    self.set_aside().await?;
                    self.advance().await?;
                    if self.act().await? {
                        return Ok(());
                    }
                }
                _ = emit.tick(), if emits && !self.coordinator.awaits_emission() => self.ask(Event::EmissionDue),
                _ = export.tick() => self.status.export(&self.name),
                _ = cut.tick(), if !self.coordinator.awaits_barrier() => self.ask(Event::CheckpointDue),
                Ok(()) = stopped.changed(), if !is_stopped => {
                    is_stopped = true;
                    self.ask(Event::Stop);
                }
                Some(ended) = self.tasks.join_next() => {
                    // A sink ends before its outbox closes only by an error.
                    ended.unwrap_or_else(|e| Err(StreamError::internal(format!("a sink task failed: {e}"))))?;
                }
            }
        }
    }

    /// Tells the coordinator, and the threads what follows for them.
    fn ask(&mut self, event: Event) {
        match self.coordinator.on(event) {
            Some(Decision::Ask { epoch, is_last }) => {
                if is_last {
                    self.control.stop_after.store(epoch.number(), Ordering::Release);
                }
                self.control.epoch.store(epoch.number(), Ordering::Release);
            }
            Some(Decision::AskEmission(emission)) => {
                self.control.emission.store(emission, Ordering::Release);
            }
            _ => {}
        }
    }

    /// Does what is due now that all that came is taken in; whether the job is over.
    async fn act(&mut self) -> Result<bool, StreamError> {
        while let Some(decision) = self.coordinator.decide() {
            match decision {
                Decision::Commit(epoch) => {
                    self.commit(epoch).await?;
                    let held = self.workers.iter_mut().flat_map(|worker| std::mem::take(&mut worker.held));
                    let held = held.collect();
                    self.take_all(held)?;
                }
                Decision::Emit => self.emit().await?,
                Decision::Finish(epoch) => {
                    self.set_aside().await?;
                    self.finish(epoch).await?;
                    return Ok(true);
                }
                Decision::End => return Ok(true),
                Decision::Ask { .. } | Decision::AskEmission(_) => {}
            }
        }
        Ok(false)
    }

    fn take_all(&mut self, messages: Vec<ToMerge>) -> Result<(), StreamError> {
        messages.into_iter().try_for_each(|message| self.take(message))
    }

    /// Applies a message, or holds it if its worker is at a barrier that others have not reached.
    fn take(&mut self, message: ToMerge) -> Result<(), StreamError> {
        let worker = match &message {
            ToMerge::Partial { worker, .. }
            | ToMerge::Rows { worker, .. }
            | ToMerge::Progress { worker, .. }
            | ToMerge::SetAside { worker, .. }
            | ToMerge::Barrier { worker, .. }
            | ToMerge::Ready { worker, .. }
            | ToMerge::End { worker, .. } => *worker,
            ToMerge::Failed { .. } => return self.apply(message),
        };
        if self.coordinator.holds(worker) {
            self.workers[worker].held.push(message);
            return Ok(());
        }
        self.apply(message)
    }

    fn apply(&mut self, message: ToMerge) -> Result<(), StreamError> {
        match message {
            ToMerge::Partial { node, source, partial, .. } => {
                let late = self.graph.partial(node, partial)?;
                if late > 0 {
                    let source = &self.source_tables[source];
                    metrics::counter!("plamatio_late_after_idle_rows_total", "source" => source.clone())
                        .increment(late);
                    tracing::warn!(%source, rows = late, "rows of a partition that had been idle came after their windows closed");
                }
            }
            ToMerge::Rows { node, batch, .. } => self.graph.rows(node, batch)?,
            ToMerge::Progress { worker, source, progress, wakes } => {
                self.told.insert((source, worker), (progress, wakes));
            }
            ToMerge::Ready { worker, emission } => self.ask(Event::Ready { worker, emission }),
            ToMerge::SetAside { mut letters, .. } => self.letters.append(&mut letters),
            ToMerge::Barrier { worker, epoch, partitions, counts } => {
                self.note(worker, partitions, counts);
                self.ask(Event::Barrier { worker, epoch });
            }
            ToMerge::End { worker, partitions, counts } => {
                self.note(worker, partitions, counts);
                self.ask(Event::Ended { worker });
            }
            ToMerge::Failed { error } => return Err(error),
        }
        Ok(())
    }

    fn note(&mut self, worker: usize, partitions: Vec<PartitionState>, counts: Vec<(usize, SourceLedger)>) {
        let state = &mut self.workers[worker];
        (state.partitions, state.counts) = (partitions, counts);
    }

    /// Writes provisional rows.
    pub(super) async fn emit(&mut self) -> Result<(), StreamError> {
        let started = Instant::now();
        let outputs = self.graph.emit()?;
        self.send(outputs).await?;
        metrics::histogram!("plamatio_emit_seconds").record(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Takes what the workers have told, and promises what follows from it.
    fn promise(&mut self) {
        let mut promises = self.control.promises.lock();
        for ((source, worker), (progress, wakes)) in &self.told {
            let progress = promises[*source].progress_of(*worker, *progress, *wakes);
            self.graph.progress(*source, *worker, progress);
        }
        for (promise, watermark) in promises.iter_mut().zip(self.graph.source_watermarks()) {
            promise.raise(watermark);
        }
    }

    /// Closes what can be closed.
    pub(super) async fn advance(&mut self) -> Result<(), StreamError> {
        self.promise();
        loop {
            let outputs = self.graph.advance()?;
            let watermark = self.graph.watermark().time().micros();
            self.status.watermark_us.store(watermark, Ordering::Relaxed);
            self.send(outputs).await?;
            if !self.graph.is_behind() {
                return Ok(());
            }
        }
    }

    async fn send(&mut self, outputs: Vec<SinkOutput>) -> Result<(), StreamError> {
        for output in outputs {
            self.revision += 1;
            let rows = SinkRows {
                batch: output.batch,
                is_final: output.is_final,
                gone: output.gone,
                epoch: self.coordinator.committed().next(),
                revision: self.revision,
                watermark: output.watermark,
            };
            self.tell(output.sink, ToSink::Rows(rows)).await?;
        }
        Ok(())
    }

    pub(super) async fn tell(&mut self, sink: usize, message: ToSink) -> Result<(), StreamError> {
        self.outboxes[sink].send(message).await.map_err(|_| StreamError::internal(SINK_GONE))
    }

    /// Writes what is to be set aside.
    async fn set_aside(&mut self) -> Result<(), StreamError> {
        let letters = std::mem::take(&mut self.letters);
        if self.outboxes.len() > self.query_sinks && !letters.is_empty() {
            self.revision += 1;
            let rows = SinkRows {
                batch: dead_letters::batch(&letters)?,
                is_final: true,
                gone: None,
                epoch: self.coordinator.committed().next(),
                revision: self.revision,
                watermark: Watermark::START,
            };
            self.tell(self.query_sinks, ToSink::Rows(rows)).await?;
        }
        Ok(())
    }
}

pub(super) const SINK_GONE: &str = "a sink has ended";
