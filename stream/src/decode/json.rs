//! JSON records: one object each.
//!
//! | file | what |
//! |---|---|
//! | [`scan`] | one pass over the bytes, the fast path |
//! | [`fallback`] | the same answer by a full parser, for what the fast path leaves alone |
//! | [`value`] | the text of a JSON value to a typed value, shared by both |
//! | [`mod@column`] | typed values to Arrow columns |
//!
//! # What is accepted
//!
//! A field that is absent or `null` is NULL. Numbers go to number columns if they fit exactly (`12.0` is the
//! integer 12, `12.5` is not). Strings of RFC 3339 or SQL form go to timestamp columns; without a zone they
//! are UTC. A text column takes any value: a string as its text, anything else as its JSON text. Everything
//! else is an error that names the field. Where a key comes twice, the last one counts. Field names match
//! exactly; an unquoted column name is in lower case.

pub mod column;
pub mod fallback;
pub mod scan;
pub mod value;

use std::sync::Arc;

use arrow::{
    datatypes::SchemaRef,
    record_batch::{RecordBatch, RecordBatchOptions},
};

use self::{column::ColumnBuilder, fallback::Fallback, scan::Scanner, value::Kind};
use super::{Decoded, Decoder, Reject};
use crate::{error::StreamError, source::RawBatch};

/// Decodes JSON objects.
#[derive(Debug)]
pub struct JsonDecoder {
    schema: SchemaRef,
    scanner: Scanner,
    fallback: Fallback,
    columns: Vec<ColumnBuilder>,
}

impl JsonDecoder {
    /// A decoder for the fields of `schema`; an error where a column's type cannot come from JSON.
    pub fn new(table: &str, schema: SchemaRef) -> Result<Self, StreamError> {
        let mut kinds = Vec::new();
        for field in schema.fields() {
            let kind = Kind::of(field.data_type()).ok_or_else(|| {
                let (name, data_type) = (field.name(), field.data_type());
                StreamError::connector(
                    table,
                    format!("column '{name}' of type {data_type} cannot be read from JSON"),
                )
            })?;
            kinds.push((field.name().clone(), kind));
        }
        let fields: Arc<[(String, Kind)]> = kinds.into();
        let columns = fields.iter().map(|(_, kind)| ColumnBuilder::new(*kind)).collect();
        let (scanner, fallback) = (Scanner::new(Arc::clone(&fields)), Fallback::new(fields));
        Ok(JsonDecoder { schema, scanner, fallback, columns })
    }

    /// Decodes one record into the column builders.
    fn row(&mut self, bytes: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
        let (cells, text) = match self.scanner.scan(text) {
            Some(cells) => (cells, text),
            None => self.fallback.parse(text)?,
        };
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(*cell, text);
        }
        Ok(())
    }
}

impl Decoder for JsonDecoder {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn decode(&mut self, raw: &RawBatch) -> Result<Decoded, StreamError> {
        let mut records = Vec::with_capacity(raw.len());
        let mut rejects = Vec::new();
        for (record, bytes) in (0_u32..).zip(raw.records()) {
            match self.row(bytes) {
                Ok(()) => records.push(record),
                Err(reason) => rejects.push(Reject { record, reason }),
            }
        }
        let arrays = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(records.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?;
        Ok(Decoded { batch, records, rejects })
    }
}

#[cfg(test)]
mod tests;
