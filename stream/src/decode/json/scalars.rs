//! Values of one plain type, in vectors.
//!
//! There is no test for NULL at each row: a NULL is a zero among the values, and the [column](super::column) knows which
//! rows they are.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray},
    buffer::{BooleanBuffer, NullBuffer},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
        Int64Type, SchemaRef, Time64NanosecondType, TimestampMicrosecondType, UInt8Type, UInt16Type,
        UInt32Type, UInt64Type,
    },
};
use datafusion::physical_expr::PhysicalExpr;

use super::{
    codes::{Codes, evaluate},
    text::Text,
    value::{Cell, Kind},
};
use crate::error::StreamError;

/// The values of a column.
#[derive(Debug)]
pub(crate) enum Scalars {
    /// Integers of every width, times and dates.
    Int(Vec<i64>),
    /// Of either width.
    Float(Vec<f64>),
    /// Without their point.
    Decimal(Vec<i128>),
    /// Either value.
    Bool(Vec<bool>),
    /// Text, JSON and bytes.
    Text(Texts),
}

/// Texts, as far as anyone asks for them.
#[derive(Debug)]
pub(crate) struct Texts {
    /// Where the plan wants the text itself, or has to ask about every row.
    plain: Option<Text>,
    /// Where something is derived of it and it has few distinct values.
    codes: Option<Codes>,
}

/// A column's part of a batch.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The values; `None` where nobody wanted them.
    pub(crate) array: Option<ArrayRef>,
    /// What is derived of them, in the order of the expressions.
    pub(crate) derived: Vec<BooleanArray>,
}

impl Scalars {
    /// No values of a kind yet; `None` where nobody wants them. `derived` are expressions over them, if they are texts.
    pub(crate) fn new(kind: Kind, is_wanted: bool, derived: &[Arc<dyn PhysicalExpr>]) -> Option<Self> {
        Some(match kind {
            Kind::Text | Kind::Json | Kind::Bytes => Scalars::Text(Texts {
                plain: is_wanted.then(Text::default),
                codes: (!derived.is_empty()).then(|| Codes::new(derived.to_vec())),
            }),
            _ if !is_wanted => return None,
            Kind::Int(_) | Kind::Unsigned(_) | Kind::Timestamp | Kind::Date | Kind::Time => {
                Scalars::Int(Vec::new())
            }
            Kind::Float(_) => Scalars::Float(Vec::new()),
            Kind::Decimal(..) => Scalars::Decimal(Vec::new()),
            Kind::Bool => Scalars::Bool(Vec::new()),
            Kind::Nested => return None,
        })
    }

    /// Starts a batch of at most so many rows.
    pub(crate) fn start(&mut self, rows: usize) {
        match self {
            Scalars::Int(values) => *values = Vec::with_capacity(rows),
            Scalars::Float(values) => *values = Vec::with_capacity(rows),
            Scalars::Decimal(values) => *values = Vec::with_capacity(rows),
            Scalars::Bool(values) => values.clear(),
            Scalars::Text(Texts { plain, codes }) => {
                plain.iter_mut().for_each(|plain| plain.start(rows));
                codes.iter_mut().for_each(|codes| codes.start(rows));
            }
        }
    }

    /// Forgets all but the first `rows` rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        match self {
            Scalars::Int(values) => values.truncate(rows),
            Scalars::Float(values) => values.truncate(rows),
            Scalars::Decimal(values) => values.truncate(rows),
            Scalars::Bool(values) => values.truncate(rows),
            Scalars::Text(Texts { plain, codes }) => {
                plain.iter_mut().for_each(|plain| plain.truncate(rows));
                codes.iter_mut().for_each(|codes| codes.truncate(rows));
            }
        }
    }

    /// Room for a NULL.
    #[inline]
    pub(crate) fn push_null(&mut self) {
        match self {
            Scalars::Int(values) => values.push(0),
            Scalars::Float(values) => values.push(0.0),
            Scalars::Decimal(values) => values.push(0),
            Scalars::Bool(values) => values.push(false),
            Scalars::Text(Texts { plain, codes }) => {
                plain.iter_mut().for_each(|plain| plain.push(&[], 0));
                codes.iter_mut().for_each(Codes::push_null);
            }
        }
    }

    /// A value; whether it is of their kind. Texts are [pushed](Texts::push) as such.
    #[inline]
    pub(crate) fn push(&mut self, cell: Cell) -> bool {
        match (self, cell) {
            (Scalars::Int(values), Cell::Int(value)) => values.push(value),
            (Scalars::Float(values), Cell::Float(value)) => values.push(value),
            (Scalars::Decimal(values), Cell::Decimal(value)) => values.push(value),
            (Scalars::Bool(values), Cell::Bool(value)) => values.push(value),
            _ => return false,
        }
        true
    }

    /// The text of a row, where they are texts and it is kept.
    pub(crate) fn text(&self, row: usize) -> Option<&[u8]> {
        match self {
            Scalars::Text(Texts { plain: Some(plain), .. }) => plain.get(row),
            _ => None,
        }
    }

    /// The column so far, of the only field of `schema`, and what the `derived` are of it.
    pub(crate) fn finish(
        &mut self,
        schema: &SchemaRef,
        nulls: Option<NullBuffer>,
        derived: &[Arc<dyn PhysicalExpr>],
    ) -> Result<Finished, StreamError> {
        let data_type = schema.field(0).data_type();
        let array: ArrayRef = match self {
            Scalars::Int(values) => integers(std::mem::take(values), data_type, nulls)?,
            Scalars::Float(values) => {
                let values = std::mem::take(values);
                match data_type {
                    DataType::Float32 => primitive::<Float32Type, _>(values, nearest, nulls)?,
                    _ => Arc::new(PrimitiveArray::<Float64Type>::try_new(values.into(), nulls)?),
                }
            }
            Scalars::Decimal(values) => {
                let values = std::mem::take(values);
                let array = PrimitiveArray::<Decimal128Type>::try_new(values.into(), nulls)?;
                Arc::new(array.with_data_type(data_type.clone()))
            }
            Scalars::Bool(values) => {
                Arc::new(BooleanArray::new(BooleanBuffer::from(values.as_slice()), nulls))
            }
            Scalars::Text(Texts { plain: Some(plain), .. }) if *data_type == DataType::Binary => {
                Arc::new(plain.finish_bytes(nulls)?)
            }
            Scalars::Text(texts) => return texts.finish(nulls, derived, schema),
        };
        Ok(Finished { array: Some(array), derived: Vec::new() })
    }
}

