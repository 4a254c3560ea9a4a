//! `'format' = 'csv'`: a record is a line of fields, the table's columns in their order.
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `csv.field-delimiter` | one character between fields, `\t` for a tab | `,` |
//! | `csv.quote-character` | around a field that holds a delimiter; twice inside of one for itself | `"` |
//! | `csv.disable-quote-character` | no character is for quoting | `false` |
//! | `csv.escape-character` | takes the meaning from the character behind it | none |
//! | `csv.null-literal` | the field that is NULL | none |
//! | `csv.ignore-parse-errors` | either way a record that cannot be read is set aside and ends nothing | |
//!
//! The names are Flink's. A record has as many fields as the table has columns. Fields of a text column are taken as they
//! are, others without blanks around them: numbers that fit exactly, `true` or `false`, times of RFC 3339 or SQL form.
//! What does not fit is a dead letter, where Flink rounds a decimal, and takes every word but `true` for false. A quoted
//! field that holds a line end is no record of a file, whose records are its lines.
//!
//! Left out: comments and a heading, which would be records, and nested types.

mod field;
mod syntax;

use std::{ops::Range, sync::Arc};

use arrow::datatypes::SchemaRef;

use self::{
    field::Field,
    syntax::{Part, Syntax},
};
use super::{Decoded, Decoder, Format, Reject, json::value::Cell, plan::DecodePlan};
use crate::{
    error::StreamError,
    source::RawBatch,
    table::{ColumnKind, TableDef},
};

/// Makes decoders of separated fields.
#[derive(Debug)]
pub(crate) struct CsvFormat;

impl Format for CsvFormat {
    fn decoder(&self, table: &TableDef, plan: DecodePlan) -> Result<Box<dyn Decoder>, StreamError> {
        let syntax = Syntax::read(&table.options)?;
        let null = table.options.get("csv.null-literal").map(str::to_owned);
        table.options.bool_or("csv.ignore-parse-errors", true)?;
        let names: Vec<&str> = table
            .columns
            .iter()
            .filter(|column| matches!(column.kind, ColumnKind::Physical))
            .map(|column| column.name.as_str())
            .collect();
        let mut fields = Vec::new();
        for field in plan.fields.fields() {
            let place = names.iter().position(|name| name == field.name());
            let place = place.ok_or_else(|| {
                StreamError::internal(format!(
                    "table {} has no column {} of a record",
                    table.name,
                    field.name()
                ))
            })?;
            fields.push(Field::new(field, place).ok_or_else(|| {
                let (name, data_type) = (field.name(), field.data_type());
                let problem = format!("column '{name}' of type {data_type} cannot be read from CSV");
                StreamError::connector(&table.name, problem)
            })?);
        }
        Ok(Box::new(CsvDecoder {
            schema: plan.schema(),
            plan,
            syntax,
            null,
            arity: names.len(),
            fields,
            parts: Vec::new(),
            text: String::new(),
            cells: Vec::new(),
        }))
    }
}

struct CsvDecoder {
    plan: DecodePlan,
    schema: SchemaRef,
    syntax: Syntax,
    null: Option<String>,
    /// Fields of a record.
    arity: usize,
    /// Those that are wanted.
    fields: Vec<Field>,
    /// The record under way: its fields, the text that they are of, and the values that are wanted.
    parts: Vec<Part>,
    text: String,
    cells: Vec<Cell>,
}

impl CsvDecoder {
    /// Reads a record and adds it as row `row`; or tells why not, and adds nothing.
    fn row(&mut self, row: usize, record: &[u8]) -> Result<(), String> {
        let record = std::str::from_utf8(record).map_err(|error| format!("not UTF-8: {error}"))?;
        self.syntax.split(record, &mut self.parts, &mut self.text)?;
        if self.parts.len() != self.arity {
            return Err(match record.is_empty() {
                true => "the record is empty".to_owned(),
                false => format!("{} fields, but the table has {} columns", self.parts.len(), self.arity),
            });
        }
        self.cells.clear();
        for field in &self.fields {
            let Range { start, end } = self.parts[field.place()].clone();
            let text = &self.text[start..end];
            let is_null = self.null.as_deref() == Some(text);
            self.cells.push(if is_null { Cell::Null } else { field.cell(text, start)? });
        }
        for (field, cell) in self.fields.iter_mut().zip(&self.cells) {
            field.push(row, *cell, &self.text);
        }
        Ok(())
    }
}

impl Decoder for CsvDecoder {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn decode(&mut self, raw: &RawBatch) -> Result<Decoded, StreamError> {
        let mut records = Vec::with_capacity(raw.len());
        let mut rejects = Vec::new();
        self.fields.iter_mut().for_each(|field| field.start(raw.len()));
        for (record, bytes) in (0_u32..).zip(raw.records()) {
            match self.row(records.len(), bytes) {
                Ok(()) => records.push(record),
                Err(reason) => rejects.push(Reject { record, reason }),
            }
        }
        let mut values = Vec::with_capacity(self.fields.len());
        for field in &mut self.fields {
            values.push(field.finish()?);
        }
        let batch = self.plan.batch(&self.schema, &values, records.len())?;
        Ok(Decoded { batch, records, rejects })
    }
}
