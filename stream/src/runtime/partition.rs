//! One partition's progress: what its records are held against, in the order in which they came.
//!
//! Records are judged one by one in the partition's order, whatever batches they come in:
//!
//! 1. not decodable, or without an event time that can be used: dead letter ([`intake`](super::intake));
//! 2. key already seen: duplicate;
//! 3. event time at or above the partition's watermark at that moment: on time;
//! 4. below it: late. It goes on with the watermark it met, and each window decides by that.
//!
//! Then the record raises the partition's watermark.
//!
//! A [`SharedPartition`] lets several threads take their runs in, one after another in the runs' order: only
//! this short part is done in order, decoding and all that comes after is not. A thread whose turn has not come may
//! decode on meanwhile.

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::{Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use arrow::{
    array::{AsArray, BooleanArray, UInt32Array},
    compute::{filter_record_batch, take_record_batch},
    datatypes::TimestampMicrosecondType,
    record_batch::RecordBatch,
};

use super::{
    dead_letters::Kind,
    deduplicate::Deduplicator,
    intake::{Accepted, Decoded, Intake, Records, count},
};
use crate::{
    decode::Reject,
    error::StreamError,
    planner::SourcePlan,
    time::{EventTime, Offset, PartitionId, Progress, Watermark},
};

/// Two polls that lie further apart than half the idle timeout, or than the greater of these, were held up: by a process
/// that was stopped, or by what comes behind. What had come meanwhile may not have been seen yet. Below the lesser of
/// them no timeout is too short to be measured.
const HELD_UP: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// One partition's progress.
pub(crate) struct Partition {
    /// Which it is.
    pub(crate) id: PartitionId,
    /// The next record to read.
    pub(crate) position: Option<Offset>,
    /// The highest event time that may push the watermark.
    max_time_us: Option<i64>,
    watermark: Watermark,
    /// When its last poll came back.
    polled: Option<Instant>,
    /// Since when its reader has been at its end and nothing came, without a poll that was held up.
    quiet_since: Option<Instant>,
    idle: bool,
    deduplicator: Option<Deduplicator>,
}

impl Partition {
    /// A partition of which nothing has been read.
    pub(crate) fn new(id: PartitionId, plan: &SourcePlan) -> Self {
        let deduplicator = (!plan.deduplicate_columns.is_empty()).then(|| {
            Deduplicator::new(plan.deduplicate_columns.clone(), plan.options.deduplicate_horizon_us)
        });
        Partition {
            id,
            position: None,
            max_time_us: None,
            watermark: Watermark::START,
            polled: None,
            quiet_since: None,
            idle: false,
            deduplicator,
        }
    }

    /// Goes on where a checkpoint left off.
    pub(crate) fn restore(&mut self, position: Option<Offset>, max_time_us: Option<i64>, delay_us: i64) {
        self.position = position;
        self.max_time_us = max_time_us;
        if let Some(max) = max_time_us {
            self.watermark.advance(Watermark::at(EventTime::from_micros(max.saturating_sub(delay_us))));
        }
    }

    /// The highest event time that has pushed the watermark.
    pub(crate) fn max_time_us(&self) -> Option<i64> {
        self.max_time_us
    }

    /// Its keys already seen.
    pub(crate) fn deduplicator(&mut self) -> Option<&mut Deduplicator> {
        self.deduplicator.as_mut()
    }

    /// What it says about its progress.
    pub(crate) fn progress(&self) -> Progress {
        if self.idle { Progress::Idle(self.watermark) } else { Progress::Active(self.watermark) }
    }

    /// Notes that a poll came back `now` without records of it. It is idle when it has been quiet for `timeout` (zero for
    /// never): nothing came though its reader may have caught up with its end, no poll was held up, and the reader can
    /// `confirm` it. One that is not quiet any more answers `false` and has to be [woken](Self::wake) if it is idle: what
    /// it holds is not known.
    pub(crate) fn note_quiet(
        &mut self,
        now: Instant,
        timeout: Duration,
        may_be_caught_up: bool,
        confirm: impl FnOnce() -> Result<bool, StreamError>,
    ) -> Result<bool, StreamError> {
        if timeout.is_zero() {
            return Ok(true);
        }
        let most = (timeout / 2).clamp(HELD_UP.0, HELD_UP.1);
        let polled = self.polled.replace(now);
        let is_held_up = polled.is_none_or(|before| now.saturating_duration_since(before) > most);
        if is_held_up || !may_be_caught_up {
            self.quiet_since = may_be_caught_up.then_some(now);
            return Ok(false);
        }
        let since = *self.quiet_since.get_or_insert(now);
        if !self.idle && now.saturating_duration_since(since) >= timeout {
            self.idle = confirm()?;
            self.quiet_since = self.idle.then_some(since);
        }
        Ok(true)
    }

    /// Whether nobody waits for it.
    pub(crate) fn is_idle(&self) -> bool {
        self.idle
    }

    /// It is waited for again. What has been `promised` without it holds for its records: those below are late.
    pub(crate) fn wake(&mut self, promised: Watermark) {
        self.idle = false;
        self.quiet_since = None;
        self.watermark.advance(promised);
    }

    /// Takes decoded rows in, of a poll that came back `now`.
    pub(crate) fn take_in(
        &mut self,
        of: &Records<'_>,
        decoded: Decoded,
        now: Instant,
        intake: &mut Intake,
    ) -> Result<(), StreamError> {
        if of.raw.is_empty() {
            return Ok(());
        }
        self.polled = Some(now);
        self.quiet_since = None;
        self.position = of.raw.next_position().or(self.position);
        let Decoded { batch, mut records } = decoded;
        let time_column = of.plan.source.time_column;
        let batch = self.without_duplicates(batch, time_column, &mut records, intake)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let Some(time_column) = time_column else {
            // No event time: every row is on time, and no window can ask.
            intake.counts.on_time += count(batch.num_rows());
            intake.rows.push(Accepted { batch, late_at: None });
            return Ok(());
        };
        self.classify(of, &batch, time_column, &records, intake)?;
        if let Some(deduplicator) = &mut self.deduplicator {
            deduplicator.forget(self.watermark);
        }
        Ok(())
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
        of: &Records<'_>,
        batch: &RecordBatch,
        time_column: usize,
        records: &[u32],
        intake: &mut Intake,
    ) -> Result<(), StreamError> {
        let times = times(batch, time_column)?;
        let delay_us = of.plan.source.table.watermark.as_ref().map_or(0, |watermark| watermark.delay_us);
        let before = self.watermark.time().micros();
        let mut max = self.max_time_us.unwrap_or(i64::MIN);
        // The watermark that a row meets follows from the highest time before it, and from what woke it up.
        let watermark_of =
            |max: i64| if max == i64::MIN { before } else { before.max(max.saturating_sub(delay_us)) };
        let (mut min_in_batch, mut max_in_batch) = (i64::MAX, max);
        for &time in times {
            min_in_batch = min_in_batch.min(time);
            max_in_batch = max_in_batch.max(time);
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
                max = max.max(time);
            }
            intake.counts.on_time += count(on_time.len());
            if late.is_empty() {
                intake.rows.push(Accepted { batch: batch.clone(), late_at: None });
            } else if !on_time.is_empty() {
                let batch = take_record_batch(batch, &UInt32Array::from(on_time))?;
                intake.rows.push(Accepted { batch, late_at: None });
            }
            for (watermark, rows) in late {
                let watermark = Watermark::at(EventTime::from_micros(watermark));
                take_late(of, batch, times, records, (watermark, rows), intake)?;
            }
        }
        if max_in_batch > i64::MIN {
            self.max_time_us = Some(max_in_batch);
            self.watermark
                .advance(Watermark::at(EventTime::from_micros(max_in_batch.saturating_sub(delay_us))));
        }
        Ok(())
    }
}

