//! Slots by the time at which they are due.
//!
//! Time is cut into ticks, each with a list of the slots due in it. A slot is never moved while it waits: whoever
//! put it there looks, when its turn comes, whether it is due by now, and puts it back if not.
//!
//! The lists are plain ones rather than links through the slots' own entries: a link is found only by reading the
//! entry before it, one wait for memory after another.

use std::collections::BTreeMap;

use crate::operator::aggregate::slots::words::Slot;

/// Lists of slots by tick.
#[derive(Debug)]
pub struct Wheel {
    tick_us: i64,
    ticks: BTreeMap<i64, Vec<Slot>>,
}

impl Wheel {
    /// With ticks of this length.
    pub fn new(tick_us: i64) -> Self {
        Wheel { tick_us, ticks: BTreeMap::new() }
    }

    /// Puts a slot in for the time `due_us`.
    pub fn put(&mut self, slot: Slot, due_us: i64) {
        self.ticks.entry(due_us.div_euclid(self.tick_us)).or_default().push(slot);
    }

    /// The end of the first ticks that hold `many` slots together, or `limit_us` if that comes first.
    pub fn until(&self, limit_us: i64, many: usize) -> i64 {
        let mut waiting = 0;
        for (tick, slots) in &self.ticks {
            waiting += slots.len();
            if waiting >= many {
                return tick.saturating_add(1).saturating_mul(self.tick_us).min(limit_us);
            }
        }
        limit_us
    }

    /// Takes out all slots of the ticks up to the one of `now_us`; of that last one some may not be due yet.
    pub fn take(&mut self, now_us: i64) -> Vec<Slot> {
        let last = now_us.div_euclid(self.tick_us);
        let mut taken = Vec::new();
        while let Some(entry) = self.ticks.first_entry() {
            if *entry.key() > last {
                break;
            }
            taken.append(&mut entry.remove());
        }
        taken
    }
}
