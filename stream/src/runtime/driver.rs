//! The merge task and coordinator: takes what the compute threads send, closes windows, and carries epochs
//! from barrier to commit (the order of steps is in [`crate::runtime`]).

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::MissedTickBehavior,
};

use super::{
    checkpoint::{Checkpoint, CheckpointStore, OperatorState, PartitionState, SourceState},
    dead_letters,
    graph::{Graph, NodeState, SinkOutput},
    job::{MERGE_QUEUE, Status},
    known::Known,
    messages::{Control, ToMerge},
    sink_task::ToSink,
};
use crate::{
    error::StreamError,
    ledger::{Ledger, SourceLedger},
    sink::SinkRows,
    source::Source,
    time::{Epoch, Offset, PartitionId, Progress, Watermark},
};

/// How often the ledger goes to the metrics.
const EXPORT_INTERVAL: Duration = Duration::from_secs(1);

/// A worker as the merge task sees it.
#[derive(Default)]
pub(super) struct WorkerState {
    /// At this epoch's barrier, waiting for the others.
    at_barrier: Option<Epoch>,
    /// What came after the barrier.
    held: Vec<ToMerge>,
    partitions: Vec<PartitionState>,
    /// What it had counted at its last barrier, by source.
    counts: Vec<(usize, SourceLedger)>,
    /// The newest emission for which it has handed everything over.
    emission: u64,
    ended: bool,
}

