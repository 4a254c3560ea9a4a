//! Session windows: a key's rows with no gap over the limit between neighbours.
//!
//! [`Sessions`] is used in both phases. On a compute thread, rows become sessions as far as that thread has seen
//! them; at each flush all of them leave as *fragments* (first and last row, key, aggregate states). The merge stage
//! joins fragments to whole sessions and closes them. Two sessions of a key that a row or fragment bridges become
//! one.
//!
//! ```text
//! gap 30        fragments of key k       [10 .. 25]   [40 .. 40]            [90 .. 95]
//!               sessions of key k        [10 ......... 40] ends 70          [90 .. 95] ends 125
//! ```
//!
//! A session closes when the watermark passes its end (its last row plus the gap). Nothing looks at all sessions
//! to find those: they wait in a [`wheel`] by their ends. A compute thread closes none and has no wheel.
//!
//! Memory for an open session: an entry of 64 bytes, in which a key of up to 40 bytes has room, 6 to 12 bytes in the
//! hash table, 4 to 8 in the wheel, and its aggregates, mostly [a word each](super::aggregate::slots::words).
//!
//! | module | what |
//! |---|---|
//! | [`key`] | a session's key as it is kept |
//! | [`keys`] | key columns to bytes and back |
//! | `leave` | how sessions leave: closed, or as fragments |
//! | [`wheel`] | slots by the time at which they are due |

pub mod key;
pub mod keys;
mod leave;
pub mod wheel;

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, Int64Array, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use hashbrown::HashTable;

use self::{
    key::{Key, Keys},
    keys::KeyCodec,
    wheel::Wheel,
};
use super::aggregate::{
    Aggregation,
    pages::Pages,
    slots::{Slot, SlotAccumulators, index},
};
use crate::error::StreamError;

/// The columns in front of keys and states: first and last row of the fragment.
const TIME_COLUMNS: usize = 2;
/// No slot.
const NONE: Slot = Slot::MAX;
/// Ends and starts are known to this part of the gap, or to a second where that is less.
const TICKS: i64 = 128;

fn fragment_schema(aggregation: &Aggregation) -> SchemaRef {
    let time = |name: &str| Arc::new(Field::new(name, DataType::Int64, false));
    let mut fields = vec![time("first_us"), time("last_us")];
    fields.extend(aggregation.state_schema().fields().iter().cloned());
    Arc::new(Schema::new(fields))
}

/// Sessions that were read: `(first, last)` of each, key columns, aggregate columns.
pub struct SessionRows {
    /// First and last row of each session.
    pub spans: Vec<(i64, i64)>,
    /// Key columns.
    pub keys: Vec<ArrayRef>,
    /// Aggregate columns.
    pub values: Vec<ArrayRef>,
}

/// A session.
#[derive(Clone)]
struct Entry {
    first_us: i64,
    last_us: i64,
    key: Key,
    /// Another open session of the same key.
    other: Slot,
    /// In use; a slot that was joined to another waits for its turn in the wheel to be free.
    is_open: bool,
    /// Noted in `changed`.
    is_changed: bool,
}

impl Entry {
    fn touches(&self, first_us: i64, last_us: i64, gap_us: i64) -> bool {
        first_us <= self.last_us.saturating_add(gap_us) && self.first_us <= last_us.saturating_add(gap_us)
    }
}

impl Default for Entry {
    fn default() -> Self {
        Entry { first_us: 0, last_us: 0, key: Key::NULL, other: NONE, is_open: false, is_changed: false }
    }
}

/// The open sessions of all keys.
pub struct Sessions {
    aggregation: Aggregation,
    schema: SchemaRef,
    gap_us: i64,
    tick_us: i64,
    codec: KeyCodec,
    keys: Keys,
    /// One session of each key; the key's others hang on it.
    table: HashTable<Slot>,
    entries: Pages<Entry>,
    /// Slots that were ever in use are below this.
    used: usize,
    free: Vec<Slot>,
    accumulators: SlotAccumulators,
    /// Only where sessions are closed.
    wheel: Option<Wheel>,
    /// How many open sessions start in which tick, where a window behind this one asks for that.
    starts: Option<BTreeMap<i64, usize>>,
    open: usize,
    /// Changed since provisional rows were last asked for; may name slots that have closed since. `None` until
    /// somebody has asked.
    changed: Option<Vec<Slot>>,
    // Kept for their memory.
    slots: Vec<Slot>,
    hashes: Vec<u64>,
    joins: Vec<(Slot, Slot)>,
}

