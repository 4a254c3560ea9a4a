//! Windows whole: rows are gathered until no more of their window can come, and then computed with together.
//!
//! What a stream cannot do row by row it can do for a window that is complete: ranks and other functions `OVER` a
//! window, joins of two relations on equal windows, and sinks that want all rows of a window at once where several
//! branches make them. The computation is DataFusion's, planned once over [placeholders](Port) for what is gathered.
//!
//! - **Input**: rows at one or more ports; at each, one column of times tells the window, and its
//!   [bound](TimeBound) when that is complete. Never NULL.
//! - **Output**: what the plan makes of all windows that are complete, together; each window in one call.
//! - **When**: final rows once every port has passed the window; provisional rows when asked, of what has been
//!   gathered and of what the inputs would write now. Windows that are as they were written last are left out.
//! - **Late rows**: none come, by the promises.
//! - **State**: the final rows of windows that are not complete.
//!
//! The plan must treat windows apart: no row of its result may depend on rows of two windows. The planner sees to that.

use std::{collections::BTreeMap, fmt, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, Int64Array, UInt32Array},
    compute::{concat_batches, take_record_batch},
    datatypes::{DataType, Field, Int64Type, Schema, SchemaRef},
    record_batch::{RecordBatch, RecordBatchOptions},
};
use datafusion::{
    execution::{SendableRecordBatchStream, TaskContext},
    physical_plan::{
        ExecutionPlan, collect, execution_plan::reset_plan_states, stream::RecordBatchStreamAdapter,
        streaming::PartitionStream,
    },
    prelude::SessionConfig,
};

use super::{
    Marks, Operator, Output, Rows, Snapshot, TimeBound, aggregate::zeros::one_zero, hop::event_times,
};
use crate::{error::StreamError, time::Watermark};

/// One input, planned.
#[derive(Clone, Debug)]
pub struct PortSpec {
    /// The rows as the plan's placeholder has them.
    pub schema: SchemaRef,
    /// The column that tells the window.
    pub column: usize,
    /// What is promised about it.
    pub bound: TimeBound,
}

/// A computation over whole windows, planned.
#[derive(Clone, Debug)]
pub struct WholeSpec {
    /// What it is, for those who look at a plan.
    pub name: String,
    /// The inputs.
    pub ports: Vec<PortSpec>,
    /// The computation, over one [`Port`] an input. It has one partition.
    pub plan: Arc<dyn ExecutionPlan>,
    /// Its rows.
    pub schema: SchemaRef,
    /// The column of the result that tells the window, if one does.
    pub window_column: Option<usize>,
    /// A window downstream counts provisional rows anew each time, so all must be written.
    pub emit_all: bool,
}

/// The placeholder for what one input has gathered; it is handed over in the context of the execution.
#[derive(Debug)]
pub struct Port {
    /// Which input.
    pub index: usize,
    /// Its rows.
    pub schema: SchemaRef,
}

/// What the ports have gathered, by port.
struct Gathered(Vec<RecordBatch>);

impl PartitionStream for Port {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let gathered = context.session_config().get_extension::<Gathered>();
        let batch = gathered.and_then(|gathered| gathered.0.get(self.index).cloned());
        let batches = futures::stream::iter(batch.into_iter().map(Ok));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

/// Rows by the time that tells their window.
type ByWindow = BTreeMap<i64, Vec<RecordBatch>>;

/// Gathers windows and computes with whole ones.
pub struct Whole {
    spec: Arc<WholeSpec>,
    /// Final rows of windows that are not complete, by port.
    held: Vec<ByWindow>,
    /// Provisional rows since the last emission, by port.
    provisional: Vec<ByWindow>,
    /// Windows below are over.
    released: Watermark,
    /// The provisional rows written last, by window.
    written: BTreeMap<Option<i64>, RecordBatch>,
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whole").field("name", &self.spec.name).field("released", &self.released).finish()
    }
}

impl Whole {
    /// Nothing gathered yet.
    pub fn new(spec: Arc<WholeSpec>) -> Self {
        let ports = spec.ports.len();
        Whole {
            spec,
            held: vec![ByWindow::new(); ports],
            provisional: vec![ByWindow::new(); ports],
            released: Watermark::START,
            written: BTreeMap::new(),
        }
    }

    fn hold(&mut self, port: usize, batch: RecordBatch, is_final: bool) -> Result<(), StreamError> {
        let spec = self.spec.ports.get(port).ok_or_else(|| StreamError::internal("rows for no port"))?;
        // Nullability is that of the plan's placeholder; the columns are the same.
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        // DataFusion would take the two zeros for two keys.
        let columns = batch.columns().iter().map(|column| one_zero(Arc::clone(column))).collect();
        let batch = RecordBatch::try_new_with_options(Arc::clone(&spec.schema), columns, &options)?;
        let into = if is_final { &mut self.held[port] } else { &mut self.provisional[port] };
        for (window, rows) in by_window(&batch, spec.column)? {
            into.entry(window).or_default().push(rows);
        }
        Ok(())
    }

