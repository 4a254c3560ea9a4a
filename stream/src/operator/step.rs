//! Stateless steps: choosing columns, filtering, projecting, assigning to windows, unnesting, leaving out what is late. They
//! run where the rows are: on the compute thread before the first window, in the merge stage after it.

use std::sync::Arc;

use arrow::{
    array::{Array, BooleanArray},
    compute::filter_record_batch,
    datatypes::SchemaRef,
    record_batch::{RecordBatch, RecordBatchOptions},
};
use datafusion::{common::cast::as_boolean_array, physical_expr::PhysicalExpr};

use super::{Marks, Operator, Output, Rows, TimeBound, assign::Assign, hop::event_times, unnest::Unnest};
use crate::{error::StreamError, time::Watermark};

/// One stateless step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Keep these columns of the input, in this order.
    Select {
        /// Their indexes.
        indexes: Vec<usize>,
    },
    /// Keep the rows for which the predicate is true.
    Filter {
        /// A BOOLEAN expression over the input.
        predicate: Arc<dyn PhysicalExpr>,
    },
    /// Compute the columns of `schema`.
    Project {
        /// One expression a column, over the input.
        exprs: Vec<Arc<dyn PhysicalExpr>>,
        /// The output schema.
        schema: SchemaRef,
    },
    /// Give each row the windows that it belongs to.
    Assign(Assign),
    /// Give each row once for each element of a list.
    Unnest(Unnest),
    /// Leave out rows that came too late: below what had been promised when they were read.
    OnTime {
        /// The time of a row.
        time: Arc<dyn PhysicalExpr>,
        /// What is promised about it, allowed lateness included.
        bound: TimeBound,
    },
}

impl Step {
    /// Applies the step to a batch. With `late_at`, its rows came when the watermark stood there.
    pub fn apply(&self, batch: &RecordBatch, late_at: Option<Watermark>) -> Result<RecordBatch, StreamError> {
        match self {
            Step::Assign(assign) => assign.apply(batch, late_at),
            Step::Unnest(unnest) => unnest.apply(batch),
            Step::OnTime { time, bound } => match late_at {
                None => Ok(batch.clone()),
                Some(late_at) => on_time(batch, time, bound.watermark(Marks::source(late_at))),
            },
            Step::Select { indexes } => Ok(batch.project(indexes)?),
            Step::Filter { predicate } => {
                let keep = predicate.evaluate(batch)?.into_array(batch.num_rows())?;
                let keep = as_boolean_array(&keep)?;
                if keep.null_count() == 0 && keep.true_count() == batch.num_rows() {
                    return Ok(batch.clone());
                }
                Ok(filter_record_batch(batch, keep)?)
            }
            Step::Project { exprs, schema } => {
                let arrays = exprs
                    .iter()
                    .map(|expr| expr.evaluate(batch)?.into_array(batch.num_rows()))
                    .collect::<Result<Vec<_>, _>>()?;
                let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
            }
        }
    }
}

/// The rows whose time is not below what was promised about it.
fn on_time(
    batch: &RecordBatch,
    time: &Arc<dyn PhysicalExpr>,
    promised: Watermark,
) -> Result<RecordBatch, StreamError> {
    let times = time.evaluate(batch)?.into_array(batch.num_rows())?;
    let from = promised.time().micros();
    let keep: BooleanArray = event_times(&times)?.iter().map(|time| Some(time >= Some(from))).collect();
    Ok(filter_record_batch(batch, &keep)?)
}

/// Applies steps in order, stopping where no row is left.
pub fn apply_all(
    steps: &[Step],
    batch: &RecordBatch,
    late_at: Option<Watermark>,
) -> Result<Option<RecordBatch>, StreamError> {
    let mut batch = batch.clone();
    for step in steps {
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        batch = step.apply(&batch, late_at)?;
    }
    Ok((batch.num_rows() > 0).then_some(batch))
}

/// Steps as an operator of the merge stage. With no steps it passes everything on, which is how the inputs of
/// a `UNION ALL` meet.
#[derive(Debug)]
pub struct Steps {
    steps: Vec<Step>,
    schema: SchemaRef,
}

impl Steps {
    /// These steps, whose result has `schema`.
    pub fn new(steps: Vec<Step>, schema: SchemaRef) -> Self {
        Steps { steps, schema }
    }
}

impl Operator for Steps {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn process(&mut self, _: usize, rows: Rows, output: &mut Output) -> Result<(), StreamError> {
        let step = |batch: RecordBatch| match apply_all(&self.steps, &batch, None)? {
            // Branches of a union may differ in nullability; the columns are the same.
            Some(batch) => batch.with_schema_unchecked_nullability(&self.schema),
            None => Ok(RecordBatch::new_empty(Arc::clone(&self.schema))),
        };
        output.rows.extend(rows.try_map(step)?);
        Ok(())
    }

    fn watermark(&mut self, marks: Marks, output: &mut Output) -> Result<(), StreamError> {
        output.marks = Some(marks);
        Ok(())
    }
}

/// Gives a batch the schema of the stream that it joins.
trait WithSchema {
    fn with_schema_unchecked_nullability(self, schema: &SchemaRef) -> Result<RecordBatch, StreamError>;
}

impl WithSchema for RecordBatch {
    fn with_schema_unchecked_nullability(self, schema: &SchemaRef) -> Result<RecordBatch, StreamError> {
        if Arc::ptr_eq(&self.schema(), schema) {
            return Ok(self);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(schema), self.columns().to_vec(), &options)?)
    }
}
