//! The records of one partition: decoded, classified by time, counted.
//!
//! Records are judged one by one in the partition's order, whatever batches they come in:
//!
//! 1. not decodable, or without event time: dead letter;
//! 2. key already seen: duplicate;
//! 3. event time at or above the partition's watermark at that moment: on time;
//! 4. below it: late. It goes on with the watermark it met, and each window decides by that.
//!
//! Then the record raises the partition's watermark, unless its time lies in the future beyond the bound.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array},
    compute::{concat, filter_record_batch, take_record_batch},
    datatypes::TimestampMicrosecondType,
    record_batch::{RecordBatch, RecordBatchOptions},
};

use super::{
    clock::Clock,
    dead_letters::{DeadLetter, Kind},
    deduplicate::Deduplicator,
};
use crate::{
    decode::{Decoder, Reject},
    error::StreamError,
    ledger::BatchCounts,
    planner::SourcePlan,
    source::RawBatch,
    time::{EventTime, Offset, PartitionId, Progress, Watermark},
    window::WindowSpec,
};

/// Rows that go on, with the watermark that they met if they were late.
pub struct Accepted {
    /// Rows in the source's schema.
    pub batch: RecordBatch,
    /// `None` for rows on time.
    pub late_at: Option<Watermark>,
}

/// What became of a raw batch.
#[derive(Default)]
pub struct Intake {
    /// Rows for the local chains.
    pub rows: Vec<Accepted>,
    /// Records set aside.
    pub dead_letters: Vec<DeadLetter>,
    /// For the ledger.
    pub counts: BatchCounts,
}

/// One partition's progress.
pub struct Partition {
    /// Which it is.
    pub id: PartitionId,
    /// The next record to read.
    pub position: Option<Offset>,
    /// The highest event time that may push the watermark.
    max_time_us: Option<i64>,
    watermark: Watermark,
    last_record: Instant,
    idle: bool,
    deduplicator: Option<Deduplicator>,
}

/// What is the same for all partitions of a source.
pub struct IntakePlan {
    /// The source.
    pub source: Arc<SourcePlan>,
    /// Its name, for dead letters.
    pub table: Arc<str>,
    /// Windows and allowed lateness of the local chains over this source: what decides who comes too late.
    pub windows: Vec<(WindowSpec, i64)>,
    /// Time of day, for dead letters and the bound on future event times.
    pub clock: Clock,
}

impl IntakePlan {
    /// The earliest event time that every window over this source still takes.
    fn taken_by_all_from(&self, watermark: Watermark) -> i64 {
        let from =
            self.windows.iter().map(|(window, lateness_us)| window.accepts_from(watermark, *lateness_us));
        from.max().unwrap_or(EventTime::MIN).micros()
    }
}

impl Partition {
    /// A partition of which nothing has been read.
    pub fn new(id: PartitionId, plan: &SourcePlan) -> Self {
        let deduplicator = (!plan.deduplicate_columns.is_empty()).then(|| {
            Deduplicator::new(plan.deduplicate_columns.clone(), plan.options.deduplicate_horizon_us)
        });
        Partition {
            id,
            position: None,
            max_time_us: None,
            watermark: Watermark::START,
            last_record: Instant::now(),
            idle: false,
            deduplicator,
        }
    }

    /// Goes on where a checkpoint left off.
    pub fn restore(&mut self, position: Option<Offset>, max_time_us: Option<i64>, delay_us: i64) {
        self.position = position;
        self.max_time_us = max_time_us;
        if let Some(max) = max_time_us {
            self.watermark.advance(Watermark::at(EventTime::from_micros(max.saturating_sub(delay_us))));
        }
    }

    /// The highest event time that has pushed the watermark.
    pub fn max_time_us(&self) -> Option<i64> {
        self.max_time_us
    }

    /// Its keys already seen.
    pub fn deduplicator(&mut self) -> Option<&mut Deduplicator> {
        self.deduplicator.as_mut()
    }

