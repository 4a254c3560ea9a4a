//! Rows to the windows that they belong to: a row comes out once a window, with the window's columns.
//!
//! - **Input**: rows with an event time; never NULL.
//! - **Output**: the columns that are asked for, of the row or of its window, in the order of the rows and, for a
//!   row, of its windows.
//! - **Late rows**: a row that met a watermark ([`late_at`](Assign::apply)) comes out for those of its windows alone
//!   that still take rows at it; the rest of them are as if they had not been there.
//! - **State**: none. Sessions, whose windows depend on the rows to come, are not assigned here.
//!
//! An aggregate that only groups by the window's columns does not need this: it counts panes
//! ([`window_aggregate`](super::window_aggregate)), one update a row however many windows overlap.
//!
//! ```text
//! hop, slide 5, size 10      (time, v)  (7, 1)      ->  (v, start, end)  (1, 0, 10)  (1, 5, 15)
//! ```

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, TimestampMicrosecondArray, UInt32Array},
    compute::take,
    datatypes::SchemaRef,
    record_batch::{RecordBatch, RecordBatchOptions},
};
use datafusion::physical_expr::PhysicalExpr;

use super::{Marks, TimeBound, hop::event_times, window_aggregate::WINDOW_TIME_US};
use crate::{error::StreamError, time::Watermark, window::WindowSpec};

/// A column that comes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AssignColumn {
    /// The input's column of this index.
    Input(usize),
    /// Start of the window.
    Start,
    /// End of the window, exclusive.
    End,
    /// Last millisecond of the window.
    Time,
}

/// An assignment of rows to windows, planned.
#[derive(Clone, Debug)]
pub struct Assign {
    /// The windows; fixed ones.
    pub window: WindowSpec,
    /// How long windows take rows after the watermark passed their end.
    pub lateness_us: i64,
    /// The event time of a row.
    pub time: Arc<dyn PhysicalExpr>,
    /// What is promised about it.
    pub bound: TimeBound,
    /// What comes out.
    pub columns: Vec<AssignColumn>,
    /// The schema of `columns`.
    pub schema: SchemaRef,
}

impl Assign {
    /// Assigns a batch. With `late_at`, its rows came when the watermark stood there.
    pub fn apply(&self, batch: &RecordBatch, late_at: Option<Watermark>) -> Result<RecordBatch, StreamError> {
        let times = self.time.evaluate(batch)?.into_array(batch.num_rows())?;
        let times = event_times(&times)?;
        if times.null_count() > 0 {
            return Err(StreamError::internal("a row without event time reached a window"));
        }
        // Held against the promise about this column, by which its windows close.
        let late_at = late_at.map(|late_at| self.bound.watermark(Marks::source(late_at)));
        let (mut rows, mut spans) = (Vec::with_capacity(times.len()), Vec::with_capacity(times.len()));
        for (row, time) in (0_u32..).zip(times.values()) {
            for span in self.window.windows_of(*time)? {
                let takes = late_at
                    .is_none_or(|watermark| !self.window.is_closed(span.1, watermark, self.lateness_us));
                if takes {
                    rows.push(row);
                    spans.push(span);
                }
            }
        }
        let rows = UInt32Array::from(rows);
        let of = |end: fn(&(i64, i64)) -> i64| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from_iter_values(spans.iter().map(end)).with_timezone("UTC"))
        };
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            columns.push(match column {
                AssignColumn::Input(index) => take(batch.column(*index), &rows, None)?,
                AssignColumn::Start => of(|span| span.0),
                AssignColumn::End => of(|span| span.1),
                AssignColumn::Time => of(|span| span.1.saturating_sub(WINDOW_TIME_US)),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}
