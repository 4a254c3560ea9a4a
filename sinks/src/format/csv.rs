//! Rows as separated fields, in the order of the table's columns, without a heading.
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `csv.field-delimiter` | one character between fields, `\t` for a tab | `,` |
//! | `csv.quote-character` | around a field that holds a delimiter, a quote or a line end; twice inside of one for itself | `"` |
//! | `csv.null-literal` | what is written for NULL | nothing |
//!
//! The names are Flink's. A timestamp is written `2026-01-05 12:00:00.000Z`. Bytes and nested types are left out.

use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, TimeUnit, TimestampMicrosecondType},
    record_batch::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use chrono::DateTime;
use stream::{error::StreamError, table::TableDef};

use super::RowFormat;
use crate::json::rfc3339;

/// What separates and quotes.
pub(super) struct Csv {
    delimiter: char,
    quote: char,
    null: String,
}

impl Csv {
    /// By a table's options; an error where a column cannot be written.
    pub(super) fn read(table: &TableDef) -> Result<Self, StreamError> {
        let character = |name: &str, default: char| match table.options.get(name) {
            None => Ok(default),
            Some("\\t") => Ok('\t'),
            Some(text) => {
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) if !matches!(c, '\n' | '\r') => Ok(c),
                    _ => Err(table.options.bad(name, "one character, or \\t for a tab")),
                }
            }
        };
        let (delimiter, quote) =
            (character("csv.field-delimiter", ',')?, character("csv.quote-character", '"')?);
        if delimiter == quote {
            return Err(table.options.bad("csv.quote-character", "another character than the delimiter"));
        }
        if let Some(column) = table.columns.iter().find(|column| !is_written(&column.data_type)) {
            let problem =
                format!("column '{}' of type {} cannot be written as CSV", column.name, column.data_type);
            return Err(StreamError::connector(&table.name, problem));
        }
        let null = table.options.get("csv.null-literal").unwrap_or_default().to_owned();
        Ok(Csv { delimiter, quote, null })
    }

    /// Adds a field to a line, quoted where it has to be.
    fn field(&self, text: &str, line: &mut String) {
        let is_odd = |c: char| c == self.delimiter || c == self.quote || matches!(c, '\n' | '\r');
        if !text.contains(is_odd) {
            line.push_str(text);
            return;
        }
        line.push(self.quote);
        for c in text.chars() {
            if c == self.quote {
                line.push(c);
            }
            line.push(c);
        }
        line.push(self.quote);
    }
}

fn is_written(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(unit, _) => *unit == TimeUnit::Microsecond,
        DataType::Boolean | DataType::Utf8 | DataType::Date32 | DataType::Decimal128(..) => true,
        other => other.is_numeric(),
    }
}

impl RowFormat for Csv {
    fn extensions(&self) -> &'static [&'static str] {
        &["csv"]
    }

    fn for_each_row(
        &self,
        batch: &RecordBatch,
        each: &mut dyn FnMut(&[u8]) -> Result<(), StreamError>,
    ) -> Result<(), StreamError> {
        let options = FormatOptions::new();
        let mut columns = Vec::with_capacity(batch.num_columns());
        for column in batch.columns() {
            columns.push(match column.as_primitive_opt::<TimestampMicrosecondType>() {
                Some(times) => Column::Times(times.values(), column.as_ref()),
                None => Column::Other(ArrayFormatter::try_new(column, &options)?, column.as_ref()),
            });
        }
        let (mut line, mut text) = (String::new(), String::new());
        for row in 0..batch.num_rows() {
            line.clear();
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    line.push(self.delimiter);
                }
                text.clear();
                match column.write(row, &mut text)? {
                    true => self.field(&text, &mut line),
                    false => line.push_str(&self.null),
                }
            }
            each(line.as_bytes())?;
        }
        Ok(())
    }
}

enum Column<'a> {
    Times(&'a [i64], &'a dyn Array),
    Other(ArrayFormatter<'a>, &'a dyn Array),
}

impl Column<'_> {
    /// Writes a row's value; `false` where there is none.
    fn write(&self, row: usize, text: &mut String) -> Result<bool, StreamError> {
        let (Column::Times(_, array) | Column::Other(_, array)) = self;
        if array.is_null(row) {
            return Ok(false);
        }
        match self {
            Column::Times(times, _) => {
                // What has no form is NULL, as in JSON.
                let time = DateTime::from_timestamp_micros(times[row]).and_then(rfc3339);
                let Some(time) = time else { return Ok(false) };
                text.push_str(&time.replace('T', " "));
            }
            Column::Other(values, _) => text.push_str(&values.value(row).try_to_string()?),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, StringArray,
        TimestampMicrosecondArray,
    };

    use super::*;
    use crate::options::tests::table;

    fn lines(options: &[(&str, &str)], batch: &RecordBatch) -> Vec<String> {
        let csv = Csv::read(&table(&[], options)).unwrap();
        let mut lines = Vec::new();
        csv.for_each_row(batch, &mut |line| {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
            Ok(())
        })
        .unwrap();
        lines
    }

    #[test]
    fn every_kind_of_value() {
        let decimals = Decimal128Array::from(vec![Some(120), None]).with_precision_and_scale(5, 2).unwrap();
        let times = TimestampMicrosecondArray::from(vec![Some(1_767_614_400_250_000), None]);
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("s", Arc::new(StringArray::from(vec![Some("a,\"b\""), None])) as ArrayRef, true),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), None])), true),
            ("n", Arc::new(Int32Array::from(vec![Some(-1), None])), true),
            ("f", Arc::new(Float64Array::from(vec![Some(0.25), None])), true),
            ("d", Arc::new(decimals), true),
            ("day", Arc::new(Date32Array::from(vec![Some(20_458), None])), true),
            ("t", Arc::new(times.with_timezone("UTC")), true),
        ])
        .unwrap();
        let usual = lines(&[], &batch);
        assert_eq!(usual, [r#""a,""b""",true,-1,0.25,1.20,2026-01-05,2026-01-05 12:00:00.250Z"#, ",,,,,,"]);
        let other = [("csv.field-delimiter", ";"), ("csv.quote-character", "'"), ("csv.null-literal", "n/a")];
        assert_eq!(
            lines(&other, &batch),
            [r#"a,"b";true;-1;0.25;1.20;2026-01-05;2026-01-05 12:00:00.250Z"#, "n/a;n/a;n/a;n/a;n/a;n/a;n/a"]
        );
    }

    #[test]
    fn options_are_checked() {
        for wrong in
            [("csv.field-delimiter", "||"), ("csv.field-delimiter", "\""), ("csv.quote-character", "")]
        {
            assert!(Csv::read(&table(&[], &[wrong])).is_err(), "{wrong:?}");
        }
        assert!(Csv::read(&table(&[("a", DataType::Binary)], &[])).is_err());
    }
}