impl Sessions {
    /// No sessions yet, to be closed here. `knows_starts` is for [`earliest_start`](Self::earliest_start).
    pub fn new(aggregation: Aggregation, gap_us: i64, knows_starts: bool) -> Result<Self, StreamError> {
        let mut sessions = Self::partial(aggregation, gap_us)?;
        sessions.wheel = Some(Wheel::new(sessions.tick_us));
        sessions.starts = knows_starts.then(BTreeMap::new);
        Ok(sessions)
    }

    /// No sessions yet, to be taken out as fragments and never closed.
    pub fn partial(aggregation: Aggregation, gap_us: i64) -> Result<Self, StreamError> {
        let tick_us = (gap_us / TICKS).clamp(1, 1_000_000);
        Ok(Sessions {
            schema: fragment_schema(&aggregation),
            codec: KeyCodec::new(aggregation.key_schema())?,
            accumulators: aggregation.slots()?,
            aggregation,
            gap_us,
            tick_us,
            keys: Keys::default(),
            table: HashTable::new(),
            entries: Pages::default(),
            used: 0,
            free: Vec::new(),
            wheel: None,
            starts: None,
            open: 0,
            changed: None,
            slots: Vec::new(),
            hashes: Vec::new(),
            joins: Vec::new(),
        })
    }

    /// A time at or before the earliest start of an open session: by less than a tick, or the beginning of time
    /// where starts are not kept.
    pub fn earliest_start(&self) -> Option<i64> {
        match &self.starts {
            Some(starts) => starts.keys().next().map(|tick| tick.saturating_mul(self.tick_us)),
            None => (self.open > 0).then_some(i64::MIN),
        }
    }

