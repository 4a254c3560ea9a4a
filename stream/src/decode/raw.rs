//! `'format' = 'raw'`: a record is the value of the table's only column.
//!
//! A BYTES column takes any record, a STRING column any that is UTF-8. Flink's other types of this format, numbers in
//! binary, are left out.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BinaryBuilder, StringBuilder},
    datatypes::{DataType, SchemaRef},
};

use super::{Decoded, Decoder, Format, Reject, plan::DecodePlan};
use crate::{
    error::StreamError,
    source::RawBatch,
    table::{ColumnKind, TableDef},
};

/// Makes decoders of whole values.
#[derive(Debug)]
pub(crate) struct RawFormat;

impl Format for RawFormat {
    fn decoder(&self, table: &TableDef, plan: DecodePlan) -> Result<Box<dyn Decoder>, StreamError> {
        let options = &table.options;
        if !options.get("raw.charset").unwrap_or("UTF-8").eq_ignore_ascii_case("UTF-8") {
            return Err(options.bad("raw.charset", "'UTF-8'"));
        }
        let physical: Vec<_> =
            table.columns.iter().filter(|column| matches!(column.kind, ColumnKind::Physical)).collect();
        match physical.as_slice() {
            [column] if matches!(column.data_type, DataType::Utf8 | DataType::Binary) => {
                Ok(Box::new(RawDecoder { schema: plan.schema(), plan }))
            }
            [column] => Err(StreamError::connector(
                &table.name,
                format!(
                    "a column of format 'raw' is STRING or BYTES; '{}' is {}",
                    column.name, column.data_type
                ),
            )),
            columns => Err(StreamError::connector(
                &table.name,
                format!("a table of format 'raw' has one column for the whole record, not {}", columns.len()),
            )),
        }
    }
}

#[derive(Debug)]
struct RawDecoder {
    plan: DecodePlan,
    schema: SchemaRef,
}

impl Decoder for RawDecoder {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn decode(&mut self, raw: &RawBatch) -> Result<Decoded, StreamError> {
        let mut records = Vec::with_capacity(raw.len());
        let mut rejects = Vec::new();
        let wanted = self.plan.fields.fields().first().map(|field| field.data_type());
        let values: Vec<ArrayRef> = match wanted {
            None => {
                records.extend((0_u32..).take(raw.len()));
                Vec::new()
            }
            Some(DataType::Binary) => {
                records.extend((0_u32..).take(raw.len()));
                let mut values = BinaryBuilder::with_capacity(raw.len(), raw.bytes());
                raw.records().for_each(|record| values.append_value(record));
                vec![Arc::new(values.finish())]
            }
            Some(_) => {
                let mut values = StringBuilder::with_capacity(raw.len(), raw.bytes());
                for (record, bytes) in (0_u32..).zip(raw.records()) {
                    match std::str::from_utf8(bytes) {
                        Ok(text) => {
                            values.append_value(text);
                            records.push(record);
                        }
                        Err(error) => rejects.push(Reject { record, reason: format!("not UTF-8: {error}") }),
                    }
                }
                vec![Arc::new(values.finish())]
            }
        };
        let batch = self.plan.batch(&self.schema, &values, records.len())?;
        Ok(Decoded { batch, records, rejects })
    }
}
