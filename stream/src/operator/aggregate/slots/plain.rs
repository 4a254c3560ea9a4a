//! COUNT, and SUM, MIN and MAX of plain types: aggregates whose state is a few [words](super::words).

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, Int64Array,
        PrimitiveArray,
    },
    buffer::{BooleanBuffer, NullBuffer},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    },
};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::{
    slot::{SlotAccumulator, for_each_row},
    words::{AsWords, Layout, Slot, Words},
};
use crate::{
    error::StreamError,
    operator::aggregate::sum::{Bounded, overflow, precision_of},
};

/// The implementation for an aggregate without DISTINCT and ORDER BY, if its state is a few words.
pub(super) fn of(function: &AggregateFunctionExpr, layout: &mut Layout) -> Option<Box<dyn SlotAccumulator>> {
    let keep = match function.fun().name() {
        "count" => return Some(Box::new(CountSlots { at: layout.words(1) })),
        "sum" => Keep::Sum,
        "min" => Keep::Min,
        "max" => Keep::Max,
        _ => return None,
    };
    let data_type = function.field().data_type().clone();
    Some(match &data_type {
        DataType::Int64 => Box::new(PrimitiveSlots::<Int64Type>::new(keep, function, layout)),
        // The order of NaN and of the two zeros is DataFusion's business.
        DataType::Float64 if keep == Keep::Sum => {
            Box::new(PrimitiveSlots::<Float64Type>::new(keep, function, layout))
        }
        DataType::Decimal128(..) => Box::new(PrimitiveSlots::<Decimal128Type>::new(keep, function, layout)),
        DataType::Timestamp(TimeUnit::Microsecond, _) if keep != Keep::Sum => {
            Box::new(PrimitiveSlots::<TimestampMicrosecondType>::new(keep, function, layout))
        }
        DataType::Date32 if keep != Keep::Sum => {
            Box::new(PrimitiveSlots::<Date32Type>::new(keep, function, layout))
        }
        _ => return None,
    })
}

/// COUNT of one argument.
struct CountSlots {
    at: usize,
}

impl SlotAccumulator for CountSlots {
    fn update(
        &mut self,
        words: &mut Words,
        slots: &[Slot],
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<(), StreamError> {
        let nulls = arguments[0].logical_nulls();
        for_each_row(slots.len(), nulls.as_ref(), filter, |row| *words.word(slots[row], self.at) += 1);
        Ok(())
    }

    fn merge(&mut self, words: &mut Words, slots: &[Slot], states: &[ArrayRef]) -> Result<(), StreamError> {
        let states = states[0].as_primitive::<Int64Type>();
        for (slot, count) in slots.iter().zip(states.values()) {
            let word = words.word(*slot, self.at);
            *word = word.wrapping_add(count.cast_unsigned());
        }
        Ok(())
    }

    fn join(&mut self, words: &mut Words, into: Slot, from: Slot) -> Result<(), StreamError> {
        let count = words.get(from, self.at);
        *words.word(into, self.at) += count;
        Ok(())
    }

    fn states(&mut self, words: &Words, slots: &[Slot]) -> Result<Vec<ArrayRef>, StreamError> {
        Ok(vec![self.evaluate(words, slots)?])
    }

    fn evaluate(&mut self, words: &Words, slots: &[Slot]) -> Result<ArrayRef, StreamError> {
        let counts = slots.iter().map(|slot| words.get(*slot, self.at).cast_signed());
        Ok(Arc::new(Int64Array::from_iter_values(counts)))
    }
}

/// What a [`PrimitiveSlots`] keeps of the values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Sum,
    Min,
    Max,
}

/// A sum of values of this type, and whether it does not fit; see [`sum`](crate::operator::aggregate::sum).
trait Sum: ArrowPrimitiveType {
    fn sum(a: Self::Native, b: Self::Native, precision: u8) -> (Self::Native, bool);
}

macro_rules! sum {
    ($($checked:ty),*; $($other:ty),*) => {
        $(impl Sum for $checked {
            #[inline]
            fn sum(a: Self::Native, b: Self::Native, precision: u8) -> (Self::Native, bool) {
                <Self as Bounded>::sum(a, b, precision)
            }
        })*
        $(impl Sum for $other {
            #[inline]
            fn sum(a: Self::Native, b: Self::Native, _: u8) -> (Self::Native, bool) {
                (a.add_wrapping(b), false)
            }
        })*
    };
}

