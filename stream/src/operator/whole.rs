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
//!   gathered and of what the inputs would write now. Only windows of which rows have come or gone since are computed.
//! - **Late rows**: none come, by the promises.
//! - **State**: the final rows of windows that are not complete. Where somebody asks for provisional rows, those of the
//!   inputs, and those written last.
//!
//! The plan must treat windows apart: no row of its result may depend on rows of two windows. The planner sees to that.

mod open;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

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

use self::open::OpenRows;
use super::{
    Changes, Marks, Operator, Output, Rows, Snapshot, TimeBound, aggregate::zeros::one_zero, hop::event_times,
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
    /// Provisional rows, by port.
    open: Vec<OpenRows>,
    /// Windows of which rows have come or gone since the last emission.
    touched: BTreeSet<i64>,
    /// Windows below are over.
    released: Watermark,
    /// The provisional rows written last, by window.
    written: BTreeMap<i64, RecordBatch>,
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
            open: std::iter::repeat_with(OpenRows::default).take(ports).collect(),
            touched: BTreeSet::new(),
            released: Watermark::START,
            written: BTreeMap::new(),
        }
    }

    /// The rows of an input, by window, as the computation has them.
    fn windows(&self, port: usize, batch: &RecordBatch) -> Result<BTreeMap<i64, RecordBatch>, StreamError> {
        let spec = self.spec.ports.get(port).ok_or_else(|| StreamError::internal("rows for no port"))?;
        // Nullability is that of the plan's placeholder; the columns are the same.
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        // DataFusion would take the two zeros for two keys.
        let columns = batch.columns().iter().map(|column| one_zero(Arc::clone(column))).collect();
        let batch = RecordBatch::try_new_with_options(Arc::clone(&spec.schema), columns, &options)?;
        by_window(&batch, spec.column)
    }

    fn hold(&mut self, port: usize, batch: &RecordBatch) -> Result<(), StreamError> {
        for (window, rows) in self.windows(port, batch)? {
            self.held[port].entry(window).or_default().push(rows);
            self.touched.insert(window);
        }
        Ok(())
    }

    fn change(&mut self, port: usize, Changes { gone, now }: Changes) -> Result<(), StreamError> {
        let released = self.released.time().micros();
        for (batch, comes) in [(gone, false), (now, true)] {
            let Some(batch) = batch else { continue };
            for (window, rows) in self.windows(port, &batch)? {
                if window < released {
                    continue;
                }
                match comes {
                    true => self.open[port].come(window, rows),
                    false => self.open[port].go(window, rows),
                }
                self.touched.insert(window);
            }
        }
        Ok(())
    }

    /// What the plan makes now of windows that are not complete, by window.
    fn compute_open(&mut self, windows: &BTreeSet<i64>) -> Result<BTreeMap<i64, RecordBatch>, StreamError> {
        // Where the result does not tell windows apart, they are computed one by one.
        let together = self.spec.window_column.is_some();
        let step = if together { windows.len() } else { 1 };
        let windows: Vec<i64> = windows.iter().copied().collect();
        let mut results = BTreeMap::new();
        for windows in windows.chunks(step.max(1)) {
            let mut gathered = vec![Vec::new(); self.held.len()];
            for window in windows {
                for (port, rows) in gathered.iter_mut().enumerate() {
                    rows.extend(self.held[port].get(window).into_iter().flatten().cloned());
                    rows.extend_from_slice(self.open[port].of(*window, &self.spec.ports[port].schema)?);
                }
            }
            if gathered.iter().all(Vec::is_empty) {
                continue;
            }
            let rows = self.compute(gathered)?;
            match (self.spec.window_column, windows.first()) {
                (Some(column), _) => results.extend(by_window(&rows, column)?),
                (None, Some(window)) if rows.num_rows() > 0 => {
                    results.insert(*window, rows);
                }
                (None, _) => {}
            }
        }
        Ok(results)
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
        match rows {
            Rows::Final(batch) => self.hold(port, &batch),
            Rows::Provisional(changes) => self.change(port, changes),
        }
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
                output.push_final(self.compute(gathered)?);
            }
            let open_from = (self.released != Watermark::END).then_some(limit);
            self.open.iter_mut().for_each(|open| open.forget(open_from));
            self.touched = open_from.map(|from| self.touched.split_off(&from)).unwrap_or_default();
            let open = open_from.map(|from| self.written.split_off(&from)).unwrap_or_default();
            let shown: Vec<RecordBatch> = std::mem::replace(&mut self.written, open).into_values().collect();
            output.push_changes(Some(concat_batches(&self.spec.schema, &shown)?), None);
        }
        if self.released != Watermark::START {
            output.marks = Some(Marks::source(self.released));
        }
        Ok(())
    }

    fn emit(&mut self, output: &mut Output) -> Result<(), StreamError> {
        let touched = std::mem::take(&mut self.touched);
        let mut results = self.compute_open(&touched)?;
        let (mut gone, mut now) = (Vec::new(), Vec::new());
        for window in touched {
            let rows = results.remove(&window);
            if self.written.get(&window) == rows.as_ref() {
                continue;
            }
            gone.extend(self.written.remove(&window));
            if let Some(rows) = rows {
                self.written.insert(window, rows.clone());
                now.push(rows);
            }
        }
        if !results.is_empty() {
            return Err(StreamError::internal(format!(
                "{} made rows of windows that it was not given",
                self.spec.name
            )));
        }
        let schema = &self.spec.schema;
        output.push_changes(Some(concat_batches(schema, &gone)?), Some(concat_batches(schema, &now)?));
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
            self.hold(port, &batch.project(&columns)?)?;
        }
        Ok(())
    }
}
