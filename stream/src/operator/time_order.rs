//! Rows in the order of their event time, and numbered by it: `ORDER BY t`, `ROW_NUMBER() OVER (PARTITION BY k ORDER BY t)`.
//!
//! - **Input**: rows with a column of times and its [bound](TimeBound); never NULL.
//! - **Output**: the rows in order; with numbers, each beside the number of rows of its key up to it.
//! - **When**: once no row to come lies before it. What is written never changes.
//! - **Late rows**: none come, by the promises. Those of a source are judged where they are read
//!   ([`Step::OnTime`](super::step::Step)).
//! - **State**: the rows that are not in order yet; with numbers, a count for each key, for ever.
//! - **Provisional rows** of windows below are left alone.
//!
//! Rows that the `ORDER BY` does not tell apart come in the order in which they were read.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, UInt32Array, UInt64Array},
    compute::{
        SortColumn, cast, concat_batches, filter_record_batch, lexsort_to_indices, not, take_record_batch,
    },
    datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type},
    record_batch::{RecordBatch, RecordBatchOptions},
    row::{RowConverter, SortField},
};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

use super::{
    Marks, Operator, Output, Rows, Snapshot, TimeBound, aggregate::zeros::one_zero, hop::event_times,
};
use crate::{error::StreamError, time::Watermark};

/// Rows are held by slices of time so wide, so that those that are not due are not looked at.
const SLICE_US: i64 = 1_000_000;

/// The column of keys in a checkpoint's counts; no script can name it.
const COUNTED: &str = "__counted";

/// Putting rows in order, planned.
#[derive(Clone, Debug)]
pub struct TimeOrderSpec {
    /// The input.
    pub input: SchemaRef,
    /// The column of the time.
    pub time: usize,
    /// What is promised about it.
    pub bound: TimeBound,
    /// `ORDER BY`, the time first.
    pub order_by: Vec<PhysicalSortExpr>,
    /// The keys that are numbered apart, and their types; `None` where rows are not numbered.
    pub number_by: Option<Vec<(Arc<dyn PhysicalExpr>, DataType)>>,
    /// The input's columns, and the number.
    pub schema: SchemaRef,
}

/// Puts rows in order.
pub struct TimeOrder {
    spec: Arc<TimeOrderSpec>,
    keys: Option<RowConverter>,
    /// Rows that are not in order yet, by the slice of their time.
    held: BTreeMap<i64, Vec<RecordBatch>>,
    /// Rows below are written.
    released: Watermark,
    /// How many rows of each key have been written.
    counts: HashMap<Box<[u8]>, u64>,
}

impl fmt::Debug for TimeOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeOrder").field("released", &self.released).finish_non_exhaustive()
    }
}

impl TimeOrder {
    /// No rows yet.
    pub fn new(spec: Arc<TimeOrderSpec>) -> Result<Self, StreamError> {
        let fields =
            |keys: &Vec<(_, DataType)>| keys.iter().map(|(_, of)| SortField::new(of.clone())).collect();
        let keys = spec.number_by.as_ref().map(|keys| RowConverter::new(fields(keys))).transpose()?;
        Ok(TimeOrder {
            spec,
            keys,
            held: BTreeMap::new(),
            released: Watermark::START,
            counts: HashMap::new(),
        })
    }