    /// What the plan makes of these windows.
    fn compute(&self, gathered: Vec<Vec<RecordBatch>>) -> Result<RecordBatch, StreamError> {
        let batches = gathered.iter().zip(&self.spec.ports);
        let gathered = batches
            .map(|(batches, port)| concat_batches(&port.schema, batches))
            .collect::<Result<Vec<_>, _>>()?;
        let plan = reset_plan_states(Arc::clone(&self.spec.plan))?;
        let config =
            SessionConfig::new().with_target_partitions(1).with_extension(Arc::new(Gathered(gathered)));
        let context = Arc::new(TaskContext::default().with_session_config(config));
        // On a thread without a runtime: what DataFusion would spawn there it then does in place.
        let batches = std::thread::scope(|scope| {
            scope.spawn(|| futures::executor::block_on(collect(plan, context))).join()
        });
        let batches = batches.map_err(|_| StreamError::internal("computing a window panicked"))??;
        let mut rows = Vec::with_capacity(batches.len());
        for batch in batches {
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let schema = Arc::clone(&self.spec.schema);
            rows.push(RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &options)?);
        }
        Ok(concat_batches(&self.spec.schema, &rows)?)
    }

    /// Up to where every port has passed.
    fn limit(&self, marks: Marks) -> Watermark {
        self.spec.ports.iter().map(|port| port.bound.watermark(marks)).min().unwrap_or(Watermark::END)
    }
}

/// The rows of each window, in their order.
fn by_window(batch: &RecordBatch, column: usize) -> Result<BTreeMap<i64, RecordBatch>, StreamError> {
    let times = event_times(batch.column(column))?;
    if times.null_count() > 0 {
        return Err(StreamError::internal("a row without a window was to be gathered"));
    }
    let mut rows: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (row, time) in (0_u32..).zip(times.values()) {
        rows.entry(*time).or_default().push(row);
    }
    if let (1, Some((window, _))) = (rows.len(), rows.first_key_value()) {
        return Ok(BTreeMap::from([(*window, batch.clone())]));
    }
    let windows = rows.into_iter();
    windows.map(|(window, rows)| Ok((window, take_record_batch(batch, &UInt32Array::from(rows))?))).collect()
}

impl Operator for Whole {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.spec.schema)
    }

    fn process(&mut self, port: usize, rows: Rows, _: &mut Output) -> Result<(), StreamError> {
        self.hold(port, rows.batch, rows.is_final)
    }

    fn watermark(&mut self, marks: Marks, output: &mut Output) -> Result<(), StreamError> {
        if self.released.advance(self.limit(marks)) {
            let limit = self.released.time().micros();
            let mut gathered = Vec::with_capacity(self.held.len());
            for held in &mut self.held {
                // At the end of time nothing is left open.
                let open =
                    if self.released == Watermark::END { ByWindow::new() } else { held.split_off(&limit) };
                let over = std::mem::replace(held, open);
                gathered.push(over.into_values().flatten().collect::<Vec<_>>());
            }
            if gathered.iter().any(|batches| !batches.is_empty()) {
                output.push(self.compute(gathered)?, true);
            }
            self.written.retain(|window, _| window.is_none_or(|window| window >= limit));
        }
        if self.released != Watermark::START {
            output.marks = Some(Marks::source(self.released));
        }
        Ok(())
    }

    fn emit(&mut self, output: &mut Output) -> Result<(), StreamError> {
        let released = self.released.time().micros();
        let mut gathered = Vec::with_capacity(self.held.len());
        for (held, provisional) in self.held.iter().zip(&mut self.provisional) {
            let mut all = held.clone();
            for (window, rows) in std::mem::take(provisional) {
                if window >= released {
                    all.entry(window).or_default().extend(rows);
                }
            }
            gathered.push(all.into_values().flatten().collect::<Vec<_>>());
        }
        if gathered.iter().all(Vec::is_empty) {
            return Ok(());
        }
        let rows = self.compute(gathered)?;
        let windows: BTreeMap<Option<i64>, RecordBatch> = match self.spec.window_column {
            Some(column) => {
                by_window(&rows, column)?.into_iter().map(|(at, rows)| (Some(at), rows)).collect()
            }
            None => BTreeMap::from([(None, rows)]),
        };
        for (window, rows) in windows {
            if !self.spec.emit_all {
                if self.written.get(&window) == Some(&rows) {
                    continue;
                }
                self.written.insert(window, rows.clone());
            }
            output.push(rows, false);
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Snapshot, StreamError> {
        let mut batches = Vec::new();
        for ((port, held), spec) in (0_i64..).zip(&self.held).zip(&self.spec.ports) {
            let rows = concat_batches(&spec.schema, held.values().flatten())?;
            let mut fields = vec![Arc::new(Field::new("port", DataType::Int64, false))];
            fields.extend(spec.schema.fields().iter().cloned());
            let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_value(port, rows.num_rows()))];
            columns.extend(rows.columns().iter().cloned());
            batches.push(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?);
        }
        Ok(Snapshot { batches })
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), StreamError> {
        for batch in snapshot.batches.into_iter().filter(|batch| batch.num_rows() > 0) {
            let port = arrow::array::AsArray::as_primitive_opt::<Int64Type>(batch.column(0));
            let port = port.and_then(|port| usize::try_from(port.value(0)).ok());
            let port =
                port.ok_or_else(|| StreamError::internal("gathered rows of a checkpoint have no port"))?;
            let columns: Vec<usize> = (1..batch.num_columns()).collect();
            self.hold(port, batch.project(&columns)?, true)?;
        }
        Ok(())
    }
}
