//! A publisher that keeps records in memory, in order. For tests, and for running without Kafka where losing
//! the events is wanted; nothing bounds its memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{EventPublisher, PublishError, Record};

#[derive(Debug, Default)]
struct Inner {
    records: Vec<Record>,
    down: bool,
}

/// The list of everything published. Clone-free: share it in an `Arc`.
#[derive(Debug, Default)]
pub struct MemoryPublisher {
    inner: Mutex<Inner>,
}

impl MemoryPublisher {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The list stays consistent whatever a panicking holder did: pushes are single steps.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything acknowledged so far, oldest first.
    pub fn records(&self) -> Vec<Record> {
        self.lock().records.clone()
    }

    /// While down, every record fails and the check does too.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }
}

#[async_trait]
impl EventPublisher for MemoryPublisher {
    async fn publish(&self, records: &[Record]) -> Vec<Result<(), PublishError>> {
        let mut inner = self.lock();
        if inner.down {
            return records.iter().map(|_| Err(PublishError::TimedOut)).collect();
        }
        inner.records.extend_from_slice(records);
        records.iter().map(|_| Ok(())).collect()
    }

    async fn check(&self) -> Result<(), PublishError> {
        if self.lock().down { Err(PublishError::TimedOut) } else { Ok(()) }
    }
}
