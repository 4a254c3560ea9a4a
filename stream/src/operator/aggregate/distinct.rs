//! `COUNT(DISTINCT x)` on hashed keys.
//!
//! A value is kept as 128 bits: numbers, times and booleans as they are, text as its XXH3 hash. Among a billion
//! different texts the chance that any two share a hash is below 10⁻²⁰, so the count is exact for any purpose
//! that a count has; the value itself, of any length, is not kept. All groups share one table, keyed by group
//! and value: a group with three values costs three entries and no table of its own.
//!
//! State per group: the values' 128 bits one after another, in one BYTES value.

use std::{
    collections::HashSet,
    hash::{BuildHasherDefault, Hasher},
    mem::size_of,
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Int64Array, PrimitiveArray},
    datatypes::{
        ArrowPrimitiveType, DataType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema,
        TimeUnit, TimestampMicrosecondType,
    },
};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::{EmitTo, GroupsAccumulator},
    physical_expr::aggregate::AggregateFunctionExpr,
};
use twox_hash::XxHash3_128;

use super::slots::{
    slot::{SlotAccumulator, for_each_row, grow},
    words::{Slot, Words, index},
};
use crate::error::StreamError;

/// The type of the state column.
pub const STATE_TYPE: DataType = DataType::Binary;

/// Bytes of a value in the state.
const WIDTH: usize = size_of::<u128>();

/// Whether a function over rows of the schema `input` is counted here. Other argument types, and several
/// arguments, are left to DataFusion.
pub fn is_counted(function: &AggregateFunctionExpr, input: &Schema) -> Result<bool> {
    let arguments = function.expressions();
    let is_distinct_count = function.fun().name() == "count" && function.is_distinct();
    match arguments.as_slice() {
        [argument] if is_distinct_count => Ok(is_hashed(&argument.data_type(input)?)),
        _ => Ok(false),
    }
}

fn is_hashed(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8
            | DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Date32
            | DataType::Timestamp(TimeUnit::Microsecond, _)
    )
}

/// Values are spread evenly already: hashes by nature, numbers by one multiplication.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(29) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u128(&mut self, value: u128) {
        // The low half of a hash is a hash; a number lies in it as a whole.
        #[expect(clippy::cast_possible_truncation, reason = "half of it is enough to spread by")]
        self.write_u64(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

type Set<T> = HashSet<T, BuildHasherDefault<Spread>>;

/// Calls `add` with row and value of each valid row that passes the filter.
pub(super) fn for_each_value(
    array: &ArrayRef,
    filter: Option<&BooleanArray>,
    mut add: impl FnMut(usize, u128),
) -> Result<()> {
    fn numbers<T: ArrowPrimitiveType>(
        array: &PrimitiveArray<T>,
        filter: Option<&BooleanArray>,
        mut add: impl FnMut(usize, u128),
    ) where
        T::Native: Into<i64>,
    {
        let values = array.values();
        for_each_row(values.len(), array.nulls(), filter, |row| {
            let value: i64 = values[row].into();
            add(row, u128::from(value.cast_unsigned()));
        });
    }
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            for_each_row(texts.len(), texts.nulls(), filter, |row| {
                add(row, XxHash3_128::oneshot(texts.value(row).as_bytes()));
            });
        }
        DataType::Boolean => {
            let values = array.as_boolean();
            for_each_row(values.len(), values.nulls(), filter, |row| add(row, u128::from(values.value(row))));
        }
        DataType::Int8 => numbers(array.as_primitive::<Int8Type>(), filter, add),
        DataType::Int16 => numbers(array.as_primitive::<Int16Type>(), filter, add),
        DataType::Int32 => numbers(array.as_primitive::<Int32Type>(), filter, add),
        DataType::Int64 => numbers(array.as_primitive::<Int64Type>(), filter, add),
        DataType::Date32 => numbers(array.as_primitive::<Date32Type>(), filter, add),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            numbers(array.as_primitive::<TimestampMicrosecondType>(), filter, add);
        }
        other => return exec_err!("COUNT(DISTINCT) over hashed {other}"),
    }
    Ok(())
}

