//! Interval joins: rows of two streams with equal keys whose times lie near each other.
//!
//! - **Input**: rows at two ports, *left* and *right*; at each, keys, and a column of times with its
//!   [bound](TimeBound). Never NULL; a row with a NULL among its keys meets nobody.
//! - **Output**: a row for each pair of equal keys with `lower <= right.time - left.time <= upper` for which the further
//!   conditions hold, as soon as its second row comes; it is final at once. Rows without a partner (of an outer or an
//!   anti join) once no partner can come any more.
//! - **Promise**: the lesser of both inputs'. A pair's times lie behind it by no more than the interval reaches.
//! - **Late rows**: none come, by the promises. Those of a source are judged where they are read
//!   ([`Step::OnTime`](super::step::Step)).
//! - **State**: the rows of each side that a row to come at the other may meet, by key and time (`side`); dropped once
//!   the other's promise has passed their interval.
//! - **Provisional rows** of windows below are left alone: what a pair will be is known when both rows are final.
//!
//! ```text
//! left (k, t)   right (k, t)     0 <= right.t - left.t <= 5, LEFT
//! (a, 10)       (a, 12)          -> (a, 10, a, 12)      when the second comes
//! (a, 30)                        -> (a, 30, NULL, NULL) once the right side's promise is above 35
//! ```

mod side;

use std::{collections::BTreeSet, fmt, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt32Array, new_null_array},
    compute::{filter_record_batch, prep_null_mask_filter, take_record_batch},
    datatypes::{DataType, Field, Int64Type, Schema, SchemaRef},
    record_batch::{RecordBatch, RecordBatchOptions},
    row::{RowConverter, SortField},
};
use datafusion::{common::cast::as_boolean_array, physical_expr::PhysicalExpr};

use self::side::{RowId, Side};
use super::{
    Marks, Operator, Output, Rows, Snapshot, TimeBound, aggregate::zeros::one_zero, hop::event_times,
};
use crate::{error::StreamError, time::Watermark};

/// Pairs that are put together at once.
const PAIRS: usize = 8_192;

/// Which rows are written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum JoinKind {
    /// Pairs.
    Inner,
    /// Pairs, and left rows without a partner.
    Left,
    /// Pairs, and right rows without a partner.
    Right,
    /// Pairs, and all rows without a partner.
    Full,
    /// Left rows with a partner, once each.
    Semi,
    /// Left rows without a partner.
    Anti,
}

impl JoinKind {
    const fn writes_pairs(self) -> bool {
        !matches!(self, JoinKind::Semi | JoinKind::Anti)
    }

    /// Whether rows of a side are written that have no partner.
    const fn writes_unmatched(self, side: usize) -> bool {
        match self {
            JoinKind::Inner | JoinKind::Semi => false,
            JoinKind::Left | JoinKind::Anti => side == LEFT,
            JoinKind::Right => side == RIGHT,
            JoinKind::Full => true,
        }
    }

    /// Whether it matters which rows of a side have met a partner.
    const fn tracks(self, side: usize) -> bool {
        self.writes_unmatched(side) || (matches!(self, JoinKind::Semi) && side == LEFT)
    }
}

const LEFT: usize = 0;
const RIGHT: usize = 1;

/// One input, planned.
#[derive(Clone, Debug)]
pub struct SideSpec {
    /// Its rows.
    pub schema: SchemaRef,
    /// What must be equal, in the order of the other side's.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    /// The types of the keys, those of the other side's.
    pub key_types: Vec<DataType>,
    /// The column of its time.
    pub time: usize,
    /// What is promised about it.
    pub bound: TimeBound,
}

/// An interval join, planned.
#[derive(Clone, Debug)]
pub struct IntervalJoinSpec {
    /// Left and right.
    pub sides: [SideSpec; 2],
    /// The least of `right.time - left.time`.
    pub lower_us: i64,
    /// The greatest of it.
    pub upper_us: i64,
    /// Further conditions, over the columns of left and right.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    /// The columns of left and right.
    pub pairs: SchemaRef,
    /// Which rows are written.
    pub kind: JoinKind,
    /// What is written: pairs, or left rows.
    pub schema: SchemaRef,
}

