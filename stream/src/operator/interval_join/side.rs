//! One side's rows, by key and time.
//!
//! Time is cut into *slices* a quarter of the interval wide. A slice holds its rows as Arrow batches, and for each key
//! the times of its rows in order, so that a row finds its partners by a binary search in a handful of slices. What is
//! over is dropped slice by slice, without touching a row.
//!
//! Rows have numbers within their slice, in the order in which they came. Small batches are put together, two of a size
//! at a time, which leaves the numbers as they are: a row is copied O(log n) times, and a slice has O(log n) batches.

use std::collections::{BTreeMap, HashMap};

use arrow::{
    array::UInt32Array,
    compute::{concat_batches, interleave_record_batch, take_record_batch},
    datatypes::SchemaRef,
    record_batch::RecordBatch,
};

use crate::{error::StreamError, operator::hop::event_times, time::Watermark};

/// A slice is no narrower than this, so that few rows do not each have one of their own.
const NARROWEST_US: i64 = 1_000_000;

/// A row that is held: by its time, and its number within the slice of that time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct RowId {
    /// Its time.
    pub(super) time_us: i64,
    /// Its number.
    pub(super) row: u32,
}

#[derive(Default)]
struct Slice {
    batches: Vec<RecordBatch>,
    /// The number of the first row of each batch.
    firsts: Vec<u32>,
    rows: u32,
    /// By key, the rows in the order of their times.
    by_key: HashMap<Box<[u8]>, Vec<RowId>>,
}

/// One side's rows.
pub(super) struct Side {
    width_us: i64,
    /// By their start over their width.
    slices: BTreeMap<i64, Slice>,
}

impl Side {
    /// For an interval of so many microseconds.
    pub(super) fn new(span_us: i64) -> Self {
        Side { width_us: (span_us / 4).max(NARROWEST_US), slices: BTreeMap::new() }
    }

    fn slice_of(&self, time_us: i64) -> i64 {
        time_us.div_euclid(self.width_us)
    }

    /// Adds rows of a batch, given by number, time and key; tells of each what it is known by from now on.
    pub(super) fn add<'a>(
        &mut self,
        batch: &RecordBatch,
        rows: impl Iterator<Item = (u32, i64, &'a [u8])>,
        mut added: impl FnMut(u32, RowId),
    ) -> Result<(), StreamError> {
        let mut taken: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (row, time_us, key) in rows {
            let number = self.slice_of(time_us);
            let taken = taken.entry(number).or_default();
            let slice = self.slices.entry(number).or_default();
            let in_slice = u32::try_from(taken.len()).ok().and_then(|taken| slice.rows.checked_add(taken));
            let in_slice =
                in_slice.ok_or_else(|| StreamError::internal("an interval join holds too many rows"))?;
            let id = RowId { time_us, row: in_slice };
            taken.push(row);
            match slice.by_key.get_mut(key) {
                Some(ids) => ids.insert(ids.partition_point(|other| *other < id), id),
                None => {
                    slice.by_key.insert(Box::from(key), vec![id]);
                }
            }
            added(row, id);
        }
        for (number, rows) in taken {
            let is_whole = rows.len() == batch.num_rows();
            let rows =
                if is_whole { batch.clone() } else { take_record_batch(batch, &UInt32Array::from(rows))? };
            if let Some(slice) = self.slices.get_mut(&number) {
                slice.push(rows)?;
            }
        }
        Ok(())
    }

    /// Tells of the rows with a key within a span of time, both ends inclusive.
    pub(super) fn find(&self, key: &[u8], (from_us, to_us): (i64, i64), mut found: impl FnMut(RowId)) {
        let slices = self.slices.range(self.slice_of(from_us)..=self.slice_of(to_us));
        for ids in slices.filter_map(|(_, slice)| slice.by_key.get(key)) {
            let first = ids.partition_point(|id| id.time_us < from_us);
            ids[first..].iter().take_while(|id| id.time_us <= to_us).for_each(|id| found(*id));
        }
    }

    /// These rows, in this order; at least one.
    pub(super) fn rows(&self, ids: impl IntoIterator<Item = RowId>) -> Result<RecordBatch, StreamError> {
        let lost = || StreamError::internal("an interval join lost a row");
        let (mut batches, mut places) = (Vec::new(), HashMap::new());
        let mut indices = Vec::new();
        for id in ids {
            let number = self.slice_of(id.time_us);
            let slice = self.slices.get(&number).ok_or_else(lost)?;
            let batch =
                slice.firsts.partition_point(|first| *first <= id.row).checked_sub(1).ok_or_else(lost)?;
            let place = *places.entry((number, batch)).or_insert_with(|| {
                batches.push(&slice.batches[batch]);
                batches.len() - 1
            });
            indices.push((place, usize::try_from(id.row - slice.firsts[batch]).map_err(|_| lost())?));
        }
        if batches.is_empty() {
            return Err(lost());
        }
        Ok(interleave_record_batch(&batches, &indices)?)
    }

