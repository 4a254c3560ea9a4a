//! Aggregates that can be read, merged and cleared one group at a time.
//!
//! DataFusion's `GroupsAccumulator` gives its groups away from the first on, which suits windows that close as a
//! whole. Sessions close one by one in any order, so their aggregates live in *slots*, numbered by whoever owns
//! the sessions and used again. The aggregates of most queries (COUNT, SUM, MIN, MAX, COUNT(DISTINCT),
//! `window_funnel`) have a typed implementation, a column of plain values; every other aggregate runs on
//! DataFusion's row accumulator, one in a box per slot.
//!
//! State columns are those of [`Aggregation::state_schema`](super::Aggregation::state_schema), whichever
//! implementation wrote them.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, Int64Array,
        PrimitiveArray, UInt32Array, new_empty_array,
    },
    buffer::{BooleanBuffer, NullBuffer},
    compute::take,
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    },
};
use datafusion::{
    common::ScalarValue, logical_expr::Accumulator, physical_expr::aggregate::AggregateFunctionExpr,
};

use super::{Inputs, distinct::DistinctSlots};
use crate::{error::StreamError, sql::functions::window_funnel};

/// A group's place.
pub type Slot = u32;

/// A slot as an index.
pub fn index(slot: Slot) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

/// One aggregate over slots. Slots are below the number given to [`grow`](Self::grow); a new slot is clear.
pub trait SlotAccumulator: Send {
    /// Makes room for this many slots.
    fn grow(&mut self, slots: usize);

    /// Forgets what went into a slot.
    fn clear(&mut self, slot: Slot);

    /// Adds rows that pass the filter: row `i` goes to `slots[i]`.
    fn update(
        &mut self,
        slots: &[Slot],
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<(), StreamError>;

    /// Adds state rows: row `i` goes to `slots[i]`.
    fn merge(&mut self, slots: &[Slot], states: &[ArrayRef]) -> Result<(), StreamError>;

    /// Adds what is in `from` to `into`.
    fn join(&mut self, into: Slot, from: Slot) -> Result<(), StreamError>;

    /// The states of slots, which keep them.
    fn states(&mut self, slots: &[Slot]) -> Result<Vec<ArrayRef>, StreamError>;

    /// The values of slots, which keep them.
    fn evaluate(&mut self, slots: &[Slot]) -> Result<ArrayRef, StreamError>;
}

/// All aggregates of a query over slots.
pub struct SlotAccumulators {
    all: Vec<Box<dyn SlotAccumulator>>,
    state_columns: Vec<usize>,
}

impl SlotAccumulators {
    pub(super) fn new(aggregates: &[super::Aggregate]) -> Result<Self, StreamError> {
        let all = aggregates.iter().map(of).collect::<Result<_, _>>()?;
        Ok(SlotAccumulators { all, state_columns: aggregates.iter().map(|a| a.state_columns).collect() })
    }

    /// See [`SlotAccumulator::grow`].
    pub fn grow(&mut self, slots: usize) {
        self.all.iter_mut().for_each(|aggregate| aggregate.grow(slots));
    }

    /// See [`SlotAccumulator::clear`].
    pub fn clear(&mut self, slot: Slot) {
        self.all.iter_mut().for_each(|aggregate| aggregate.clear(slot));
    }

    /// Adds rows: row `i` goes to `slots[i]`.
    pub fn update(&mut self, slots: &[Slot], inputs: &Inputs) -> Result<(), StreamError> {
        for ((aggregate, arguments), filter) in
            self.all.iter_mut().zip(&inputs.arguments).zip(&inputs.filters)
        {
            aggregate.update(slots, arguments, filter.as_ref())?;
        }
        Ok(())
    }

    /// Adds states: the columns of [`Aggregation::state_schema`](super::Aggregation::state_schema) without the
    /// keys.
    pub fn merge(&mut self, slots: &[Slot], states: &[ArrayRef]) -> Result<(), StreamError> {
        let mut states = states;
        for (aggregate, columns) in self.all.iter_mut().zip(&self.state_columns) {
            let (own, rest) = states.split_at(*columns);
            aggregate.merge(slots, own)?;
            states = rest;
        }
        Ok(())
    }

    /// See [`SlotAccumulator::join`].
    pub fn join(&mut self, into: Slot, from: Slot) -> Result<(), StreamError> {
        self.all.iter_mut().try_for_each(|aggregate| aggregate.join(into, from))
    }