// Floats do not wrap, and of times there are no sums.
sum!(Int64Type, Decimal128Type; Float64Type, TimestampMicrosecondType, Date32Type);

/// SUM, MIN or MAX of values of one type; NULL where there was none.
struct PrimitiveSlots<T: ArrowPrimitiveType> {
    keep: Keep,
    /// Of the function, for errors.
    name: String,
    data_type: DataType,
    precision: u8,
    /// Of the value.
    at: usize,
    /// The word, and in it the bit, that says whether there was a value.
    seen_at: usize,
    seen_bit: u64,
    native: std::marker::PhantomData<fn() -> T>,
}

impl<T: Sum> PrimitiveSlots<T>
where
    T::Native: AsWords,
{
    fn new(keep: Keep, function: &AggregateFunctionExpr, layout: &mut Layout) -> Self {
        let (name, data_type) = (function.name().to_owned(), function.field().data_type().clone());
        let at = layout.words(T::Native::COUNT);
        let (seen_at, seen_bit) = layout.bit();
        let precision = precision_of(&data_type);
        let native = std::marker::PhantomData;
        PrimitiveSlots { keep, name, data_type, precision, at, seen_at, seen_bit, native }
    }

    fn has_seen(&self, words: &Words, slot: Slot) -> bool {
        words.get(slot, self.seen_at) & self.seen_bit != 0
    }

    /// Adds a value; whether the sum does not fit.
    #[inline]
    fn add(&self, words: &mut Words, slot: Slot, value: T::Native) -> bool {
        let seen = words.word(slot, self.seen_at);
        let first = *seen & self.seen_bit == 0;
        *seen |= self.seen_bit;
        let kept = T::Native::load(words, slot, self.at);
        let (kept, overflows) = match self.keep {
            Keep::Sum => T::sum(kept, value, self.precision),
            Keep::Min if first || value.is_lt(kept) => (value, false),
            Keep::Max if first || value.is_gt(kept) => (value, false),
            Keep::Min | Keep::Max => return false,
        };
        kept.store(words, slot, self.at);
        overflows
    }

    fn checked(&self, overflows: bool) -> Result<(), StreamError> {
        if overflows { Err(overflow(&self.name, &self.data_type).into()) } else { Ok(()) }
    }

    fn typed<'a>(&self, array: &'a ArrayRef) -> Result<&'a PrimitiveArray<T>, StreamError> {
        array.as_primitive_opt::<T>().ok_or_else(|| {
            let (expected, found) = (&self.data_type, array.data_type());
            StreamError::internal(format!("an aggregate over {expected} was given {found}"))
        })
    }
}

impl<T: Sum + Send> SlotAccumulator for PrimitiveSlots<T>
where
    T::Native: AsWords,
{
    fn update(
        &mut self,
        words: &mut Words,
        slots: &[Slot],
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<(), StreamError> {
        let array = self.typed(&arguments[0])?;
        let values = array.values();
        let mut overflows = false;
        for_each_row(slots.len(), array.nulls(), filter, |row| {
            overflows |= self.add(words, slots[row], values[row]);
        });
        self.checked(overflows)
    }

    fn merge(&mut self, words: &mut Words, slots: &[Slot], states: &[ArrayRef]) -> Result<(), StreamError> {
        self.update(words, slots, states, None)
    }

    fn join(&mut self, words: &mut Words, into: Slot, from: Slot) -> Result<(), StreamError> {
        if self.has_seen(words, from) {
            let value = T::Native::load(words, from, self.at);
            return self.checked(self.add(words, into, value));
        }
        Ok(())
    }

    fn states(&mut self, words: &Words, slots: &[Slot]) -> Result<Vec<ArrayRef>, StreamError> {
        Ok(vec![self.evaluate(words, slots)?])
    }

    fn evaluate(&mut self, words: &Words, slots: &[Slot]) -> Result<ArrayRef, StreamError> {
        let values = slots.iter().map(|slot| T::Native::load(words, *slot, self.at)).collect::<Vec<_>>();
        let seen: BooleanBuffer = slots.iter().map(|slot| self.has_seen(words, *slot)).collect();
        let nulls = Some(NullBuffer::new(seen)).filter(|nulls| nulls.null_count() > 0);
        let array = PrimitiveArray::<T>::new(values.into(), nulls).with_data_type(self.data_type.clone());
        Ok(Arc::new(array))
    }
}