/// Counts late rows, and sets aside those that some window does not take any more.
fn take_late(
    of: &Records<'_>,
    batch: &RecordBatch,
    times: &[i64],
    records: &[u32],
    (watermark, rows): (Watermark, Vec<u32>),
    intake: &mut Intake,
) -> Result<(), StreamError> {
    let taken_from = of.plan.taken_by_all_from(watermark);
    for row in &rows {
        let row = usize::try_from(*row).unwrap_or(usize::MAX);
        let time = times[row];
        intake.counts.late_in_part += u64::from(of.plan.is_taken_in_part(time, watermark));
        if time >= taken_from {
            intake.counts.late_accepted += 1;
            continue;
        }
        intake.counts.late_dropped += 1;
        let reason = late_reason(EventTime::from_micros(time), watermark);
        let reject = Reject { record: records[row], reason };
        intake.dead_letters.push(of.letter(Kind::Late, reject, Some(time)));
    }
    let batch = take_record_batch(batch, &UInt32Array::from(rows))?;
    intake.rows.push(Accepted { batch, late_at: Some(watermark) });
    Ok(())
}

fn late_reason(time: EventTime, watermark: Watermark) -> String {
    if watermark == Watermark::END {
        return format!("event time {time} came after the stream had been read to its end");
    }
    let behind = watermark.time().micros().saturating_sub(time.micros());
    format!("event time {time} is {} ms below the watermark", behind / 1_000)
}

