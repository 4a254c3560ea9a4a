//! Windowed aggregation: `GROUP BY` a window and keys.
//!
//! - **Input**: rows with an event time. Before the first window they stay on the compute threads
//!   ([`WindowPartial`]) and only partial aggregates come here; behind another window they come as rows.
//! - **Output**: one row a window and key, in the schema of the plan's aggregate.
//! - **When**: final rows when the watermark passes a window's end plus the allowed lateness, all windows that
//!   close at once in one batch, ordered by end; provisional rows when asked ([`Operator::emit`]), for the
//!   windows that changed: all that a window had goes, and all that it has comes. A session's row alone.
//! - **Late rows**: refused by [`WindowSpec::accepts_from`]; counted where they are refused.
//! - **State**: see [`hop`](super::hop) and [`session`](super::session). Where somebody asks for provisional rows,
//!   the last ones of each open window besides.
//!
//! Provisional rows of an upstream window are counted beside the final ones, and taken out again when they are gone
//! ([`open`](super::aggregate::open)): an emission costs the windows below that changed, not those that are open.
//!
//! ```text
//! tumble 10, SUM(v)
//! rows (time, v):   (1, 5) (4, 2)          emit:  [0, 10) 7 provisional
//!                   (12, 1)  watermark 10         [0, 10) 7 final
//! ```

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, StructArray, TimestampMicrosecondArray},
    compute::{concat_batches, filter_record_batch},
    datatypes::{DataType, Int64Type, SchemaRef},
    record_batch::{RecordBatch, RecordBatchOptions},
};
use datafusion::physical_expr::PhysicalExpr;

use super::{
    Marks, Operator, Output, Partial, Snapshot, TimeBound,
    aggregate::{Aggregation, open::Direction},
    changes::{Changes, Rows},
    hop::{PanePartials, Panes, WindowRows, closing_limit, event_times},
    session::{SessionRows, Sessions},
};
use crate::{
    error::StreamError,
    time::{EventTime, Watermark},
    window::WindowSpec,
};

/// Flink's `window_time` is the last millisecond of the window.
pub const WINDOW_TIME_US: i64 = 1_000;

/// A column in front of the aggregates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum GroupColumn {
    /// Start of the window.
    WindowStart,
    /// End of the window, exclusive.
    WindowEnd,
    /// Last millisecond of the window.
    WindowTime,
    /// `(start, end)` as a struct.
    Window,
    /// The group key of this number.
    Key(usize),
}

/// A windowed aggregation, planned.
#[derive(Clone, Debug)]
pub struct WindowAggregateSpec {
    /// The window.
    pub window: WindowSpec,
    /// How long windows take rows after the watermark passed their end.
    pub lateness_us: i64,
    /// The event time of a row; never NULL.
    pub time: Arc<dyn PhysicalExpr>,
    /// What is promised about that time.
    pub bound: TimeBound,
    /// Keys and aggregates.
    pub aggregation: Aggregation,
    /// The columns in front of the aggregates, in output order.
    pub group_columns: Vec<GroupColumn>,
    /// The output schema.
    pub schema: SchemaRef,
    /// Something downstream waits for the starts of windows: those of open sessions are then promised.
    pub knows_starts: bool,
}

enum Stage {
    Panes(PanePartials),
    Sessions(Box<Sessions>),
}

/// The first phase: rows to partial aggregates.
pub struct WindowPartial {
    spec: Arc<WindowAggregateSpec>,
    stage: Stage,
}

impl WindowPartial {
    /// No rows yet.
    pub fn new(spec: Arc<WindowAggregateSpec>) -> Result<Self, StreamError> {
        let stage = match spec.window {
            WindowSpec::Fixed(window) => {
                Stage::Panes(PanePartials::new(spec.aggregation.clone(), window.pane_us))
            }
            WindowSpec::Session { gap_us } => {
                Stage::Sessions(Box::new(Sessions::partial(spec.aggregation.clone(), gap_us)?))
            }
        };
        Ok(WindowPartial { spec, stage })
    }

