//! A compute thread: the source partitions that belong to it, from bytes to partial aggregates.
//!
//! It shares nothing with other threads on the way, save a short turn at a partition that several read. What it
//! makes is flushed to the merge stage in this order, so that a promise never overtakes the rows that it is
//! about: partial aggregates and rows, then progress, then a barrier. What is flushed depends on who waits for
//! it: everything for a barrier and for an emission of provisional rows, which the merge thread asks for; every
//! `FLUSH_RECORDS` and every `FLUSH_INTERVAL` all sessions, but only those panes that are over, so that a group of
//! a pane is merged once and not at every flush. When it is flushed is a matter of delay and memory; no result
//! depends on it.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use arrow::record_batch::RecordBatch;
use tokio::sync::mpsc;

use super::{
    checkpoint::PartitionState,
    intake::{Accepted, Decoded, Intake, IntakePlan, Records},
    messages::{Control, Gone, Outbox, ToMerge},
    partition::SharedPartition,
};
use crate::{
    decode::Decoder,
    error::StreamError,
    ledger::{SourceCounters, SourceLedger},
    operator::{
        step::{Step, apply_all},
        window_aggregate::WindowPartial,
    },
    planner::{LocalPlan, Terminal},
    source::{Polled, RawBatch, Reader},
    time::{Epoch, Progress, Watermark, combine},
};

/// Records that are read at once.
const MAX_RECORDS: usize = 8_192;
/// Runs that a thread decodes ahead while another, which has the turn, is held up: threads that wait for each other
/// leave a core idle until they are woken. Only where there is one source: a reader that shares partitions fills one of
/// them a poll, so the runs that wait are all of the partition polled last, and a thread waits for the oldest run it
/// has; whoever it waits for is at an older one. With runs of two sources two threads could wait for each other.
const MOST_WAITING: usize = 4;
/// How long a thread waits for records when there are none.
const WAIT: Duration = Duration::from_millis(5);
/// Sessions and what may close are handed over after so many records. Seldom would merge a group less often, but what a thread
/// holds then no longer stays in its cache.
const FLUSH_RECORDS: u64 = 20_000;
/// The same after so long, where records come slowly.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);

/// A source as one worker reads it.
pub(crate) struct WorkerSource {
    /// Its number in the plan.
    pub(crate) source: usize,
    /// What is the same for all its partitions.
    pub(crate) plan: IntakePlan,
    /// Reads the partitions.
    pub(crate) reader: Box<dyn Reader>,
    /// Decodes their records.
    pub(crate) decoder: Box<dyn Decoder>,
    /// The partitions, in the reader's order.
    pub(crate) partitions: Vec<WorkerPartition>,
    /// Shared with the other workers.
    pub(crate) counters: Arc<SourceCounters>,
    /// What this worker has counted since it started.
    pub(crate) counts: SourceLedger,
    /// Filled at each poll, in the partitions' order.
    pub(crate) batches: Vec<RawBatch>,
    /// Read to the end.
    pub(crate) ended: bool,
    /// Records lost, as reported last.
    pub(crate) lost: u64,
}

/// A partition as one worker sees it.
pub(crate) struct WorkerPartition {
    shared: Arc<SharedPartition>,
    /// After what this worker has taken in of it.
    progress: Progress,
    /// Decoded, and not taken in yet since runs of other workers come first.
    waiting: VecDeque<Waiting>,
    /// Empty ones; the last one was used last and is the one most likely still in the cache.
    spare: Vec<RawBatch>,
}

struct Waiting {
    raw: RawBatch,
    decoded: Decoded,
    intake: Intake,
}

impl WorkerPartition {
    /// Nothing read yet.
    pub(crate) fn new(shared: Arc<SharedPartition>) -> Self {
        WorkerPartition {
            shared,
            progress: Progress::Active(Watermark::START),
            waiting: VecDeque::new(),
            spare: Vec::new(),
        }
    }
}