fn times(batch: &RecordBatch, column: usize) -> Result<&[i64], StreamError> {
    let times = batch.column(column).as_primitive_opt::<TimestampMicrosecondType>();
    Ok(times.ok_or_else(|| StreamError::internal("event time is not a timestamp"))?.values())
}

/// A partition that one thread reads, or several.
pub(crate) struct SharedPartition {
    id: PartitionId,
    inner: Mutex<Turns>,
    moved: Condvar,
}

struct Turns {
    partition: Partition,
    /// The run that is taken in next.
    next: u64,
    abandoned: bool,
}

/// The partition, held by one thread.
pub(crate) struct Held<'a> {
    shared: &'a SharedPartition,
    turns: MutexGuard<'a, Turns>,
    ends_turn: bool,
}

impl SharedPartition {
    /// To be shared.
    pub(crate) fn new(partition: Partition) -> Self {
        let id = partition.id.clone();
        let inner = Mutex::new(Turns { partition, next: 0, abandoned: false });
        SharedPartition { id, inner, moved: Condvar::new() }
    }

    /// Which it is.
    pub(crate) fn id(&self) -> &PartitionId {
        &self.id
    }

    /// The partition, once all runs before `turn` have been taken in; `None` if one of them never will be.
    pub(crate) fn hold(&self, turn: Option<u64>) -> Option<Held<'_>> {
        let mut turns = self.inner.lock().ok()?;
        if let Some(turn) = turn {
            turns = self.moved.wait_while(turns, |turns| !turns.abandoned && turns.next != turn).ok()?;
        }
        (!turns.abandoned).then_some(Held { shared: self, turns, ends_turn: turn.is_some() })
    }

    /// Whether [`hold`](Self::hold) would not wait for other runs.
    pub(crate) fn is_next(&self, turn: Option<u64>) -> bool {
        let Some(turn) = turn else { return true };
        self.inner.lock().map_or(true, |turns| turns.abandoned || turns.next == turn)
    }

    /// A thread that held a run is gone: nobody shall wait for it.
    pub(crate) fn abandon(&self) {
        if let Ok(mut turns) = self.inner.lock() {
            turns.abandoned = true;
        }
        self.moved.notify_all();
    }
}

impl Deref for Held<'_> {
    type Target = Partition;

    fn deref(&self) -> &Partition {
        &self.turns.partition
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Partition {
        &mut self.turns.partition
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.ends_turn {
            self.turns.next += 1;
            self.shared.moved.notify_all();
        }
    }
}
