//! Typed values to Arrow columns.
//!
//! A column is filled in plain vectors, without a test for NULL at each row: a NULL is a zero among the values,
//! and its row's number in a list that is usually short. A row can be taken back at any time, so the scanner
//! writes straight into the columns, and what it had written of a record that it gives up leaves no trace.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, ArrowPrimitiveType, BooleanArray, BooleanBufferBuilder, PrimitiveArray},
    buffer::{BooleanBuffer, NullBuffer},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int8Type, Int16Type,
        Int32Type, Int64Type, Schema, SchemaRef, Time64NanosecondType, TimestampMicrosecondType, UInt8Type,
        UInt16Type, UInt32Type, UInt64Type,
    },
};
use datafusion::physical_expr::PhysicalExpr;

use super::{
    bytes::At,
    codes::{Codes, evaluate},
    fallback::Parsed,
    nested::Nested,
    shape::Shape,
    text::Text,
    time::LastDay,
    value::{self, Cell, Kind},
};
use crate::error::StreamError;

/// One field while a batch is decoded.
#[derive(Debug)]
pub struct Column {
    /// What it wants of a JSON value.
    pub kind: Kind,
    /// Of the last time that it read.
    pub last_day: LastDay,
    is_wanted: bool,
    /// The field alone, which derived expressions are over.
    schema: SchemaRef,
    values: Values,
    /// Rows that are NULL, in order.
    nulls: Vec<u32>,
    /// Rows that have a value, or are about to get one.
    rows: usize,
    derived: Vec<Arc<dyn PhysicalExpr>>,
}

#[derive(Debug)]
enum Values {
    /// Integers of every width, times and dates.
    Int(Vec<i64>),
    Float(Vec<f64>),
    Decimal(Vec<i128>),
    Bool(Vec<bool>),
    Text(Texts),
    Nested(Box<Nested>),
    /// Only checked.
    Unwanted,
}

#[derive(Debug)]
struct Texts {
    /// Where the plan wants the text itself, or has to ask about every row.
    plain: Option<Text>,
    /// Where something is derived of it and it has few distinct values.
    codes: Option<Codes>,
}

/// A column's part of a batch.
#[derive(Debug)]
pub struct Finished {
    /// The values; `None` where nobody wanted them.
    pub array: Option<ArrayRef>,
    /// What is derived of them, in the order of the expressions.
    pub derived: Vec<BooleanArray>,
}

impl Column {
    /// An empty column of `field`, whose shape is `shape`. `is_wanted` says whether it becomes a column itself;
    /// `derived` are BOOLEAN expressions over it.
    pub fn new(field: &Field, shape: &Shape, is_wanted: bool, derived: Vec<Arc<dyn PhysicalExpr>>) -> Self {
        let kind = shape.kind();
        let values = match kind {
            Kind::Text | Kind::Json | Kind::Bytes => Values::Text(Texts {
                plain: is_wanted.then(Text::default),
                codes: (!derived.is_empty()).then(|| Codes::new(derived.clone())),
            }),
            // What is inside is checked as well, and just as little kept.
            Kind::Nested => match Nested::new(field.data_type(), shape, is_wanted) {
                Some(nested) => Values::Nested(Box::new(nested)),
                None => Values::Unwanted,
            },
            _ if !is_wanted => Values::Unwanted,
            Kind::Int(_) | Kind::Unsigned(_) | Kind::Timestamp | Kind::Date | Kind::Time => {
                Values::Int(Vec::new())
            }
            Kind::Float(_) => Values::Float(Vec::new()),
            Kind::Decimal(..) => Values::Decimal(Vec::new()),
            Kind::Bool => Values::Bool(Vec::new()),
        };
        let schema = Arc::new(Schema::new(vec![field.clone().with_nullable(true)]));
        let last_day = LastDay::default();
        Column { kind, last_day, is_wanted, schema, values, nulls: Vec::new(), rows: 0, derived }
    }

    /// Starts a batch of at most so many rows.
    pub fn start(&mut self, rows: usize) {
        self.nulls.clear();
        self.rows = 0;
        match &mut self.values {
            Values::Int(values) => *values = Vec::with_capacity(rows),
            Values::Float(values) => *values = Vec::with_capacity(rows),
            Values::Decimal(values) => *values = Vec::with_capacity(rows),
            Values::Bool(values) => values.clear(),
            Values::Text(Texts { plain, codes }) => {
                plain.iter_mut().for_each(|plain| plain.start(rows));
                codes.iter_mut().for_each(|codes| codes.start(rows));
            }
            Values::Nested(nested) => nested.start(rows),
            Values::Unwanted => {}
        }
    }

    /// Makes way for the value of row `row`, which must be pushed next; whether it is the row's first.
    #[inline]
    pub fn open(&mut self, row: usize) -> bool {
        let is_first = self.rows == row;
        if !is_first {
            self.truncate(row);
        }
        self.rows = row + 1;
        is_first
    }

    /// Whether row `row` has no value yet.
    pub fn lacks(&self, row: usize) -> bool {
        self.rows == row
    }

    /// Forgets all but the first `rows` rows.
    #[cold]
    pub fn truncate(&mut self, rows: usize) {
        if self.rows <= rows {
            return;
        }
        self.rows = rows;
        match &mut self.values {
            Values::Int(values) => values.truncate(rows),
            Values::Float(values) => values.truncate(rows),
            Values::Decimal(values) => values.truncate(rows),
            Values::Bool(values) => values.truncate(rows),
            Values::Text(Texts { plain, codes }) => {
                plain.iter_mut().for_each(|plain| plain.truncate(rows));
                codes.iter_mut().for_each(|codes| codes.truncate(rows));
            }
            Values::Nested(nested) => nested.truncate(rows),
            Values::Unwanted => {}
        }
        while self.nulls.last().is_some_and(|null| usize::try_from(*null).is_ok_and(|null| null >= rows)) {
            self.nulls.pop();
        }
    }