/// What is sent to the merge stage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    /// Everything.
    All,
    /// What windows need that may close now, and sessions.
    Closed,
}

struct Chain {
    source: usize,
    node: usize,
    steps: Vec<Step>,
    window: Option<WindowPartial>,
    rows: Vec<RecordBatch>,
}

/// A compute thread's work.
pub(crate) struct Worker {
    id: usize,
    sources: Vec<WorkerSource>,
    chains: Vec<Chain>,
    outbox: Outbox,
    control: Arc<Control>,
    /// The progress that was told last, by source, and the awakenings it knew of.
    sent: Vec<Option<(Progress, u64)>>,
    /// Awakenings of partitions, by source.
    wakes: Vec<u64>,
    /// Records taken in since the last flush.
    unflushed: u64,
    epoch: Epoch,
    /// The newest emission that it has answered.
    emission: u64,
    /// Came to its end as it should.
    done: bool,
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

impl From<Gone> for Halt {
    fn from(_: Gone) -> Self {
        Halt::Gone
    }
}

impl Worker {
    /// A worker over these sources; it runs the local chains of each.
    pub(crate) fn new(
        id: usize,
        sources: Vec<WorkerSource>,
        locals: &[LocalPlan],
        merge: mpsc::Sender<Vec<ToMerge>>,
        control: Arc<Control>,
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
        let wakes = vec![0; sources.len()];
        Ok(Worker {
            id,
            sources,
            chains,
            outbox: Outbox::new(merge),
            control,
            sent,
            wakes,
            unflushed: 0,
            epoch,
            emission: 0,
            done: false,
        })
    }

    /// Works until its sources end, the job stops, or something fails; says so to the merge thread.
    pub(crate) fn run(mut self) {
        match self.work() {
            Ok(()) => self.done = true,
            Err(Halt::Gone) => {}
            Err(Halt::Failed(error)) => self.outbox.fail(error),
        }
    }

    fn work(&mut self) -> Result<(), Halt> {
        let mut flushed = Instant::now();
        let mut waited = false;
        let mut draining = false;
        loop {
            if self.control.abort.load(Ordering::Relaxed) {
                return Err(Halt::Gone);
            }
            if !draining && self.control.drain.load(Ordering::Acquire) {
                draining = true;
                for source in self.sources.iter_mut().filter(|source| !source.ended) {
                    source.reader.drain()?;
                }
            }
            let due = Epoch::new(self.control.epoch.load(Ordering::Acquire));
            if due > self.epoch {
                // What was read belongs to the epoch; other threads wait for it too.
                for source in 0..self.sources.len() {
                    for partition in 0..self.sources[source].partitions.len() {
                        if !self.sources[source].partitions[partition].waiting.is_empty() {
                            self.take_in(source, partition, 0)?;
                        }
                    }
                }
                self.flush(Flush::All)?;
                self.epoch = due;
                let (partitions, counts) = (self.partition_states()?, self.counts());
                self.outbox.send(ToMerge::Barrier { worker: self.id, epoch: due, partitions, counts })?;
                flushed = Instant::now();
                if due.number() >= self.control.stop_after.load(Ordering::Acquire) {
                    return Ok(());
                }
            }
            let emission = self.control.emission.load(Ordering::Acquire);
            if emission > self.emission {
                self.flush(Flush::All)?;
                self.emission = emission;
                self.outbox.send(ToMerge::Ready { worker: self.id, emission })?;
                flushed = Instant::now();
            }
            let read = self.read(if waited { WAIT } else { Duration::ZERO })?;
            waited = !read;
            if self.sources.iter().all(|source| source.ended) {
                self.flush(Flush::All)?;
                let (partitions, counts) = (self.partition_states()?, self.counts());
                return Ok(self.outbox.send(ToMerge::End { worker: self.id, partitions, counts })?);
            }
            if self.unflushed >= FLUSH_RECORDS || flushed.elapsed() >= FLUSH_INTERVAL {
                self.flush(Flush::Closed)?;
                self.outbox.send_waiting()?;
                flushed = Instant::now();
            }
        }
    }

