//! A compute thread: the source partitions that belong to it, from bytes to partial aggregates.
//!
//! It shares nothing with other threads on the way. What it makes is flushed to the merge stage in this order,
//! so that a promise never overtakes the rows that it is about: partial aggregates and rows, then progress,
//! then a barrier. When it flushes is a matter of delay and memory only; no result depends on it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arrow::record_batch::RecordBatch;
use tokio::sync::mpsc;

use super::{
    checkpoint::PartitionState,
    dead_letters::DeadLetter,
    intake::{Accepted, IntakePlan, Partition},
};
use crate::{
    decode::Decoder,
    error::StreamError,
    ledger::{BatchCounts, SourceCounters},
    operator::{
        Partial,
        step::{Step, apply_all},
        window_aggregate::WindowPartial,
    },
    planner::{LocalPlan, Terminal},
    source::{Polled, RawBatch, Reader},
    time::{Epoch, EventTime, Progress, Watermark, combine},
};

/// Records that are read at once.
const MAX_RECORDS: usize = 8_192;
/// How long a thread waits for records when there are none.
const WAIT: Duration = Duration::from_millis(5);

/// From a compute thread to the merge task.
#[derive(Debug)]
pub enum ToMerge {
    /// Partial aggregates for a node.
    Partial {
        /// The worker.
        worker: usize,
        /// The node.
        node: usize,
        /// The source whose rows they are of.
        source: usize,
        /// The aggregates.
        partial: Partial,
    },
    /// Rows for a node.
    Rows {
        /// The worker.
        worker: usize,
        /// The node.
        node: usize,
        /// The rows.
        batch: RecordBatch,
    },
    /// How far a source has come on this worker.
    Progress {
        /// The worker.
        worker: usize,
        /// The source.
        source: usize,
        /// Its progress.
        progress: Progress,
    },
    /// Everything before it belongs to the epoch.
    Barrier {
        /// The worker.
        worker: usize,
        /// The epoch.
        epoch: Epoch,
        /// Positions and times of its partitions.
        partitions: Vec<PartitionState>,
        /// What it has counted since it started, by source.
        counts: Vec<(usize, BatchCounts)>,
    },
    /// Records to set aside. They come this way, not beside it, so that a barrier parts them too: those read
    /// after it are read again if its checkpoint is restored.
    SetAside {
        /// The worker.
        worker: usize,
        /// The records.
        letters: Vec<DeadLetter>,
    },
    /// The worker has read all there is.
    End {
        /// The worker.
        worker: usize,
        /// Positions and times of its partitions.
        partitions: Vec<PartitionState>,
        /// What it has counted since it started, by source.
        counts: Vec<(usize, BatchCounts)>,
    },
    /// The worker cannot go on.
    Failed {
        /// Why.
        error: StreamError,
    },
}

/// What the coordinator tells all workers.
#[derive(Debug)]
pub struct Control {
    /// The newest epoch whose barrier is due.
    pub epoch: AtomicU64,
    /// Stop after the barrier of this epoch.
    pub stop_after: AtomicU64,
    /// Read what is there now, then end as if the sources were bounded.
    pub drain: AtomicBool,
    /// Stop at once.
    pub abort: AtomicBool,
    /// How far the job has come, in microseconds.
    pub watermark_us: AtomicI64,
}

/// A source as one worker reads it.
pub struct WorkerSource {
    /// Its number in the plan.
    pub source: usize,
    /// What is the same for all its partitions.
    pub plan: IntakePlan,
    /// Reads the partitions.
    pub reader: Box<dyn Reader>,
    /// Decodes their records.
    pub decoder: Box<dyn Decoder>,
    /// The partitions, in the reader's order.
    pub partitions: Vec<Partition>,
    /// Shared with the other workers.
    pub counters: Arc<SourceCounters>,
    /// What this worker has counted since it started.
    pub counts: BatchCounts,
    /// Filled at each poll, in the partitions' order.
    pub batches: Vec<RawBatch>,
    /// Read to the end.
    pub ended: bool,
    /// Records lost, as reported last.
    pub lost: u64,
}