impl Texts {
    /// The first `length` of `bytes`, UTF-8 unless the column is of bytes.
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8], length: usize) {
        if let Some(codes) = &mut self.codes
            && !codes.push(bytes, length)
        {
            self.give_up_codes();
        }
        if let Some(plain) = &mut self.plain {
            plain.push(bytes, length);
        }
    }

    /// Too many distinct values: from here on, every row's text is kept.
    #[cold]
    fn give_up_codes(&mut self) {
        if let Some(codes) = self.codes.take()
            && self.plain.is_none()
        {
            let mut plain = Text::default();
            plain.start(0);
            codes.spell_out(&mut plain);
            self.plain = Some(plain);
        }
    }

    fn finish(
        &mut self,
        nulls: Option<NullBuffer>,
        derived: &[Arc<dyn PhysicalExpr>],
        schema: &SchemaRef,
    ) -> Result<Finished, StreamError> {
        let array = match &mut self.plain {
            Some(plain) => Some(Arc::new(plain.finish(nulls)?) as ArrayRef),
            None => None,
        };
        let derived = match (&mut self.codes, &array) {
            (Some(codes), _) => codes.finish(schema)?,
            (None, Some(array)) => {
                let columns = derived.iter().map(|expr| evaluate(expr, schema, Arc::clone(array)));
                columns.collect::<Result<_, _>>()?
            }
            (None, None) => Vec::new(),
        };
        Ok(Finished { array, derived })
    }
}

/// A column of what is held in 64 bits.
fn integers(
    values: Vec<i64>,
    data_type: &DataType,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, StreamError> {
    Ok(match data_type {
        DataType::Int8 => primitive::<Int8Type, _>(values, narrow, nulls)?,
        DataType::Int16 => primitive::<Int16Type, _>(values, narrow, nulls)?,
        DataType::Int32 => primitive::<Int32Type, _>(values, narrow, nulls)?,
        DataType::Date32 => primitive::<Date32Type, _>(values, narrow, nulls)?,
        DataType::UInt8 => primitive::<UInt8Type, _>(values, narrow, nulls)?,
        DataType::UInt16 => primitive::<UInt16Type, _>(values, narrow, nulls)?,
        DataType::UInt32 => primitive::<UInt32Type, _>(values, narrow, nulls)?,
        DataType::UInt64 => primitive::<UInt64Type, _>(values, i64::cast_unsigned, nulls)?,
        DataType::Time64(_) => {
            Arc::new(PrimitiveArray::<Time64NanosecondType>::try_new(values.into(), nulls)?)
        }
        DataType::Int64 => Arc::new(PrimitiveArray::<Int64Type>::try_new(values.into(), nulls)?),
        _ => {
            let array = PrimitiveArray::<TimestampMicrosecondType>::try_new(values.into(), nulls)?;
            Arc::new(array.with_data_type(data_type.clone()))
        }
    })
}

/// A column of values that are not held as they are wanted.
fn primitive<T: ArrowPrimitiveType, V>(
    values: Vec<V>,
    convert: fn(V) -> T::Native,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, StreamError> {
    let values: Vec<T::Native> = values.into_iter().map(convert).collect();
    Ok(Arc::new(PrimitiveArray::<T>::try_new(values.into(), nulls)?))
}

/// A value that the parsers have found to fit.
fn narrow<T: TryFrom<i64> + Default>(value: i64) -> T {
    T::try_from(value).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, reason = "a FLOAT column asks for the nearest 32-bit value")]
fn nearest(value: f64) -> f32 {
    value as f32
}