/// Calls `add` with row and value of each value in state rows.
pub(super) fn for_each_state(states: &ArrayRef, mut add: impl FnMut(usize, u128)) -> Result<()> {
    let Some(states) = states.as_binary_opt::<i32>() else {
        return exec_err!("the state of COUNT(DISTINCT) is a {} column", states.data_type());
    };
    for (row, state) in states.iter().enumerate() {
        for value in state.unwrap_or_default().chunks_exact(WIDTH) {
            add(row, u128::from_le_bytes(value.try_into().unwrap_or_default()));
        }
    }
    Ok(())
}

/// The values of all groups.
#[derive(Debug, Default)]
pub struct DistinctGroups {
    /// Of the first group, which is the only one of a query without keys: half of what an entry takes with its group.
    first: Set<u128>,
    /// Of all others.
    others: Set<(u32, u128)>,
    /// How many each group has.
    counts: Vec<i64>,
}

impl DistinctGroups {
    /// Adds a value; answers whether it is new.
    #[inline]
    pub(super) fn add(&mut self, group: usize, value: u128) -> bool {
        let is_new = match group {
            0 => self.first.insert(value),
            _ => self.others.insert((u32::try_from(group).unwrap_or(u32::MAX), value)),
        };
        self.counts[group] += i64::from(is_new);
        is_new
    }

    /// Takes a value out; answers whether it was there.
    pub(super) fn remove(&mut self, group: usize, value: u128) -> bool {
        let was_there = match group {
            0 => self.first.remove(&value),
            _ => self.others.remove(&(u32::try_from(group).unwrap_or(u32::MAX), value)),
        };
        if was_there {
            self.counts[group] -= 1;
        }
        was_there
    }

    /// Whether a group has a value.
    pub(super) fn contains(&self, group: usize, value: u128) -> bool {
        match group {
            0 => self.first.contains(&value),
            _ => self.others.contains(&(u32::try_from(group).unwrap_or(u32::MAX), value)),
        }
    }

    /// How many values each group has, of those that are known.
    pub(super) fn counts(&self) -> &[i64] {
        &self.counts
    }

    pub(super) fn grow(&mut self, groups: usize) {
        self.counts.resize(groups.max(self.counts.len()), 0);
    }

    /// All values with their groups.
    fn values(&self) -> impl Iterator<Item = (u32, u128)> {
        self.first.iter().map(|value| (0, *value)).chain(self.others.iter().copied())
    }

    /// Takes groups out: how many values each has, and the values with their groups if they are `wanted`.
    fn take(&mut self, emit_to: EmitTo, wanted: bool) -> (Vec<i64>, Vec<(u32, u128)>) {
        let counts = emit_to.take_needed(&mut self.counts);
        let taken = u32::try_from(counts.len()).unwrap_or(u32::MAX);
        if self.counts.is_empty() {
            let values = if wanted { self.values().collect() } else { Vec::new() };
            // The next ones will be about as many: the room for them stays, but no more than that.
            let (first, others) = (self.first.len(), self.others.len());
            self.first.clear();
            self.others.clear();
            self.first.shrink_to(2 * first);
            self.others.shrink_to(2 * others);
            return (counts, values);
        }
        let values: Vec<(u32, u128)> = self.values().collect();
        self.first.clear();
        self.others.clear();
        let (out, kept): (Vec<_>, Vec<_>) = values.into_iter().partition(|(group, _)| *group < taken);
        for (group, value) in kept {
            match group - taken {
                0 => self.first.insert(value),
                group => self.others.insert((group, value)),
            };
        }
        (counts, out)
    }
}

impl DistinctGroups {
    /// The values of so many groups, which keep them.
    pub(super) fn peek_state_of(&self, groups: usize) -> ArrayRef {
        state_column(&self.known(groups), self.values())
    }

    /// How many each of so many groups has.
    pub fn peek_counts(&self, groups: usize) -> ArrayRef {
        Arc::new(Int64Array::from(self.known(groups)))
    }

    fn known(&self, groups: usize) -> Vec<i64> {
        self.counts.iter().copied().chain(std::iter::repeat(0)).take(groups).collect()
    }
}

