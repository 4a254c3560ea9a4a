//! A raw batch made into rows: decoded, generated columns, event times. All that does not depend on what came
//! before, so that threads that share a partition do it side by side; what does is in
//! [`partition`](super::partition).

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray},
    compute::{concat, filter_record_batch},
    datatypes::{Schema, TimestampMicrosecondType},
    record_batch::{RecordBatch, RecordBatchOptions},
};

use super::{
    clock::Clock,
    dead_letters::{DeadLetter, Kind},
    metadata::{refuses, values},
};
use crate::{
    decode::{Decoder, Reject},
    error::StreamError,
    ledger::SourceLedger,
    planner::SourcePlan,
    source::RawBatch,
    time::{EventTime, Offset, PartitionId, Watermark},
    window::WindowSpec,
};

/// Rows that go on, with the watermark that they met if they were late.
pub(crate) struct Accepted {
    /// Rows in the source's schema.
    pub(crate) batch: RecordBatch,
    /// `None` for rows on time.
    pub(crate) late_at: Option<Watermark>,
}

/// What became of a raw batch.
#[derive(Default)]
pub(crate) struct Intake {
    /// Rows for the local chains.
    pub(crate) rows: Vec<Accepted>,
    /// Records set aside.
    pub(crate) dead_letters: Vec<DeadLetter>,
    /// For the ledger.
    pub(crate) counts: SourceLedger,
}

/// What is the same for all partitions of a source.
pub(crate) struct IntakePlan {
    /// The source.
    pub(crate) source: Arc<SourcePlan>,
    /// Its name, for dead letters.
    pub(crate) table: Arc<str>,
    /// Windows and allowed lateness of the local chains over this source: what decides who comes too late.
    pub(crate) windows: Vec<(WindowSpec, i64)>,
    /// Time of day, for dead letters and the bound on future event times.
    pub(crate) clock: Clock,
}

/// Rows of a raw batch before they are held against the partition's watermark and keys.
pub(crate) struct Decoded {
    /// Rows in the source's schema, all with an event time where the source has one.
    pub(crate) batch: RecordBatch,
    /// For each row, the index of its record.
    pub(crate) records: Vec<u32>,
}

/// A raw batch with the partition it is of.
pub(crate) struct Records<'a> {
    /// What holds for the source.
    pub(crate) plan: &'a IntakePlan,
    /// The partition.
    pub(crate) partition: &'a PartitionId,
    /// The bytes.
    pub(crate) raw: &'a RawBatch,
}

impl IntakePlan {
    /// The earliest event time that every window over this source still takes.
    pub(crate) fn taken_by_all_from(&self, watermark: Watermark) -> i64 {
        let from =
            self.windows.iter().map(|(window, lateness_us)| window.accepts_from(watermark, *lateness_us));
        from.max().unwrap_or(EventTime::MIN).micros()
    }

    /// Whether some window over this source takes such a row and another of its kind, that holds it too, does not.
    pub(crate) fn is_taken_in_part(&self, time_us: i64, watermark: Watermark) -> bool {
        self.windows
            .iter()
            .any(|(window, lateness_us)| window.takes_in_part(time_us, watermark, *lateness_us))
    }
}

