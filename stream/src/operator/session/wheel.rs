//! Slots by the time at which they are due.
//!
//! Time is cut into ticks; the slots due in one tick are a list through the slots' own entries, so that a slot
//! costs four bytes here. A slot is never moved while it waits: whoever put it there looks, when its turn comes,
//! whether it is due by now, and puts it back if not.

use std::collections::BTreeMap;

use crate::operator::aggregate::slots::Slot;

/// Where the lists' links are kept.
pub trait Links {
    /// The slot behind `slot` in its list.
    fn next(&mut self, slot: Slot) -> &mut Slot;
}

/// Lists of slots by tick.
#[derive(Debug)]
pub struct Wheel {
    tick_us: i64,
    /// The first slot of each list, and how many there are.
    heads: BTreeMap<i64, (Slot, usize)>,
}

impl Wheel {
    /// With ticks of this length.
    pub fn new(tick_us: i64) -> Self {
        Wheel { tick_us, heads: BTreeMap::new() }
    }

    /// Puts a slot in for the time `due_us`.
    pub fn put(&mut self, links: &mut impl Links, slot: Slot, due_us: i64) {
        let tick = due_us.div_euclid(self.tick_us);
        let (head, count) = self.heads.entry(tick).or_insert((Slot::MAX, 0));
        *links.next(slot) = std::mem::replace(head, slot);
        *count += 1;
    }

    /// The end of the first ticks that hold `many` slots together, or `limit_us` if that comes first.
    pub fn until(&self, limit_us: i64, many: usize) -> i64 {
        let mut waiting = 0;
        for (tick, (_, count)) in &self.heads {
            waiting += count;
            if waiting >= many {
                return tick.saturating_add(1).saturating_mul(self.tick_us).min(limit_us);
            }
        }
        limit_us
    }

    /// Takes out all slots of the ticks up to the one of `now_us`; of that last one some may not be due yet.
    pub fn take(&mut self, links: &mut impl Links, now_us: i64) -> Vec<Slot> {
        let last = now_us.div_euclid(self.tick_us);
        let mut taken = Vec::new();
        while let Some(entry) = self.heads.first_entry() {
            if *entry.key() > last {
                break;
            }
            let (mut slot, _) = entry.remove();
            while slot != Slot::MAX {
                taken.push(slot);
                slot = *links.next(slot);
            }
        }
        taken
    }
}
