//! What compute threads and merge thread tell each other: a thread sends [`ToMerge`], many at once through its
//! [`Outbox`]; the task sets what it wants of all threads in [`Control`], at which they look between two reads.

use std::sync::atomic::{AtomicBool, AtomicU64};

use arrow::record_batch::RecordBatch;
use tokio::sync::mpsc;

use super::{checkpoint::PartitionState, dead_letters::DeadLetter, promises::Promises};
use crate::{
    error::StreamError,
    ledger::SourceLedger,
    operator::Partial,
    time::{Epoch, Progress},
};

/// Flushes between compute threads and merge thread that may wait: enough for the threads to go on while windows are
/// written, and few, since each may hold the sessions of [`FLUSH_RECORDS`](super::worker) records.
pub(super) const MERGE_QUEUE: usize = 8;

/// From a compute thread to the merge thread.
#[derive(Debug)]
pub(crate) enum ToMerge {
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
        /// The awakenings of the source's partitions that it knows of; see [`promises`](super::promises).
        wakes: u64,
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
        counts: Vec<(usize, SourceLedger)>,
    },
    /// Everything before it belongs to the emission; nothing taken in by then is missing from it.
    Ready {
        /// The worker.
        worker: usize,
        /// The emission.
        emission: u64,
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
        counts: Vec<(usize, SourceLedger)>,
    },
    /// The worker cannot go on.
    Failed {
        /// Why.
        error: StreamError,
    },
}

/// What the coordinator tells all workers.
#[derive(Debug)]
pub(crate) struct Control {
    /// The newest epoch whose barrier is due.
    pub(crate) epoch: AtomicU64,
    /// Provisional rows are due: each worker hands over what it holds and answers with this number. They are
    /// asked for rather than sent now and then, so that a provisional value is as new as can be and what a thread
    /// has counted is merged once an emission.
    pub(crate) emission: AtomicU64,
    /// Stop after the barrier of this epoch.
    pub(crate) stop_after: AtomicU64,
    /// Read what is there now, then end as if the sources were bounded.
    pub(crate) drain: AtomicBool,
    /// Stop at once.
    pub(crate) abort: AtomicBool,
    /// What has been promised of the sources.
    pub(crate) promises: Promises,
}

/// The merge thread has ended.
pub(crate) struct Gone;

/// A thread's messages on their way to the merge thread.
pub(crate) struct Outbox {
    merge: mpsc::Sender<Vec<ToMerge>>,
    waiting: Vec<ToMerge>,
}

impl Outbox {
    /// Nothing to send yet.
    pub(crate) fn new(merge: mpsc::Sender<Vec<ToMerge>>) -> Self {
        Outbox { merge, waiting: Vec::new() }
    }

    /// Adds a message, to be sent with others.
    pub(crate) fn push(&mut self, message: ToMerge) {
        self.waiting.push(message);
    }

    /// Sends a message and all that wait before it, at once: the merge thread is woken once.
    pub(crate) fn send(&mut self, message: ToMerge) -> Result<(), Gone> {
        self.push(message);
        self.send_waiting()
    }

    /// Sends what waits, if anything does.
    pub(crate) fn send_waiting(&mut self) -> Result<(), Gone> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.merge.blocking_send(std::mem::take(&mut self.waiting)).map_err(|_| Gone)
    }

    /// Says that the thread cannot go on; what waits is dropped with it.
    pub(crate) fn fail(&mut self, error: StreamError) {
        self.waiting.clear();
        // If the merge thread is gone too, the job ends for its own reason.
        let _gone = self.send(ToMerge::Failed { error });
    }
}
