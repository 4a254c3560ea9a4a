//! The connector `memory`: partitions held by the test, which says how far they may be read and when they end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use plamatio_stream::{
    StreamError,
    source::{Polled, RawBatch, Reader, Source, SourceFactory, StartAt},
    table::TableDef,
    time::{Offset, PartitionId},
};
use tokio::sync::watch;

struct Inner {
    partitions: Vec<Vec<Vec<u8>>>,
    /// How many records of each partition there are so far, and whether no more will come.
    limit: Mutex<(usize, bool)>,
    changed: Condvar,
    /// How many records were handed over since the last open, over all partitions.
    handed: watch::Sender<usize>,
    /// How many records a partition hands over at a time.
    step: usize,
}

/// The records, shared with the test.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Inner>);

impl Memory {
    /// Partitions of which nothing can be read yet.
    pub(crate) fn new(partitions: Vec<Vec<Vec<u8>>>) -> Self {
        Memory(Arc::new(Inner {
            partitions,
            limit: Mutex::new((0, false)),
            changed: Condvar::new(),
            handed: watch::Sender::new(0),
            // A few at a time, so that barriers and stops come between.
            step: 7,
        }))
    }

    /// The same, with so many records at a time; only before anyone reads.
    pub(crate) fn in_steps(mut self, step: usize) -> Self {
        Arc::get_mut(&mut self.0).unwrap().step = step;
        self
    }

    /// Lets the first `records` of each partition be read.
    pub(crate) fn allow(&self, records: usize) {
        self.0.limit.lock().unwrap().0 = records;
        self.0.changed.notify_all();
    }

    /// Lets everything be read, to the end.
    pub(crate) fn end(&self) {
        *self.0.limit.lock().unwrap() = (usize::MAX, true);
        self.0.changed.notify_all();
    }

    /// Waits until `records` were handed over since the source was opened.
    pub(crate) async fn handed(&self, records: usize) {
        self.0.handed.subscribe().wait_for(|handed| *handed >= records).await.unwrap();
    }

    /// How many records were handed over since the source was opened.
    pub(crate) fn handed_so_far(&self) -> usize {
        *self.0.handed.borrow()
    }

    /// How many records there are in the first `limit` of each partition.
    pub(crate) fn count(&self, limit: usize) -> usize {
        self.0.partitions.iter().map(|lines| lines.len().min(limit)).sum()
    }
}

#[async_trait::async_trait]
impl SourceFactory for Memory {
    fn validate(&self, table: &TableDef) -> Result<(), StreamError> {
        // How it is reached, as a broker's options would say.
        table.options.with_prefix("properties.");
        Ok(())
    }

    async fn open(&self, _: &TableDef) -> Result<Arc<dyn Source>, StreamError> {
        self.0.handed.send_replace(0);
        Ok(Arc::new(self.clone()))
    }
}

impl Source for Memory {
    fn partitions(&self) -> Vec<PartitionId> {
        let id = |partition| PartitionId { topic: "memory".to_owned(), partition };
        (0..).take(self.0.partitions.len()).map(id).collect()
    }

    fn is_bounded(&self) -> bool {
        false
    }

    fn reader(&self, partitions: &[(PartitionId, StartAt)]) -> Result<Box<dyn Reader>, StreamError> {
        let next = |(id, start): &(PartitionId, StartAt)| match start {
            StartAt::Configured => (usize::try_from(id.partition).unwrap(), 0),
            StartAt::Position(offset) => {
                (usize::try_from(id.partition).unwrap(), usize::try_from(offset.get()).unwrap())
            }
        };
        Ok(Box::new(MemoryReader { memory: self.clone(), next: partitions.iter().map(next).collect() }))
    }

    fn commit(&self, _: &BTreeMap<PartitionId, Offset>) -> Result<(), StreamError> {
        Ok(())
    }
}

struct MemoryReader {
    memory: Memory,
    /// Partition and next record of each.
    next: Vec<(usize, usize)>,
}

impl Reader for MemoryReader {
    fn poll(&mut self, batches: &mut [RawBatch], _: usize, wait: Duration) -> Result<Polled, StreamError> {
        let inner = &self.memory.0;
        let (limit, ended) = *inner.limit.lock().unwrap();
        let mut handed = 0;
        for ((partition, next), batch) in self.next.iter_mut().zip(batches) {
            let until = inner.partitions[*partition].len().min(limit).min(*next + inner.step);
            for record in *next..until {
                batch
                    .push(&inner.partitions[*partition][record], Offset::new(i64::try_from(record).unwrap()));
            }
            handed += until.saturating_sub(*next);
            *next = until.max(*next);
        }
        if handed > 0 {
            inner.handed.send_modify(|all| *all += handed);
            return Ok(Polled::Records);
        }
        if ended {
            return Ok(Polled::End);
        }
        let limit_now = inner.limit.lock().unwrap();
        drop(inner.changed.wait_timeout(limit_now, wait).unwrap());
        Ok(Polled::Nothing)
    }

    fn drain(&mut self) -> Result<(), StreamError> {
        self.memory.0.limit.lock().unwrap().1 = true;
        Ok(())
    }

    fn has_ended(&self, partition: usize) -> bool {
        let (partition, next) = self.next[partition];
        self.memory.0.limit.lock().unwrap().1 && next == self.memory.0.partitions[partition].len()
    }
}
