//! The first rows of a stream, in the order in which they come: `LIMIT n`, `OFFSET m`.
//!
//! - **Output**: rows from the one after the `skip`ped ones on, as many as are wanted. What is written never changes.
//! - **State**: how many rows have come.
//! - **Provisional rows** are left alone: which rows will be the first is not known.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, UInt64Array},
    datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type},
    record_batch::RecordBatch,
};

use super::{Marks, Operator, Output, Rows, Snapshot};
use crate::error::StreamError;

/// Which rows, planned.
#[derive(Clone, Debug)]
pub struct FirstRowsSpec {
    /// Rows that are left out before.
    pub skip: usize,
    /// How many rows are wanted; `None` for all.
    pub fetch: Option<usize>,
    /// The rows.
    pub schema: SchemaRef,
}

/// Lets the first rows through.
#[derive(Debug)]
pub struct FirstRows {
    spec: FirstRowsSpec,
    /// How many rows have come, as far as it matters.
    seen: usize,
}

impl FirstRows {
    /// No rows yet.
    pub fn new(spec: FirstRowsSpec) -> Self {
        FirstRows { spec, seen: 0 }
    }

    fn end(&self) -> usize {
        self.spec.fetch.map_or(usize::MAX, |fetch| self.spec.skip.saturating_add(fetch))
    }
}

impl Operator for FirstRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.spec.schema)
    }

    fn process(&mut self, _: usize, rows: Rows, output: &mut Output) -> Result<(), StreamError> {
        let Rows::Final(batch) = rows else { return Ok(()) };
        let (before, count) = (self.seen, batch.num_rows());
        self.seen = self.seen.saturating_add(count).min(self.end());
        let from = self.spec.skip.saturating_sub(before).min(count);
        let to = self.end().saturating_sub(before).min(count);
        if from < to {
            output.push_final(batch.slice(from, to - from));
        }
        Ok(())
    }

    fn watermark(&mut self, marks: Marks, output: &mut Output) -> Result<(), StreamError> {
        output.marks = Some(marks);
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Snapshot, StreamError> {
        let seen = UInt64Array::from(vec![u64::try_from(self.seen).unwrap_or(u64::MAX)]);
        let schema = Schema::new(vec![Field::new("seen", DataType::UInt64, false)]);
        let columns: Vec<ArrayRef> = vec![Arc::new(seen)];
        Ok(Snapshot { batches: vec![RecordBatch::try_new(Arc::new(schema), columns)?] })
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), StreamError> {
        let batch = snapshot.batches.first().filter(|batch| batch.num_rows() > 0);
        let seen = batch.and_then(|batch| batch.column(0).as_primitive_opt::<UInt64Type>());
        if let Some(seen) = seen {
            self.seen = usize::try_from(seen.value(0)).unwrap_or(usize::MAX);
        }
        Ok(())
    }
}