/// The state of groups with so many values each, from the values with their groups in any order.
fn state_column(counts: &[i64], values: impl IntoIterator<Item = (u32, u128)>) -> ArrayRef {
    // By counting: where each group's next value goes.
    let mut places = Vec::with_capacity(counts.len());
    let mut total = 0;
    for count in counts {
        places.push(total);
        total += usize::try_from(*count).unwrap_or_default();
    }
    let mut sorted = vec![0_u128; total];
    for (group, value) in values {
        let place = &mut places[index(group)];
        sorted[*place] = value;
        *place += 1;
    }
    let mut builder = BinaryBuilder::with_capacity(counts.len(), total * WIDTH);
    let (mut start, mut bytes) = (0, Vec::new());
    for end in places {
        write(&sorted[start..end], &mut bytes, &mut builder);
        start = end;
    }
    Arc::new(builder.finish())
}

impl GroupsAccumulator for DistinctGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        for_each_value(&values[0], opt_filter, |row, value| {
            self.add(group_indices[row], value);
        })
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        if total_num_groups == 1 && self.first.is_empty() {
            // All of the first ones are new.
            let values =
                values[0].as_binary_opt::<i32>().map_or(0, |states| states.value_data().len() / WIDTH);
            self.first.reserve(values);
        }
        for_each_state(&values[0], |row, value| {
            self.add(group_indices[row], value);
        })
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(self.take(emit_to, false).0)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (counts, values) = self.take(emit_to, true);
        Ok(vec![state_column(&counts, values)])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |array| array.len());
        let mut groups = DistinctGroups::default();
        groups.update_batch(values, &(0..rows).collect::<Vec<_>>(), opt_filter, rows)?;
        groups.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of::<Self>()
            + self.first.capacity() * (size_of::<u128>() + 1)
            + self.others.capacity() * (size_of::<(u32, u128)>() + 1)
            + self.counts.capacity() * size_of::<i64>()
    }
}

/// Appends one group's values as a state.
fn write<'a>(values: impl IntoIterator<Item = &'a u128>, bytes: &mut Vec<u8>, builder: &mut BinaryBuilder) {
    bytes.clear();
    for value in values {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    builder.append_value(&bytes);
}

/// The same by slot.
#[derive(Default)]
pub struct DistinctSlots {
    slots: Vec<Set<u128>>,
}

impl SlotAccumulator for DistinctSlots {
    fn grow(&mut self, slots: usize) {
        grow(&mut self.slots, slots, Set::default());
    }

    fn clear(&mut self, slot: Slot) {
        self.slots[index(slot)] = Set::default();
    }

    fn update(
        &mut self,
        _: &mut Words,
        slots: &[Slot],
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> std::result::Result<(), StreamError> {
        Ok(for_each_value(&arguments[0], filter, |row, value| {
            self.slots[index(slots[row])].insert(value);
        })?)
    }

    fn merge(
        &mut self,
        _: &mut Words,
        slots: &[Slot],
        states: &[ArrayRef],
    ) -> std::result::Result<(), StreamError> {
        Ok(for_each_state(&states[0], |row, value| {
            self.slots[index(slots[row])].insert(value);
        })?)
    }

    fn join(&mut self, _: &mut Words, into: Slot, from: Slot) -> std::result::Result<(), StreamError> {
        let values = std::mem::take(&mut self.slots[index(from)]);
        self.slots[index(into)].extend(values);
        Ok(())
    }

    fn states(&mut self, _: &Words, slots: &[Slot]) -> std::result::Result<Vec<ArrayRef>, StreamError> {
        let mut builder = BinaryBuilder::new();
        let mut bytes = Vec::new();
        for slot in slots {
            write(&self.slots[index(*slot)], &mut bytes, &mut builder);
        }
        Ok(vec![Arc::new(builder.finish())])
    }

    fn evaluate(&mut self, _: &Words, slots: &[Slot]) -> std::result::Result<ArrayRef, StreamError> {
        let counts =
            slots.iter().map(|slot| i64::try_from(self.slots[index(*slot)].len()).unwrap_or(i64::MAX));
        Ok(Arc::new(Int64Array::from_iter_values(counts)))
    }
}
