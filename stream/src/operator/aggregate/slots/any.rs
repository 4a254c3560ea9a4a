//! Any aggregate by slot, on DataFusion's row accumulator.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, UInt32Array, new_empty_array},
    compute::take,
};
use datafusion::{
    common::ScalarValue, logical_expr::Accumulator, physical_expr::aggregate::AggregateFunctionExpr,
};

use super::{
    slot::{SlotAccumulator, for_each_row},
    words::{Slot, Words, index},
};
use crate::error::StreamError;

/// Any aggregate, by DataFusion's row accumulator.
pub(super) struct AnySlots {
    function: Arc<AggregateFunctionExpr>,
    slots: Vec<Option<Box<dyn Accumulator>>>,
}

impl AnySlots {
    /// No slots yet.
    pub(super) fn new(function: &Arc<AggregateFunctionExpr>) -> Self {
        AnySlots { function: Arc::clone(function), slots: Vec::new() }
    }

    fn of(&mut self, slot: Slot) -> Result<&mut Box<dyn Accumulator>, StreamError> {
        let place = &mut self.slots[index(slot)];
        if let Some(accumulator) = place {
            return Ok(accumulator);
        }
        Ok(place.insert(self.function.create_accumulator()?))
    }

    /// The state of a slot. Reading an accumulator may use it up, so it is made anew from what was read.
    fn read(&mut self, slot: Slot) -> Result<Vec<ScalarValue>, StreamError> {
        let state = self.of(slot)?.state()?;
        let arrays = state.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>, _>>()?;
        self.slots[index(slot)] = None;
        self.of(slot)?.merge_batch(&arrays)?;
        Ok(state)
    }

    /// Rows by slot: the places of the rows, and for each slot the range of places that are its own.
    fn by_slot(slots: &[Slot], filter: Option<&BooleanArray>) -> (UInt32Array, Vec<(Slot, usize, usize)>) {
        let mut rows: Vec<(Slot, u32)> = Vec::with_capacity(slots.len());
        for_each_row(slots.len(), None, filter, |row| {
            rows.push((slots[row], u32::try_from(row).unwrap_or(u32::MAX)));
        });
        rows.sort_by_key(|(slot, _)| *slot);
        let mut runs = Vec::new();
        let mut start = 0;
        for run in rows.chunk_by(|a, b| a.0 == b.0) {
            runs.push((run[0].0, start, run.len()));
            start += run.len();
        }
        (rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>().into(), runs)
    }
}

impl SlotAccumulator for AnySlots {
    fn grow(&mut self, slots: usize) {
        self.slots.resize_with(slots.max(self.slots.len()), || None);
    }

    fn clear(&mut self, slot: Slot) {
        self.slots[index(slot)] = None;
    }

    fn update(
        &mut self,
        _: &mut Words,
        slots: &[Slot],
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<(), StreamError> {
        let (rows, runs) = Self::by_slot(slots, filter);
        let sorted = arguments.iter().map(|a| take(a, &rows, None)).collect::<Result<Vec<_>, _>>()?;
        for (slot, start, length) in runs {
            let own: Vec<ArrayRef> = sorted.iter().map(|array| array.slice(start, length)).collect();
            self.of(slot)?.update_batch(&own)?;
        }
        Ok(())
    }

    fn merge(&mut self, _: &mut Words, slots: &[Slot], states: &[ArrayRef]) -> Result<(), StreamError> {
        let (rows, runs) = Self::by_slot(slots, None);
        let sorted = states.iter().map(|a| take(a, &rows, None)).collect::<Result<Vec<_>, _>>()?;
        for (slot, start, length) in runs {
            let own: Vec<ArrayRef> = sorted.iter().map(|array| array.slice(start, length)).collect();
            self.of(slot)?.merge_batch(&own)?;
        }
        Ok(())
    }

    fn join(&mut self, _: &mut Words, into: Slot, from: Slot) -> Result<(), StreamError> {
        let state = self.read(from)?;
        let arrays = state.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>, _>>()?;
        Ok(self.of(into)?.merge_batch(&arrays)?)
    }

    fn states(&mut self, _: &Words, slots: &[Slot]) -> Result<Vec<ArrayRef>, StreamError> {
        let fields = self.function.state_fields()?;
        if slots.is_empty() {
            return Ok(fields.iter().map(|field| new_empty_array(field.data_type())).collect());
        }
        let mut columns: Vec<Vec<ScalarValue>> = vec![Vec::with_capacity(slots.len()); fields.len()];
        for slot in slots {
            for (column, value) in columns.iter_mut().zip(self.read(*slot)?) {
                column.push(value);
            }
        }
        Ok(columns.into_iter().map(ScalarValue::iter_to_array).collect::<Result<_, _>>()?)
    }

    fn evaluate(&mut self, _: &Words, slots: &[Slot]) -> Result<ArrayRef, StreamError> {
        if slots.is_empty() {
            return Ok(new_empty_array(self.function.field().data_type()));
        }
        let mut values = Vec::with_capacity(slots.len());
        for slot in slots {
            let state = self.read(*slot)?;
            let arrays = state.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>, _>>()?;
            let mut copy = self.function.create_accumulator()?;
            copy.merge_batch(&arrays)?;
            values.push(copy.evaluate()?);
        }
        Ok(ScalarValue::iter_to_array(values)?)
    }
}
