//! A running job: opened, driven epoch by epoch, stopped.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::MissedTickBehavior,
};

use super::{
    checkpoint::{Checkpoint, CheckpointStore, PartitionState},
    clock::Clock,
    dead_letters,
    graph::{Graph, SinkOutput},
    intake::{IntakePlan, Partition},
    sink_task::{self, ToSink},
    worker::{Control, ToMerge, Worker, WorkerSource},
};
use crate::{
    decode::json::JsonDecoder,
    error::StreamError,
    ledger::{BatchCounts, Ledger, SinkCounters, SourceCounters},
    planner::{Connectors, JobPlan, Terminal},
    sink::{Sink, SinkRows},
    source::{RawBatch, Source, StartAt},
    table::TableDef,
    time::{Epoch, Offset, PartitionId, Progress, Watermark},
};

/// Messages between compute threads and merge task that may wait.
const MERGE_QUEUE: usize = 256;
/// Messages to a sink that may wait.
const SINK_QUEUE: usize = 16;

/// How often the ledger goes to the metrics.
const EXPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What a job needs besides its plan.
pub struct JobOptions {
    /// The job's name, a label of its metrics.
    pub name: String,
    /// Where checkpoints go; without it a job starts from its sources' own positions and keeps no state.
    pub state: Option<PathBuf>,
    /// Takes what is set aside; without it that is only counted.
    pub dead_letters: Option<Box<dyn Sink>>,
    /// Time of day.
    pub clock: Clock,
    /// Compute threads, where the script does not say; `None` for one a core.
    pub parallelism: Option<usize>,
}

/// A handle on a running job.
pub struct Job {
    stop: watch::Sender<bool>,
    control: Arc<Control>,
    driver: tokio::task::JoinHandle<Result<(), StreamError>>,
    status: Arc<Status>,
}

/// What can be asked of a job from outside, at any time.
pub struct Status {
    sources: Vec<(String, Arc<SourceCounters>)>,
    sinks: Vec<(String, Arc<SinkCounters>)>,
    watermark_us: AtomicI64,
    epoch: AtomicU64,
}

impl Status {
    /// Exports the ledger as metrics: `plamatio_source_records_total{job,source,class}` and
    /// `plamatio_job_rows_total{job,sink,kind}`, and how far event time has come.
    fn export(&self, job: &str) {
        let ledger = self.ledger();
        for (source, counts) in &ledger.sources {
            let classes = [
                ("read", counts.read),
                ("on_time", counts.on_time),
                ("late_accepted", counts.late_accepted),
                ("late_dropped", counts.late_dropped),
                ("duplicate", counts.duplicate),
                ("dead_letter", counts.dead_letter),
            ];
            for (class, count) in classes {
                let labels =
                    [("job", job.to_owned()), ("source", source.clone()), ("class", class.to_owned())];
                metrics::counter!("plamatio_source_records_total", &labels).absolute(count);
            }
        }
        for (sink, counts) in &ledger.sinks {
            for (kind, count) in [("provisional", counts.provisional), ("final", counts.finals)] {
                let labels = [("job", job.to_owned()), ("sink", sink.clone()), ("kind", kind.to_owned())];
                metrics::counter!("plamatio_job_rows_total", &labels).absolute(count);
            }
        }
        if let Some(watermark_us) = self.watermark_us() {
            #[expect(clippy::cast_precision_loss, reason = "seconds for a gauge")]
            metrics::gauge!("plamatio_watermark_seconds", "job" => job.to_owned())
                .set(watermark_us as f64 / 1e6);
        }
    }

    /// The ledger as of now.
    pub fn ledger(&self) -> Ledger {
        let mut sinks: BTreeMap<String, crate::ledger::SinkLedger> = BTreeMap::new();
        for (name, counters) in &self.sinks {
            let (ledger, more) = (sinks.entry(name.clone()).or_default(), counters.snapshot());
            ledger.provisional += more.provisional;
            ledger.finals += more.finals;
        }
        Ledger {
            sources: self
                .sources
                .iter()
                .map(|(name, counters)| (name.clone(), counters.snapshot()))
                .collect(),
            sinks,
        }
    }

    /// How far event time has come over all sources, in microseconds; `None` before the first watermark and
    /// after the last.
    pub fn watermark_us(&self) -> Option<i64> {
        let micros = self.watermark_us.load(Ordering::Relaxed);
        (micros != i64::MIN && micros != i64::MAX).then_some(micros)
    }

    /// The newest epoch that was committed; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }
}