    /// Number of open sessions.
    pub fn len(&self) -> usize {
        self.open
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Counts rows; `times` has the event time of each, none NULL.
    pub fn update(
        &mut self,
        batch: &RecordBatch,
        times: &TimestampMicrosecondArray,
    ) -> Result<(), StreamError> {
        let inputs = self.aggregation.inputs(batch)?;
        self.place(inputs.keys(), times.values(), times.values())?;
        let slots = std::mem::take(&mut self.slots);
        self.accumulators.update(&slots, &inputs)?;
        self.slots = slots;
        self.join()
    }

    /// Adds fragments.
    pub fn merge(&mut self, batch: &RecordBatch) -> Result<(), StreamError> {
        let (firsts, lasts) = (int64(batch, 0)?.clone(), int64(batch, 1)?.clone());
        let (keys, states) = batch.columns()[TIME_COLUMNS..]
            .split_at_checked(self.aggregation.key_schema().fields().len())
            .ok_or_else(|| StreamError::internal("a session fragment lacks its key"))?;
        self.place(keys, firsts.values(), lasts.values())?;
        let slots = std::mem::take(&mut self.slots);
        self.accumulators.merge(&slots, states)?;
        self.slots = slots;
        self.join()
    }

    /// Finds or opens the session of each row, or of each fragment from `firsts` to `lasts`; leaves them in
    /// `slots`.
    fn place(&mut self, keys: &[ArrayRef], firsts: &[i64], lasts: &[i64]) -> Result<(), StreamError> {
        let keys = self.codec.encode(keys)?;
        self.slots.clear();
        self.hashes.clear();
        self.hashes.extend((0..firsts.len()).map(|row| self.keys.hash(keys.get(row))));
        for (row, (&first_us, &last_us)) in firsts.iter().zip(lasts).enumerate() {
            let slot = self.place_one(self.hashes[row], keys.get(row), first_us, last_us)?;
            self.slots.push(slot);
        }
        Ok(())
    }

    fn place_one(
        &mut self,
        hash: u64,
        key: Option<&[u8]>,
        first_us: i64,
        last_us: i64,
    ) -> Result<Slot, StreamError> {
        let entries = &self.entries;
        let found = self.table.find(hash, |slot| self.keys.is(&entries[index(*slot)].key, key));
        let Some(&head) = found else {
            let slot = self.open(key, first_us, last_us)?;
            let (entries, keys) = (&self.entries, &self.keys);
            self.table.insert_unique(hash, slot, |slot| keys.hash_of(&entries[index(*slot)].key));
            return Ok(slot);
        };
        let entry = &self.entries[index(head)];
        if entry.other == NONE && entry.touches(first_us, last_us, self.gap_us) {
            self.extend(head, first_us, last_us);
            return Ok(head);
        }
        self.place_among(head, first_us, last_us)
    }

    /// The same for a key that has several sessions, or whose only one is too far away.
    fn place_among(&mut self, head: Slot, first_us: i64, last_us: i64) -> Result<Slot, StreamError> {
        let (mut first, mut last) = (first_us, last_us);
        let mut apart = self.sessions_of(head);
        let mut joined = Vec::new();
        // What joins makes the session wider, so that it may touch more: look until nothing does.
        while let Some(at) =
            apart.iter().position(|slot| self.entries[index(*slot)].touches(first, last, self.gap_us))
        {
            let slot = apart.swap_remove(at);
            let entry = &self.entries[index(slot)];
            (first, last) = (first.min(entry.first_us), last.max(entry.last_us));
            joined.push(slot);
        }
        let into = match joined.split_first() {
            None => {
                let key = self.keys.get(&self.entries[index(head)].key).map(<[u8]>::to_vec);
                self.open(key.as_deref(), first, last)?
            }
            Some((into, rest)) => {
                for from in rest {
                    self.joins.push((*into, *from));
                    self.leave_starts(*from);
                    self.entries[index(*from)].is_open = false;
                    self.open -= 1;
                }
                self.extend(*into, first, last);
                *into
            }
        };
        apart.push(into);
        self.chain(head, &apart);
        Ok(into)
    }

    /// All sessions of the key of `head`, `head` first.
    fn sessions_of(&self, head: Slot) -> Vec<Slot> {
        let mut all = Vec::new();
        let mut slot = head;
        while slot != NONE {
            all.push(slot);
            slot = self.entries[index(slot)].other;
        }
        all
    }

    /// Makes these the sessions of the key whose first one was `head`; none forgets the key.
    fn chain(&mut self, head: Slot, sessions: &[Slot]) {
        let hash = self.keys.hash_of(&self.entries[index(head)].key);
        match sessions.first() {
            Some(first) => {
                if let Some(place) = self.table.find_mut(hash, |slot| *slot == head) {
                    *place = *first;
                }
            }
            None => {
                if let Ok(place) = self.table.find_entry(hash, |slot| *slot == head) {
                    place.remove();
                }
            }
        }
        let others = sessions.iter().skip(1).copied().chain([NONE]);
        for (slot, other) in sessions.iter().zip(others) {
            self.entries[index(*slot)].other = other;
        }
    }

    fn open(&mut self, key: Option<&[u8]>, first_us: i64, last_us: i64) -> Result<Slot, StreamError> {
        let key = self.keys.keep(key);
        let entry = Entry { first_us, last_us, key, other: NONE, is_open: true, is_changed: false };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.entries[index(slot)] = entry;
                slot
            }
            None => {
                let slot = Slot::try_from(self.used).ok().filter(|slot| *slot != NONE);
                let slot =
                    slot.ok_or_else(|| StreamError::internal("more than four billion open sessions"))?;
                self.used += 1;
                self.entries.grow(self.used);
                self.accumulators.grow(self.used);
                self.entries[index(slot)] = entry;
                slot
            }
        };
        if let Some(wheel) = &mut self.wheel {
            wheel.put(slot, last_us.saturating_add(self.gap_us));
        }
        self.enter_starts(first_us);
        self.open += 1;
        self.note_change(slot);
        Ok(slot)
    }

    fn extend(&mut self, slot: Slot, first_us: i64, last_us: i64) {
        let entry = &mut self.entries[index(slot)];
        // A later end is found out when the session's turn comes in the wheel.
        entry.last_us = entry.last_us.max(last_us);
        if first_us < entry.first_us {
            self.leave_starts(slot);
            self.enter_starts(first_us);
            self.entries[index(slot)].first_us = first_us;
        }
        self.note_change(slot);
    }

    fn note_change(&mut self, slot: Slot) {
        let Some(changed) = &mut self.changed else { return };
        let entry = &mut self.entries[index(slot)];
        if !entry.is_changed {
            entry.is_changed = true;
            changed.push(slot);
        }
    }

    fn enter_starts(&mut self, first_us: i64) {
        if let Some(starts) = &mut self.starts {
            *starts.entry(first_us.div_euclid(self.tick_us)).or_default() += 1;
        }
    }

    fn leave_starts(&mut self, slot: Slot) {
        let Some(starts) = &mut self.starts else { return };
        let tick = self.entries[index(slot)].first_us.div_euclid(self.tick_us);
        if let Some(count) = starts.get_mut(&tick) {
            *count -= 1;
            if *count == 0 {
                starts.remove(&tick);
            }
        }
    }

    /// Carries out the joins that placing rows has found. Only now, since the rows' states had to go in first.
    fn join(&mut self) -> Result<(), StreamError> {
        for (into, from) in std::mem::take(&mut self.joins) {
            self.accumulators.join(into, from)?;
            // In a wheel it still has its turn, and is free then.
            if self.wheel.is_none() {
                self.release(from);
            }
        }
        Ok(())
    }
}

fn int64(batch: &RecordBatch, column: usize) -> Result<&Int64Array, StreamError> {
    let array = batch.column(column);
    array.as_any().downcast_ref().ok_or_else(|| {
        StreamError::internal(format!("a session fragment's time is a {} column", array.data_type()))
    })
}