    /// Reads every source once; whether anything came.
    fn read(&mut self, wait: Duration) -> Result<bool, Halt> {
        let mut any = false;
        let most_waiting = if self.sources.len() == 1 { MOST_WAITING } else { 0 };
        for index in 0..self.sources.len() {
            let source = &mut self.sources[index];
            if source.ended {
                continue;
            }
            for (raw, of) in source.batches.iter_mut().zip(&mut source.partitions) {
                // What was decoded took its bytes along.
                if let Some(spare) = of.spare.pop() {
                    *raw = spare;
                }
            }
            let polled = source.reader.poll(&mut source.batches, MAX_RECORDS, wait)?;
            if source.reader.lost() > source.lost {
                let lost = source.reader.lost() - source.lost;
                source.lost += lost;
                metrics::counter!("plamatio_source_lost_records_total", "source" => source.plan.table.to_string())
                    .increment(lost);
                tracing::error!(table = %source.plan.table, lost, "records are gone from the source before they were read");
            }
            for partition in 0..source.batches.len() {
                let came = self.sources[index].decode(partition)?;
                any |= came;
                // Where nothing came there is nothing better to do than to wait.
                self.take_in(index, partition, if came { most_waiting } else { 0 })?;
                let source = &mut self.sources[index];
                let has_ended = source.reader.has_ended(partition);
                let partition = &mut source.partitions[partition];
                if has_ended && partition.waiting.is_empty() {
                    partition.progress = Progress::Active(Watermark::END);
                }
            }
            if polled == Polled::End {
                let source = &mut self.sources[index];
                source.ended = true;
                for partition in &mut source.partitions {
                    partition.progress = Progress::Active(Watermark::END);
                }
            }
        }
        Ok(any)
    }

    /// Takes in what was decoded of a partition, as far as its turn has come; waits for that where more than `most`
    /// are left.
    fn take_in(&mut self, source: usize, partition: usize, most: usize) -> Result<(), Halt> {
        let now = Instant::now();
        let from = &mut self.sources[source];
        let of = &mut from.partitions[partition];
        let mut wake = || {
            let wake = self.control.promises.wake(from.source, self.id);
            self.wakes[source] = wake.number;
            wake.at
        };
        if of.waiting.is_empty() {
            let (reader, timeout) = (&mut from.reader, from.plan.source.options.idle_timeout);
            let may_be_caught_up = reader.may_be_caught_up(partition);
            let mut held = of.shared.hold(None).ok_or(Halt::Gone)?;
            let stays = held.note_quiet(now, timeout, may_be_caught_up, || reader.is_caught_up(partition))?;
            if !stays && held.is_idle() {
                held.wake(wake());
            }
            of.progress = held.progress();
            return Ok(());
        }
        while of.waiting.len() > most
            || of.waiting.front().is_some_and(|next| of.shared.is_next(next.raw.turn()))
        {
            let Some(Waiting { mut raw, decoded, mut intake }) = of.waiting.pop_front() else { break };
            {
                let records = Records { plan: &from.plan, partition: of.shared.id(), raw: &raw };
                let mut held = of.shared.hold(raw.turn()).ok_or(Halt::Gone)?;
                if held.is_idle() {
                    held.wake(wake());
                }
                held.take_in(&records, decoded, now, &mut intake)?;
                of.progress = held.progress();
                if let Some(max) = held.max_time_us() {
                    from.counters.saw_event_time(max);
                }
            }
            raw.clear();
            of.spare.push(raw);
            for accepted in &intake.rows {
                for chain in self.chains.iter_mut().filter(|chain| chain.source == from.source) {
                    chain.take(accepted)?;
                }
            }
            self.unflushed += intake.counts.read;
            from.counters.add(&intake.counts);
            from.counts.add(&intake.counts);
            if !intake.dead_letters.is_empty() {
                // At once: they are as large as they came.
                self.outbox.send(ToMerge::SetAside { worker: self.id, letters: intake.dead_letters })?;
            }
        }
        Ok(())
    }

