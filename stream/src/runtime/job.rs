//! A job from its plan to running threads and tasks, and the handle on it. What drives it is in `driver`; what it does
//! before it runs, in `open` and `inputs`.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinSet,
};

pub use super::status::Status;
use super::{
    clock::Clock,
    coordinator::Coordinator,
    driver::{Driver, FromWorker},
    graph::Graph,
    inputs::{self, Input, worker_sources},
    messages::{Control, MERGE_QUEUE, ToMerge},
    open::Opened,
    promises::Promises,
    sink_task::{self, ToSink},
    worker::Worker,
};
use crate::{
    error::StreamError,
    format::FormatRegistry,
    ledger::Ledger,
    planner::{Connectors, JobPlan},
    sink::Sink,
    table::TableDef,
    time::{Epoch, Watermark},
};

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
    driver: thread::JoinHandle<Result<(), StreamError>>,
    status: Arc<Status>,
}

impl Job {
    /// Opens sources and sinks and starts. Must be called within a Tokio runtime.
    pub async fn start(
        plan: JobPlan,
        connectors: &Connectors,
        options: JobOptions,
    ) -> Result<Job, StreamError> {
        let JobOptions { name, state, may_drop_state, dead_letters, clock, parallelism } = options;
        let opened = Opened::of(&plan, connectors, dead_letters, (state, may_drop_state)).await?;
        let Opened { known, store, checkpoint, sources, sinks, sink_tables } = opened;
        let status = Arc::new(Status::new(&plan, &sink_tables, &checkpoint));
        // Epochs rise over restarts with a checkpoint by counting on, and without one by the clock.
        let millis = u64::try_from(clock() / 1_000).unwrap_or_default();
        let epoch = Epoch::new(millis).max(checkpoint.epoch.next());
        let promised = inputs::promised(&known, &checkpoint);
        let control = Arc::new(control(epoch, &promised));
        let inputs = inputs::inputs(&plan, sources.clone(), (&checkpoint, &promised), store.is_some())?;
        let cores = parallelism.unwrap_or_else(cores);
        let (merge_sender, merge_inbox) = mpsc::channel(MERGE_QUEUE);
        let workers = Workers {
            plan: &plan,
            formats: &connectors.formats,
            inputs: &inputs,
            clock: &clock,
            epoch,
            merge: merge_sender,
        };
        let (workers, mut graph) = workers.prepare(cores, &status, &control)?;
        graph.restore(checkpoint.operators.into_iter().map(|operator| operator.node).collect())?;
        let from_workers = workers.iter().map(|_| FromWorker::default()).collect();
        let (outboxes, tasks) = start_sinks(sinks, sink_tables, &status);
        let (stop, stopped) = watch::channel(false);
        let driver = Driver {
            coordinator: Coordinator::new(workers.len(), epoch),
            settings: plan.settings,
            graph,
            sources,
            outboxes,
            tasks,
            threads: start_threads(workers)?,
            control: Arc::clone(&control),
            store,
            status: Arc::clone(&status),
            revision: checkpoint.revision,
            query_sinks: plan.sinks.len(),
            workers: from_workers,
            told: BTreeMap::new(),
            stopped,
            last_states: BTreeMap::new(),
            source_tables: plan.sources.iter().map(|source| source.table.name.clone()).collect(),
            known,
            letters: Vec::new(),
            restored: checkpoint.ledger,
            name,
        };
        // Operators compute: on a thread of their own they keep nobody waiting who serves requests.
        let runtime = Handle::current();
        let driver = spawn("merge".to_owned(), move || runtime.block_on(driver.run(merge_inbox)))?;
        Ok(Job { stop, control, driver, status })
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
        let driver = self.driver;
        match tokio::task::spawn_blocking(move || driver.join()).await {
            Ok(Ok(result)) => result.map(|()| self.status.ledger()),
            Ok(Err(_)) => Err(StreamError::internal("the merge thread panicked")),
            Err(error) => Err(StreamError::internal(format!("nobody waits for the job: {error}"))),
        }
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn control(epoch: Epoch, promised: &[Watermark]) -> Control {
    Control {
        epoch: AtomicU64::new(epoch.number()),
        emission: AtomicU64::new(0),
        stop_after: AtomicU64::new(u64::MAX),
        drain: AtomicBool::new(false),
        abort: AtomicBool::new(false),
        promises: Promises::new(promised.iter().copied()),
    }
}

/// What compute threads are made of.
struct Workers<'a> {
    plan: &'a JobPlan,
    formats: &'a FormatRegistry,
    inputs: &'a [Input],
    clock: &'a Clock,
    epoch: Epoch,
    merge: mpsc::Sender<Vec<ToMerge>>,
}

impl Workers<'_> {
    /// As many as the script says, or `cores`, as far as there is something to read for each; and the graph that waits
    /// for them.
    fn prepare(
        self,
        cores: usize,
        status: &Status,
        control: &Arc<Control>,
    ) -> Result<(Vec<Worker>, Graph), StreamError> {
        let most = self.inputs.iter().map(Input::most_workers).max().unwrap_or(1).max(1);
        let count = self.plan.settings.parallelism.unwrap_or(cores).clamp(1, most);
        let mut graph = Graph::new(self.plan, count)?;
        let mut workers = Vec::with_capacity(count);
        for worker in 0..count {
            let plan = (self.plan, self.formats);
            let sources = worker_sources(plan, self.inputs, status.sources(), self.clock, (worker, count))?;
            for source in &sources {
                graph.expect(source.source, worker);
            }
            let (merge, control) = (self.merge.clone(), Arc::clone(control));
            workers.push(Worker::new(worker, sources, &self.plan.locals, merge, control, self.epoch)?);
        }
        Ok((workers, graph))
    }
}

fn start_threads(workers: Vec<Worker>) -> Result<Vec<thread::JoinHandle<()>>, StreamError> {
    let workers = workers.into_iter().enumerate();
    workers.map(|(number, worker)| spawn(format!("compute-{number}"), move || worker.run())).collect()
}

fn spawn<T: Send + 'static>(
    name: String,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<thread::JoinHandle<T>, StreamError> {
    let thread = thread::Builder::new().name(name).spawn(run);
    thread.map_err(|error| StreamError::internal(format!("cannot start a thread: {error}")))
}

/// Each sink as a task of its own, and the ways to them.
fn start_sinks(
    sinks: Vec<Box<dyn Sink>>,
    tables: Vec<TableDef>,
    status: &Status,
) -> (Vec<mpsc::Sender<ToSink>>, JoinSet<Result<(), StreamError>>) {
    let (mut outboxes, mut tasks) = (Vec::new(), JoinSet::new());
    for ((sink, table), (_, counters)) in sinks.into_iter().zip(tables).zip(status.sinks()) {
        let (outbox, inbox) = mpsc::channel(SINK_QUEUE);
        outboxes.push(outbox);
        tasks.spawn(sink_task::run(sink, table, Arc::clone(counters), inbox));
    }
    (outboxes, tasks)
}
