//! Distinct sessions a minute that viewed, put into the cart and ordered: one table a minute, from a session's
//! hash to three bits. Two sessions with the same 64 bits would count as one; among ten million in a minute
//! the odds are one in 400,000.

use std::collections::{BTreeMap, HashMap};

use super::{MINUTE_MS, hash::Mixing, scan::Kind};

/// One minute: how many sessions did each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Sessions with a view.
    pub viewed: i64,
    /// Sessions with an addition.
    pub carted: i64,
    /// Sessions with an order.
    pub ordered: i64,
}

impl Steps {
    /// Adds those of other sessions.
    pub fn add(&mut self, other: Steps) {
        self.viewed += other.viewed;
        self.carted += other.carted;
        self.ordered += other.ordered;
    }
}

type Masks = HashMap<u64, u8, Mixing>;

/// The minutes that a thread has counted and not handed over.
#[derive(Debug, Default)]
pub struct Funnel {
    minute: i64,
    /// Of `minute`, once there was an event.
    current: Option<Masks>,
    others: BTreeMap<i64, Masks>,
}

impl Funnel {
    /// Counts an event of the session with this hash.
    pub fn add(&mut self, time_ms: i64, session: u64, kind: Kind) {
        let minute = time_ms.div_euclid(MINUTE_MS);
        if minute != self.minute {
            let next = self.others.remove(&minute);
            if let Some(last) = std::mem::replace(&mut self.current, next) {
                self.others.insert(self.minute, last);
            }
            self.minute = minute;
        }
        // A minute with nothing but other events has a row too.
        let masks = self.current.get_or_insert_default();
        let bit = match kind {
            Kind::View => 1,
            Kind::Addition => 2,
            Kind::Order => 4,
            Kind::Other => return,
        };
        *masks.entry(session).or_default() |= bit;
    }

    /// Takes out the minutes below `before`.
    pub fn take(&mut self, before: i64) -> BTreeMap<i64, Steps> {
        let later = self.others.split_off(&before);
        let mut taken = std::mem::replace(&mut self.others, later);
        if self.minute < before
            && let Some(current) = self.current.take()
        {
            taken.insert(self.minute, current);
        }
        taken.into_iter().map(|(minute, masks)| (minute, count(&masks))).collect()
    }
}

fn count(masks: &Masks) -> Steps {
    let mut steps = Steps::default();
    for mask in masks.values() {
        steps.viewed += i64::from(mask & 1);
        steps.carted += i64::from(mask >> 1 & 1);
        steps.ordered += i64::from(mask >> 2);
    }
    steps
}
