//! How sessions leave: closed and read as rows, or as fragments for the merge stage or a checkpoint.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Array},
    record_batch::{RecordBatch, RecordBatchOptions},
};

use super::{NONE, SessionRows, Sessions, Span};
use crate::{
    error::StreamError,
    operator::aggregate::slots::words::{Slot, index},
};

/// Sessions that are closed in one go: what is made of them is held in memory until it is written.
const AT_ONCE: usize = 32_768;

impl Sessions {
    /// The sessions whose end `is_over`, no longer open; their slots are to be [freed](Self::free) once read.
    fn expire(&mut self, limit_us: i64, is_over: impl Fn(i64) -> bool) -> Vec<Slot> {
        let mut over = Vec::new();
        let Some(mut wheel) = self.wheel.take() else { return over };
        for slot in wheel.take(limit_us) {
            let entry = &self.entries[index(slot)];
            let end_us = entry.last_us.saturating_add(self.gap_us);
            if !entry.is_open {
                // Joined to another session long ago; nothing points here any more.
                self.release(slot);
            } else if is_over(end_us) {
                over.push(slot);
            } else {
                wheel.put(slot, end_us);
            }
        }
        self.wheel = Some(wheel);
        for slot in &over {
            self.close_one(*slot);
        }
        over
    }

    /// Takes a session out of table and counts.
    fn close_one(&mut self, slot: Slot) {
        self.leave_starts(slot);
        self.open -= 1;
        let entry = &mut self.entries[index(slot)];
        entry.is_open = false;
        if entry.several != NONE {
            self.leave_list(slot);
        } else {
            let hash = self.keys.hash_of(&entry.key);
            if let Ok(place) = self.table.find_entry(hash, |found| *found == slot) {
                place.remove();
            }
        }
        if self.entries[index(slot)].is_late {
            self.reaches.remove(&slot);
        }
    }

    /// Gives slots that were read back.
    fn free(&mut self, slots: &[Slot]) {
        for slot in slots {
            self.release(*slot);
        }
    }

    pub(super) fn release(&mut self, slot: Slot) {
        self.accumulators.clear(slot);
        self.keys.forget(&mut self.entries[index(slot)].key);
        self.free.push(slot);
    }

    fn spans(&self, slots: &[Slot]) -> Vec<(i64, i64)> {
        let span = |slot: &Slot| {
            let entry = &self.entries[index(*slot)];
            (entry.first_us, entry.last_us)
        };
        slots.iter().map(span).collect()
    }

    fn key_columns(&self, slots: &[Slot]) -> Result<Vec<ArrayRef>, StreamError> {
        self.codec.decode(slots.iter().map(|slot| self.keys.get(&self.entries[index(*slot)].key)))
    }

    /// Slots as fragments.
    fn fragments(&mut self, slots: &[Slot]) -> Result<RecordBatch, StreamError> {
        let spans: Vec<Span> = slots.iter().map(|slot| self.span(*slot)).collect();
        let times = |of: fn(&Span) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(spans.iter().map(of)))
        };
        let first: ArrayRef = times(|span| span.first_us);
        let from = match self.reaches.is_empty() {
            true => Arc::clone(&first),
            false => times(|span| span.from_us),
        };
        let mut columns = vec![first, times(|span| span.last_us), from];
        columns.extend(self.key_columns(slots)?);
        columns.extend(self.accumulators.states(slots)?);
        let options = RecordBatchOptions::new().with_row_count(Some(slots.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    fn read(&mut self, slots: &[Slot]) -> Result<SessionRows, StreamError> {
        Ok(SessionRows {
            spans: self.spans(slots),
            keys: self.key_columns(slots)?,
            values: self.accumulators.evaluate(slots)?,
        })
    }

    /// In order of end, start and key.
    fn sort(&self, slots: &mut [Slot]) {
        // Beside their times: to compare two is then mostly no look at their entries.
        let mut order: Vec<(i64, i64, Slot)> = Vec::with_capacity(slots.len());
        order.extend(slots.iter().map(|slot| {
            let entry = &self.entries[index(*slot)];
            (entry.last_us, entry.first_us, *slot)
        }));
        let key = |slot: Slot| self.keys.get(&self.entries[index(slot)].key);
        order.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| key(a.2).cmp(&key(b.2))));
        for (place, (_, _, slot)) in slots.iter_mut().zip(order) {
            *place = slot;
        }
    }

    fn all_open(&self) -> Vec<Slot> {
        let slots = (0..).zip(self.entries.iter(self.used)).filter(|(_, entry)| entry.is_open);
        slots.map(|(slot, _)| slot).collect()
    }

    /// How far sessions can be closed in one go: up to `limit_us`, or less far where very many wait.
    pub fn close_until(&self, limit_us: i64) -> i64 {
        self.wheel.as_ref().map_or(limit_us, |wheel| wheel.until(limit_us, AT_ONCE))
    }

    /// Closes the sessions whose end `is_over`, none of which is above `limit_us`, and hands over their rows in
    /// order of end, start and key; and what provisional rows had shown of them.
    pub fn close(
        &mut self,
        limit_us: i64,
        is_over: impl Fn(i64) -> bool,
    ) -> Result<(SessionRows, Option<SessionRows>), StreamError> {
        let mut slots = self.expire(limit_us, is_over);
        self.sort(&mut slots);
        let rows = self.read(&slots)?;
        let shown = self.take_shown(&slots)?;
        self.free(&slots);
        Ok((rows, shown))
    }

    /// Takes all sessions out as fragments, where none is closed.
    pub fn take_all(&mut self) -> Result<RecordBatch, StreamError> {
        let slots = self.all_open();
        let batch = self.fragments(&slots)?;
        self.accumulators.clear_below(self.used);
        self.keys.forget_all();
        self.table.clear();
        self.several.clear();
        self.reaches.clear();
        self.used = 0;
        self.free.clear();
        self.open = 0;
        Ok(batch)
    }

    /// What has changed since the last call: what was shown then and is no more, and the sessions that changed as they
    /// are now, in order of end, start and key.
    pub fn provisional(&mut self) -> Result<(Option<SessionRows>, SessionRows), StreamError> {
        let mut slots: Vec<Slot> = Vec::new();
        match self.changed.replace(Vec::new()) {
            Some(changed) => {
                for slot in changed {
                    // A slot may stand here twice, if it was closed and opened again meanwhile.
                    let entry = &mut self.entries[index(slot)];
                    if std::mem::take(&mut entry.is_changed) && entry.is_open {
                        slots.push(slot);
                    }
                }
            }
            None => slots = self.all_open(),
        }
        self.sort(&mut slots);
        let gone = self.take_shown(&slots)?;
        let now = self.read(&slots)?;
        self.show(&slots, &now)?;
        Ok((gone, now))
    }

    /// The state as one batch of fragments, which [`merge`](Self::merge) takes back.
    pub fn snapshot(&mut self) -> Result<RecordBatch, StreamError> {
        let slots = self.all_open();
        self.fragments(&slots)
    }
}