impl IntervalJoinSpec {
    /// How far a partner's time may lie from a row's of this side.
    fn reach(&self, side: usize) -> (i64, i64) {
        match side {
            LEFT => (self.lower_us, self.upper_us),
            _ => (self.upper_us.saturating_neg(), self.lower_us.saturating_neg()),
        }
    }

    /// Rows of a side below this have met all their partners.
    fn over(&self, side: usize, marks: Marks) -> Watermark {
        let (_, latest) = self.reach(side);
        self.sides[1 - side].bound.watermark(marks).delayed_by(latest)
    }
}

/// Joins two streams by key and time.
pub struct IntervalJoin {
    spec: Arc<IntervalJoinSpec>,
    keys: RowConverter,
    sides: [Side; 2],
    /// Rows, by time, that have not met a partner yet, where that matters.
    waiting: [BTreeSet<RowId>; 2],
    promised: Watermark,
}

impl fmt::Debug for IntervalJoin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntervalJoin").field("kind", &self.spec.kind).finish_non_exhaustive()
    }
}

/// Rows that have met: the number of one in the batch that came, and the one that was there.
type Pair = (u32, RowId);

impl IntervalJoin {
    /// No rows yet.
    pub fn new(spec: Arc<IntervalJoinSpec>) -> Result<Self, StreamError> {
        let types = spec.sides[LEFT].key_types.iter().cloned().map(SortField::new).collect();
        let span_us = spec.upper_us.saturating_sub(spec.lower_us);
        let side = || Side::new(span_us);
        Ok(IntervalJoin {
            keys: RowConverter::new(types)?,
            sides: [side(), side()],
            waiting: [BTreeSet::new(), BTreeSet::new()],
            promised: Watermark::START,
            spec,
        })
    }

    /// Joins a batch with what is there of the other side; which of its rows have met a partner.
    fn meet(
        &mut self,
        port: usize,
        batch: &RecordBatch,
        keys: &Keys,
        output: &mut Output,
    ) -> Result<Vec<bool>, StreamError> {
        let mut met = vec![false; batch.num_rows()];
        let (earliest, latest) = self.spec.reach(port);
        let times = event_times(batch.column(self.spec.sides[port].time))?.clone();
        let mut pairs: Vec<Pair> = Vec::new();
        for (row, time) in (0_u32..).zip(times.values()) {
            let Some(key) = keys.of(row) else { continue };
            let span = (time.saturating_add(earliest), time.saturating_add(latest));
            self.sides[1 - port].find(key, span, |found| pairs.push((row, found)));
            if pairs.len() >= PAIRS {
                let full = std::mem::take(&mut pairs);
                self.pair(port, batch, full, &mut met, output)?;
            }
        }
        self.pair(port, batch, pairs, &mut met, output)?;
        Ok(met)
    }

    /// Writes pairs for which the further conditions hold.
    fn pair(
        &mut self,
        port: usize,
        batch: &RecordBatch,
        mut pairs: Vec<Pair>,
        met: &mut [bool],
        output: &mut Output,
    ) -> Result<(), StreamError> {
        if pairs.is_empty() {
            return Ok(());
        }
        let kind = self.spec.kind;
        if kind.writes_pairs() || self.spec.filter.is_some() {
            let rows = UInt32Array::from_iter_values(pairs.iter().map(|(row, _)| *row));
            let came = take_record_batch(batch, &rows)?;
            let there = self.sides[1 - port].rows(pairs.iter().map(|(_, there)| *there))?;
            let (left, right) = if port == LEFT { (&came, &there) } else { (&there, &came) };
            let columns = [left.columns(), right.columns()].concat();
            let options = RecordBatchOptions::new().with_row_count(Some(pairs.len()));
            let mut joined =
                RecordBatch::try_new_with_options(Arc::clone(&self.spec.pairs), columns, &options)?;
            if let Some(filter) = &self.spec.filter {
                let holds = holds(filter, &joined)?;
                joined = filter_record_batch(&joined, &holds)?;
                let mut holds = holds.values().iter();
                pairs.retain(|_| holds.next().unwrap_or(false));
            }
            if kind.writes_pairs() {
                output.push_final(with_schema(&joined, &self.spec.schema)?);
            }
        }
        self.note(port, &pairs, met, output)
    }