/// The merge task and coordinator.
pub(super) struct Driver {
    pub(super) settings: crate::planner::Settings,
    pub(super) graph: Graph,
    pub(super) sources: Vec<Arc<dyn Source>>,
    pub(super) outboxes: Vec<mpsc::Sender<ToSink>>,
    pub(super) tasks: JoinSet<Result<(), StreamError>>,
    pub(super) threads: Vec<thread::JoinHandle<()>>,
    pub(super) control: Arc<Control>,
    pub(super) store: Option<CheckpointStore>,
    pub(super) status: Arc<Status>,
    /// The newest epoch that was cut.
    pub(super) epoch: Epoch,
    pub(super) revision: u64,
    /// Sinks of the script; one more is for dead letters.
    pub(super) query_sinks: usize,
    pub(super) workers: Vec<WorkerState>,
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
        let mut emit = tokio::time::interval(self.settings.emit_interval);
        emit.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut cut = tokio::time::interval(self.settings.checkpoint_interval);
        cut.set_missed_tick_behavior(MissedTickBehavior::Delay);
        cut.reset();
        let mut export = tokio::time::interval(EXPORT_INTERVAL);
        let emits = self.graph.emits();
        // Asked for, and not yet answered by all workers.
        let mut emission: Option<u64> = None;
        let mut stopping = false;
        let mut stopped = self.stopped.clone();
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
                    // What came behind one barrier may complete the next.
                    while self.barrier_is_complete() {
                        self.cut().await?;
                        if stopping && self.control.epoch.load(Ordering::Acquire) == self.epoch.number() {
                            return Ok(());
                        }
                    }
                    if self.emission_is_complete(emission) {
                        emission = None;
                        self.emit().await?;
                    }
                    // After the cut: workers may have ended behind their barrier, and then nothing more comes.
                    if self.workers.iter().all(|worker| worker.ended) {
                        self.set_aside().await?;
                        return self.finish().await;
                    }
                }
                // Where the workers have not answered the last one yet, the next is skipped.
                _ = emit.tick(), if emits && emission.is_none() => {
                    emission = Some(self.control.emission.fetch_add(1, Ordering::AcqRel) + 1);
                }
                _ = export.tick() => self.status.export(&self.name),
                _ = cut.tick(), if !stopping && self.no_barrier_under_way() => {
                    self.control.epoch.store(self.epoch.next().number(), Ordering::Release);
                }
                Ok(()) = stopped.changed(), if !stopping => {
                    stopping = true;
                    // A barrier under way may already have passed a worker: stop at one of our own behind it.
                    let due = self.control.epoch.load(Ordering::Acquire) + 1;
                    self.control.stop_after.store(due, Ordering::Release);
                    self.control.epoch.store(due, Ordering::Release);
                }
                Some(ended) = self.tasks.join_next() => {
                    // A sink ends before its outbox closes only by an error.
                    ended.unwrap_or_else(|e| Err(StreamError::internal(format!("a sink task failed: {e}"))))?;
                }
            }
        }
    }

    fn no_barrier_under_way(&self) -> bool {
        self.control.epoch.load(Ordering::Acquire) == self.epoch.number()
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
        let state = &mut self.workers[worker];
        if state.at_barrier.is_some() {
            state.held.push(message);
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
            ToMerge::Ready { worker, emission } => self.workers[worker].emission = emission,
            ToMerge::SetAside { mut letters, .. } => self.letters.append(&mut letters),
            ToMerge::Barrier { worker, epoch, partitions, counts } => {
                let state = &mut self.workers[worker];
                state.at_barrier = Some(epoch);
                state.partitions = partitions;
                state.counts = counts;
            }
            ToMerge::End { worker, partitions, counts } => {
                let state = &mut self.workers[worker];
                state.ended = true;
                state.partitions = partitions;
                state.counts = counts;
            }
            ToMerge::Failed { error } => return Err(error),
        }
        Ok(())
    }

    fn barrier_is_complete(&self) -> bool {
        self.workers.iter().any(|worker| worker.at_barrier.is_some())
            && self.workers.iter().all(|worker| worker.ended || worker.at_barrier.is_some())
    }

    fn emission_is_complete(&self, emission: Option<u64>) -> bool {
        let has_answered = |worker: &WorkerState| Some(worker.emission) >= emission || worker.ended;
        emission.is_some() && self.workers.iter().all(has_answered)
    }

    /// Writes provisional rows.
    async fn emit(&mut self) -> Result<(), StreamError> {
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
        for (source, promise) in promises.iter_mut().enumerate() {
            promise.raise(self.graph.source_watermark(source));
        }
    }

    /// Closes what can be closed.
    async fn advance(&mut self) -> Result<(), StreamError> {
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
                epoch: self.epoch.next(),
                revision: self.revision,
                watermark: output.watermark,
            };
            self.tell(output.sink, ToSink::Rows(rows)).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, sink: usize, message: ToSink) -> Result<(), StreamError> {
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
                epoch: self.epoch.next(),
                revision: self.revision,
                watermark: Watermark::START,
            };
            self.tell(self.query_sinks, ToSink::Rows(rows)).await?;
        }
        Ok(())
    }

    /// All workers are at the barrier: takes the state, commits the epoch, lets the workers' messages flow on.
    async fn cut(&mut self) -> Result<(), StreamError> {
        let barrier = self.workers.iter().filter_map(|worker| worker.at_barrier).max();
        let epoch = barrier.unwrap_or_else(|| self.epoch.next());
        self.commit(epoch).await?;
        let mut held = Vec::new();
        for worker in &mut self.workers {
            worker.at_barrier = None;
            held.append(&mut worker.held);
        }
        self.take_all(held)
    }

    async fn commit(&mut self, epoch: Epoch) -> Result<(), StreamError> {
        let started = Instant::now();
        let states = if self.store.is_some() { self.graph.snapshot()? } else { Vec::new() };
        for worker in &mut self.workers {
            for state in std::mem::take(&mut worker.partitions) {
                self.last_states.insert((state.source, state.id.clone()), state);
            }
        }
        let mut waiting = Vec::new();
        for sink in 0..self.outboxes.len() {
            let (sender, receiver) = oneshot::channel();
            self.tell(sink, ToSink::PreCommit { epoch, token: sender }).await?;
            waiting.push(receiver);
        }
        let mut tokens = Vec::new();
        for token in waiting {
            tokens.push(token.await.map_err(|_| StreamError::internal(SINK_GONE))?);
        }
        if let Some(store) = &self.store {
            let store = store.clone();
            let checkpoint = self.checkpoint(epoch, states, &tokens)?;
            let written = tokio::task::spawn_blocking(move || store.write(&checkpoint)).await;
            written.map_err(|e| StreamError::internal(format!("writing a checkpoint failed: {e}")))??;
        }
        let mut waiting = Vec::new();
        for (sink, token) in tokens.into_iter().enumerate() {
            let (sender, receiver) = oneshot::channel();
            self.tell(sink, ToSink::Commit { epoch, token, done: sender }).await?;
            waiting.push(receiver);
        }
        for done in waiting {
            done.await.map_err(|_| StreamError::internal(SINK_GONE))?;
        }
        self.commit_positions().await?;
        self.epoch = epoch;
        self.control.epoch.fetch_max(epoch.number(), Ordering::AcqRel);
        self.status.epoch.store(epoch.number(), Ordering::Relaxed);
        self.status.export(&self.name);
        metrics::histogram!("plamatio_checkpoint_seconds").record(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// What is written down of the cut.
    fn checkpoint(
        &self,
        epoch: Epoch,
        states: Vec<NodeState>,
        tokens: &[Vec<u8>],
    ) -> Result<Checkpoint, StreamError> {
        let sources = self.known.sources.iter().enumerate().map(|(source, named)| SourceState {
            name: named.name.clone(),
            identity: named.identity.clone(),
            promised: self.graph.acted_upon(source),
            partitions: self.last_states.values().filter(|state| state.source == source).cloned().collect(),
        });
        let mut operators = Vec::new();
        for node in states {
            let known = self.known.operator(&node.uid);
            let known = known.ok_or_else(|| StreamError::internal("an operator's uid got lost"))?;
            let (identity, feeds) = (known.identity.clone(), known.feeds.clone());
            operators.push(OperatorState { identity, feeds, node });
        }
        let sinks = self.known.sinks.iter().zip(tokens).map(|(sink, token)| sink.with(token.clone()));
        let letters = self.known.dead_letters.as_ref().zip(tokens.get(self.query_sinks));
        Ok(Checkpoint {
            epoch,
            sources: sources.collect(),
            operators,
            sinks: sinks.collect(),
            dead_letters: letters.map(|(sink, token)| sink.with(token.clone())),
            ledger: self.ledger_at_cut(),
            revision: self.revision,
        })
    }

    /// The ledger of what lies before the barrier: the workers have read on since.
    fn ledger_at_cut(&self) -> Ledger {
        let mut ledger = self.status.ledger();
        for (index, name) in self.source_tables.iter().enumerate() {
            let mut source = self.restored.sources.get(name).copied().unwrap_or_default();
            for (_, counts) in self.workers.iter().flat_map(|w| &w.counts).filter(|(of, _)| *of == index) {
                source.add(counts);
            }
            ledger.sources.insert(name.clone(), source);
        }
        ledger
    }

    async fn commit_positions(&mut self) -> Result<(), StreamError> {
        for (index, source) in self.sources.iter().enumerate() {
            let positions: BTreeMap<PartitionId, Offset> = self
                .last_states
                .values()
                .filter(|state| state.source == index)
                .filter_map(|state| Some((state.id.clone(), state.position?)))
                .collect();
            let source = Arc::clone(source);
            let committed = tokio::task::spawn_blocking(move || source.commit(&positions)).await;
            let committed =
                committed.map_err(|e| StreamError::internal(format!("committing positions failed: {e}")))?;
            // The sinks have the rows and the checkpoint has the positions; a group that trails only shows a lag.
            if let Err(error) = committed {
                if self.store.is_none() {
                    return Err(error);
                }
                tracing::warn!(table = %self.source_tables[index], %error, "positions not committed to the source");
            }
        }
        Ok(())
    }

    /// Every source has ended: closes all windows and commits.
    async fn finish(&mut self) -> Result<(), StreamError> {
        for worker in 0..self.workers.len() {
            for source in 0..self.sources.len() {
                self.graph.progress(source, worker, Progress::Active(Watermark::END));
            }
        }
        self.advance().await?;
        let due = Epoch::new(self.control.epoch.load(Ordering::Acquire));
        self.commit(self.epoch.next().max(due)).await
    }
}

const SINK_GONE: &str = "a sink has ended";