    /// Counts rows. With `late_at`, rows that came when the watermark stood there: those that every window has
    /// closed for are left out, the others are counted in the windows that have not. Answers how many were left out.
    pub fn update(&mut self, batch: &RecordBatch, late_at: Option<Watermark>) -> Result<u64, StreamError> {
        // Held against the promise about this column, by which its windows close.
        self.update_at(batch, late_at.map(|late_at| self.spec.bound.watermark(Marks::source(late_at))))
    }

    /// The same, of a watermark of the event-time column.
    fn update_at(&mut self, batch: &RecordBatch, late_at: Option<Watermark>) -> Result<u64, StreamError> {
        let times = self.spec.time.evaluate(batch)?.into_array(batch.num_rows())?;
        let times = event_times(&times)?;
        if times.null_count() > 0 {
            return Err(StreamError::internal("a row without event time reached a window"));
        }
        let Some(late_at) = late_at else {
            self.add(batch, times, None)?;
            return Ok(0);
        };
        let closed_us = closing_limit(late_at, self.spec.lateness_us);
        let from = self.spec.window.accepts_from(late_at, self.spec.lateness_us).micros();
        if times.values().iter().all(|time| *time >= from) {
            self.add(batch, times, closed_us)?;
            return Ok(0);
        }
        let accepted: BooleanArray = times.values().iter().map(|time| Some(*time >= from)).collect();
        let kept = filter_record_batch(batch, &accepted)?;
        if kept.num_rows() > 0 {
            let times = self.spec.time.evaluate(&kept)?.into_array(kept.num_rows())?;
            self.add(&kept, event_times(&times)?, closed_us)?;
        }
        Ok(u64::try_from(batch.num_rows() - kept.num_rows()).unwrap_or(u64::MAX))
    }

    fn add(
        &mut self,
        batch: &RecordBatch,
        times: &TimestampMicrosecondArray,
        closed_us: Option<i64>,
    ) -> Result<(), StreamError> {
        let offset_us = self.spec.window.offset_us();
        match &mut self.stage {
            Stage::Panes(panes) if offset_us != 0 => {
                let times: TimestampMicrosecondArray =
                    times.unary(|time: i64| time.saturating_sub(offset_us));
                panes.update(batch, &times, closed_us.map(|closed| closed.saturating_sub(offset_us)))
            }
            Stage::Panes(panes) => panes.update(batch, times, closed_us),
            Stage::Sessions(sessions) => sessions.update(batch, times, closed_us),
        }
    }

    /// Takes partial aggregates out: everything, or only what belongs to windows that close once the watermark
    /// stands at `closed_at`. Sessions are always taken: to tell those that may go on from the others, and to take
    /// them out one by one, costs more than merging the rest of them later.
    pub fn take(&mut self, closed_at: Option<Watermark>) -> Result<Vec<Partial>, StreamError> {
        match &mut self.stage {
            Stage::Panes(panes) => {
                let limit_us = match closed_at {
                    None => None,
                    Some(watermark) => {
                        // By the promise about this column, as the second phase closes windows.
                        let watermark = self.spec.bound.watermark(Marks::source(watermark));
                        match closing_limit(watermark, self.spec.lateness_us) {
                            None => return Ok(Vec::new()),
                            limit_us => limit_us,
                        }
                    }
                };
                panes.take(limit_us.map(|limit| limit.saturating_sub(self.spec.window.offset_us())))
            }
            Stage::Sessions(sessions) => {
                let states = sessions.take_all()?;
                if states.num_rows() == 0 {
                    return Ok(Vec::new());
                }
                Ok(vec![Partial { pane_us: 0, first_end_us: 0, states, rows: 0 }])
            }
        }
    }
}