impl Job {
    /// Opens sources and sinks and starts. Must be called within a Tokio runtime.
    pub async fn start(
        plan: JobPlan,
        connectors: &Connectors,
        options: JobOptions,
    ) -> Result<Job, StreamError> {
        let store = options.state.as_ref().map(|folder| CheckpointStore::new(folder, &plan.fingerprint));
        let checkpoint = match &store {
            Some(store) => store.latest()?.unwrap_or_default(),
            None => Checkpoint::default(),
        };
        let opened = open_sources(&plan, connectors).await?;
        let mut sinks = open_sinks(&plan, connectors).await?;
        let mut sink_tables: Vec<TableDef> = plan.sinks.iter().map(|sink| sink.table.clone()).collect();
        if let Some(sink) = options.dead_letters {
            sinks.push(sink);
            sink_tables.push(dead_letters::table("dead_letters", []));
        }
        // What the last run pre-committed may not be visible yet; a sink that has it already does nothing.
        if let Some(epoch) = checkpoint.epoch {
            if checkpoint.tokens.len() != sinks.len() {
                let path = options.state.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
                let problem = "the checkpoint was written with another setting for dead letters; \
                               run with the one of before, or choose another state folder"
                    .to_owned();
                return Err(StreamError::State { path, problem });
            }
            for (sink, token) in sinks.iter_mut().zip(&checkpoint.tokens) {
                sink.commit(epoch, token.clone()).await?;
            }
        }
        // Epochs rise over restarts with a checkpoint by counting on, and without one by the clock.
        let millis = u64::try_from((options.clock)() / 1_000).unwrap_or_default();
        let epoch = Epoch::new(millis).max(checkpoint.epoch.map_or(Epoch::new(0), Epoch::next));

        let source_counters: Vec<_> = plan
            .sources
            .iter()
            .map(|source| (source.table.name.clone(), Arc::new(SourceCounters::default())))
            .collect();
        let sink_counters: Vec<_> =
            sink_tables.iter().map(|table| (table.name.clone(), Arc::new(SinkCounters::default()))).collect();
        restore_ledger(&checkpoint.ledger, &source_counters, &sink_counters);
        let status = Arc::new(Status {
            sources: source_counters.clone(),
            sinks: sink_counters.clone(),
            watermark_us: AtomicI64::new(i64::MIN),
            epoch: AtomicU64::new(checkpoint.epoch.map_or(0, Epoch::number)),
        });

        let control = Arc::new(Control {
            epoch: AtomicU64::new(epoch.number()),
            stop_after: AtomicU64::new(u64::MAX),
            drain: AtomicBool::new(false),
            abort: AtomicBool::new(false),
            watermark_us: AtomicI64::new(i64::MIN),
        });
        let job_control = Arc::clone(&control);
        let (merge_sender, merge_inbox) = mpsc::channel(MERGE_QUEUE);
        let partitions: usize = opened.iter().map(|source| source.partitions().len()).max().unwrap_or(1);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let workers =
            plan.settings.parallelism.or(options.parallelism).unwrap_or(cores).clamp(1, partitions.max(1));
        let mut graph = Graph::new(&plan, workers)?;
        let mut all = Vec::new();
        for worker in 0..workers {
            let sources = worker_sources(
                &plan,
                &opened,
                &source_counters,
                &checkpoint,
                &options.clock,
                worker,
                workers,
            )?;
            for source in &sources {
                graph.expect(source.source, worker);
            }
            let flush_interval = (plan.settings.emit_interval / 2).min(Duration::from_millis(100));
            all.push(Worker::new(
                worker,
                sources,
                &plan.locals,
                merge_sender.clone(),
                Arc::clone(&control),
                flush_interval,
                epoch,
            )?);
        }
        if !checkpoint.nodes.is_empty() {
            graph.restore(checkpoint.nodes)?;
        }
        let mut threads = Vec::new();
        for (number, worker) in all.into_iter().enumerate() {
            let thread = thread::Builder::new().name(format!("compute-{number}")).spawn(move || worker.run());
            threads.push(thread.map_err(|e| StreamError::internal(format!("cannot start a thread: {e}")))?);
        }

        let mut tasks = JoinSet::new();
        let mut outboxes = Vec::new();
        for ((sink, table), (_, counters)) in sinks.into_iter().zip(sink_tables).zip(&sink_counters) {
            let (outbox, inbox) = mpsc::channel(SINK_QUEUE);
            outboxes.push(outbox);
            tasks.spawn(sink_task::run(sink, table, Arc::clone(counters), inbox));
        }
        let (stop, stopped) = watch::channel(false);
        let driver = Driver {
            settings: plan.settings,
            graph,
            sources: opened,
            outboxes,
            tasks,
            threads,
            control,
            store,
            status: Arc::clone(&status),
            epoch,
            revision: checkpoint.revision,
            query_sinks: plan.sinks.len(),
            workers: (0..workers).map(|_| WorkerState::default()).collect(),
            stopped,
            last_states: BTreeMap::new(),
            source_tables: plan.sources.iter().map(|source| source.table.name.clone()).collect(),
            letters: Vec::new(),
            restored: checkpoint.ledger,
            name: options.name,
        };
        let driver = tokio::spawn(driver.run(merge_inbox));
        Ok(Job { stop, control: job_control, driver, status })
    }

