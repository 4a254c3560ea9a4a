//! What provisional rows add to an aggregate: they come and go one by one, and each change costs what it changes.
//!
//! | aggregate | is kept as | when a row goes |
//! |---|---|---|
//! | COUNT | a number | is subtracted |
//! | SUM of whole numbers and decimals | a number of 256 bits, which nothing overflows | is subtracted |
//! | COUNT(DISTINCT) on [hashes](super::distinct) | the values, and how often each if more than once | the value goes with its last row |
//! | any other | the arguments of all rows | is left out, and the rest is aggregated when it is next read |
//!
//! The last form is exact for every aggregate, floats included, which do not come back to what they were by
//! subtraction; it costs the rows of a pane at each emission that touches the pane.

use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    hash::BuildHasherDefault,
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Int64Array, PrimitiveArray},
    buffer::NullBuffer,
    datatypes::{DataType, Decimal128Type, DecimalType, Int64Type, i256},
    row::{RowConverter, SortField},
};
use datafusion::{
    common::{Result, exec_datafusion_err, exec_err, internal_datafusion_err},
    logical_expr::EmitTo,
    physical_expr::aggregate::AggregateFunctionExpr,
};

use super::{
    Aggregate, accumulator,
    distinct::{DistinctGroups, Spread, for_each_value},
    slots::slot::for_each_row,
    sum,
};

/// Aggregates that are the same however often a row is repeated.
const IDEMPOTENT: [&str; 6] = ["min", "max", "bit_and", "bit_or", "bool_and", "bool_or"];

/// Rows that come or go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// They are there from now on.
    Come,
    /// They have come before and are there no longer.
    Go,
}

/// What provisional rows add to the groups of one aggregate.
pub(super) enum Open {
    Count(Vec<i64>),
    Sum { data_type: DataType, name: String, sums: Vec<(i256, i64)> },
    Distinct(OpenDistinct),
    Rows(OpenRows),
}

impl Open {
    pub(super) fn new(aggregate: &Aggregate) -> Self {
        let function = &aggregate.function;
        if aggregate.is_hashed {
            return Open::Distinct(OpenDistinct::default());
        }
        let is_plain = !function.is_distinct() && function.order_bys().is_empty();
        if is_plain && function.fun().name() == "count" {
            return Open::Count(Vec::new());
        }
        if sum::of(function).is_some() {
            let data_type = function.field().data_type().clone();
            return Open::Sum { data_type, name: function.name().to_owned(), sums: Vec::new() };
        }
        Open::Rows(OpenRows::new(Arc::clone(function)))
    }

    /// Takes rows: row `i` is of the group `numbers[i]`, of so many. `settled` is what final rows have made of a
    /// COUNT(DISTINCT).
    pub(super) fn change(
        &mut self,
        direction: Direction,
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
        numbers: &[usize],
        length: usize,
        settled: Option<&DistinctGroups>,
    ) -> Result<()> {
        let rows = numbers.len();
        let step: i64 = if direction == Direction::Come { 1 } else { -1 };
        match self {
            Open::Count(counts) => {
                counts.resize(length, 0);
                let nulls = arguments.iter().map(|argument| argument.logical_nulls());
                let nulls = nulls.fold(None, |all, own| NullBuffer::union(all.as_ref(), own.as_ref()));
                for_each_row(rows, nulls.as_ref(), filter, |row| counts[numbers[row]] += step);
                Ok(())
            }
            Open::Sum { data_type, sums, name } => {
                sums.resize(length, (i256::ZERO, 0));
                let argument = arguments.first();
                match data_type {
                    DataType::Int64 => add::<Int64Type>(sums, argument, filter, numbers, step),
                    _ => add::<Decimal128Type>(sums, argument, filter, numbers, step),
                }
                .ok_or_else(|| internal_datafusion_err!("{name} was given other values"))
            }
            Open::Distinct(distinct) => {
                distinct.grow(length);
                let argument = arguments.first();
                let argument =
                    argument.ok_or_else(|| internal_datafusion_err!("COUNT(DISTINCT) of nothing"))?;
                for_each_value(argument, filter, |row, value| {
                    distinct.change(direction, numbers[row], value, settled);
                })
            }
            Open::Rows(bag) => bag.change(step, arguments, filter, numbers),
        }
    }

    /// The states of so many groups, as the aggregate's own; those without rows are as if nothing had come.
    pub(super) fn states(&self, length: usize) -> Result<Vec<ArrayRef>> {
        match self {
            Open::Count(counts) => {
                let all = counts.iter().copied().chain(std::iter::repeat(0)).take(length);
                Ok(vec![Arc::new(Int64Array::from_iter_values(all))])
            }
            Open::Sum { data_type, name, sums } => {
                let none = std::iter::repeat(&(i256::ZERO, 0));
                let all = sums.iter().chain(none).take(length);
                let fits = |sum: i256| match data_type {
                    DataType::Decimal128(precision, _) => sum
                        .to_i128()
                        .filter(|sum| Decimal128Type::is_valid_decimal_precision(*sum, *precision)),
                    _ => sum.to_i128().filter(|sum| i64::try_from(*sum).is_ok()),
                };
                let mut values: Vec<Option<i128>> = Vec::with_capacity(length);
                for (sum, rows) in all {
                    values.push(match rows {
                        0 => None,
                        _ => Some(fits(*sum).ok_or_else(|| sum::overflow(name, data_type))?),
                    });
                }
                Ok(vec![match data_type {
                    DataType::Int64 => Arc::new(Int64Array::from_iter(
                        values.into_iter().map(|value| value.and_then(|value| i64::try_from(value).ok())),
                    )),
                    _ => Arc::new(
                        PrimitiveArray::<Decimal128Type>::from_iter(values).with_data_type(data_type.clone()),
                    ),
                }])
            }
            Open::Distinct(distinct) => Ok(vec![distinct.values.peek_state_of(length)]),
            Open::Rows(rows) => rows.states(length),
        }
    }
}

