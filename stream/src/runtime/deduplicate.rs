//! Keys already seen, by event time.
//!
//! A repeated record carries the same event time as the first one, so keys are kept in buckets of event time
//! and a record is looked up in one of them. Buckets that lie wholly below the watermark by more than the
//! horizon are forgotten. A key is kept as a 128-bit hash (XXH3): among a billion of them the chance that any
//! two are taken for each other is below 10⁻²⁰. A key of which a column is NULL identifies nothing: such a record is
//! no duplicate of any.

use std::collections::{BTreeMap, HashSet};

use arrow::{
    array::{Array, ArrayRef, FixedSizeBinaryArray, Int64Array, StringArray},
    record_batch::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use twox_hash::XxHash3_128;

use crate::{error::StreamError, time::Watermark};

/// Buckets within a horizon.
const BUCKETS: i64 = 16;

/// The keys of one partition.
#[derive(Debug)]
pub(crate) struct Deduplicator {
    columns: Vec<usize>,
    horizon_us: i64,
    bucket_us: i64,
    buckets: BTreeMap<i64, HashSet<u128, ahash::RandomState>>,
    scratch: Vec<u8>,
}

impl Deduplicator {
    /// Keys over these columns of the source's batches.
    pub(crate) fn new(columns: Vec<usize>, horizon_us: i64) -> Self {
        let bucket_us = (horizon_us / BUCKETS).max(1);
        Deduplicator { columns, horizon_us, bucket_us, buckets: BTreeMap::new(), scratch: Vec::new() }
    }

    /// Notes the rows of a batch, with their event times; `true` for those whose key was there already.
    pub(crate) fn duplicates(
        &mut self,
        batch: &RecordBatch,
        times: &[i64],
    ) -> Result<Vec<bool>, StreamError> {
        let options = FormatOptions::default();
        let columns = self.columns.iter().map(|index| batch.column(*index));
        let keys = columns.map(|array| KeyColumn::new(array, &options)).collect::<Result<Vec<_>, _>>()?;
        let mut duplicates = Vec::with_capacity(times.len());
        for (row, time) in times.iter().enumerate() {
            self.scratch.clear();
            if !keys.iter().all(|key| key.write(row, &mut self.scratch)) {
                duplicates.push(false);
                continue;
            }
            let hash = XxHash3_128::oneshot(&self.scratch);
            let bucket = self.buckets.entry(time.div_euclid(self.bucket_us)).or_default();
            duplicates.push(!bucket.insert(hash));
        }
        Ok(duplicates)
    }

    /// Forgets what lies below the watermark by more than the horizon.
    pub(crate) fn forget(&mut self, watermark: Watermark) {
        if watermark == Watermark::START || watermark == Watermark::END {
            return;
        }
        let oldest = watermark.delayed_by(self.horizon_us).time().micros().div_euclid(self.bucket_us);
        while let Some(entry) = self.buckets.first_entry() {
            if *entry.key() >= oldest {
                break;
            }
            entry.remove();
        }
    }

    /// The keys for a checkpoint: bucket and hash.
    pub(crate) fn snapshot(&self) -> Result<(Int64Array, FixedSizeBinaryArray), StreamError> {
        let buckets = self.buckets.iter().flat_map(|(bucket, keys)| std::iter::repeat_n(*bucket, keys.len()));
        let hashes = self.buckets.values().flatten().map(|hash| hash.to_le_bytes());
        let mut builder = arrow::array::FixedSizeBinaryBuilder::new(16);
        for hash in hashes {
            builder.append_value(hash)?;
        }
        Ok((buckets.collect::<Vec<_>>().into(), builder.finish()))
    }

    /// Takes a key of a checkpoint back.
    pub(crate) fn restore(&mut self, bucket: i64, hash: &[u8]) {
        if let Ok(bytes) = hash.try_into() {
            self.buckets.entry(bucket).or_default().insert(u128::from_le_bytes(bytes));
        }
    }
}

/// A key column, read as bytes.
enum KeyColumn<'a> {
    Text(&'a StringArray),
    Int(&'a Int64Array),
    Other(&'a ArrayRef, ArrayFormatter<'a>),
}

impl<'a> KeyColumn<'a> {
    fn new(array: &'a ArrayRef, options: &FormatOptions<'a>) -> Result<Self, StreamError> {
        if let Some(text) = array.as_any().downcast_ref() {
            return Ok(KeyColumn::Text(text));
        }
        if let Some(int) = array.as_any().downcast_ref() {
            return Ok(KeyColumn::Int(int));
        }
        Ok(KeyColumn::Other(array, ArrayFormatter::try_new(array.as_ref(), options)?))
    }

    /// Appends a value, length and bytes, so that no two different keys look the same; `false` for NULL.
    fn write(&self, row: usize, out: &mut Vec<u8>) -> bool {
        let bytes = |value: &[u8], out: &mut Vec<u8>| {
            out.extend_from_slice(&value.len().to_le_bytes());
            out.extend_from_slice(value);
        };
        match self {
            KeyColumn::Text(array) if array.is_valid(row) => bytes(array.value(row).as_bytes(), out),
            KeyColumn::Int(array) if array.is_valid(row) => bytes(&array.value(row).to_le_bytes(), out),
            KeyColumn::Other(array, formatter) if array.is_valid(row) => {
                let text = formatter.value(row).to_string();
                // The two zeros are one number.
                bytes(if text == "-0.0" { "0.0" } else { &text }.as_bytes(), out);
            }
            _ => return false,
        }
        true
    }
}