    /// Counters and progress.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Asks the job to stop: it finishes what it has read, commits an epoch, and ends. Windows that are open
    /// stay open in the checkpoint; without a state folder they are lost.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Asks the job to read what its sources hold now and then to end as a bounded one does: every window is
    /// closed and final.
    pub fn drain(&self) {
        self.control.drain.store(true, Ordering::Release);
    }

    /// Whether the job is over, by itself or by an error.
    pub fn has_ended(&self) -> bool {
        self.driver.is_finished()
    }

    /// Something that can stop the job while another waits for it.
    pub fn stopper(&self) -> watch::Sender<bool> {
        self.stop.clone()
    }

    /// Waits until the job ends: by itself, stopped, or failed.
    pub async fn wait(self) -> Result<Ledger, StreamError> {
        match self.driver.await {
            Ok(result) => result.map(|()| self.status.ledger()),
            Err(error) => Err(StreamError::internal(format!("the job's driver failed: {error}"))),
        }
    }
}

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

async fn open_sinks(plan: &JobPlan, connectors: &Connectors) -> Result<Vec<Box<dyn Sink>>, StreamError> {
    let mut sinks = Vec::new();
    for sink in &plan.sinks {
        let connector = sink.table.connector();
        let factory = connectors.sinks.get(&connector);
        let factory =
            factory.ok_or_else(|| StreamError::internal(format!("connector {connector} got lost")))?;
        sinks.push(factory.open(&sink.table).await?);
    }
    Ok(sinks)
}

fn restore_ledger(
    ledger: &Ledger,
    sources: &[(String, Arc<SourceCounters>)],
    sinks: &[(String, Arc<SinkCounters>)],
) {
    for (name, counters) in sources {
        if let Some(ledger) = ledger.sources.get(name) {
            counters.restore(ledger);
        }
    }
    let mut restored = std::collections::BTreeSet::new();
    for (name, counters) in sinks {
        // Several INSERTs into one table share a line of the ledger.
        if let Some(ledger) = ledger.sinks.get(name).filter(|_| restored.insert(name)) {
            counters.restore(ledger);
        }
    }
}

/// The sources as one worker reads them: every `workers`-th partition.
fn worker_sources(
    plan: &JobPlan,
    opened: &[Arc<dyn Source>],
    counters: &[(String, Arc<SourceCounters>)],
    checkpoint: &Checkpoint,
    clock: &Clock,
    worker: usize,
    workers: usize,
) -> Result<Vec<WorkerSource>, StreamError> {
    let mut sources = Vec::new();
    for (index, (source, open)) in plan.sources.iter().zip(opened).enumerate() {
        let ids: Vec<PartitionId> = open.partitions().into_iter().skip(worker).step_by(workers).collect();
        if ids.is_empty() {
            continue;
        }
        let delay_us = source.table.watermark.as_ref().map_or(0, |watermark| watermark.delay_us);
        let (mut partitions, mut starts) = (Vec::new(), Vec::new());
        for id in ids {
            let mut partition = Partition::new(id.clone(), source);
            let state = checkpoint.partitions.iter().find(|state| state.source == index && state.id == id);
            if let Some(state) = state {
                state.restore(&mut partition, delay_us)?;
            }
            let start = state.and_then(|state| state.position).map_or(StartAt::Configured, StartAt::Position);
            starts.push((id, start));
            partitions.push(partition);
        }
        let windows =
            plan.locals.iter().filter(|local| local.source == index).filter_map(|local| {
                match &local.terminal {
                    Terminal::Window(spec) => Some((spec.window, spec.lateness_us)),
                    Terminal::Forward => None,
                }
            });
        sources.push(WorkerSource {
            source: index,
            plan: IntakePlan {
                source: Arc::new(source.clone()),
                table: Arc::from(source.table.name.as_str()),
                windows: windows.collect(),
                clock: Arc::clone(clock),
            },
            reader: open.reader(&starts)?,
            decoder: Box::new(JsonDecoder::new(&source.table.name, Arc::clone(&source.decoded))?),
            batches: partitions.iter().map(|_| RawBatch::default()).collect(),
            partitions,
            counters: Arc::clone(&counters[index].1),
            counts: BatchCounts::default(),
            ended: false,
            lost: 0,
        });
    }
    Ok(sources)
}

/// A worker as the merge task sees it.
#[derive(Default)]
struct WorkerState {
    /// At this epoch's barrier, waiting for the others.
    at_barrier: Option<Epoch>,
    /// What came after the barrier.
    held: Vec<ToMerge>,
    partitions: Vec<PartitionState>,
    /// What it had counted at its last barrier, by source.
    counts: Vec<(usize, BatchCounts)>,
    ended: bool,
}

