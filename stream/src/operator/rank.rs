//! `ROW_NUMBER() OVER (PARTITION BY window…, … ORDER BY …)` within a window.
//!
//! - **Input**: rows of windows, each window whole in one batch: as [`window_aggregate`](super::window_aggregate) writes
//!   them, or as they were [gathered](super::whole).
//! - **Output**: the input's columns and the row number, BIGINT from 1, ordered by partition and number. Rows
//!   that the `ORDER BY` does not tell apart are numbered in the order in which they came; a query that wants
//!   one answer names a tie-break. With a limit (the query keeps only the first `n`) only those are written,
//!   and only those are sorted.
//! - **When**: at once. Of a change, the window's rows as they were are numbered and those that it has now: the first
//!   are numbered as they were then.
//! - **State**: none.

use std::{collections::HashSet, ops::Range, sync::Arc};

use arrow::{
    array::{ArrayRef, Int64Array, UInt32Array, UInt64Array},
    compute::{SortColumn, cast, lexsort_to_indices, partition, take, take_record_batch},
    datatypes::SchemaRef,
    record_batch::RecordBatch,
    row::{RowConverter, SortField},
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
    /// Rows of a window beyond so many are not wanted.
    pub limit: Option<usize>,
}

/// Numbers the rows of each window.
#[derive(Debug)]
pub struct Rank {
    spec: RankSpec,
}

impl Rank {
    /// Numbers by this plan.
    pub fn new(spec: RankSpec) -> Self {
        Rank { spec }
    }

    fn number(&self, mut batch: RecordBatch) -> Result<RecordBatch, StreamError> {
        let mut keys = self.keys(&batch)?;
        let mut ranges = partition(&keys)?.ranges();
        if !are_apart(&keys, &ranges)? {
            // Windows come one after another, but a query may partition a window further.
            let columns: Vec<SortColumn> =
                keys.iter().map(|values| SortColumn { values: Arc::clone(values), options: None }).collect();
            batch = take_record_batch(&batch, &sorted(columns, batch.num_rows(), None)?)?;
            keys = self.keys(&batch)?;
            ranges = partition(&keys)?.ranges();
        }
        let mut order_by = Vec::with_capacity(self.spec.order_by.len());
        for sort in &self.spec.order_by {
            let values = sort.expr.evaluate(&batch)?.into_array(batch.num_rows())?;
            order_by.push(SortColumn { values, options: Some(sort.options) });
        }
        let (mut order, mut numbers): (Vec<u32>, Vec<i64>) = (Vec::new(), Vec::new());
        for range in ranges {
            let columns = order_by.iter().map(|column| SortColumn {
                values: column.values.slice(range.start, range.len()),
                options: column.options,
            });
            let own = sorted(columns.collect(), range.len(), self.spec.limit)?;
            let start = u32::try_from(range.start).unwrap_or(u32::MAX);
            numbers.extend((1_i64..).take(own.len()));
            order.extend(own.values().iter().map(|row| start + row));
        }
        let mut columns = take_record_batch(&batch, &UInt32Array::from(order))?.columns().to_vec();
        columns.push(Arc::new(Int64Array::from(numbers)));
        let columns = columns
            .iter()
            .zip(self.spec.schema.fields())
            .map(|(column, field)| cast(column, field.data_type()))
            .collect::<Result<_, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)?)
    }

    fn keys(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, StreamError> {
        let keys = self.spec.partition_by.iter();
        Ok(keys.map(|expr| expr.evaluate(batch)?.into_array(batch.num_rows())).collect::<Result<_, _>>()?)
    }
}

/// Whether no two of the ranges have the same keys.
fn are_apart(keys: &[ArrayRef], ranges: &[Range<usize>]) -> Result<bool, StreamError> {
    if ranges.len() < 2 {
        return Ok(true);
    }
    let firsts: UInt64Array =
        ranges.iter().map(|range| u64::try_from(range.start).unwrap_or(u64::MAX)).collect::<Vec<_>>().into();
    let fields = keys.iter().map(|key| SortField::new(key.data_type().clone())).collect();
    let firsts = keys.iter().map(|key| take(key, &firsts, None)).collect::<Result<Vec<_>, _>>()?;
    let rows = RowConverter::new(fields)?.convert_columns(&firsts)?;
    let mut seen = HashSet::new();
    Ok(rows.iter().all(|row| seen.insert(row)))
}

/// The order of so many rows, or of the first ones. The sort is not stable by itself: the arrival order goes in
/// as the last column.
fn sorted(
    mut columns: Vec<SortColumn>,
    rows: usize,
    limit: Option<usize>,
) -> Result<UInt32Array, StreamError> {
    let arrival = UInt32Array::from_iter_values(0..u32::try_from(rows).unwrap_or(u32::MAX));
    columns.push(SortColumn { values: Arc::new(arrival), options: None });
    Ok(lexsort_to_indices(&columns, limit)?)
}

impl Operator for Rank {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.spec.schema)
    }

    fn process(&mut self, _: usize, rows: Rows, output: &mut Output) -> Result<(), StreamError> {
        output.rows.extend(rows.try_map(|batch| self.number(batch))?);
        Ok(())
    }

    fn watermark(&mut self, marks: Marks, output: &mut Output) -> Result<(), StreamError> {
        output.marks = Some(marks);
        Ok(())
    }
}