    /// State columns of slots.
    pub fn states(&mut self, slots: &[Slot]) -> Result<Vec<ArrayRef>, StreamError> {
        let mut columns = Vec::new();
        for aggregate in &mut self.all {
            columns.extend(aggregate.states(slots)?);
        }
        Ok(columns)
    }

    /// Value columns of slots.
    pub fn evaluate(&mut self, slots: &[Slot]) -> Result<Vec<ArrayRef>, StreamError> {
        self.all.iter_mut().map(|aggregate| aggregate.evaluate(slots)).collect()
    }
}

/// The implementation for an aggregate.
fn of(aggregate: &super::Aggregate) -> Result<Box<dyn SlotAccumulator>, StreamError> {
    let function = &aggregate.function;
    let other = || -> Result<Box<dyn SlotAccumulator>, StreamError> {
        Ok(Box::new(AnySlots { function: Arc::clone(function), slots: Vec::new() }))
    };
    if aggregate.is_hashed {
        return Ok(Box::new(DistinctSlots::default()));
    }
    if function.fun().name() == window_funnel::NAME {
        return Ok(Box::new(window_funnel::FunnelSlots::new(function)?));
    }
    if function.is_distinct() || function.expressions().len() != 1 || !function.order_bys().is_empty() {
        return other();
    }
    let data_type = function.field().data_type().clone();
    let kept = |keep: Keep| -> Result<Box<dyn SlotAccumulator>, StreamError> {
        Ok(match &data_type {
            DataType::Int64 => Box::new(PrimitiveSlots::<Int64Type>::new(keep, data_type.clone())),
            // The order of NaN and of the two zeros is DataFusion's business.
            DataType::Float64 if keep == Keep::Sum => {
                Box::new(PrimitiveSlots::<Float64Type>::new(keep, data_type.clone()))
            }
            DataType::Decimal128(..) => {
                Box::new(PrimitiveSlots::<Decimal128Type>::new(keep, data_type.clone()))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Box::new(PrimitiveSlots::<TimestampMicrosecondType>::new(keep, data_type.clone()))
            }
            DataType::Date32 => Box::new(PrimitiveSlots::<Date32Type>::new(keep, data_type.clone())),
            _ => return other(),
        })
    };
    match function.fun().name() {
        "count" => Ok(Box::new(CountSlots::default())),
        "sum" => kept(Keep::Sum),
        "min" => kept(Keep::Min),
        "max" => kept(Keep::Max),
        _ => other(),
    }
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

/// COUNT of one argument.
#[derive(Default)]
struct CountSlots {
    counts: Vec<i64>,
}

impl SlotAccumulator for CountSlots {
    fn grow(&mut self, slots: usize) {
        grow(&mut self.counts, slots, 0);
    }

    fn clear(&mut self, slot: Slot) {
        self.counts[index(slot)] = 0;
    }

    fn update(
        &mut self,
        slots: &[Slot],
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<(), StreamError> {
        let nulls = arguments[0].logical_nulls();
        for_each_row(slots.len(), nulls.as_ref(), filter, |row| self.counts[index(slots[row])] += 1);
        Ok(())
    }

    fn merge(&mut self, slots: &[Slot], states: &[ArrayRef]) -> Result<(), StreamError> {
        let states = states[0].as_primitive::<Int64Type>();
        for (slot, count) in slots.iter().zip(states.values()) {
            self.counts[index(*slot)] += count;
        }
        Ok(())
    }

    fn join(&mut self, into: Slot, from: Slot) -> Result<(), StreamError> {
        self.counts[index(into)] += self.counts[index(from)];
        Ok(())
    }

    fn states(&mut self, slots: &[Slot]) -> Result<Vec<ArrayRef>, StreamError> {
        Ok(vec![self.evaluate(slots)?])
    }

    fn evaluate(&mut self, slots: &[Slot]) -> Result<ArrayRef, StreamError> {
        Ok(Arc::new(Int64Array::from_iter_values(slots.iter().map(|slot| self.counts[index(*slot)]))))
    }
}

/// What a [`PrimitiveSlots`] keeps of the values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Sum,
    Min,
    Max,
}

/// SUM, MIN or MAX of values of one type; NULL where there was none. Sums wrap, as DataFusion's do.
struct PrimitiveSlots<T: ArrowPrimitiveType> {
    keep: Keep,
    data_type: DataType,
    values: Vec<T::Native>,
    seen: Vec<bool>,
}

impl<T: ArrowPrimitiveType> PrimitiveSlots<T>
where
    T::Native: ArrowNativeTypeOp,
{
    fn new(keep: Keep, data_type: DataType) -> Self {
        PrimitiveSlots { keep, data_type, values: Vec::new(), seen: Vec::new() }
    }

    fn add(&mut self, slot: Slot, value: T::Native) {
        let slot = index(slot);
        let kept = &mut self.values[slot];
        let first = !std::mem::replace(&mut self.seen[slot], true);
        *kept = match self.keep {
            Keep::Sum => kept.add_wrapping(value),
            Keep::Min if first || value.is_lt(*kept) => value,
            Keep::Max if first || value.is_gt(*kept) => value,
            Keep::Min | Keep::Max => *kept,
        };
    }

    fn typed<'a>(&self, array: &'a ArrayRef) -> Result<&'a PrimitiveArray<T>, StreamError> {
        array.as_primitive_opt::<T>().ok_or_else(|| {
            let (expected, found) = (&self.data_type, array.data_type());
            StreamError::internal(format!("an aggregate over {expected} was given {found}"))
        })
    }
}