    /// Puts out what the chains hold, then how far the sources have come.
    fn flush(&mut self, what: Flush) -> Result<(), StreamError> {
        self.unflushed = 0;
        for index in 0..self.sources.len() {
            let source = self.sources[index].source;
            let partitions = &self.sources[index].partitions;
            let progress = combine(partitions.iter().map(|partition| partition.progress)).map(|watermark| {
                let idle = partitions.iter().all(|p| matches!(p.progress, Progress::Idle(_)));
                if idle { Progress::Idle(watermark) } else { Progress::Active(watermark) }
            });
            let closed_at = match (what, progress) {
                (Flush::All, _) => None,
                (Flush::Closed, None) => continue,
                // Nobody waits for an idle worker: what it holds must not be missed.
                (Flush::Closed, Some(Progress::Idle(_))) => None,
                (Flush::Closed, Some(progress)) => Some(progress.watermark()),
            };
            for chain in self.chains.iter_mut().filter(|chain| chain.source == source) {
                let node = chain.node;
                let partials = match &mut chain.window {
                    Some(window) => window.take(closed_at)?,
                    None => Vec::new(),
                };
                for partial in partials {
                    self.outbox.push(ToMerge::Partial { worker: self.id, node, source, partial });
                }
                for batch in std::mem::take(&mut chain.rows) {
                    self.outbox.push(ToMerge::Rows { worker: self.id, node, batch });
                }
            }
            let Some(progress) = progress else { continue };
            let wakes = self.wakes[index];
            if self.sent[index] != Some((progress, wakes)) {
                self.sent[index] = Some((progress, wakes));
                self.outbox.push(ToMerge::Progress { worker: self.id, source, progress, wakes });
            }
        }
        Ok(())
    }

    fn partition_states(&mut self) -> Result<Vec<PartitionState>, StreamError> {
        let mut states = Vec::new();
        for source in &self.sources {
            for partition in &source.partitions {
                // A partition that another thread gave up has no state worth keeping; that thread's error ends the job.
                if let Some(mut held) = partition.shared.hold(None) {
                    states.push(PartitionState::of(source.source, &mut held)?);
                }
            }
        }
        Ok(states)
    }

    fn counts(&self) -> Vec<(usize, SourceLedger)> {
        self.sources.iter().map(|source| (source.source, source.counts)).collect()
    }
}

impl WorkerSource {
    /// Decodes what was polled of a partition and lets it wait for its turn; whether there was anything.
    fn decode(&mut self, partition: usize) -> Result<bool, StreamError> {
        let (raw, of) = (&mut self.batches[partition], &mut self.partitions[partition]);
        if raw.is_empty() && raw.turn().is_none() {
            return Ok(false);
        }
        let mut intake = Intake::default();
        let records = Records { plan: &self.plan, partition: of.shared.id(), raw };
        let decoded = records.decode(self.decoder.as_mut(), &mut intake)?;
        of.waiting.push_back(Waiting { raw: std::mem::take(raw), decoded, intake });
        Ok(true)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        // Also after a panic: a run that was taken and not taken in would be waited for in vain.
        for partition in self.sources.iter().flat_map(|source| &source.partitions) {
            partition.shared.abandon();
        }
        if std::thread::panicking() {
            self.outbox.fail(StreamError::internal("a compute thread panicked"));
        }
    }
}

impl Chain {
    fn take(&mut self, accepted: &Accepted) -> Result<(), StreamError> {
        if let Some(batch) = apply_all(&self.steps, &accepted.batch, accepted.late_at)? {
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
