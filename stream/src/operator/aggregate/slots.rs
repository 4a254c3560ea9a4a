//! Aggregates that can be read, merged and cleared one group at a time.
//!
//! DataFusion's `GroupsAccumulator` gives its groups away from the first on, which suits windows that close as a
//! whole. Sessions close one by one in any order, so their aggregates live in *slots*, numbered by whoever owns
//! the sessions and used again.
//!
//! | implementation | of | memory |
//! |---|---|---|
//! | `plain` | COUNT; SUM, MIN, MAX of plain types | 8 or 16 bytes, and a bit where NULL is possible |
//! | [`distinct`](super::distinct) | COUNT(DISTINCT) | a set of hashes |
//! | [`window_funnel`] | `window_funnel` | a list of times |
//! | `any` | every other aggregate | DataFusion's row accumulator in a box |
//!
//! State columns are those of [`Aggregation::state_schema`](super::Aggregation::state_schema), whichever
//! implementation wrote them.

mod any;
mod plain;
pub mod slot;
pub mod words;

use arrow::array::ArrayRef;

use self::{
    any::AnySlots,
    slot::SlotAccumulator,
    words::{Layout, Slot, Words},
};
use super::{Inputs, distinct::DistinctSlots};
use crate::{error::StreamError, sql::functions::window_funnel};

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
    let in_words = if is_plain { plain::of(function, layout) } else { None };
    Ok(in_words.unwrap_or_else(|| Box::new(AnySlots::new(function))))
}