    /// What it says about its progress.
    pub fn progress(&self) -> Progress {
        if self.idle { Progress::Idle(self.watermark) } else { Progress::Active(self.watermark) }
    }

    /// Marks it idle if nothing came for long; `timeout` zero for never.
    pub fn check_idle(&mut self, now: Instant, timeout: std::time::Duration) {
        if !timeout.is_zero() && now.saturating_duration_since(self.last_record) >= timeout {
            self.idle = true;
        }
    }

    /// No record will come any more.
    pub fn end(&mut self) {
        self.watermark = Watermark::END;
    }

    /// Takes a raw batch in. `job_watermark` is how far the job has come: a partition that wakes up starts
    /// there at least, since windows below may have been closed without it.
    pub fn take_in(
        &mut self,
        plan: &IntakePlan,
        decoder: &mut dyn Decoder,
        raw: &RawBatch,
        now: Instant,
        job_watermark: Watermark,
    ) -> Result<Intake, StreamError> {
        let mut intake = Intake::default();
        intake.counts.read = count(raw.len());
        intake.counts.bytes = count(raw.bytes());
        if std::mem::take(&mut self.idle) {
            self.watermark.advance(job_watermark);
        }
        self.last_record = now;
        self.position = raw.next_position().or(self.position);

        let decoded = decoder.decode(raw)?;
        for reject in decoded.rejects {
            self.dead_letter(plan, raw, reject, &mut intake);
        }
        let (batch, mut records) = self.generate(plan, raw, decoded.batch, decoded.records, &mut intake)?;
        let Some(time_column) = plan.source.time_column else {
            // No event time: every row is on time, and no window can ask.
            let batch = self.without_duplicates(batch, None, &mut records, &mut intake)?;
            intake.counts.on_time += count(batch.num_rows());
            if batch.num_rows() > 0 {
                intake.rows.push(Accepted { batch, late_at: None });
            }
            return Ok(intake);
        };
        let batch = self.with_event_time(plan, raw, batch, time_column, &mut records, &mut intake)?;
        let batch = self.without_duplicates(batch, Some(time_column), &mut records, &mut intake)?;
        if batch.num_rows() > 0 {
            self.classify(plan, raw, &batch, time_column, &records, &mut intake)?;
        }
        if let Some(deduplicator) = &mut self.deduplicator {
            deduplicator.forget(self.watermark);
        }
        Ok(intake)
    }

    fn dead_letter(&self, plan: &IntakePlan, raw: &RawBatch, reject: Reject, intake: &mut Intake) {
        intake.counts.dead_letter += 1;
        intake.dead_letters.push(self.letter(plan, raw, Kind::Malformed, reject, None));
    }

    fn letter(
        &self,
        plan: &IntakePlan,
        raw: &RawBatch,
        kind: Kind,
        reject: Reject,
        time: Option<i64>,
    ) -> DeadLetter {
        let index = usize::try_from(reject.record).unwrap_or(usize::MAX);
        let (payload, offset) = raw.record(index).unwrap_or((&[], Offset::ZERO));
        DeadLetter {
            kind,
            table: Arc::clone(&plan.table),
            partition: self.id.clone(),
            offset,
            reason: reject.reason,
            payload: payload.to_vec(),
            event_time_us: time,
            set_aside_us: (plan.clock)(),
        }
    }

