//! `SUM` of whole numbers and decimals that fails where it does not fit, instead of starting over at the other end.
//!
//! DataFusion's own wraps. What is added up on the way must fit as well: a sum that would come back into its range is
//! refused too.

use std::{mem::size_of, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray},
    buffer::NullBuffer,
    datatypes::{DataType, Decimal128Type, DecimalType, Int64Type, UInt64Type},
};
use datafusion::{
    common::{Result, exec_datafusion_err, internal_datafusion_err},
    error::DataFusionError,
    logical_expr::{EmitTo, GroupsAccumulator},
    physical_expr::aggregate::AggregateFunctionExpr,
};

use super::slots::slot::for_each_row;

/// The error of a sum that does not fit its type; `name` has function and column.
pub(super) fn overflow(name: &str, data_type: &DataType) -> DataFusionError {
    let sql = match data_type {
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::UInt64 => "BIGINT UNSIGNED".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        other => other.to_string(),
    };
    exec_datafusion_err!(
        "window aggregate: {name} does not fit {sql}; add up a CAST of the column to a wider type, such as DOUBLE"
    )
}

/// A sum that knows its bounds.
pub(super) trait Bounded: ArrowPrimitiveType {
    /// The sum, and whether it does not fit a type of this precision, for decimals.
    fn sum(a: Self::Native, b: Self::Native, precision: u8) -> (Self::Native, bool);
}

impl Bounded for Int64Type {
    #[inline]
    fn sum(a: i64, b: i64, _: u8) -> (i64, bool) {
        a.overflowing_add(b)
    }
}

impl Bounded for UInt64Type {
    #[inline]
    fn sum(a: u64, b: u64, _: u8) -> (u64, bool) {
        a.overflowing_add(b)
    }
}

impl Bounded for Decimal128Type {
    #[inline]
    fn sum(a: i128, b: i128, precision: u8) -> (i128, bool) {
        let (sum, wraps) = a.overflowing_add(b);
        (sum, wraps || !Self::is_valid_decimal_precision(sum, precision))
    }
}

/// The precision that matters to [`Bounded::sum`].
pub(super) fn precision_of(data_type: &DataType) -> u8 {
    match data_type {
        DataType::Decimal128(precision, _) => *precision,
        _ => 0,
    }
}

/// The accumulator of a SUM, unless it is DataFusion's business.
pub(super) fn of(function: &AggregateFunctionExpr) -> Option<Box<dyn GroupsAccumulator>> {
    if function.fun().name() != "sum" || function.is_distinct() {
        return None;
    }
    let data_type = function.field().data_type().clone();
    match data_type {
        DataType::Int64 => Some(Box::new(Sums::<Int64Type>::new(function.name(), data_type))),
        DataType::UInt64 => Some(Box::new(Sums::<UInt64Type>::new(function.name(), data_type))),
        DataType::Decimal128(..) => Some(Box::new(Sums::<Decimal128Type>::new(function.name(), data_type))),
        _ => None,
    }
}

/// The sums of all groups.
struct Sums<T: ArrowPrimitiveType> {
    name: String,
    data_type: DataType,
    precision: u8,
    sums: Vec<T::Native>,
    seen: Vec<bool>,
}

impl<T: Bounded> Sums<T> {
    fn new(name: &str, data_type: DataType) -> Self {
        let precision = precision_of(&data_type);
        Sums { name: name.to_owned(), data_type, precision, sums: Vec::new(), seen: Vec::new() }
    }

    fn take(&mut self, emit_to: EmitTo) -> ArrayRef {
        let sums = emit_to.take_needed(&mut self.sums);
        let seen = emit_to.take_needed(&mut self.seen);
        let nulls = Some(NullBuffer::from(seen)).filter(|nulls| nulls.null_count() > 0);
        Arc::new(PrimitiveArray::<T>::new(sums.into(), nulls).with_data_type(self.data_type.clone()))
    }
}

impl<T: Bounded + Send> GroupsAccumulator for Sums<T> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let array = values.first().and_then(|values| values.as_primitive_opt::<T>());
        let array = array.ok_or_else(|| internal_datafusion_err!("{} was given other values", self.name))?;
        self.sums.resize(total_num_groups.max(self.sums.len()), T::Native::ZERO);
        self.seen.resize(total_num_groups.max(self.seen.len()), false);
        let (values, precision) = (array.values(), self.precision);
        let (sums, seen, mut overflows) = (&mut self.sums, &mut self.seen, false);
        let mut add = |group: usize, value: T::Native| {
            let (sum, overflow) = T::sum(sums[group], value, precision);
            sums[group] = sum;
            seen[group] = true;
            overflows |= overflow;
        };
        if array.nulls().is_none() && opt_filter.is_none() {
            group_indices.iter().zip(values).for_each(|(group, value)| add(*group, *value));
        } else {
            let rows = group_indices.len();
            for_each_row(rows, array.nulls(), opt_filter, |row| add(group_indices[row], values[row]));
        }
        if overflows { Err(overflow(&self.name, &self.data_type)) } else { Ok(()) }
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.update_batch(values, group_indices, None, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(self.take(emit_to))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.take(emit_to)])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |array| array.len());
        let mut sums = Self::new(&self.name, self.data_type.clone());
        sums.update_batch(values, &(0..rows).collect::<Vec<_>>(), opt_filter, rows)?;
        sums.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.sums.capacity() * size_of::<T::Native>() + self.seen.capacity()
    }
}