    /// Notes who has met a partner.
    fn note(
        &mut self,
        port: usize,
        pairs: &[Pair],
        met: &mut [bool],
        output: &mut Output,
    ) -> Result<(), StreamError> {
        let is_tracked = self.spec.kind.tracks(1 - port);
        let mut first_partners = Vec::new();
        for (row, there) in pairs {
            if let Some(met) = usize::try_from(*row).ok().and_then(|row| met.get_mut(row)) {
                *met = true;
            }
            if is_tracked && self.waiting[1 - port].remove(there) {
                first_partners.push(*there);
            }
        }
        if self.spec.kind == JoinKind::Semi && port == RIGHT && !first_partners.is_empty() {
            let rows = self.sides[LEFT].rows(first_partners)?;
            output.push_final(with_schema(&rows, &self.spec.schema)?);
        }
        Ok(())
    }

    /// Keeps those rows of a batch that a row to come may meet, or that wait for one.
    fn keep(
        &mut self,
        port: usize,
        batch: &RecordBatch,
        keys: &Keys,
        met: &[bool],
    ) -> Result<(), StreamError> {
        let kind = self.spec.kind;
        let times = event_times(batch.column(self.spec.sides[port].time))?.clone();
        let is_done = |met: bool| met && matches!(kind, JoinKind::Semi | JoinKind::Anti) && port == LEFT;
        let rows = (0_u32..).zip(times.values()).zip(met);
        let kept = rows.filter_map(|((row, time), met)| {
            let key = keys.of(row)?;
            (!is_done(*met)).then_some((row, *time, key))
        });
        let waiting = &mut self.waiting[port];
        let tracks = kind.tracks(port);
        self.sides[port].add(batch, kept, |row, id| {
            let has_met = usize::try_from(row).ok().and_then(|row| met.get(row)).copied();
            if tracks && has_met == Some(false) {
                waiting.insert(id);
            }
        })
    }

    /// Rows of a side without a partner, with NULLs in the place of one.
    fn write_alone(&self, side: usize, rows: &RecordBatch, output: &mut Output) -> Result<(), StreamError> {
        let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
        if self.spec.kind.writes_pairs() {
            let nulls = |field: &Arc<Field>| new_null_array(field.data_type(), rows.num_rows());
            let nulls: Vec<ArrayRef> = self.spec.sides[1 - side].schema.fields().iter().map(nulls).collect();
            columns = if side == LEFT { [columns, nulls].concat() } else { [nulls, columns].concat() };
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let schema = Arc::clone(&self.spec.schema);
        output.push_final(RecordBatch::try_new_with_options(schema, columns, &options)?);
        Ok(())
    }

    fn keys_of(&self, port: usize, batch: &RecordBatch) -> Result<Keys, StreamError> {
        let mut columns = Vec::new();
        for key in &self.spec.sides[port].keys {
            columns.push(one_zero(key.evaluate(batch)?.into_array(batch.num_rows())?));
        }
        let nulls = (0..batch.num_rows()).map(|row| columns.iter().any(|column| column.is_null(row)));
        Ok(Keys { nulls: nulls.collect(), rows: self.keys.convert_columns(&columns)? })
    }

    /// The batch with the side's own schema, and its times without NULL.
    fn checked(&self, port: usize, batch: &RecordBatch) -> Result<RecordBatch, StreamError> {
        let spec = self.spec.sides.get(port).ok_or_else(|| StreamError::internal("rows for no side"))?;
        if batch.column(spec.time).null_count() > 0 {
            return Err(StreamError::internal("a row without a time reached an interval join"));
        }
        with_schema(batch, &spec.schema)
    }
}

/// The keys of a batch, as bytes that are equal where they are.
struct Keys {
    nulls: Vec<bool>,
    rows: arrow::row::Rows,
}

impl Keys {
    /// The key of a row, unless there is a NULL in it.
    fn of(&self, row: u32) -> Option<&[u8]> {
        let row = usize::try_from(row).ok()?;
        let is_null = self.nulls.get(row).copied().unwrap_or(true);
        (!is_null).then(|| self.rows.row(row).data())
    }
}

fn holds(filter: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray, StreamError> {
    let holds = filter.evaluate(batch)?.into_array(batch.num_rows())?;
    let holds = as_boolean_array(&holds)?;
    Ok(if holds.null_count() > 0 { prep_null_mask_filter(holds) } else { holds.clone() })
}

/// The same columns; nullability is the plan's.
fn with_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, StreamError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options)?)
}

