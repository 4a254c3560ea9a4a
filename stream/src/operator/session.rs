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
//! Rows touch by their *reach*: from the row's time to that time plus the gap. Sessions whose reaches meet are one, so the
//! order of rows does not matter. A late row came when the promise of its own partition had closed some of that reach:
//! its reach begins behind ([`WindowSpec::session_from`](crate::window::WindowSpec::session_from)), and so it never
//! touches what has been closed. A session's first row and its bounds stay what they are.
//!
//! A session closes when the watermark passes its end (its last row plus the gap). Nothing looks at all sessions
//! to find those: they wait in a [`wheel`] by their ends. A compute thread closes none and has no wheel.
//!
//! Memory for an open session: an entry of 64 bytes, in which a key of up to 40 bytes has room, 6 to 12 bytes in the
//! hash table, 4 to 8 in the wheel, and its aggregates, mostly [a word each](super::aggregate::slots::words). Where
//! provisional rows are asked for, what was last shown of it besides (`shown`).
//!
//! | module | what |
//! |---|---|
//! | [`key`] | a session's key as it is kept |
//! | [`keys`] | key columns to bytes and back |
//! | `leave` | how sessions leave: closed, or as fragments |
//! | `shown` | what was last shown of open sessions |
//! | `several` | the sessions of a key that has several |
//! | [`wheel`] | slots by the time at which they are due |

pub mod key;
pub mod keys;
mod leave;
mod several;
mod shown;
pub mod wheel;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, Int64Array, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use hashbrown::HashTable;

use self::{
    key::{Key, Keys},
    keys::KeyCodec,
    several::Several,
    shown::Shown,
    wheel::Wheel,
};
use super::aggregate::{
    Aggregation,
    pages::Pages,
    slots::{
        SlotAccumulators,
        words::{Slot, index},
    },
};
use crate::{error::StreamError, window::WindowSpec};

/// The columns in front of keys and states: first and last row of the fragment, and where its reach begins.
const TIME_COLUMNS: usize = 3;
/// No slot.
const NONE: Slot = Slot::MAX;
/// Ends and starts are known to this part of the gap, or to a second where that is less.
const TICKS: i64 = 128;

fn fragment_schema(aggregation: &Aggregation) -> SchemaRef {
    let time = |name: &str| Arc::new(Field::new(name, DataType::Int64, false));
    let mut fields = vec![time("first_us"), time("last_us"), time("from_us")];
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
    /// Where the key's open sessions are listed, if there are several.
    several: u32,
    /// In use; a slot that was joined to another waits for its turn in the wheel to be free.
    is_open: bool,
    /// Noted in `changed`.
    is_changed: bool,
    /// Its reach begins behind its first row, as noted in `reaches`.
    is_late: bool,
}

/// When rows are, or fragments.
#[derive(Clone, Copy)]
struct Span {
    first_us: i64,
    last_us: i64,
    /// Where their reach begins.
    from_us: i64,
}

impl Span {
    fn hull(self, other: Span) -> Span {
        Span {
            first_us: self.first_us.min(other.first_us),
            last_us: self.last_us.max(other.last_us),
            from_us: self.from_us.min(other.from_us),
        }
    }

    fn touches(self, other: Span, gap_us: i64) -> bool {
        self.from_us <= other.last_us.saturating_add(gap_us)
            && other.from_us <= self.last_us.saturating_add(gap_us)
    }
}

