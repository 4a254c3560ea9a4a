//! The provisional rows of one input, by window.

use std::collections::HashMap;

use arrow::{
    array::BooleanArray,
    compute::{concat_batches, filter_record_batch},
    datatypes::SchemaRef,
    record_batch::RecordBatch,
    row::{OwnedRow, RowConverter, SortField},
};

use super::ByWindow;
use crate::error::StreamError;

/// Rows that are there, and such that are to be taken out of them.
#[derive(Default)]
pub(super) struct OpenRows {
    rows: ByWindow,
    gone: ByWindow,
}

impl OpenRows {
    /// Rows of a window that are there from now on.
    pub(super) fn come(&mut self, window: i64, rows: RecordBatch) {
        self.rows.entry(window).or_default().push(rows);
    }

    /// Rows of a window that are there no longer.
    pub(super) fn go(&mut self, window: i64, rows: RecordBatch) {
        self.gone.entry(window).or_default().push(rows);
    }

    /// Forgets windows before `limit`, or all.
    pub(super) fn forget(&mut self, limit: Option<i64>) {
        for of_windows in [&mut self.rows, &mut self.gone] {
            *of_windows = limit.map(|limit| of_windows.split_off(&limit)).unwrap_or_default();
        }
    }

    /// The rows of a window, in the order in which they came.
    pub(super) fn of(&mut self, window: i64, schema: &SchemaRef) -> Result<&[RecordBatch], StreamError> {
        if let Some(gone) = self.gone.remove(&window) {
            let rows = self.rows.remove(&window).unwrap_or_default();
            let left = without(&concat_batches(schema, &rows)?, &concat_batches(schema, &gone)?)?;
            if left.num_rows() > 0 {
                self.rows.insert(window, vec![left]);
            }
        }
        Ok(self.rows.get(&window).map(Vec::as_slice).unwrap_or_default())
    }
}

/// The first batch without the rows of the second, each as often as it is there: of equal ones the first go, which have
/// been there the longest.
fn without(rows: &RecordBatch, gone: &RecordBatch) -> Result<RecordBatch, StreamError> {
    let fields =
        rows.schema().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    let converter = RowConverter::new(fields)?;
    let mut left: HashMap<OwnedRow, usize> = HashMap::new();
    for row in &converter.convert_columns(gone.columns())? {
        *left.entry(row.owned()).or_default() += 1;
    }
    let mut keep = |row: OwnedRow| match left.get_mut(&row) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    let rows_of = converter.convert_columns(rows.columns())?;
    let kept: BooleanArray = rows_of.iter().map(|row| Some(keep(row.owned()))).collect();
    Ok(filter_record_batch(rows, &kept)?)
}
