//! `ROW_NUMBER() OVER (PARTITION BY window…, … ORDER BY …)` within a window.
//!
//! - **Input**: rows of windows, each window complete between two watermarks (final) or two emissions
//!   (provisional), as [`window_aggregate`](super::window_aggregate) writes them.
//! - **Output**: the input's columns and the row number, BIGINT from 1, ordered by partition and number. Rows
//!   that the `ORDER BY` does not tell apart are numbered in the order in which they came; a query that wants
//!   one answer names a tie-break.
//! - **When**: as soon as the window is complete.
//! - **State**: the rows of windows that are being written; none between two calls.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Array, UInt64Array},
    compute::{SortColumn, concat_batches, lexsort_to_indices, partition, take, take_record_batch},
    datatypes::SchemaRef,
    record_batch::RecordBatch,
};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

use super::{Marks, Operator, Output, Rows};
use crate::error::StreamError;

/// A ranking, planned.
#[derive(Clone, Debug)]
pub struct RankSpec {
    /// `PARTITION BY`, over the input; holds a window column.
    pub partition_by: Vec<Arc<dyn PhysicalExpr>>,
    /// `ORDER BY`, over the input.
    pub order_by: Vec<PhysicalSortExpr>,
    /// Input columns, then the row number.
    pub schema: SchemaRef,
    /// The input.
    pub input_schema: SchemaRef,
}

/// Numbers the rows of each window.
#[derive(Debug)]
pub struct Rank {
    spec: RankSpec,
    finals: Vec<RecordBatch>,
    provisional: Vec<RecordBatch>,
}

impl Rank {
    /// No rows yet.
    pub fn new(spec: RankSpec) -> Self {
        Rank { spec, finals: Vec::new(), provisional: Vec::new() }
    }

    fn number(&self, batches: &[RecordBatch]) -> Result<RecordBatch, StreamError> {
        let batch = concat_batches(&self.spec.input_schema, batches)?;
        let rows = batch.num_rows();
        let evaluate = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(&batch)?.into_array(rows);
        let mut columns: Vec<SortColumn> = Vec::new();
        for expr in &self.spec.partition_by {
            columns.push(SortColumn { values: evaluate(expr)?, options: None });
        }
        for sort in &self.spec.order_by {
            columns.push(SortColumn { values: evaluate(&sort.expr)?, options: Some(sort.options) });
        }
        // The sort is not stable by itself: the arrival order goes in as the last column.
        let arrival: ArrayRef =
            Arc::new(UInt64Array::from_iter_values(0..u64::try_from(rows).unwrap_or(u64::MAX)));
        columns.push(SortColumn { values: arrival, options: None });
        let order = lexsort_to_indices(&columns, None)?;

        let sorted = take_record_batch(&batch, &order)?;
        let mut keys = Vec::new();
        for column in &columns[..self.spec.partition_by.len()] {
            keys.push(take(&column.values, &order, None)?);
        }
        let mut numbers = Vec::with_capacity(rows);
        // The planner asks for a window column in PARTITION BY, so there is at least one key.
        for range in partition(&keys)?.ranges() {
            numbers.extend((1_i64..).take(range.len()));
        }
        let mut columns = sorted.columns().to_vec();
        columns.push(Arc::new(Int64Array::from(numbers)));
        let columns = columns
            .iter()
            .zip(self.spec.schema.fields())
            .map(|(column, field)| arrow::compute::cast(column, field.data_type()))
            .collect::<Result<_, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)?)
    }
}

impl Operator for Rank {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.spec.schema)
    }

    fn process(&mut self, rows: Rows, _: &mut Output) -> Result<(), StreamError> {
        let buffer = if rows.is_final { &mut self.finals } else { &mut self.provisional };
        buffer.push(rows.batch);
        Ok(())
    }

    fn watermark(&mut self, marks: Marks, output: &mut Output) -> Result<(), StreamError> {
        let finals = std::mem::take(&mut self.finals);
        if !finals.is_empty() {
            output.push(self.number(&finals)?, true);
        }
        output.marks = Some(marks);
        Ok(())
    }

    fn emit(&mut self, output: &mut Output) -> Result<(), StreamError> {
        let provisional = std::mem::take(&mut self.provisional);
        if !provisional.is_empty() {
            output.push(self.number(&provisional)?, false);
        }
        Ok(())
    }
}
