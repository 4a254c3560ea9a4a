//! Aggregates that can be read, merged and cleared one group at a time.
//!
//! DataFusion's `GroupsAccumulator` gives its groups away from the first on, which suits windows that close as a
//! whole. Sessions close one by one in any order, so their aggregates live in *slots*, numbered by whoever owns
//! the sessions and used again.
//!
//! | implementation | of | memory |
//! |---|---|---|
//! | [`words`] | COUNT; SUM, MIN, MAX of plain types | 8 or 16 bytes, and a bit where NULL is possible |
//! | [`distinct`](super::distinct) | COUNT(DISTINCT) | a set of hashes |
//! | [`window_funnel`] | `window_funnel` | a list of times |
//! | [`any`] | every other aggregate | DataFusion's row accumulator in a box |
//!
//! State columns are those of [`Aggregation::state_schema`](super::Aggregation::state_schema), whichever
//! implementation wrote them.

pub mod any;
pub mod words;

use arrow::{
    array::{Array, ArrayRef, BooleanArray},
    buffer::{BooleanBuffer, NullBuffer},
};

use self::{
    any::AnySlots,
    words::{Layout, Words},
};
use super::{Inputs, distinct::DistinctSlots};
use crate::{error::StreamError, sql::functions::window_funnel};

/// A group's place.
pub type Slot = u32;

/// A slot as an index.
pub fn index(slot: Slot) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

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

/// All aggregates of a query over slots.
pub struct SlotAccumulators {
    all: Vec<Box<dyn SlotAccumulator>>,
    words: Words,
    state_columns: Vec<usize>,
}

impl SlotAccumulators {
    pub(super) fn new(aggregates: &[super::Aggregate]) -> Result<Self, StreamError> {
        let mut layout = Layout::default();
        let all = aggregates.iter().map(|aggregate| of(aggregate, &mut layout)).collect::<Result<_, _>>()?;
        let words = Words::new(&layout);
        Ok(SlotAccumulators {
            all,
            words,
            state_columns: aggregates.iter().map(|a| a.state_columns).collect(),
        })
    }

    /// Makes room for this many slots.
    pub fn grow(&mut self, slots: usize) {
        self.words.grow(slots);
        self.all.iter_mut().for_each(|aggregate| aggregate.grow(slots));
    }

    /// Forgets what went into a slot.
    pub fn clear(&mut self, slot: Slot) {
        self.words.clear(slot);
        self.all.iter_mut().for_each(|aggregate| aggregate.clear(slot));
    }

    /// Forgets what went into all slots below this number.
    pub fn clear_below(&mut self, slots: usize) {
        self.words.clear_below(slots);
        self.all.iter_mut().for_each(|aggregate| aggregate.clear_below(slots));
    }

    /// Adds rows: row `i` goes to `slots[i]`.
    pub fn update(&mut self, slots: &[Slot], inputs: &Inputs) -> Result<(), StreamError> {
        for ((aggregate, arguments), filter) in
            self.all.iter_mut().zip(&inputs.arguments).zip(&inputs.filters)
        {
            aggregate.update(&mut self.words, slots, arguments, filter.as_ref())?;
        }
        Ok(())
    }

    /// Adds states: the columns of [`Aggregation::state_schema`](super::Aggregation::state_schema) without the
    /// keys.
    pub fn merge(&mut self, slots: &[Slot], states: &[ArrayRef]) -> Result<(), StreamError> {
        let mut states = states;
        for (aggregate, columns) in self.all.iter_mut().zip(&self.state_columns) {
            let (own, rest) = states.split_at(*columns);
            aggregate.merge(&mut self.words, slots, own)?;
            states = rest;
        }
        Ok(())
    }

    /// See [`SlotAccumulator::join`].
    pub fn join(&mut self, into: Slot, from: Slot) -> Result<(), StreamError> {
        self.all.iter_mut().try_for_each(|aggregate| aggregate.join(&mut self.words, into, from))
    }

    /// State columns of slots.
    pub fn states(&mut self, slots: &[Slot]) -> Result<Vec<ArrayRef>, StreamError> {
        let mut columns = Vec::new();
        for aggregate in &mut self.all {
            columns.extend(aggregate.states(&self.words, slots)?);
        }
        Ok(columns)
    }

    /// Value columns of slots.
    pub fn evaluate(&mut self, slots: &[Slot]) -> Result<Vec<ArrayRef>, StreamError> {
        self.all.iter_mut().map(|aggregate| aggregate.evaluate(&self.words, slots)).collect()
    }
}

/// The implementation for an aggregate.
fn of(aggregate: &super::Aggregate, layout: &mut Layout) -> Result<Box<dyn SlotAccumulator>, StreamError> {
    let function = &aggregate.function;
    if aggregate.is_hashed {
        return Ok(Box::new(DistinctSlots::default()));
    }
    if function.fun().name() == window_funnel::NAME {
        return Ok(Box::new(window_funnel::FunnelSlots::new(function)?));
    }
    let is_plain =
        !function.is_distinct() && function.expressions().len() == 1 && function.order_bys().is_empty();
    let in_words = if is_plain { words::of(function, layout) } else { None };
    Ok(in_words.unwrap_or_else(|| Box::new(AnySlots::new(function))))
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
