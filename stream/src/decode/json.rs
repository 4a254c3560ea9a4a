//! JSON records: one object each.
//!
//! | file | what |
//! |---|---|
//! | `scan` | one pass over the bytes, the fast path |
//! | `read` | the bytes of one value, and of those inside of it |
//! | `order` | what usually follows what in a record, so that keys need not be read |
//! | `bytes` | where strings and numbers end |
//! | `fallback` | the same answer by a full parser, for what the fast path leaves alone |
//! | `shape` | values inside of values: arrays, objects, maps |
//! | [`value`], `time` | the text of a JSON value to a typed value, shared by both |
//! | `columns`, `column`, `ends` | typed values to Arrow columns, also those inside of values |
//! | `scalars`, `text` | the values of one column |
//! | `codes` | text of few distinct values, and what is derived of it |
//!
//! # What is accepted
//!
//! A field that is absent or `null` is NULL. Numbers go to number columns if they fit exactly (`12.0` is the
//! integer 12, `12.5` is not). Strings of RFC 3339 or SQL form go to timestamp columns; without a zone they
//! are UTC. A text column takes any value: a string as its text, anything else as its JSON text; a JSON column takes
//! any value as its JSON text, a string in its quotes. Bytes are strings in base 64. Objects go to rows, by the names of
//! their members, and to maps, arrays to arrays, and what is inside of them is held to the same rules. Everything
//! else is an error that names the field, as in `items[2].price`; elements count from 1. Where a key comes twice, the
//! last one counts; a map has keys in the order of their first coming. Field names match exactly.

mod bytes;
mod codes;
pub(crate) mod column;
mod columns;
mod ends;
mod fallback;
pub(crate) mod format;
mod order;
mod read;
mod scalars;
mod scan;
pub(crate) mod shape;
mod text;
mod time;
mod utf8;
pub mod value;

use std::{ops::Range, sync::Arc};

use arrow::{
    datatypes::SchemaRef,
    record_batch::{RecordBatch, RecordBatchOptions},
};

use self::{columns::Columns, fallback::Fallback, scan::Scanner, shape::Shape, utf8::Utf8Check, value::Kind};
use super::{Decoded, Decoder, Reject, plan::DecodePlan};
use crate::{error::StreamError, source::RawBatch};

/// Bytes behind a record that the scanner may look at, since several at once are faster.
const SLACK: usize = 64;

/// Decodes JSON objects.
#[derive(Debug)]
pub struct JsonDecoder {
    plan: DecodePlan,
    schema: SchemaRef,
    scanner: Scanner,
    fallback: Fallback,
    columns: Columns,
    utf8: Utf8Check,
}

impl JsonDecoder {
    /// A decoder by `plan`; an error where a field's type cannot come from JSON, or where the plan contradicts
    /// itself.
    pub fn new(table: &str, plan: DecodePlan) -> Result<Self, StreamError> {
        let mut shapes = Vec::new();
        for field in plan.fields.fields() {
            let shape = Shape::of(field).ok_or_else(|| {
                let (name, data_type) = (field.name(), field.data_type());
                StreamError::connector(
                    table,
                    format!("column '{name}' of type {data_type} cannot be read from JSON"),
                )
            })?;
            shapes.push((field.name().clone(), shape));
        }
        if let Some(index) = plan.columns.iter().find(|index| **index >= shapes.len()) {
            return Err(StreamError::internal(format!("table {table} has no field {index} to decode")));
        }
        let is_text = |index: usize| {
            shapes.get(index).is_some_and(|(_, shape)| matches!(shape, Shape::Plain(Kind::Text | Kind::Json)))
        };
        if let Some(derived) = plan.derived.iter().find(|derived| !is_text(derived.column)) {
            let name = derived.field.name();
            return Err(StreamError::internal(format!("'{name}' of table {table} is derived of no text")));
        }
        let columns = Columns::new(&plan, &shapes);
        let fields: Arc<[(String, Shape)]> = shapes.into();
        let (scanner, fallback) = (Scanner::new(Arc::clone(&fields)), Fallback::new(fields));
        Ok(JsonDecoder {
            schema: plan.schema(),
            plan,
            scanner,
            fallback,
            columns,
            utf8: Utf8Check::default(),
        })
    }

    /// Decodes the record at `span` of `buffer` into a row.
    fn row(&mut self, buffer: &[u8], span: Range<usize>) -> Result<(), String> {
        self.utf8.check(buffer, &span).map_err(|error| format!("not UTF-8: {error}"))?;
        let bytes = buffer.get(span.start..buffer.len().min(span.end + SLACK)).unwrap_or_default();
        if self.scanner.scan(bytes, span.len(), &mut self.columns).is_none() {
            self.columns.undo_row();
            self.parse(buffer.get(span).unwrap_or_default())?;
        }
        Ok(())
    }

    /// The same by the full parser.
    #[cold]
    fn parse(&mut self, record: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(record).map_err(|error| format!("not UTF-8: {error}"))?;
        let (values, text) = self.fallback.parse(text)?;
        self.columns.push_row(values, text);
        Ok(())
    }
}

impl Decoder for JsonDecoder {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn decode(&mut self, raw: &RawBatch) -> Result<Decoded, StreamError> {
        let buffer = raw.buffer();
        if i32::try_from(buffer.len()).is_err() {
            // Arrow counts a column's text in 31 bits; no source reads so much at once.
            return Err(StreamError::internal(format!("a batch of {} bytes was read at once", buffer.len())));
        }
        let mut records = Vec::with_capacity(raw.len());
        let mut rejects = Vec::new();
        self.scanner.start();
        self.columns.start(raw.len());
        self.utf8 = Utf8Check::default();
        for (record, span) in (0_u32..).zip(raw.spans()) {
            match self.row(buffer, span) {
                Ok(()) => records.push(record),
                Err(reason) => rejects.push(Reject { record, reason }),
            }
        }
        let arrays = self.columns.finish(&self.plan)?;
        let options = RecordBatchOptions::new().with_row_count(Some(records.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?;
        Ok(Decoded { batch, records, rejects })
    }
}

#[cfg(test)]
mod tests;