    /// Appends the generated columns. A row for which one fails is a dead letter.
    fn generate(
        &self,
        plan: &IntakePlan,
        raw: &RawBatch,
        batch: RecordBatch,
        records: Vec<u32>,
        intake: &mut Intake,
    ) -> Result<(RecordBatch, Vec<u32>), StreamError> {
        if plan.source.generated.is_empty() || batch.num_rows() == 0 {
            let columns = batch.columns().to_vec();
            if batch.num_rows() == 0 {
                return Ok((RecordBatch::new_empty(Arc::clone(&plan.source.schema)), records));
            }
            return Ok((self.in_schema(plan, columns, batch.num_rows())?, records));
        }
        let evaluate = |batch: &RecordBatch| -> Result<Vec<ArrayRef>, StreamError> {
            let exprs = plan.source.generated.iter();
            let arrays = exprs.map(|(expr, _)| expr.evaluate(batch)?.into_array(batch.num_rows()));
            Ok(arrays.collect::<Result<_, _>>()?)
        };
        if let Ok(generated) = evaluate(&batch) {
            let mut columns = batch.columns().to_vec();
            columns.extend(generated);
            return Ok((self.in_schema(plan, columns, batch.num_rows())?, records));
        }
        // Some row fails: find out which, one by one.
        let (mut kept, mut kept_records) = (Vec::new(), Vec::new());
        for (row, record) in records.into_iter().enumerate() {
            let one = batch.slice(row, 1);
            match evaluate(&one) {
                Ok(generated) => {
                    let mut columns = one.columns().to_vec();
                    columns.extend(generated);
                    kept.push(columns);
                    kept_records.push(record);
                }
                Err(error) => {
                    let reason = format!("a generated column failed: {error}");
                    self.dead_letter(plan, raw, Reject { record, reason }, intake);
                }
            }
        }
        let Some(width) = kept.first().map(Vec::len) else {
            return Ok((RecordBatch::new_empty(Arc::clone(&plan.source.schema)), Vec::new()));
        };
        let mut columns = Vec::with_capacity(width);
        for index in 0..width {
            let parts: Vec<&dyn Array> = kept.iter().map(|row| row[index].as_ref()).collect();
            columns.push(concat(&parts)?);
        }
        Ok((self.in_schema(plan, columns, kept_records.len())?, kept_records))
    }