struct Chain {
    source: usize,
    node: usize,
    steps: Vec<Step>,
    window: Option<WindowPartial>,
    rows: Vec<RecordBatch>,
}

/// A compute thread's work.
pub struct Worker {
    id: usize,
    sources: Vec<WorkerSource>,
    chains: Vec<Chain>,
    merge: mpsc::Sender<ToMerge>,
    control: Arc<Control>,
    flush_interval: Duration,
    sent: Vec<Option<Progress>>,
    epoch: Epoch,
}

/// Why a worker stops early.
enum Halt {
    Failed(StreamError),
    /// The other side is gone: whoever ended the job has the reason.
    Gone,
}

impl From<StreamError> for Halt {
    fn from(error: StreamError) -> Self {
        Halt::Failed(error)
    }
}

impl Worker {
    /// A worker over these sources; it runs the local chains of each.
    pub fn new(
        id: usize,
        sources: Vec<WorkerSource>,
        locals: &[LocalPlan],
        merge: mpsc::Sender<ToMerge>,
        control: Arc<Control>,
        flush_interval: Duration,
        epoch: Epoch,
    ) -> Result<Self, StreamError> {
        let mut chains = Vec::new();
        for local in locals.iter().filter(|local| sources.iter().any(|source| source.source == local.source))
        {
            let window = match &local.terminal {
                Terminal::Forward => None,
                Terminal::Window(spec) => Some(WindowPartial::new(Arc::clone(spec))?),
            };
            chains.push(Chain {
                source: local.source,
                node: local.node,
                steps: local.steps.clone(),
                window,
                rows: Vec::new(),
            });
        }
        let sent = vec![None; sources.len()];
        Ok(Worker { id, sources, chains, merge, control, flush_interval, sent, epoch })
    }

    /// Works until its sources end, the job stops, or something fails; says so to the merge task.
    pub fn run(mut self) {
        match self.work() {
            Ok(()) | Err(Halt::Gone) => {}
            Err(Halt::Failed(error)) => {
                // If the merge task is gone too, the job ends for its own reason.
                let _gone = self.merge.blocking_send(ToMerge::Failed { error });
            }
        }
    }

    fn work(&mut self) -> Result<(), Halt> {
        let mut flushed = Instant::now();
        let mut waited = false;
        let mut draining = false;
        loop {
            if self.control.abort.load(Ordering::Relaxed) {
                return Ok(());
            }
            if !draining && self.control.drain.load(Ordering::Acquire) {
                draining = true;
                for source in self.sources.iter_mut().filter(|source| !source.ended) {
                    source.reader.drain()?;
                }
            }
            let due = Epoch::new(self.control.epoch.load(Ordering::Acquire));
            if due > self.epoch {
                self.flush()?;
                self.epoch = due;
                let (partitions, counts) = (self.partition_states()?, self.counts());
                self.send(ToMerge::Barrier { worker: self.id, epoch: due, partitions, counts })?;
                flushed = Instant::now();
                if due.number() >= self.control.stop_after.load(Ordering::Acquire) {
                    return Ok(());
                }
            }
            let read = self.read(if waited { WAIT } else { Duration::ZERO })?;
            waited = !read;
            if self.sources.iter().all(|source| source.ended) {
                self.flush()?;
                let (partitions, counts) = (self.partition_states()?, self.counts());
                return self.send(ToMerge::End { worker: self.id, partitions, counts });
            }
            if flushed.elapsed() >= self.flush_interval {
                self.flush()?;
                flushed = Instant::now();
            }
        }
    }