impl<T: ArrowPrimitiveType + Send> SlotAccumulator for PrimitiveSlots<T>
where
    T::Native: ArrowNativeTypeOp,
{
    fn grow(&mut self, slots: usize) {
        grow(&mut self.values, slots, T::Native::default());
        grow(&mut self.seen, slots, false);
    }

    fn clear(&mut self, slot: Slot) {
        self.values[index(slot)] = T::Native::default();
        self.seen[index(slot)] = false;
    }

    fn update(
        &mut self,
        slots: &[Slot],
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<(), StreamError> {
        let array = self.typed(&arguments[0])?;
        let values = array.values();
        for_each_row(slots.len(), array.nulls(), filter, |row| self.add(slots[row], values[row]));
        Ok(())
    }

    fn merge(&mut self, slots: &[Slot], states: &[ArrayRef]) -> Result<(), StreamError> {
        self.update(slots, states, None)
    }

    fn join(&mut self, into: Slot, from: Slot) -> Result<(), StreamError> {
        if self.seen[index(from)] {
            self.add(into, self.values[index(from)]);
        }
        Ok(())
    }

    fn states(&mut self, slots: &[Slot]) -> Result<Vec<ArrayRef>, StreamError> {
        Ok(vec![self.evaluate(slots)?])
    }

    fn evaluate(&mut self, slots: &[Slot]) -> Result<ArrayRef, StreamError> {
        let values = slots.iter().map(|slot| self.values[index(*slot)]).collect::<Vec<_>>();
        let seen: BooleanBuffer = slots.iter().map(|slot| self.seen[index(*slot)]).collect();
        let nulls = Some(NullBuffer::new(seen)).filter(|nulls| nulls.null_count() > 0);
        let array = PrimitiveArray::<T>::new(values.into(), nulls).with_data_type(self.data_type.clone());
        Ok(Arc::new(array))
    }
}

/// Any aggregate, by DataFusion's row accumulator.
struct AnySlots {
    function: Arc<AggregateFunctionExpr>,
    slots: Vec<Option<Box<dyn Accumulator>>>,
}

impl AnySlots {
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

    fn merge(&mut self, slots: &[Slot], states: &[ArrayRef]) -> Result<(), StreamError> {
        let (rows, runs) = Self::by_slot(slots, None);
        let sorted = states.iter().map(|a| take(a, &rows, None)).collect::<Result<Vec<_>, _>>()?;
        for (slot, start, length) in runs {
            let own: Vec<ArrayRef> = sorted.iter().map(|array| array.slice(start, length)).collect();
            self.of(slot)?.merge_batch(&own)?;
        }
        Ok(())
    }

    fn join(&mut self, into: Slot, from: Slot) -> Result<(), StreamError> {
        let state = self.read(from)?;
        let arrays = state.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>, _>>()?;
        Ok(self.of(into)?.merge_batch(&arrays)?)
    }

    fn states(&mut self, slots: &[Slot]) -> Result<Vec<ArrayRef>, StreamError> {
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

    fn evaluate(&mut self, slots: &[Slot]) -> Result<ArrayRef, StreamError> {
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

/// Grows a column by a quarter at a time: doubling would double the memory of ten million open sessions.
pub fn grow<T: Clone>(column: &mut Vec<T>, slots: usize, empty: T) {
    if slots > column.capacity() {
        column.reserve_exact((slots - column.len()).max(column.len() / 4));
    }
    if slots > column.len() {
        column.resize(slots, empty);
    }
}
