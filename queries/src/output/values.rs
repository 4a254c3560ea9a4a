//! Brings columns into a form that the writers print as this crate promises.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Timestamps without a zone become UTC, so that they print as RFC 3339.
pub(super) fn in_utc(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    convert(batch, |column| match column.data_type() {
        DataType::Timestamp(unit, None) => cast(column, &DataType::Timestamp(*unit, Some("UTC".into()))),
        _ => Ok(Arc::clone(column)),
    })
}

/// [`in_utc`], with lists, structs and maps as text: CSV has no other form for them.
pub(super) fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    convert(&in_utc(batch)?, |column| {
        if !column.data_type().is_nested() {
            return Ok(Arc::clone(column));
        }
        let format = FormatOptions::default().with_null("null");
        let values = ArrayFormatter::try_new(column.as_ref(), &format)?;
        let mut text = StringBuilder::new();
        for row in 0..column.len() {
            if column.is_null(row) {
                text.append_null();
            } else {
                text.append_value(values.value(row).try_to_string()?);
            }
        }
        Ok(Arc::new(text.finish()))
    })
}

fn convert(
    batch: &RecordBatch,
    column: impl Fn(&ArrayRef) -> Result<ArrayRef, ArrowError>,
) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let schema = batch.schema();
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}
