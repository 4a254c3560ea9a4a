//! A job from its plan to running threads and tasks, and the handle on it. What drives it is in `driver`.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    thread,
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    checkpoint::{Checkpoint, CheckpointStore},
    clock::Clock,
    compatible,
    driver::{Driver, WorkerState},
    graph::Graph,
    intake::IntakePlan,
    known::{Known, Named},
    messages::Control,
    partition::{Partition, SharedPartition},
    promises::Promises,
    sink_task,
    worker::{Worker, WorkerPartition, WorkerSource},
};
use crate::{
    decode::json::JsonDecoder,
    error::StreamError,
    ledger::{Ledger, SinkCounters, SourceCounters, SourceLedger},
    planner::{Connectors, JobPlan, LocalPlan, SinkPlan},
    sink::{EmitMode, Sink, SinkFactory},
    source::{RawBatch, Source, StartAt},
    table::TableDef,
    time::{Epoch, PartitionId, Watermark},
};

/// Flushes between compute threads and merge task that may wait: enough for the threads to go on while windows are
/// written, and few, since each may hold the sessions of [`FLUSH_RECORDS`](super::worker) records.
pub(super) const MERGE_QUEUE: usize = 8;
/// Messages to a sink that may wait.
const SINK_QUEUE: usize = 16;

/// What a job needs besides its plan.
pub struct JobOptions {
    /// The job's name, a label of its metrics.
    pub name: String,
    /// Where checkpoints go; without it a job starts from its sources' own positions and keeps no state.
    pub state: Option<PathBuf>,
    /// State in the checkpoint that the script has no use for is dropped; otherwise such a checkpoint is refused.
    pub may_drop_state: bool,
    /// The [table](super::dead_letters::table) of what is set aside; without it that is only counted.
    pub dead_letters: Option<TableDef>,
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
    pub(super) watermark_us: AtomicI64,
    pub(super) epoch: AtomicU64,
}

impl Status {
    /// Exports the ledger as metrics: `plamatio_source_records_total{job,source,class}` and
    /// `plamatio_job_rows_total{job,sink,kind}`, and how far event time has come.
    pub(super) fn export(&self, job: &str) {
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
        let letters =
            options.dead_letters.clone().map(|table| letters_plan(table, connectors)).transpose()?;
        let known = Known::of(&plan, letters.as_ref());
        let store = options.state.as_ref().map(CheckpointStore::new);
        let checkpoint = match &store {
            Some(store) => restored(store, &known, options.may_drop_state)?,
            None => None,
        };
        let opened = open_sources(&plan, connectors).await?;
        let sink_plans: Vec<&SinkPlan> = plan.sinks.iter().chain(&letters).collect();
        let mut sinks = open_sinks(&sink_plans, connectors).await?;
        let sink_tables: Vec<TableDef> = sink_plans.iter().map(|sink| sink.table.clone()).collect();
        if let Some(checkpoint) = &checkpoint {
            commit_again(checkpoint, &known, &mut sinks).await?;
        }
        let checkpoint = checkpoint.unwrap_or_default();
        // Epochs rise over restarts with a checkpoint by counting on, and without one by the clock.
        let millis = u64::try_from((options.clock)() / 1_000).unwrap_or_default();
        let epoch = Epoch::new(millis).max(checkpoint.epoch.next());

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
            epoch: AtomicU64::new(checkpoint.epoch.number()),
        });

        let promised = promised(&known, &checkpoint);
        let control = Arc::new(Control {
            epoch: AtomicU64::new(epoch.number()),
            emission: AtomicU64::new(0),
            stop_after: AtomicU64::new(u64::MAX),
            drain: AtomicBool::new(false),
            abort: AtomicBool::new(false),
            promises: Promises::new(promised.clone()),
        });
        let job_control = Arc::clone(&control);
        let (merge_sender, merge_inbox) = mpsc::channel(MERGE_QUEUE);
        let inputs = inputs(&plan, opened.clone(), (&checkpoint, &promised), store.is_some())?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let most = inputs.iter().map(Input::most_workers).max().unwrap_or(1).max(1);
        let workers = plan.settings.parallelism.or(options.parallelism).unwrap_or(cores).clamp(1, most);
        let mut graph = Graph::new(&plan, workers)?;
        let mut all = Vec::new();
        for worker in 0..workers {
            let sources =
                worker_sources(&plan, &inputs, &source_counters, &options.clock, (worker, workers))?;
            for source in &sources {
                graph.expect(source.source, worker);
            }
            all.push(Worker::new(
                worker,
                sources,
                &plan.locals,
                merge_sender.clone(),
                Arc::clone(&control),
                epoch,
            )?);
        }
        graph.restore(checkpoint.operators.into_iter().map(|operator| operator.node).collect())?;
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
            told: BTreeMap::new(),
            stopped,
            last_states: BTreeMap::new(),
            source_tables: plan.sources.iter().map(|source| source.table.name.clone()).collect(),
            known,
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

fn restore_ledger(
    ledger: &Ledger,
    sources: &[(String, Arc<SourceCounters>)],
    sinks: &[(String, Arc<SinkCounters>)],
) {
    for (name, counters) in sources {
        if let Some(ledger) = ledger.sources.get(name) {
            counters.add(ledger);
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

/// What had been promised of each source at a checkpoint.
fn promised(known: &Known, checkpoint: &Checkpoint) -> Vec<Watermark> {
    let before = |name: &str| checkpoint.sources.iter().find(|source| source.name == name);
    let of = |source: &Named| before(&source.name).map_or(Watermark::START, |source| source.promised);
    known.sources.iter().map(of).collect()
}

/// A source with its partitions as they are when the job starts.
struct Input {
    source: Arc<dyn Source>,
    partitions: Vec<(Arc<SharedPartition>, StartAt)>,
    /// Every worker reads every partition.
    is_shared: bool,
}

impl Input {
    /// More workers than this would have nothing to read.
    fn most_workers(&self) -> usize {
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
fn inputs(
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
fn worker_sources(
    plan: &JobPlan,
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
        let windows = plan.locals.iter().filter(|local| local.source == index).filter_map(LocalPlan::window);
        sources.push(WorkerSource {
            source: index,
            plan: IntakePlan {
                source: Arc::new(source.clone()),
                table: Arc::from(source.table.name.as_str()),
                windows: windows.collect(),
                clock: Arc::clone(clock),
            },
            reader: input.source.reader(&starts)?,
            decoder: Box::new(JsonDecoder::new(&source.table.name, source.decode.clone())?),
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