impl Operator for IntervalJoin {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.spec.schema)
    }

    fn process(&mut self, port: usize, rows: Rows, output: &mut Output) -> Result<(), StreamError> {
        let Rows::Final(batch) = rows else { return Ok(()) };
        let batch = self.checked(port, &batch)?;
        let keys = self.keys_of(port, &batch)?;
        let met = self.meet(port, &batch, &keys, output)?;
        if self.spec.kind == JoinKind::Semi && port == LEFT {
            let rows = filter_record_batch(&batch, &BooleanArray::from(met.clone()))?;
            output.push_final(with_schema(&rows, &self.spec.schema)?);
        }
        if self.spec.kind.writes_unmatched(port) && keys.nulls.contains(&true) {
            let rows = filter_record_batch(&batch, &BooleanArray::from(keys.nulls.clone()))?;
            self.write_alone(port, &rows, output)?;
        }
        self.keep(port, &batch, &keys, &met)
    }

    fn watermark(&mut self, marks: Marks, output: &mut Output) -> Result<(), StreamError> {
        for side in [LEFT, RIGHT] {
            let over = self.spec.over(side, marks);
            // At the end of time nothing is left over.
            let open = match over {
                Watermark::END => BTreeSet::new(),
                over => self.waiting[side].split_off(&RowId { time_us: over.time().micros(), row: 0 }),
            };
            let alone = std::mem::replace(&mut self.waiting[side], open);
            if self.spec.kind.writes_unmatched(side) && !alone.is_empty() {
                let rows = self.sides[side].rows(alone)?;
                self.write_alone(side, &rows, output)?;
            }
            self.sides[side].forget(over);
        }
        let bounds = self.spec.sides.iter().map(|side| side.bound.watermark(marks));
        self.promised.advance(bounds.min().unwrap_or(Watermark::END));
        if self.promised != Watermark::START {
            output.marks = Some(Marks::source(self.promised));
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Snapshot, StreamError> {
        let mut batches = Vec::new();
        for ((number, side), (of, waiting)) in
            (0_i64..).zip(&self.sides).zip(self.spec.sides.iter().zip(&self.waiting))
        {
            for (ids, rows) in side.all(&of.schema, of.time)? {
                let is_waiting: BooleanArray = ids.iter().map(|id| Some(waiting.contains(id))).collect();
                let mut fields = vec![
                    Arc::new(Field::new("side", DataType::Int64, false)),
                    Arc::new(Field::new("waits", DataType::Boolean, false)),
                ];
                fields.extend(of.schema.fields().iter().cloned());
                let mut columns: Vec<ArrayRef> =
                    vec![Arc::new(Int64Array::from_value(number, rows.num_rows())), Arc::new(is_waiting)];
                columns.extend(rows.columns().iter().cloned());
                batches.push(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?);
            }
        }
        Ok(Snapshot { batches })
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), StreamError> {
        for batch in snapshot.batches.into_iter().filter(|batch| batch.num_rows() > 0) {
            let side = batch.column(0).as_primitive_opt::<Int64Type>();
            let side = side.and_then(|side| usize::try_from(side.value(0)).ok());
            let waits = batch.column(1).as_boolean_opt();
            let (Some(side), Some(waits)) = (side, waits) else {
                return Err(StreamError::internal("a checkpoint's joined rows are of no side"));
            };
            let met: Vec<bool> = waits.values().iter().map(|waits| !waits).collect();
            let columns: Vec<usize> = (2..batch.num_columns()).collect();
            let rows = self.checked(side, &batch.project(&columns)?)?;
            let keys = self.keys_of(side, &rows)?;
            self.keep(side, &rows, &keys, &met)?;
        }
        Ok(())
    }
}