    fn in_schema(
        &self,
        plan: &IntakePlan,
        columns: Vec<ArrayRef>,
        rows: usize,
    ) -> Result<RecordBatch, StreamError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&plan.source.schema), columns, &options)?)
    }

    /// Sets aside the rows without event time.
    fn with_event_time(
        &self,
        plan: &IntakePlan,
        raw: &RawBatch,
        batch: RecordBatch,
        time_column: usize,
        records: &mut Vec<u32>,
        intake: &mut Intake,
    ) -> Result<RecordBatch, StreamError> {
        let times = batch.column(time_column);
        if times.null_count() == 0 {
            return Ok(batch);
        }
        let name = plan.source.schema.field(time_column).name();
        let valid: BooleanArray = (0..batch.num_rows()).map(|row| Some(times.is_valid(row))).collect();
        for (record, _) in records.iter().zip(valid.values()).filter(|(_, valid)| !valid) {
            let reason = format!("no event time: '{name}' is missing or null");
            self.dead_letter(plan, raw, Reject { record: *record, reason }, intake);
        }
        let mut keep = valid.values().iter();
        records.retain(|_| keep.next().unwrap_or(false));
        Ok(filter_record_batch(&batch, &valid)?)
    }

    fn without_duplicates(
        &mut self,
        batch: RecordBatch,
        time_column: Option<usize>,
        records: &mut Vec<u32>,
        intake: &mut Intake,
    ) -> Result<RecordBatch, StreamError> {
        let Some(deduplicator) = &mut self.deduplicator else { return Ok(batch) };
        let unknown = vec![0; batch.num_rows()];
        let times: &[i64] = match time_column {
            Some(column) => times(&batch, column)?,
            None => &unknown,
        };
        let duplicates = deduplicator.duplicates(&batch, times)?;
        let repeated = duplicates.iter().filter(|duplicate| **duplicate).count();
        if repeated == 0 {
            return Ok(batch);
        }
        intake.counts.duplicate += count(repeated);
        let keep: BooleanArray = duplicates.iter().map(|duplicate| Some(!duplicate)).collect();
        let mut kept = keep.values().iter();
        records.retain(|_| kept.next().unwrap_or(false));
        Ok(filter_record_batch(&batch, &keep)?)
    }

    /// Tells rows on time from late ones and raises the watermark.
    fn classify(
        &mut self,
        plan: &IntakePlan,
        raw: &RawBatch,
        batch: &RecordBatch,
        time_column: usize,
        records: &[u32],
        intake: &mut Intake,
    ) -> Result<(), StreamError> {
        let times = times(batch, time_column)?;
        let delay_us = plan.source.table.watermark.as_ref().map_or(0, |watermark| watermark.delay_us);
        let future_us = (plan.clock)().saturating_add(plan.source.options.max_future_us);
        let before = self.watermark.time().micros();
        let mut max = self.max_time_us.unwrap_or(i64::MIN);
        // The watermark that a row meets follows from the highest time before it, and from what woke it up.
        let watermark_of =
            |max: i64| if max == i64::MIN { before } else { before.max(max.saturating_sub(delay_us)) };
        let (mut min_in_batch, mut max_in_batch) = (i64::MAX, max);
        for &time in times {
            min_in_batch = min_in_batch.min(time);
            if time <= future_us {
                max_in_batch = max_in_batch.max(time);
            }
        }
        if min_in_batch >= watermark_of(max_in_batch) {
            intake.counts.on_time += count(times.len());
            intake.rows.push(Accepted { batch: batch.clone(), late_at: None });
        } else {
            let mut on_time: Vec<u32> = Vec::with_capacity(times.len());
            let mut late: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
            for (row, &time) in (0_u32..).zip(times) {
                let watermark = watermark_of(max);
                if time >= watermark {
                    on_time.push(row);
                } else {
                    late.entry(watermark).or_default().push(row);
                }
                if time <= future_us {
                    max = max.max(time);
                }
            }
            intake.counts.on_time += count(on_time.len());
            if !on_time.is_empty() {
                let batch = take_record_batch(batch, &UInt32Array::from(on_time))?;
                intake.rows.push(Accepted { batch, late_at: None });
            }
            for (watermark, rows) in late {
                let watermark = Watermark::at(EventTime::from_micros(watermark));
                self.take_late(plan, raw, batch, times, records, watermark, rows, intake)?;
            }
        }
        if max_in_batch > i64::MIN {
            self.max_time_us = Some(max_in_batch);
            self.watermark
                .advance(Watermark::at(EventTime::from_micros(max_in_batch.saturating_sub(delay_us))));
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one step of `classify`, split off for its length")]
    fn take_late(
        &self,
        plan: &IntakePlan,
        raw: &RawBatch,
        batch: &RecordBatch,
        times: &[i64],
        records: &[u32],
        watermark: Watermark,
        rows: Vec<u32>,
        intake: &mut Intake,
    ) -> Result<(), StreamError> {
        let taken_from = plan.taken_by_all_from(watermark);
        for row in &rows {
            let row = usize::try_from(*row).unwrap_or(usize::MAX);
            let time = times[row];
            if time >= taken_from {
                intake.counts.late_accepted += 1;
                continue;
            }
            intake.counts.late_dropped += 1;
            let behind = watermark.time().micros().saturating_sub(time);
            let reason = format!(
                "event time {} is {} ms below the watermark",
                EventTime::from_micros(time),
                behind / 1_000
            );
            let reject = Reject { record: records[row], reason };
            intake.dead_letters.push(self.letter(plan, raw, Kind::Late, reject, Some(time)));
        }
        let batch = take_record_batch(batch, &UInt32Array::from(rows))?;
        intake.rows.push(Accepted { batch, late_at: Some(watermark) });
        Ok(())
    }
}

fn times(batch: &RecordBatch, column: usize) -> Result<&[i64], StreamError> {
    let times = batch.column(column).as_primitive_opt::<TimestampMicrosecondType>();
    Ok(times.ok_or_else(|| StreamError::internal("event time is not a timestamp"))?.values())
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