impl Records<'_> {
    /// Decodes the records; what cannot be used goes to `intake` as dead letters.
    pub(crate) fn decode(
        &self,
        decoder: &mut dyn Decoder,
        intake: &mut Intake,
    ) -> Result<Decoded, StreamError> {
        intake.counts.read = count(self.raw.len());
        intake.counts.bytes = count(self.raw.bytes());
        let decoded = decoder.decode(self.raw)?;
        for reject in decoded.rejects {
            self.dead_letter(reject, intake);
        }
        let (batch, records) = self.with_metadata(decoded.batch, decoded.records, intake)?;
        let (batch, mut records) = self.generate(batch, records, intake)?;
        let batch = match self.plan.source.time_column {
            Some(column) => self.with_event_time(batch, column, &mut records, intake)?,
            None => batch,
        };
        Ok(Decoded { batch, records })
    }

    fn dead_letter(&self, reject: Reject, intake: &mut Intake) {
        intake.counts.dead_letter += 1;
        intake.dead_letters.push(self.letter(Kind::Malformed, reject, None));
    }

    /// A record to be set aside.
    pub(crate) fn letter(&self, kind: Kind, reject: Reject, time: Option<i64>) -> DeadLetter {
        let index = usize::try_from(reject.record).unwrap_or(usize::MAX);
        let (payload, offset) = self.raw.record(index).unwrap_or((&[], Offset::ZERO));
        DeadLetter {
            kind,
            table: Arc::clone(&self.plan.table),
            partition: self.partition.clone(),
            offset,
            reason: reject.reason,
            payload: payload.to_vec(),
            event_time_us: time,
            set_aside_us: (self.plan.clock)(),
        }
    }

    /// Puts what is known of the records besides their bytes behind the decoded columns.
    fn with_metadata(
        &self,
        mut batch: RecordBatch,
        mut records: Vec<u32>,
        intake: &mut Intake,
    ) -> Result<(RecordBatch, Vec<u32>), StreamError> {
        let metadata = &self.plan.source.metadata;
        if metadata.is_empty() {
            return Ok((batch, records));
        }
        let refused = |record: u32| {
            metadata.iter().find_map(|(known, field)| refuses(*known, field.data_type(), self.raw, record))
        };
        let reasons: Vec<Option<String>> = records.iter().map(|record| refused(*record)).collect();
        if reasons.iter().any(Option::is_some) {
            let keep: BooleanArray = reasons.iter().map(|reason| Some(reason.is_none())).collect();
            batch = filter_record_batch(&batch, &keep)?;
            let mut kept = Vec::with_capacity(batch.num_rows());
            for (record, reason) in records.into_iter().zip(reasons) {
                match reason {
                    None => kept.push(record),
                    Some(reason) => self.dead_letter(Reject { record, reason }, intake),
                }
            }
            records = kept;
        }
        let decoded = self.plan.source.decode.columns.len();
        let mut columns = batch.columns().to_vec();
        let mut fields = batch.schema().fields().to_vec();
        for (index, (known, field)) in metadata.iter().enumerate() {
            let values = values(*known, field.data_type(), self.raw, self.partition, &records)?;
            columns.insert(decoded + index, values);
            fields.insert(decoded + index, Arc::clone(field));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(records.len()));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?;
        Ok((batch, records))
    }

    /// Appends the generated columns. A row for which one fails is a dead letter.
    fn generate(
        &self,
        batch: RecordBatch,
        records: Vec<u32>,
        intake: &mut Intake,
    ) -> Result<(RecordBatch, Vec<u32>), StreamError> {
        if batch.num_rows() == 0 {
            return Ok((RecordBatch::new_empty(Arc::clone(&self.plan.source.schema)), records));
        }
        // Decoded columns and metadata, generated ones, then those that the decoder derived.
        let read = self.plan.source.decode.columns.len() + self.plan.source.metadata.len();
        let in_order = |batch: &RecordBatch, generated: Vec<ArrayRef>| -> Vec<ArrayRef> {
            let (decoded, derived) = batch.columns().split_at(read);
            decoded.iter().cloned().chain(generated).chain(derived.iter().cloned()).collect()
        };
        let evaluate = |batch: &RecordBatch| -> Result<Vec<ArrayRef>, StreamError> {
            let exprs = self.plan.source.generated.iter();
            let arrays = exprs.map(|(expr, _)| expr.evaluate(batch)?.into_array(batch.num_rows()));
            Ok(arrays.collect::<Result<_, _>>()?)
        };
        if let Ok(generated) = evaluate(&batch) {
            return Ok((self.in_schema(in_order(&batch, generated), batch.num_rows())?, records));
        }
        // Some row fails: find out which, one by one.
        let (mut kept, mut kept_records) = (Vec::new(), Vec::new());
        for (row, record) in records.into_iter().enumerate() {
            let one = batch.slice(row, 1);
            match evaluate(&one) {
                Ok(generated) => {
                    kept.push(in_order(&one, generated));
                    kept_records.push(record);
                }
                Err(error) => {
                    let reason = format!("a generated column failed: {error}");
                    self.dead_letter(Reject { record, reason }, intake);
                }
            }
        }
        let Some(width) = kept.first().map(Vec::len) else {
            return Ok((RecordBatch::new_empty(Arc::clone(&self.plan.source.schema)), Vec::new()));
        };
        let mut columns = Vec::with_capacity(width);
        for index in 0..width {
            let parts: Vec<&dyn Array> = kept.iter().map(|row| row[index].as_ref()).collect();
            columns.push(concat(&parts)?);
        }
        Ok((self.in_schema(columns, kept_records.len())?, kept_records))
    }

    fn in_schema(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, StreamError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.plan.source.schema), columns, &options)?)
    }

    /// Sets aside the rows without event time, and those whose time cannot be used: see [`Self::unusable`].
    fn with_event_time(
        &self,
        batch: RecordBatch,
        time_column: usize,
        records: &mut Vec<u32>,
        intake: &mut Intake,
    ) -> Result<RecordBatch, StreamError> {
        let column = batch.column(time_column);
        let times = column.as_primitive_opt::<TimestampMicrosecondType>();
        let times = times.ok_or_else(|| StreamError::internal("event time is not a timestamp"))?;
        let latest = (self.plan.clock)().saturating_add(self.plan.source.options.max_future_us);
        let latest = latest.min(*EventTime::NANOS.end());
        let is_usable = |time: &i64| (*EventTime::NANOS.start()..=latest).contains(time);
        if times.null_count() == 0 && times.values().iter().all(is_usable) {
            return Ok(batch);
        }
        let usable: BooleanArray =
            times.iter().map(|time| Some(time.is_some_and(|time| is_usable(&time)))).collect();
        let of_records = records.iter().zip(times).zip(usable.values());
        for ((record, time), _) in of_records.filter(|(_, is_usable)| !is_usable) {
            let reject = Reject { record: *record, reason: self.unusable(time_column, time) };
            intake.counts.dead_letter += 1;
            intake.dead_letters.push(self.letter(Kind::Malformed, reject, time));
        }
        let mut keep = usable.values().iter();
        records.retain(|_| keep.next().unwrap_or(false));
        Ok(filter_record_batch(&batch, &usable)?)
    }

    /// Why an event time is not used. One far ahead of the clock would be in windows that close when the stream gets
    /// there, if ever, and pass for the newest of all until then.
    fn unusable(&self, time_column: usize, time: Option<i64>) -> String {
        let name = self.plan.source.schema.field(time_column).name();
        match time {
            None => format!("no event time: '{name}' is missing or null"),
            Some(time) if !EventTime::NANOS.contains(&time) => format!(
                "event time '{name}' = {} lies outside 1677-09-21 to 2262-04-11, what nanoseconds of 64 bits hold",
                EventTime::from_micros(time)
            ),
            Some(time) => format!(
                "event time '{name}' = {} is further ahead of the clock than 'max-future' allows",
                EventTime::from_micros(time)
            ),
        }
    }
}

/// A number for the ledger.
pub(crate) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
