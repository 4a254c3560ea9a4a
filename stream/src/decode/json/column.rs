//! Typed values to Arrow columns.
//!
//! A column is filled in plain vectors, without a test for NULL at each row: a NULL is a zero among the values,
//! and its row's number in a list that is usually short. A row can be taken back at any time, so the scanner
//! writes straight into the columns, and what it had written of a record that it gives up leaves no trace.
//!
//! What is inside of a value goes straight into columns of its own: the members of objects into one each, the
//! elements of all arrays into one, with a list of where each array ends. They are taken back with the row.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanBufferBuilder, ListArray, MapArray, StructArray},
    buffer::NullBuffer,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use datafusion::physical_expr::PhysicalExpr;

use super::{
    ends::Ends,
    fallback::Parsed,
    scalars::{Finished, Scalars},
    shape::Shape,
    time::LastDay,
    value::{self, Cell, Kind},
};
use crate::error::StreamError;

/// One field while a batch is decoded.
#[derive(Debug)]
pub(crate) struct Column {
    /// What it wants of a JSON value.
    pub(crate) kind: Kind,
    /// Of the last time that it read.
    pub(crate) last_day: LastDay,
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
    Plain(Scalars),
    Nested(Box<Nested>),
    /// Only checked.
    Unwanted,
}

