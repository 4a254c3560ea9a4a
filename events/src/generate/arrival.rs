//! Puts records into arrival order.
//!
//! **On time.** A record with event time `t` arrives at `t + d`, with `0 <= d <= max_disorder`. Whatever
//! arrived before it has an event time of at most its own arrival, so at most `t + d`: no record lies
//! further than `max_disorder` below the highest event time seen.
//!
//! **Late.** A late record is held until an event time above `t + late_by` has been given out. So it is late
//! by construction, however thin the traffic.
//!
//! Records with equal arrival keep the order in which they were put in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Generated;

/// Time, then order of insertion, then place in the slab.
type Entry = Reverse<(i64, u64, u32)>;

#[derive(Debug)]
pub(crate) struct Arrivals {
    on_time: BinaryHeap<Entry>,
    held: BinaryHeap<Entry>,
    slab: Vec<Option<Generated>>,
    free: Vec<u32>,
    sequence: u64,
    highest_ms: i64,
}

impl Arrivals {
    pub(crate) fn new() -> Self {
        Arrivals {
            on_time: BinaryHeap::new(),
            held: BinaryHeap::new(),
            slab: Vec::new(),
            free: Vec::new(),
            sequence: 0,
            highest_ms: i64::MIN,
        }
    }

    /// Puts in a record that arrives at `arrival_ms`, not before its event time.
    pub(crate) fn push(&mut self, arrival_ms: i64, record: Generated) {
        let entry = self.store(arrival_ms, record);
        self.on_time.push(entry);
    }

    /// Puts in a record that arrives once an event time above `threshold_ms` has been given out.
    pub(crate) fn hold(&mut self, threshold_ms: i64, record: Generated) {
        let entry = self.store(threshold_ms, record);
        self.held.push(entry);
    }

    /// The next record; `None` when none arrives up to `horizon_ms`. The caller promises to put in none that
    /// arrives before it.
    pub(crate) fn pop(&mut self, horizon_ms: i64) -> Option<Generated> {
        if self.held.peek().is_some_and(|Reverse((threshold, ..))| *threshold < self.highest_ms) {
            let Reverse((_, _, slot)) = self.held.pop()?;
            return self.take(slot);
        }
        if self.on_time.peek().is_none_or(|Reverse((arrival, ..))| *arrival > horizon_ms) {
            return None;
        }
        let Reverse((_, _, slot)) = self.on_time.pop()?;
        let record = self.take(slot)?;
        self.highest_ms = self.highest_ms.max(record.time_ms);
        Some(record)
    }

    /// When the next record arrives, of those put in.
    pub(crate) fn next_ms(&self) -> Option<i64> {
        self.on_time.peek().map(|Reverse((arrival, ..))| *arrival)
    }

    fn store(&mut self, key_ms: i64, record: Generated) -> Entry {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slab[slot as usize] = Some(record);
                slot
            }
            None => {
                self.slab.push(Some(record));
                (self.slab.len() - 1) as u32
            }
        };
        self.sequence += 1;
        Reverse((key_ms, self.sequence, slot))
    }

    fn take(&mut self, slot: u32) -> Option<Generated> {
        self.free.push(slot);
        self.slab[slot as usize].take()
    }
}