/// The merge task and coordinator.
struct Driver {
    settings: crate::planner::Settings,
    graph: Graph,
    sources: Vec<Arc<dyn Source>>,
    outboxes: Vec<mpsc::Sender<ToSink>>,
    tasks: JoinSet<Result<(), StreamError>>,
    threads: Vec<thread::JoinHandle<()>>,
    control: Arc<Control>,
    store: Option<CheckpointStore>,
    status: Arc<Status>,
    /// The newest epoch that was cut.
    epoch: Epoch,
    revision: u64,
    /// Sinks of the script; one more is for dead letters.
    query_sinks: usize,
    workers: Vec<WorkerState>,
    stopped: watch::Receiver<bool>,
    last_states: BTreeMap<(usize, PartitionId), PartitionState>,
    source_tables: Vec<String>,
    /// To be set aside, of what lies before the barrier.
    letters: Vec<dead_letters::DeadLetter>,
    /// The ledger of the checkpoint that the job began with.
    restored: Ledger,
    name: String,
}

impl Driver {
    async fn run(mut self, merge: mpsc::Receiver<ToMerge>) -> Result<(), StreamError> {
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

    async fn drive(&mut self, mut merge: mpsc::Receiver<ToMerge>) -> Result<(), StreamError> {
        let mut emit = tokio::time::interval(self.settings.emit_interval);
        emit.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut cut = tokio::time::interval(self.settings.checkpoint_interval);
        cut.set_missed_tick_behavior(MissedTickBehavior::Delay);
        cut.reset();
        let mut export = tokio::time::interval(EXPORT_INTERVAL);
        let emits = self.graph.emits();
        let mut stopping = false;
        let mut stopped = self.stopped.clone();
        loop {
            tokio::select! {
                message = merge.recv() => {
                    let Some(message) = message else {
                        return Err(StreamError::internal("the compute threads are gone"));
                    };
                    self.take(message)?;
                    // Take what is there before windows are closed: one pass for many messages.
                    while let Ok(message) = merge.try_recv() {
                        self.take(message)?;
                    }
                    self.set_aside().await?;
                    self.advance().await?;
                    if self.barrier_is_complete() {
                        self.cut().await?;
                        if stopping && self.control.epoch.load(Ordering::Acquire) == self.epoch.number() {
                            return Ok(());
                        }
                    }
                    // After the cut: workers may have ended behind their barrier, and then nothing more comes.
                    if self.workers.iter().all(|worker| worker.ended) {
                        self.set_aside().await?;
                        return self.finish().await;
                    }
                }
                _ = emit.tick(), if emits => {
                    let started = Instant::now();
                    let outputs = self.graph.emit()?;
                    self.send(outputs).await?;
                    metrics::histogram!("plamatio_emit_seconds").record(started.elapsed().as_secs_f64());
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

    /// Applies a message, or holds it if its worker is at a barrier that others have not reached.
    fn take(&mut self, message: ToMerge) -> Result<(), StreamError> {
        let worker = match &message {
            ToMerge::Partial { worker, .. }
            | ToMerge::Rows { worker, .. }
            | ToMerge::Progress { worker, .. }
            | ToMerge::SetAside { worker, .. }
            | ToMerge::Barrier { worker, .. }
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
            ToMerge::Progress { worker, source, progress } => self.graph.progress(source, worker, progress),
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

    /// Closes what can be closed.
    async fn advance(&mut self) -> Result<(), StreamError> {
        let outputs = self.graph.advance()?;
        let watermark = self.graph.watermark().time().micros();
        self.control.watermark_us.store(watermark, Ordering::Relaxed);
        self.status.watermark_us.store(watermark, Ordering::Relaxed);
        self.send(outputs).await
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
        for message in held {
            self.take(message)?;
        }
        Ok(())
    }

    async fn commit(&mut self, epoch: Epoch) -> Result<(), StreamError> {
        let started = Instant::now();
        let nodes = if self.store.is_some() { self.graph.snapshot()? } else { Vec::new() };
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
            let checkpoint = Checkpoint {
                epoch: Some(epoch),
                partitions: self.last_states.values().cloned().collect(),
                nodes,
                tokens: tokens.clone(),
                ledger: self.ledger_at_cut(),
                revision: self.revision,
            };
            let written = tokio::task::spawn_blocking(move || store.write(epoch, &checkpoint)).await;
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

    /// The ledger of what lies before the barrier: the workers have read on since.
    fn ledger_at_cut(&self) -> Ledger {
        let mut ledger = self.status.ledger();
        for (index, name) in self.source_tables.iter().enumerate() {
            let mut source = self.restored.sources.get(name).cloned().unwrap_or_default();
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