    /// NULL for the open row.
    pub fn push_null(&mut self) {
        match &mut self.values {
            Values::Int(values) => values.push(0),
            Values::Float(values) => values.push(0.0),
            Values::Decimal(values) => values.push(0),
            Values::Bool(values) => values.push(false),
            Values::Text(Texts { plain, codes }) => {
                plain.iter_mut().for_each(|plain| plain.push(&[], 0));
                codes.iter_mut().for_each(Codes::push_null);
            }
            Values::Nested(nested) => nested.push_null(self.rows - 1),
            Values::Unwanted => return,
        }
        self.nulls.push(u32::try_from(self.rows - 1).unwrap_or(u32::MAX));
    }

    /// An integer, a time or a date for the open row.
    #[inline]
    pub fn push_int(&mut self, value: i64) {
        if let Values::Int(values) = &mut self.values {
            values.push(value);
        }
    }

    /// The first `length` of `bytes`, UTF-8, as a text for the open row.
    #[inline]
    pub fn push_text(&mut self, bytes: &[u8], length: usize) {
        let Values::Text(texts) = &mut self.values else { return };
        if let Some(codes) = &mut texts.codes
            && !codes.push(bytes, length)
        {
            texts.give_up_codes();
        }
        if let Some(plain) = &mut texts.plain {
            plain.push(bytes, length);
        }
    }

    /// A value of the column's kind for the open row, text as a range of `text`. A value of another kind is
    /// NULL, but the parsers make none.
    pub fn push(&mut self, cell: Cell, text: &str) {
        match (&mut self.values, cell) {
            (Values::Int(values), Cell::Int(value)) => values.push(value),
            (Values::Float(values), Cell::Float(value)) => values.push(value),
            (Values::Decimal(values), Cell::Decimal(value)) => values.push(value),
            (Values::Bool(values), Cell::Bool(value)) => values.push(value),
            (Values::Text(_), Cell::Text(start, end)) => {
                let text = text.get(start..end).unwrap_or_default();
                let decoded = (self.kind == Kind::Bytes).then(|| value::bytes(text).unwrap_or_default());
                let value = decoded.as_deref().unwrap_or(text.as_bytes());
                self.push_text(value, value.len());
            }
            _ => self.push_null(),
        }
    }

    /// A parsed value for the open row, text as ranges of `text`.
    pub fn push_parsed(&mut self, parsed: &Parsed, text: &str) {
        match (&mut self.values, parsed) {
            (_, Parsed::Cell(cell)) => self.push(*cell, text),
            (Values::Nested(nested), parsed) => nested.push(self.rows - 1, parsed, text),
            _ => self.push_null(),
        }
    }

    /// Reads the nested value at `at` for the open row; answers the place behind it.
    pub fn read_nested(&mut self, bytes: &[u8], at: At) -> Option<At> {
        let row = self.rows.checked_sub(1)?;
        match &mut self.values {
            Values::Nested(nested) => nested.read(row, bytes, at),
            _ => None,
        }
    }

    /// Rows that have a value, or are about to get one.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The text of a row, where the column is of text and it is kept.
    pub fn text(&self, row: usize) -> Option<&[u8]> {
        match &self.values {
            Values::Text(Texts { plain: Some(plain), .. }) => plain.get(row),
            _ => None,
        }
    }

    /// The column so far, and what is derived of it.
    pub fn finish(&mut self) -> Result<Finished, StreamError> {
        let nulls = self.null_buffer();
        let data_type = self.schema.field(0).data_type();
        let array: ArrayRef = match &mut self.values {
            Values::Int(values) => {
                let values = std::mem::take(values);
                match data_type {
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
                        let array =
                            PrimitiveArray::<TimestampMicrosecondType>::try_new(values.into(), nulls)?;
                        Arc::new(array.with_data_type(data_type.clone()))
                    }
                }
            }
            Values::Float(values) => {
                let values = std::mem::take(values);
                match data_type {
                    DataType::Float32 => primitive::<Float32Type, _>(values, nearest, nulls)?,
                    _ => Arc::new(PrimitiveArray::<Float64Type>::try_new(values.into(), nulls)?),
                }
            }
            Values::Decimal(values) => {
                let values = std::mem::take(values);
                let array = PrimitiveArray::<Decimal128Type>::try_new(values.into(), nulls)?;
                Arc::new(array.with_data_type(data_type.clone()))
            }
            Values::Bool(values) => {
                Arc::new(BooleanArray::new(BooleanBuffer::from(values.as_slice()), nulls))
            }
            Values::Text(Texts { plain: Some(plain), .. }) if self.kind == Kind::Bytes => {
                Arc::new(plain.finish_bytes(nulls)?)
            }
            Values::Text(texts) => return texts.finish(nulls, &self.derived, &self.schema),
            Values::Nested(nested) if self.is_wanted => nested.finish(data_type, nulls, self.rows)?,
            Values::Nested(_) => return Ok(Finished { array: None, derived: Vec::new() }),
            Values::Unwanted => return Ok(Finished { array: None, derived: Vec::new() }),
        };
        Ok(Finished { array: Some(array), derived: Vec::new() })
    }

    fn null_buffer(&self) -> Option<NullBuffer> {
        if self.nulls.is_empty() {
            return None;
        }
        let mut bits = BooleanBufferBuilder::new(self.rows);
        bits.append_n(self.rows, true);
        for row in self.nulls.iter().filter_map(|row| usize::try_from(*row).ok()) {
            bits.set_bit(row, false);
        }
        Some(NullBuffer::new(bits.finish()))
    }
}

impl Texts {
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
