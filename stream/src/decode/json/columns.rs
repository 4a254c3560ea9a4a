//! The columns of a batch, filled row by row.

use std::sync::Arc;

use arrow::array::ArrayRef;

use super::{column::Column, fallback::Parsed, shape::Shape};
use crate::{
    decode::plan::{DecodePlan, Derived},
    error::StreamError,
};

/// All fields of a plan, in its order of fields.
#[derive(Debug)]
pub(crate) struct Columns {
    columns: Vec<Column>,
    /// Rows that are whole.
    rows: usize,
    /// Fields that the row under way has.
    filled: usize,
}

impl Columns {
    /// Empty columns; `shapes` are those of the fields.
    pub(crate) fn new(plan: &DecodePlan, shapes: &[(String, Shape)]) -> Self {
        let mut columns = Vec::with_capacity(shapes.len());
        for (index, (field, (_, shape))) in plan.fields.fields().iter().zip(shapes).enumerate() {
            let derived = plan.derived.iter().filter(|derived| derived.column == index);
            let derived = derived.map(|derived| Arc::clone(&derived.expr)).collect();
            columns.push(Column::new(field, shape, plan.columns.contains(&index), derived));
        }
        Columns { columns, rows: 0, filled: 0 }
    }

    /// Starts a batch of at most so many rows.
    pub(crate) fn start(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|column| column.start(rows));
        (self.rows, self.filled) = (0, 0);
    }

    /// The column of a field, open for its value of the row under way. Where a key comes twice, the last value
    /// counts.
    #[inline]
    pub(crate) fn open(&mut self, field: usize) -> Option<&mut Column> {
        let column = self.columns.get_mut(field)?;
        self.filled += usize::from(column.open(self.rows));
        Some(column)
    }

    /// Ends the row; fields that it lacks are NULL.
    #[inline]
    pub(crate) fn end_row(&mut self) {
        if self.filled < self.columns.len() {
            self.fill_up();
        }
        self.rows += 1;
        self.filled = 0;
    }

    fn fill_up(&mut self) {
        for column in self.columns.iter_mut().filter(|column| column.lacks(self.rows)) {
            column.open(self.rows);
            column.push_null();
        }
    }

    /// Takes the row under way back.
    #[cold]
    pub(crate) fn undo_row(&mut self) {
        self.columns.iter_mut().for_each(|column| column.truncate(self.rows));
        self.filled = 0;
    }

    /// A whole row at once, text as ranges of `text`.
    pub(crate) fn push_row(&mut self, values: &[Parsed], text: &str) {
        for (field, value) in values.iter().enumerate() {
            if let Some(column) = self.open(field) {
                column.push_parsed(value, text);
            }
        }
        self.end_row();
    }

    /// The columns that `plan` wants, in its order.
    pub(crate) fn finish(&mut self, plan: &DecodePlan) -> Result<Vec<ArrayRef>, StreamError> {
        let (mut arrays, mut derived) = (Vec::new(), Vec::new());
        for column in &mut self.columns {
            let finished = column.finish()?;
            arrays.push(finished.array);
            derived.push(finished.derived.into_iter());
        }
        let missing = || StreamError::internal("a column that was asked for is missing");
        let mut wanted = Vec::with_capacity(plan.columns.len() + plan.derived.len());
        for index in &plan.columns {
            wanted.push(arrays.get(*index).cloned().flatten().ok_or_else(missing)?);
        }
        for Derived { column, .. } in &plan.derived {
            // A field's expressions were handed over in the plan's order, and so come back.
            let next = derived.get_mut(*column).and_then(Iterator::next).ok_or_else(missing)?;
            wanted.push(Arc::new(next));
        }
        Ok(wanted)
    }
}