    fn hold(&mut self, batch: &RecordBatch) -> Result<(), StreamError> {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::clone(&self.spec.input);
        let batch = RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &options)?;
        let times = event_times(batch.column(self.spec.time))?;
        if times.null_count() > 0 {
            return Err(StreamError::internal("a row without a time was to be put in order"));
        }
        let mut slices: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (row, time) in (0_u32..).zip(times.values()) {
            slices.entry(time.div_euclid(SLICE_US)).or_default().push(row);
        }
        for (slice, rows) in slices {
            let rows = match rows.len() == batch.num_rows() {
                true => batch.clone(),
                false => take_record_batch(&batch, &UInt32Array::from(rows))?,
            };
            self.held.entry(slice).or_default().push(rows);
        }
        Ok(())
    }

    /// Takes out the rows below the promise.
    fn due(&mut self) -> Result<Vec<RecordBatch>, StreamError> {
        if self.released == Watermark::END {
            return Ok(std::mem::take(&mut self.held).into_values().flatten().collect());
        }
        let limit = self.released.time().micros();
        let slice = limit.div_euclid(SLICE_US);
        let later = self.held.split_off(&slice);
        let mut due: Vec<RecordBatch> =
            std::mem::replace(&mut self.held, later).into_values().flatten().collect();
        if let Some(batches) = self.held.remove(&slice) {
            let mut left = Vec::new();
            for batch in batches {
                let times = event_times(batch.column(self.spec.time))?;
                let is_due: BooleanArray = times.values().iter().map(|time| Some(*time < limit)).collect();
                due.push(filter_record_batch(&batch, &is_due)?);
                left.push(filter_record_batch(&batch, &not(&is_due)?)?);
            }
            left.retain(|batch| batch.num_rows() > 0);
            if !left.is_empty() {
                self.held.insert(slice, left);
            }
        }
        due.retain(|batch| batch.num_rows() > 0);
        Ok(due)
    }

    fn ordered(&self, batches: &[RecordBatch]) -> Result<RecordBatch, StreamError> {
        let batch = concat_batches(&self.spec.input, batches)?;
        let mut columns = Vec::with_capacity(self.spec.order_by.len() + 1);
        for sort in &self.spec.order_by {
            let values = one_zero(sort.expr.evaluate(&batch)?.into_array(batch.num_rows())?);
            columns.push(SortColumn { values, options: Some(sort.options) });
        }
        // The sort is not stable by itself.
        let arrival = UInt32Array::from_iter_values(0..u32::try_from(batch.num_rows()).unwrap_or(u32::MAX));
        columns.push(SortColumn { values: Arc::new(arrival), options: None });
        Ok(take_record_batch(&batch, &lexsort_to_indices(&columns, None)?)?)
    }

    /// The numbers of rows that come next.
    fn numbers(&mut self, batch: &RecordBatch) -> Result<Option<ArrayRef>, StreamError> {
        let (Some(converter), Some(keys)) = (&self.keys, &self.spec.number_by) else { return Ok(None) };
        let mut columns = Vec::with_capacity(keys.len());
        for (key, _) in keys {
            columns.push(one_zero(key.evaluate(batch)?.into_array(batch.num_rows())?));
        }
        let mut numbers = Vec::with_capacity(batch.num_rows());
        let rows = if columns.is_empty() { None } else { Some(converter.convert_columns(&columns)?) };
        for row in 0..batch.num_rows() {
            let key = rows.as_ref().map(|rows| rows.row(row).data()).unwrap_or_default();
            let count = match self.counts.get_mut(key) {
                Some(count) => count,
                None => self.counts.entry(Box::from(key)).or_default(),
            };
            *count += 1;
            numbers.push(*count);
        }
        Ok(Some(Arc::new(UInt64Array::from(numbers))))
    }

    fn write(&mut self, output: &mut Output) -> Result<(), StreamError> {
        let due = self.due()?;
        if due.is_empty() {
            return Ok(());
        }
        let batch = self.ordered(&due)?;
        let mut columns = batch.columns().to_vec();
        if let (Some(numbers), Some(field)) = (self.numbers(&batch)?, self.spec.schema.fields().last()) {
            columns.push(cast(&numbers, field.data_type())?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::clone(&self.spec.schema);
        output.push_final(RecordBatch::try_new_with_options(schema, columns, &options)?);
        Ok(())
    }
}

impl Operator for TimeOrder {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.spec.schema)
    }

    fn process(&mut self, _: usize, rows: Rows, _: &mut Output) -> Result<(), StreamError> {
        match rows {
            Rows::Final(batch) => self.hold(&batch),
            Rows::Provisional(_) => Ok(()),
        }
    }

    fn watermark(&mut self, marks: Marks, output: &mut Output) -> Result<(), StreamError> {
        if self.released.advance(self.spec.bound.watermark(marks)) {
            self.write(output)?;
        }
        if self.released != Watermark::START {
            output.marks = Some(Marks::source(self.released));
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Snapshot, StreamError> {
        let rows = concat_batches(&self.spec.input, self.held.values().flatten())?;
        let (keys, counts): (Vec<&[u8]>, Vec<u64>) =
            self.counts.iter().map(|(key, count)| (key.as_ref(), *count)).unzip();
        let fields =
            vec![Field::new(COUNTED, DataType::Binary, false), Field::new("rows", DataType::UInt64, false)];
        let columns: Vec<ArrayRef> =
            vec![Arc::new(BinaryArray::from(keys)), Arc::new(UInt64Array::from(counts))];
        let counts = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        Ok(Snapshot { batches: vec![counts, rows] })
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), StreamError> {
        for batch in snapshot.batches.into_iter().filter(|batch| batch.num_rows() > 0) {
            if batch.schema().field(0).name() != COUNTED {
                self.hold(&batch)?;
                continue;
            }
            let (keys, counts) =
                (batch.column(0).as_binary_opt::<i32>(), batch.column(1).as_primitive_opt::<UInt64Type>());
            let (Some(keys), Some(counts)) = (keys, counts) else {
                return Err(StreamError::internal("a checkpoint's numbers of rows have other columns"));
            };
            for (key, count) in keys.iter().flatten().zip(counts.values()) {
                self.counts.insert(Box::from(key), *count);
            }
        }
        Ok(())
    }
}