impl Column {
    /// An empty column of `field`, whose shape is `shape`. `is_wanted` says whether it becomes a column itself;
    /// `derived` are BOOLEAN expressions over it.
    pub(crate) fn new(
        field: &Field,
        shape: &Shape,
        is_wanted: bool,
        derived: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Self {
        let kind = shape.kind();
        let values = if kind == Kind::Nested {
            // What is inside is checked as well, and just as little kept.
            let nested = Nested::new(field.data_type(), shape, is_wanted);
            nested.map_or(Values::Unwanted, |nested| Values::Nested(Box::new(nested)))
        } else {
            Scalars::new(kind, is_wanted, &derived).map_or(Values::Unwanted, Values::Plain)
        };
        let schema = Arc::new(Schema::new(vec![field.clone().with_nullable(true)]));
        let last_day = LastDay::default();
        Column { kind, last_day, is_wanted, schema, values, nulls: Vec::new(), rows: 0, derived }
    }

    /// Starts a batch of at most so many rows.
    pub(crate) fn start(&mut self, rows: usize) {
        self.nulls.clear();
        self.rows = 0;
        match &mut self.values {
            Values::Plain(values) => values.start(rows),
            Values::Nested(nested) => nested.start(rows),
            Values::Unwanted => {}
        }
    }

    /// Makes way for the value of row `row`, which must be pushed next; whether it is the row's first.
    #[inline]
    pub(crate) fn open(&mut self, row: usize) -> bool {
        let is_first = self.rows == row;
        if !is_first {
            self.truncate(row);
        }
        self.rows = row + 1;
        is_first
    }

    /// Whether row `row` has no value yet.
    pub(crate) fn lacks(&self, row: usize) -> bool {
        self.rows == row
    }

    /// Forgets all but the first `rows` rows.
    #[cold]
    pub(crate) fn truncate(&mut self, rows: usize) {
        if self.rows <= rows {
            return;
        }
        self.rows = rows;
        match &mut self.values {
            Values::Plain(values) => values.truncate(rows),
            Values::Nested(nested) => nested.truncate(rows),
            Values::Unwanted => {}
        }
        while self.nulls.last().is_some_and(|null| usize::try_from(*null).is_ok_and(|null| null >= rows)) {
            self.nulls.pop();
        }
    }

    /// NULL for the open row.
    pub(crate) fn push_null(&mut self) {
        match &mut self.values {
            Values::Plain(values) => values.push_null(),
            Values::Nested(nested) => nested.push_null(self.rows - 1),
            Values::Unwanted => return,
        }
        self.nulls.push(u32::try_from(self.rows - 1).unwrap_or(u32::MAX));
    }

    /// An integer, a time or a date for the open row.
    #[inline]
    pub(crate) fn push_int(&mut self, value: i64) {
        if let Values::Plain(Scalars::Int(values)) = &mut self.values {
            values.push(value);
        }
    }

    /// The first `length` of `bytes`, UTF-8, as a text for the open row.
    #[inline]
    pub(crate) fn push_text(&mut self, bytes: &[u8], length: usize) {
        if let Values::Plain(Scalars::Text(texts)) = &mut self.values {
            texts.push(bytes, length);
        }
    }

    /// A value of the column's kind for the open row, text as a range of `text`. A value of another kind is
    /// NULL, but the parsers make none.
    pub(crate) fn push(&mut self, cell: Cell, text: &str) {
        match (&mut self.values, cell) {
            (Values::Plain(Scalars::Text(texts)), Cell::Text(start, end)) => {
                let text = text.get(start..end).unwrap_or_default();
                let decoded = (self.kind == Kind::Bytes).then(|| value::bytes(text).unwrap_or_default());
                let value = decoded.as_deref().unwrap_or(text.as_bytes());
                texts.push(value, value.len());
            }
            (Values::Plain(values), cell) => {
                if !values.push(cell) {
                    self.push_null();
                }
            }
            _ => self.push_null(),
        }
    }

    /// A parsed value for the open row, text as ranges of `text`.
    pub(crate) fn push_parsed(&mut self, parsed: &Parsed, text: &str) {
        match (&mut self.values, parsed) {
            (_, Parsed::Cell(cell)) => self.push(*cell, text),
            (Values::Nested(nested), parsed) => nested.push(self.rows - 1, parsed, text),
            _ => self.push_null(),
        }
    }

    /// The columns inside, and the open row.
    pub(crate) fn nested(&mut self) -> Option<(&mut Nested, usize)> {
        match &mut self.values {
            Values::Nested(nested) => Some((nested, self.rows.checked_sub(1)?)),
            _ => None,
        }
    }

    /// Rows that have a value, or are about to get one.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The text of a row, where the column is of text and it is kept.
    pub(crate) fn text(&self, row: usize) -> Option<&[u8]> {
        match &self.values {
            Values::Plain(values) => values.text(row),
            _ => None,
        }
    }

    /// The column so far, and what is derived of it.
    pub(crate) fn finish(&mut self) -> Result<Finished, StreamError> {
        let nulls = self.null_buffer();
        match &mut self.values {
            Values::Plain(values) => values.finish(&self.schema, nulls, &self.derived),
            Values::Nested(nested) if self.is_wanted => {
                let array = nested.finish(self.schema.field(0).data_type(), nulls, self.rows)?;
                Ok(Finished { array: Some(array), derived: Vec::new() })
            }
            Values::Nested(_) | Values::Unwanted => Ok(Finished { array: None, derived: Vec::new() }),
        }
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

/// The values inside of a column's.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each nested column, and it is boxed there")]
pub(crate) enum Nested {
    /// Objects of known members: a column each.
    Row(Vec<(Box<[u8]>, Column)>),
    /// Arrays.
    List(Ends, Column),
    /// Objects of any members: keys and values.
    Map(Ends, Column, Column),
}

impl Nested {
    /// Empty columns for what is inside of `data_type`, whose shape is `shape`; `None` for a plain one.
    pub(crate) fn new(data_type: &DataType, shape: &Shape, is_wanted: bool) -> Option<Self> {
        let column = |field: &Field, shape: &Shape| Column::new(field, shape, is_wanted, Vec::new());
        Some(match (data_type, shape) {
            (DataType::Struct(fields), Shape::Row(members)) => Nested::Row(
                fields
                    .iter()
                    .zip(members.iter())
                    .map(|(field, (name, shape))| (name.as_bytes().into(), column(field, shape)))
                    .collect(),
            ),
            (DataType::List(item), Shape::List(shape)) => Nested::List(Ends::default(), column(item, shape)),
            (DataType::Map(entries, _), Shape::Map(shape)) => {
                let DataType::Struct(fields) = entries.data_type() else { return None };
                let [key, value] = fields.as_ref() else { return None };
                Nested::Map(Ends::default(), column(key, &Shape::Plain(Kind::Text)), column(value, shape))
            }
            _ => return None,
        })
    }

    /// Starts a batch of at most so many rows.
    pub(crate) fn start(&mut self, rows: usize) {
        match self {
            Nested::Row(members) => members.iter_mut().for_each(|(_, member)| member.start(rows)),
            Nested::List(ends, items) => {
                ends.start(rows);
                items.start(rows);
            }
            Nested::Map(ends, keys, values) => {
                ends.start(rows);
                keys.start(rows);
                values.start(rows);
            }
        }
    }

    /// Forgets all but the first `rows` rows, and what a row had that never came to its end.
    pub(crate) fn truncate(&mut self, rows: usize) {
        match self {
            Nested::Row(members) => members.iter_mut().for_each(|(_, member)| member.truncate(rows)),
            Nested::List(ends, items) => {
                ends.truncate(rows);
                items.truncate(ends.last());
            }
            Nested::Map(ends, keys, values) => {
                ends.truncate(rows);
                keys.truncate(ends.last());
                values.truncate(ends.last());
            }
        }
    }

    /// NULL for row `row`.
    pub(crate) fn push_null(&mut self, row: usize) {
        match self {
            Nested::Row(members) => fill_up(members, row),
            Nested::List(ends, _) | Nested::Map(ends, ..) => ends.push(ends.last()),
        }
    }

    /// A parsed value for row `row`, text as ranges of `text`.
    pub(crate) fn push(&mut self, row: usize, parsed: &Parsed, text: &str) {
        match (&mut *self, parsed) {
            (Nested::Row(members), Parsed::Row(values)) => {
                for ((_, member), value) in members.iter_mut().zip(values) {
                    member.open(row);
                    member.push_parsed(value, text);
                }
            }
            (Nested::List(ends, items), Parsed::List(values)) => {
                for value in values {
                    items.open(items.rows());
                    items.push_parsed(value, text);
                }
                ends.push(items.rows());
            }
            (Nested::Map(ends, keys, values), Parsed::Map(entries)) => {
                for (key, value) in entries {
                    keys.open(keys.rows());
                    keys.push(*key, text);
                    values.open(values.rows());
                    values.push_parsed(value, text);
                }
                ends.push(values.rows());
            }
            // The parser makes no other.
            _ => self.push_null(row),
        }
    }

    /// The column so far.
    pub(crate) fn finish(
        &mut self,
        data_type: &DataType,
        nulls: Option<NullBuffer>,
        rows: usize,
    ) -> Result<ArrayRef, StreamError> {
        let array: ArrayRef = match (self, data_type) {
            (Nested::Row(members), DataType::Struct(fields)) => {
                let arrays =
                    members.iter_mut().map(|(_, member)| finished(member)).collect::<Result<_, _>>()?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, nulls, rows)?)
            }
            (Nested::List(ends, items), DataType::List(item)) => {
                Arc::new(ListArray::try_new(Arc::clone(item), ends.finish(), finished(items)?, nulls)?)
            }
            (Nested::Map(ends, keys, values), DataType::Map(field, is_sorted)) => {
                let DataType::Struct(fields) = field.data_type() else { return Err(mismatch()) };
                let entries =
                    StructArray::try_new(fields.clone(), vec![finished(keys)?, finished(values)?], None)?;
                Arc::new(MapArray::try_new(Arc::clone(field), ends.finish(), entries, nulls, *is_sorted)?)
            }
            _ => return Err(mismatch()),
        };
        Ok(array)
    }
}

fn mismatch() -> StreamError {
    StreamError::internal("a nested column is of another type than its values")
}

fn finished(column: &mut Column) -> Result<ArrayRef, StreamError> {
    column.finish()?.array.ok_or_else(|| StreamError::internal("a nested column was not filled"))
}

/// Members that row `row` lacks are NULL.
pub(super) fn fill_up(members: &mut [(Box<[u8]>, Column)], row: usize) {
    for (_, member) in members.iter_mut().filter(|(_, member)| member.lacks(row)) {
        member.open(row);
        member.push_null();
    }
}