    /// All rows and what they are known by, a slice at a time; `time` is the column of their times.
    pub(super) fn all(
        &self,
        schema: &SchemaRef,
        time: usize,
    ) -> Result<Vec<(Vec<RowId>, RecordBatch)>, StreamError> {
        let mut all = Vec::with_capacity(self.slices.len());
        for slice in self.slices.values() {
            let rows = concat_batches(schema, &slice.batches)?;
            let times = event_times(rows.column(time))?;
            let ids =
                times.values().iter().zip(0_u32..).map(|(time_us, row)| RowId { time_us: *time_us, row });
            all.push((ids.collect(), rows));
        }
        Ok(all)
    }

    /// Drops slices all of whose times lie below.
    pub(super) fn forget(&mut self, below: Watermark) {
        if below == Watermark::END {
            self.slices.clear();
        } else if below != Watermark::START {
            let open = self.slices.split_off(&self.slice_of(below.time().micros()));
            self.slices = open;
        }
    }
}

impl Slice {
    fn push(&mut self, rows: RecordBatch) -> Result<(), StreamError> {
        let count = |batch: &RecordBatch| {
            u32::try_from(batch.num_rows()).map_err(|_| StreamError::internal("a batch has too many rows"))
        };
        self.firsts.push(self.rows);
        self.rows = self.rows.saturating_add(count(&rows)?);
        self.batches.push(rows);
        while let [.., before, last] = self.batches.as_slice()
            && last.num_rows() >= before.num_rows()
        {
            let both = concat_batches(&before.schema(), [before, last])?;
            self.batches.truncate(self.batches.len() - 2);
            self.batches.push(both);
            self.firsts.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{ArrayRef, Int64Array, TimestampMicrosecondArray},
        datatypes::{Int64Type, Schema},
    };

    use super::*;
    use arrow::array::AsArray;

    /// Rows of these times; beside each its number.
    fn batch(times: &[i64], first: i64) -> RecordBatch {
        let numbers = (first..).take(times.len());
        let columns: [(&str, ArrayRef); 2] = [
            ("t", Arc::new(TimestampMicrosecondArray::from(times.to_vec()))),
            ("n", Arc::new(Int64Array::from_iter_values(numbers))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn numbers(rows: &RecordBatch) -> Vec<i64> {
        rows.column(1).as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn rows_are_found_by_key_and_time_however_their_batches_are_put_together() {
        let mut side = Side::new(40_000_000);
        let mut all = Vec::new();
        for number in 0..50 {
            let times = [number % 7 * 9_000_000, number * 1_000_000];
            let rows = batch(&times, 2 * number);
            let keys: [&[u8]; 2] = [b"a", b"b"];
            let rows_of = times.iter().zip(keys).zip(0_u32..).map(|((time, key), row)| (row, *time, key));
            side.add(&rows, rows_of, |_, _| {}).unwrap();
            all.extend(times.iter().zip(keys).zip(2 * number..).map(|((time, key), n)| (*time, key, n)));
        }
        for (from, to) in [(0, 9_000_000), (17_999_999, 18_000_000), (-5, -1), (3_000_000, 60_000_000)] {
            let mut found = Vec::new();
            side.find(b"a", (from, to), |id| found.push(id));
            let expected = all.iter().filter(|(time, key, _)| *key == b"a" && (from..=to).contains(time));
            let mut expected: Vec<i64> = expected.map(|(.., number)| *number).collect();
            if expected.is_empty() {
                assert!(found.is_empty());
                continue;
            }
            let mut got = numbers(&side.rows(found).unwrap());
            got.sort_unstable();
            expected.sort_unstable();
            assert_eq!(got, expected);
        }
        let batches: usize = side.slices.values().map(|slice| slice.batches.len()).sum();
        assert!(batches < 30, "{batches} batches");
        let schema: Arc<Schema> = batch(&[], 0).schema();
        let count = |side: &Side| -> usize {
            side.all(&schema, 0).unwrap().iter().map(|(ids, rows)| ids.len().min(rows.num_rows())).sum()
        };
        assert_eq!(count(&side), 100);
        side.forget(Watermark::at(crate::time::EventTime::from_micros(20_000_000)));
        let left = all.iter().filter(|(time, ..)| *time >= 20_000_000).count();
        assert_eq!(count(&side), left);
    }
}