    /// Reads every source once; whether anything came.
    fn read(&mut self, wait: Duration) -> Result<bool, Halt> {
        let mut any = false;
        let job_watermark =
            Watermark::at(EventTime::from_micros(self.control.watermark_us.load(Ordering::Relaxed)));
        for source in &mut self.sources {
            if source.ended {
                continue;
            }
            let polled = source.reader.poll(&mut source.batches, MAX_RECORDS, wait)?;
            let now = Instant::now();
            if source.reader.lost() > source.lost {
                let lost = source.reader.lost() - source.lost;
                source.lost += lost;
                metrics::counter!("plamatio_source_lost_records_total", "source" => source.plan.table.to_string())
                    .increment(lost);
                tracing::error!(table = %source.plan.table, lost, "records are gone from the source before they were read");
            }
            for (index, (partition, raw)) in source.partitions.iter_mut().zip(&mut source.batches).enumerate()
            {
                if !raw.is_empty() {
                    any = true;
                    let intake =
                        partition.take_in(&source.plan, source.decoder.as_mut(), raw, now, job_watermark)?;
                    raw.clear();
                    if let Some(max) = partition.max_time_us() {
                        source.counters.saw_event_time(max);
                    }
                    for accepted in &intake.rows {
                        for chain in self.chains.iter_mut().filter(|chain| chain.source == source.source) {
                            chain.take(accepted)?;
                        }
                    }
                    if !intake.dead_letters.is_empty() {
                        let message = ToMerge::SetAside { worker: self.id, letters: intake.dead_letters };
                        self.merge.blocking_send(message).map_err(|_| Halt::Gone)?;
                    }
                    source.counters.add(&intake.counts);
                    source.counts.add(&intake.counts);
                } else {
                    partition.check_idle(now, source.plan.source.options.idle_timeout);
                }
                if source.reader.has_ended(index) {
                    partition.end();
                }
            }
            if polled == Polled::End {
                source.ended = true;
                source.partitions.iter_mut().for_each(Partition::end);
            }
        }
        Ok(any)
    }

    /// Sends what the chains hold, then how far the sources have come.
    fn flush(&mut self) -> Result<(), Halt> {
        for index in 0..self.chains.len() {
            let chain = &mut self.chains[index];
            let (node, source) = (chain.node, chain.source);
            let partials = match &mut chain.window {
                Some(window) => window.take()?,
                None => Vec::new(),
            };
            let rows = std::mem::take(&mut chain.rows);
            for partial in partials {
                self.send(ToMerge::Partial { worker: self.id, node, source, partial })?;
            }
            for batch in rows {
                self.send(ToMerge::Rows { worker: self.id, node, batch })?;
            }
        }
        for index in 0..self.sources.len() {
            let source = &self.sources[index];
            let Some(watermark) = combine(source.partitions.iter().map(Partition::progress)) else {
                continue;
            };
            let idle = source.partitions.iter().all(|p| matches!(p.progress(), Progress::Idle(_)));
            let progress = if idle { Progress::Idle(watermark) } else { Progress::Active(watermark) };
            if self.sent[index] != Some(progress) {
                self.sent[index] = Some(progress);
                self.send(ToMerge::Progress { worker: self.id, source: source.source, progress })?;
            }
        }
        Ok(())
    }

    fn partition_states(&mut self) -> Result<Vec<PartitionState>, StreamError> {
        let mut states = Vec::new();
        for source in &mut self.sources {
            for partition in &mut source.partitions {
                states.push(PartitionState::of(source.source, partition)?);
            }
        }
        Ok(states)
    }

    fn counts(&self) -> Vec<(usize, BatchCounts)> {
        self.sources.iter().map(|source| (source.source, source.counts)).collect()
    }

    fn send(&self, message: ToMerge) -> Result<(), Halt> {
        self.merge.blocking_send(message).map_err(|_| Halt::Gone)
    }
}

impl Chain {
    fn take(&mut self, accepted: &Accepted) -> Result<(), StreamError> {
        if let Some(batch) = apply_all(&self.steps, &accepted.batch)? {
            match &mut self.window {
                Some(window) => {
                    window.update(&batch, accepted.late_at)?;
                }
                None => self.rows.push(batch),
            }
        }
        Ok(())
    }
}