enum State {
    Panes(Panes),
    Sessions(Box<Sessions>),
}

/// The second phase: partial aggregates to windows.
pub struct WindowAggregate {
    // What it computes.
    spec: Arc<WindowAggregateSpec>,
    // What it holds.
    direct: WindowPartial,
    state: State,
    watermark: Watermark,
    late_rows: u64,
    /// Final rows may be written in parts.
    in_parts: bool,
    /// The provisional rows last written for a window, by its end.
    written: BTreeMap<i64, RecordBatch>,
}

impl WindowAggregate {
    /// No windows yet.
    pub fn new(spec: Arc<WindowAggregateSpec>) -> Result<Self, StreamError> {
        let state = match spec.window {
            WindowSpec::Fixed(window) => State::Panes(Panes::new(spec.aggregation.clone(), window)),
            WindowSpec::Session { gap_us } => {
                State::Sessions(Box::new(Sessions::new(spec.aggregation.clone(), gap_us, spec.knows_starts)?))
            }
        };
        Ok(WindowAggregate {
            direct: WindowPartial::new(Arc::clone(&spec))?,
            spec,
            state,
            watermark: Watermark::START,
            late_rows: 0,
            in_parts: false,
            written: BTreeMap::new(),
        })
    }

    fn merge(&mut self, partial: Partial) -> Result<u64, StreamError> {
        match &mut self.state {
            State::Panes(panes) => {
                let taken = panes.merge(partial.pane_us, partial.first_end_us, &partial.states)?;
                Ok(if taken { 0 } else { partial.rows })
            }
            State::Sessions(sessions) => {
                sessions.merge(&partial.states)?;
                Ok(0)
            }
        }
    }

    fn merge_direct(&mut self) -> Result<(), StreamError> {
        for partial in self.direct.take(None)? {
            self.late_rows += self.merge(partial)?;
        }
        Ok(())
    }

    /// Rows of fixed windows in the output schema.
    fn window_batch(&self, window: WindowRows) -> Result<RecordBatch, StreamError> {
        let (end_us, keys, values, rows) = window;
        let WindowSpec::Fixed(window) = self.spec.window else {
            return Err(StreamError::internal("rows of a fixed window in a session"));
        };
        let of = |time: i64| time.saturating_add(window.offset_us);
        let spans = vec![(of(window.start_of(end_us)), of(end_us)); rows];
        self.output_batch(&spans, keys, values)
    }

    fn session_batch(&self, rows: SessionRows) -> Result<RecordBatch, StreamError> {
        let WindowSpec::Session { gap_us } = self.spec.window else {
            return Err(StreamError::internal("session rows of a fixed window"));
        };
        let spans: Vec<(i64, i64)> =
            rows.spans.iter().map(|(first, last)| (*first, last.saturating_add(gap_us))).collect();
        self.output_batch(&spans, rows.keys, rows.values)
    }