/// Adds to sums, or takes from them; `None` if the values are of another type.
fn add<T: ArrowPrimitiveType>(
    sums: &mut [(i256, i64)],
    argument: Option<&ArrayRef>,
    filter: Option<&BooleanArray>,
    numbers: &[usize],
    step: i64,
) -> Option<()>
where
    T::Native: Into<i128>,
{
    let array = argument?.as_primitive_opt::<T>()?;
    let values = array.values();
    for_each_row(numbers.len(), array.nulls(), filter, |row| {
        let value = i256::from_i128(values[row].into());
        let (sum, rows) = &mut sums[numbers[row]];
        *sum = if step > 0 { sum.wrapping_add(value) } else { sum.wrapping_sub(value) };
        *rows += step;
    });
    Some(())
}

/// The values of provisional rows, beside those of final ones.
#[derive(Default)]
pub(super) struct OpenDistinct {
    values: DistinctGroups,
    /// How many rows have a value, of those that more than one has.
    several: HashMap<(u32, u128), u64, BuildHasherDefault<Spread>>,
    /// How many values no final row has, by group.
    more: Vec<i64>,
}

impl OpenDistinct {
    fn grow(&mut self, length: usize) {
        self.values.grow(length);
        self.more.resize(length.max(self.more.len()), 0);
    }

    fn change(&mut self, direction: Direction, group: usize, value: u128, settled: Option<&DistinctGroups>) {
        let is_settled = settled.is_some_and(|settled| settled.contains(group, value));
        let key = (u32::try_from(group).unwrap_or(u32::MAX), value);
        match direction {
            Direction::Come if self.values.add(group, value) => self.more[group] += i64::from(!is_settled),
            Direction::Come => *self.several.entry(key).or_insert(1) += 1,
            Direction::Go => match self.several.get_mut(&key) {
                Some(2) => {
                    self.several.remove(&key);
                }
                Some(rows) => *rows -= 1,
                None if self.values.remove(group, value) => self.more[group] -= i64::from(!is_settled),
                None => {}
            },
        }
    }

    /// A final row has a value that none had before.
    pub(super) fn settle(&mut self, group: usize, value: u128) {
        if self.values.contains(group, value) {
            self.more[group] -= 1;
        }
    }

    /// How many values each group has, with those of final rows.
    pub(super) fn counts(&self, settled: &DistinctGroups, length: usize) -> ArrayRef {
        let of = |counts: &[i64], group: usize| counts.get(group).copied().unwrap_or_default();
        let all = (0..length).map(|group| of(settled.counts(), group) + of(&self.more, group));
        Arc::new(Int64Array::from_iter_values(all))
    }
}

/// The arguments of provisional rows.
pub(super) struct OpenRows {
    function: Arc<AggregateFunctionExpr>,
    /// Made with the first rows.
    converter: Option<RowConverter>,
    /// How many rows have these arguments, by group. In order, so that the same rows give the same answer.
    rows: BTreeMap<(usize, Box<[u8]>), i64>,
}

impl OpenRows {
    fn new(function: Arc<AggregateFunctionExpr>) -> Self {
        OpenRows { function, converter: None, rows: BTreeMap::new() }
    }

    fn change(
        &mut self,
        step: i64,
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
        numbers: &[usize],
    ) -> Result<()> {
        if arguments.is_empty() {
            return exec_err!("{} without arguments has no provisional rows", self.function.name());
        }
        let converter = match &mut self.converter {
            Some(converter) => converter,
            none => {
                let fields = arguments.iter().map(|argument| SortField::new(argument.data_type().clone()));
                none.insert(RowConverter::new(fields.collect())?)
            }
        };
        let rows = converter.convert_columns(arguments)?;
        for_each_row(numbers.len(), None, filter, |row| {
            match self.rows.entry((numbers[row], Box::from(rows.row(row).data()))) {
                Entry::Vacant(entry) => {
                    entry.insert(step);
                }
                Entry::Occupied(mut entry) => {
                    *entry.get_mut() += step;
                    if *entry.get() == 0 {
                        entry.remove();
                    }
                }
            }
        });
        Ok(())
    }

    fn states(&self, length: usize) -> Result<Vec<ArrayRef>> {
        let mut accumulator = accumulator(&self.function)?;
        let Some(converter) = &self.converter else {
            return Err(exec_datafusion_err!(
                "provisional rows of {} were asked for too early",
                self.function.name()
            ));
        };
        let once = self.function.is_distinct() || IDEMPOTENT.contains(&self.function.fun().name());
        let (mut numbers, mut rows) = (Vec::new(), Vec::new());
        let parser = converter.parser();
        for ((group, arguments), count) in &self.rows {
            let times = if once { 1 } else { usize::try_from(*count).unwrap_or_default() };
            for _ in 0..times {
                numbers.push(*group);
                rows.push(parser.parse(arguments));
            }
        }
        let arguments = converter.convert_rows(rows)?;
        // With a filter, since without one an accumulator takes it that each group has a row.
        let all = BooleanArray::from(vec![true; numbers.len()]);
        accumulator.update_batch(&arguments, &numbers, Some(&all), length)?;
        accumulator.state(EmitTo::All)
    }
}