impl Default for Entry {
    fn default() -> Self {
        Entry {
            first_us: 0,
            last_us: 0,
            key: Key::NULL,
            several: NONE,
            is_open: false,
            is_changed: false,
            is_late: false,
        }
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
    /// One session of each key; all of a key's are in `several` if it is not the only one.
    table: HashTable<Slot>,
    several: Several,
    entries: Pages<Entry>,
    /// Where the reach of open sessions begins, if that is not their first row.
    reaches: HashMap<Slot, i64, ahash::RandomState>,
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
    /// What provisional rows have shown, once somebody has asked.
    shown: Option<Shown>,
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
            several: Several::default(),
            entries: Pages::default(),
            reaches: HashMap::default(),
            used: 0,
            free: Vec::new(),
            wheel: None,
            starts: None,
            open: 0,
            changed: None,
            shown: None,
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

    /// Counts rows; `times` has the event time of each, none NULL. Sessions that end before `closed_us` are closed
    /// for them.
    pub fn update(
        &mut self,
        batch: &RecordBatch,
        times: &TimestampMicrosecondArray,
        closed_us: Option<i64>,
    ) -> Result<(), StreamError> {
        let inputs = self.aggregation.inputs(batch)?;
        let spans = times.values().iter().map(|&time| Span {
            first_us: time,
            last_us: time,
            from_us: WindowSpec::session_from(time, closed_us),
        });
        self.place(inputs.keys(), spans)?;
        let slots = std::mem::take(&mut self.slots);
        self.accumulators.update(&slots, &inputs)?;
        self.slots = slots;
        self.join()
    }

    /// Adds fragments.
    pub fn merge(&mut self, batch: &RecordBatch) -> Result<(), StreamError> {
        let (firsts, lasts, froms) = (int64(batch, 0)?, int64(batch, 1)?, int64(batch, 2)?);
        let (keys, states) = batch.columns()[TIME_COLUMNS..]
            .split_at_checked(self.aggregation.key_schema().fields().len())
            .ok_or_else(|| StreamError::internal("a session fragment lacks its key"))?;
        let times = firsts.values().iter().zip(lasts.values()).zip(froms.values());
        self.place(keys, times.map(|((&first_us, &last_us), &from_us)| Span { first_us, last_us, from_us }))?;
        let slots = std::mem::take(&mut self.slots);
        self.accumulators.merge(&slots, states)?;
        self.slots = slots;
        self.join()
    }

    /// Finds or opens the session of each row or fragment; leaves them in `slots`.
    fn place(
        &mut self,
        keys: &[ArrayRef],
        spans: impl ExactSizeIterator<Item = Span>,
    ) -> Result<(), StreamError> {
        let keys = self.codec.encode(keys)?;
        self.slots.clear();
        self.hashes.clear();
        self.hashes.extend((0..spans.len()).map(|row| self.keys.hash(keys.get(row))));
        for (row, span) in spans.enumerate() {
            let slot = self.place_one(self.hashes[row], keys.get(row), span)?;
            self.slots.push(slot);
        }
        Ok(())
    }

    fn place_one(&mut self, hash: u64, key: Option<&[u8]>, span: Span) -> Result<Slot, StreamError> {
        let entries = &self.entries;
        let found = self.table.find(hash, |slot| self.keys.is(&entries[index(*slot)].key, key));
        let Some(&head) = found else {
            let slot = self.open(key, span)?;
            let (entries, keys) = (&self.entries, &self.keys);
            self.table.insert_unique(hash, slot, |slot| keys.hash_of(&entries[index(*slot)].key));
            return Ok(slot);
        };
        if self.entries[index(head)].several == NONE && self.span(head).touches(span, self.gap_us) {
            self.extend(head, span);
            return Ok(head);
        }
        self.place_among(head, span)
    }

    /// When a session is.
    fn span(&self, slot: Slot) -> Span {
        let entry = &self.entries[index(slot)];
        let from_us = match entry.is_late {
            false => entry.first_us,
            true => self.reaches.get(&slot).copied().unwrap_or(entry.first_us),
        };
        Span { first_us: entry.first_us, last_us: entry.last_us, from_us }
    }

    fn open(&mut self, key: Option<&[u8]>, span: Span) -> Result<Slot, StreamError> {
        let Span { first_us, last_us, from_us } = span;
        let entry = Entry {
            first_us,
            last_us,
            key: self.keys.keep(key),
            is_open: true,
            is_late: from_us > first_us,
            ..Entry::default()
        };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = Slot::try_from(self.used).ok().filter(|slot| *slot != NONE);
                let slot =
                    slot.ok_or_else(|| StreamError::internal("more than four billion open sessions"))?;
                self.used += 1;
                self.entries.grow(self.used);
                self.accumulators.grow(self.used);
                slot
            }
        };
        if entry.is_late {
            self.reaches.insert(slot, from_us);
        }
        self.entries[index(slot)] = entry;
        if let Some(wheel) = &mut self.wheel {
            wheel.put(slot, last_us.saturating_add(self.gap_us));
        }
        self.enter_starts(first_us);
        self.open += 1;
        self.note_change(slot);
        Ok(slot)
    }

    fn extend(&mut self, slot: Slot, span: Span) {
        let entry = &mut self.entries[index(slot)];
        // A later end is found out when the session's turn comes in the wheel.
        entry.last_us = entry.last_us.max(span.last_us);
        if entry.is_late || span.from_us > span.first_us {
            self.extend_late(slot, span);
        }
        if span.first_us < self.entries[index(slot)].first_us {
            self.leave_starts(slot);
            self.enter_starts(span.first_us);
            self.entries[index(slot)].first_us = span.first_us;
        }
        self.note_change(slot);
    }

    /// Notes where the reach of a session begins that holds late rows. Before its first row is.
    #[cold]
    fn extend_late(&mut self, slot: Slot, span: Span) {
        let Span { first_us, from_us, .. } = self.span(slot).hull(span);
        let entry = &mut self.entries[index(slot)];
        entry.is_late = from_us > first_us;
        if entry.is_late {
            self.reaches.insert(slot, from_us);
        } else {
            self.reaches.remove(&slot);
        }
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