    /// Window columns, keys and aggregates in the order of the schema; `spans` has `[start, end)` of each row.
    fn output_batch(
        &self,
        spans: &[(i64, i64)],
        keys: Vec<ArrayRef>,
        values: Vec<ArrayRef>,
    ) -> Result<RecordBatch, StreamError> {
        let times = |of: fn(&(i64, i64)) -> i64| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from_iter_values(spans.iter().map(of)).with_timezone("UTC"))
        };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.spec.schema.fields().len());
        for (column, field) in self.spec.group_columns.iter().zip(self.spec.schema.fields()) {
            columns.push(match column {
                GroupColumn::WindowStart => times(|span| span.0),
                GroupColumn::WindowEnd => times(|span| span.1),
                GroupColumn::WindowTime => times(|span| span.1.saturating_sub(WINDOW_TIME_US)),
                GroupColumn::Window => match field.data_type() {
                    DataType::Struct(fields) => Arc::new(StructArray::try_new(
                        fields.clone(),
                        vec![times(|span| span.0), times(|span| span.1)],
                        None,
                    )?),
                    other => return Err(StreamError::internal(format!("a window column of type {other}"))),
                },
                GroupColumn::Key(key) => Arc::clone(
                    keys.get(*key).ok_or_else(|| StreamError::internal("a window lacks a group key"))?,
                ),
            });
        }
        columns.extend(values);
        let options = RecordBatchOptions::new().with_row_count(Some(spans.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.spec.schema), columns, &options)?)
    }

    /// Windows in one batch.
    fn together(&self, windows: &[RecordBatch]) -> Result<RecordBatch, StreamError> {
        Ok(concat_batches(&self.spec.schema, windows)?)
    }

    /// Takes a change of the provisional rows of windows below.
    fn change(&mut self, changes: &Changes) -> Result<(), StreamError> {
        // A session over other windows has no provisional rows from theirs: how an open window will end is
        // not known, and so neither is which session it will belong to.
        let State::Panes(panes) = &mut self.state else { return Ok(()) };
        let offset_us = self.spec.window.offset_us();
        // What comes first: what is in both is then never taken out in between.
        for (direction, batch) in [(Direction::Come, &changes.now), (Direction::Go, &changes.gone)] {
            let Some(batch) = batch else { continue };
            let times = self.spec.time.evaluate(batch)?.into_array(batch.num_rows())?;
            let times = event_times(&times)?;
            if times.null_count() > 0 {
                return Err(StreamError::internal("a row without event time reached a window"));
            }
            let times = times.unary(|time: i64| time.saturating_sub(offset_us));
            panes.change(direction, batch, &times)?;
        }
        Ok(())
    }

    /// What has changed of the provisional rows of fixed windows, of which these are those that were touched.
    fn changed_windows(&mut self, windows: Vec<WindowRows>, output: &mut Output) -> Result<(), StreamError> {
        let (mut gone, mut now) = (Vec::new(), Vec::new());
        for window in windows {
            let (end_us, rows) = (window.0, window.3);
            if rows == 0 {
                gone.extend(self.written.remove(&end_us));
                continue;
            }
            let batch = self.window_batch(window)?;
            if self.written.get(&end_us) == Some(&batch) {
                continue;
            }
            gone.extend(self.written.insert(end_us, batch.clone()));
            now.push(batch);
        }
        output.push_changes(Some(self.together(&gone)?), Some(self.together(&now)?));
        Ok(())
    }
}

