//! One aggregate over slots, and what its implementations share.

use arrow::{
    array::{Array, ArrayRef, BooleanArray},
    buffer::{BooleanBuffer, NullBuffer},
};

use super::words::{Slot, Words};
use crate::error::StreamError;

/// One aggregate over slots. Slots are below the number given to [`grow`](Self::grow); a new slot is clear. What
/// has room in a few of the slot's `words` is kept there, anything else here.
pub trait SlotAccumulator: Send {
    /// Makes room for this many slots here.
    fn grow(&mut self, slots: usize) {
        let _ = slots;
    }

    /// Forgets what went into all slots below this number here.
    fn clear_below(&mut self, slots: usize) {
        (0..).take(slots).for_each(|slot| self.clear(slot));
    }

    /// Forgets what went into a slot here.
    fn clear(&mut self, slot: Slot) {
        let _ = slot;
    }

    /// Adds rows that pass the filter: row `i` goes to `slots[i]`.
    fn update(
        &mut self,
        words: &mut Words,
        slots: &[Slot],
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<(), StreamError>;

    /// Adds state rows: row `i` goes to `slots[i]`.
    fn merge(&mut self, words: &mut Words, slots: &[Slot], states: &[ArrayRef]) -> Result<(), StreamError>;

    /// Adds what is in `from` to `into`.
    fn join(&mut self, words: &mut Words, into: Slot, from: Slot) -> Result<(), StreamError>;

    /// The states of slots, which keep them.
    fn states(&mut self, words: &Words, slots: &[Slot]) -> Result<Vec<ArrayRef>, StreamError>;

    /// The values of slots, which keep them.
    fn evaluate(&mut self, words: &Words, slots: &[Slot]) -> Result<ArrayRef, StreamError>;
}

/// Calls `add` with each row that passes the filter and is valid.
pub fn for_each_row(
    rows: usize,
    nulls: Option<&NullBuffer>,
    filter: Option<&BooleanArray>,
    mut add: impl FnMut(usize),
) {
    let passing = filter.map(|filter| match filter.nulls() {
        Some(nulls) => filter.values() & nulls.inner(),
        None => filter.values().clone(),
    });
    let wanted: Option<BooleanBuffer> = match (passing, nulls) {
        (None, None) => None,
        (Some(passing), None) => Some(passing),
        (None, Some(nulls)) => Some(nulls.inner().clone()),
        (Some(passing), Some(nulls)) => Some(&passing & nulls.inner()),
    };
    match wanted {
        None => (0..rows).for_each(add),
        Some(wanted) => wanted.set_indices().for_each(&mut add),
    }
}

/// Grows a column by a quarter at a time: doubling would double the memory of ten million open sessions.
pub fn grow<T: Clone>(column: &mut Vec<T>, slots: usize, empty: T) {
    if slots > column.capacity() {
        column.reserve_exact((slots - column.len()).max(column.len() / 4));
    }
    if slots > column.len() {
        column.resize(slots, empty);
    }
}