impl Operator for WindowAggregate {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.spec.schema)
    }

    fn process(&mut self, _: usize, rows: Rows, _: &mut Output) -> Result<(), StreamError> {
        match rows {
            Rows::Final(batch) => {
                // Only rows that an upstream window accepted late can be below the watermark here.
                self.late_rows += self.direct.update_at(&batch, Some(self.watermark))?;
                self.merge_direct()
            }
            Rows::Provisional(changes) => self.change(&changes),
        }
    }

    fn partial(&mut self, partial: Partial) -> Result<u64, StreamError> {
        self.merge(partial)
    }

    fn write_in_parts(&mut self) {
        self.in_parts = true;
    }

    fn watermark(&mut self, marks: Marks, output: &mut Output) -> Result<(), StreamError> {
        let (mut watermark, lateness_us) = (self.watermark, self.spec.lateness_us);
        watermark.advance(self.spec.bound.watermark(marks));
        let Some(mut limit_us) = closing_limit(watermark, lateness_us) else { return Ok(()) };
        if let State::Sessions(sessions) = &self.state
            && self.in_parts
        {
            // Step by step, as if the watermark had come in smaller steps.
            let until_us = sessions.close_until(limit_us);
            if until_us < limit_us {
                output.is_partial = true;
                limit_us = until_us;
                watermark = Watermark::at(EventTime::from_micros(until_us.saturating_add(lateness_us)));
            }
        }
        self.watermark.advance(watermark);
        let window = self.spec.window;
        let earliest_open = match &mut self.state {
            State::Panes(panes) => {
                let limit_us = limit_us.saturating_sub(window.offset_us());
                let closed = panes.close(limit_us)?;
                let batches =
                    closed.into_iter().map(|w| self.window_batch(w)).collect::<Result<Vec<_>, _>>()?;
                output.push_final(self.together(&batches)?);
                let open = limit_us.checked_add(1).map(|from| self.written.split_off(&from));
                let shown = std::mem::replace(&mut self.written, open.unwrap_or_default());
                let shown: Vec<RecordBatch> = shown.into_values().collect();
                output.push_changes(Some(self.together(&shown)?), None);
                None
            }
            State::Sessions(sessions) => {
                let (closed, shown) =
                    sessions.close(limit_us, |end_us| window.is_closed(end_us, watermark, lateness_us))?;
                let earliest = sessions.earliest_start();
                output.push_final(self.session_batch(closed)?);
                let shown = shown.map(|shown| self.session_batch(shown)).transpose()?;
                output.push_changes(shown, None);
                earliest
            }
        };
        output.marks = Some(Marks {
            watermark: watermark.delayed_by(lateness_us),
            window_starts: window.starts_from(watermark, lateness_us, earliest_open),
        });
        Ok(())
    }

    fn emit(&mut self, output: &mut Output) -> Result<(), StreamError> {
        match &mut self.state {
            State::Panes(panes) => {
                let windows = panes.provisional()?;
                self.changed_windows(windows, output)
            }
            State::Sessions(sessions) => {
                let (gone, now) = sessions.provisional()?;
                let gone = gone.map(|gone| self.session_batch(gone)).transpose()?;
                output.push_changes(gone, Some(self.session_batch(now)?));
                Ok(())
            }
        }
    }

    fn snapshot(&mut self) -> Result<Snapshot, StreamError> {
        let batches = match &mut self.state {
            State::Sessions(sessions) => vec![sessions.snapshot()?],
            State::Panes(panes) => {
                let mut batches = Vec::new();
                for (pane_us, first_end_us, states) in panes.snapshot()? {
                    batches.push(with_pane(pane_us, first_end_us, &states)?);
                }
                batches
            }
        };
        Ok(Snapshot { batches })
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), StreamError> {
        for batch in snapshot.batches.into_iter().filter(|batch| batch.num_rows() > 0) {
            match &mut self.state {
                State::Sessions(sessions) => sessions.merge(&batch)?,
                State::Panes(panes) => {
                    let (pane_us, first_end_us, states) = without_pane(&batch)?;
                    panes.merge(pane_us, first_end_us, &states)?;
                }
            }
        }
        Ok(())
    }
}

/// A state batch with its pane's start and the end of the first window that takes it in front, for a checkpoint.
fn with_pane(pane_us: i64, first_end_us: i64, states: &RecordBatch) -> Result<RecordBatch, StreamError> {
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (name, micros) in [("pane_us", pane_us), ("first_end_us", first_end_us)] {
        fields.push(Arc::new(arrow::datatypes::Field::new(name, DataType::Int64, false)));
        columns.push(Arc::new(arrow::array::Int64Array::from_value(micros, states.num_rows())));
    }
    fields.extend(states.schema().fields().iter().cloned());
    columns.extend(states.columns().iter().cloned());
    Ok(RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns)?)
}

fn without_pane(batch: &RecordBatch) -> Result<(i64, i64, RecordBatch), StreamError> {
    let micros = |column: usize| {
        let column = batch.columns().get(column).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let column = column.ok_or_else(|| StreamError::internal("a checkpoint's pane has no start"))?;
        Ok::<_, StreamError>(column.value(0))
    };
    let columns: Vec<usize> = (2..batch.num_columns()).collect();
    Ok((micros(0)?, micros(1)?, batch.project(&columns)?))
}
