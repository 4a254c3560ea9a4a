//! Text of few distinct values as one byte a row, and BOOLEAN columns from those.
//!
//! A text field that filters ask about usually has a few dozen values: an event's type, a currency. Each value
//! gets a code when it first comes. The expressions that are [derived](super::super::plan::Derived) of the field
//! are evaluated once per code, and a batch's column is made of the codes by a table of their results.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, StringArray},
    buffer::{BooleanBuffer, Buffer, NullBuffer},
    datatypes::SchemaRef,
    record_batch::{RecordBatch, RecordBatchOptions},
};
use datafusion::physical_expr::PhysicalExpr;

use super::text::Text;
use crate::error::StreamError;

/// The code of NULL; all others are indexes of distinct values.
const NULL: u8 = 255;
/// Longer values are no sign of a field with few values, and would be held for good.
const MOST_BYTES: usize = 1_024;
/// Places of the hash table: four times as many as there can be values, so that most are found at once.
const SLOTS: usize = 1_024;

/// The distinct values of a field, and the codes of a batch.
#[derive(Debug)]
pub(crate) struct Codes {
    codes: Vec<u8>,
    /// Codes of values by hash; [`NULL`] where there is none.
    slots: Box<[u8; SLOTS]>,
    keys: Vec<Key>,
    texts: Vec<Box<[u8]>>,
    /// What each expression says of each code; absent where it was not asked.
    known: Vec<Vec<Option<Option<bool>>>>,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
}

/// What tells values apart: both ends and the length, which is everything up to 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    first: u128,
    last: u128,
    length: usize,
}

impl Key {
    #[inline]
    fn of(bytes: &[u8], length: usize) -> Self {
        let whole = |bytes: Option<&[u8; 16]>| bytes.map(|bytes| u128::from_le_bytes(*bytes));
        let first = match whole(bytes.first_chunk()) {
            Some(word) if length < 16 => word & !(u128::MAX << (length * 8)),
            Some(word) => word,
            None => {
                let mut padded = [0; 16];
                padded[..length].copy_from_slice(&bytes[..length]);
                u128::from_le_bytes(padded)
            }
        };
        let last = if length > 16 { whole(bytes[..length].last_chunk()).unwrap_or(0) } else { 0 };
        Key { first, last, length }
    }

    #[inline]
    fn slot(&self) -> usize {
        let [low, high] = [self.first, self.first >> 64].map(low_half);
        let [last, last_high] = [self.last, self.last >> 64].map(low_half);
        let mixed = (low ^ last.rotate_left(23)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ (high ^ last_high.rotate_left(23)).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
        let length = u64::try_from(self.length).unwrap_or(0);
        let hash = (mixed ^ length).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(hash >> 54).unwrap_or(0)
    }
}

/// The low 64 bits.
#[inline]
fn low_half(word: u128) -> u64 {
    u64::try_from(word & u128::from(u64::MAX)).unwrap_or(0)
}

impl Codes {
    /// No value known yet; `exprs` are what will be asked of each.
    pub(crate) fn new(exprs: Vec<Arc<dyn PhysicalExpr>>) -> Self {
        let known = vec![vec![None; usize::from(NULL) + 1]; exprs.len()];
        let slots = Box::new([NULL; SLOTS]);
        Codes { codes: Vec::new(), slots, keys: Vec::new(), texts: Vec::new(), known, exprs }
    }

    /// Starts a batch of at most so many rows.
    pub(crate) fn start(&mut self, rows: usize) {
        self.codes.clear();
        self.codes.reserve(rows);
    }

    /// Forgets all but the first `rows` rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.codes.truncate(rows);
    }

    /// Appends NULL.
    pub(crate) fn push_null(&mut self) {
        self.codes.push(NULL);
    }

    /// Appends the first `length` of `bytes`; `false` if that would be one distinct value too many.
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8], length: usize) -> bool {
        let length = length.min(bytes.len());
        let key = Key::of(bytes, length);
        let mut slot = key.slot();
        loop {
            let code = self.slots[slot];
            let Some(known) = self.keys.get(usize::from(code)) else { return self.add(key, slot, bytes) };
            if *known == key && (length <= 32 || *self.texts[usize::from(code)] == bytes[..length]) {
                self.codes.push(code);
                return true;
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    #[cold]
    fn add(&mut self, key: Key, slot: usize, bytes: &[u8]) -> bool {
        let Some(code) = u8::try_from(self.keys.len()).ok().filter(|code| *code != NULL) else {
            return false;
        };
        if key.length > MOST_BYTES {
            return false;
        }
        self.slots[slot] = code;
        self.keys.push(key);
        self.texts.push(bytes[..key.length].into());
        self.codes.push(code);
        true
    }

    /// Appends the texts of the rows so far to `text`.
    pub(crate) fn spell_out(&self, text: &mut Text) {
        for code in &self.codes {
            let value = self.texts.get(usize::from(*code)).map_or(&[][..], |value| value);
            text.push(value, value.len());
        }
    }

    /// A column for each expression; `input` is the schema of what they are asked about.
    pub(crate) fn finish(&mut self, input: &SchemaRef) -> Result<Vec<BooleanArray>, StreamError> {
        let mut used = [false; 256];
        for code in &self.codes {
            used[usize::from(*code)] = true;
        }
        let mut columns = Vec::with_capacity(self.exprs.len());
        for (expr, known) in self.exprs.iter().zip(&mut self.known) {
            // A value that only came in refused records is not asked about: the expression may fail for it.
            for (code, result) in known.iter_mut().enumerate().filter(|(code, _)| used[*code]) {
                if result.is_none() {
                    let value = self.texts.get(code).map(|text| &**text);
                    *result = Some(ask(expr, input, value)?);
                }
            }
            let of = |wanted: fn(Option<bool>) -> bool| -> [bool; 256] {
                std::array::from_fn(|code| known[code].is_some_and(wanted))
            };
            let values = pack(&self.codes, &of(|result| result == Some(true)));
            let has_nulls = (0..256).any(|code| used[code] && known[code] == Some(None));
            let nulls = has_nulls.then(|| NullBuffer::new(pack(&self.codes, &of(|result| result.is_some()))));
            columns.push(BooleanArray::new(values, nulls));
        }
        self.codes.clear();
        Ok(columns)
    }
}

/// What `expr` says of one value.
fn ask(
    expr: &Arc<dyn PhysicalExpr>,
    input: &SchemaRef,
    value: Option<&[u8]>,
) -> Result<Option<bool>, StreamError> {
    let value =
        value.map(std::str::from_utf8).transpose().map_err(|_| StreamError::internal("text not UTF-8"))?;
    let result = evaluate(expr, input, Arc::new(StringArray::from(vec![value])))?;
    Ok(result.iter().next().flatten())
}

/// What `expr` says of a whole column.
pub(crate) fn evaluate(
    expr: &Arc<dyn PhysicalExpr>,
    input: &SchemaRef,
    column: ArrayRef,
) -> Result<BooleanArray, StreamError> {
    let rows = column.len();
    if rows == 0 {
        // As for the steps behind: where there is no row, nothing is asked, and nothing can fail.
        return Ok(BooleanArray::new(BooleanBuffer::new_unset(0), None));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(input), vec![column], &options)?;
    let result = expr.evaluate(&batch)?.into_array(rows)?;
    let result = result.as_boolean_opt().filter(|result| result.len() == rows);
    Ok(result.ok_or_else(|| StreamError::internal(format!("'{expr}' is no BOOLEAN column")))?.clone())
}

/// A bit per code, by a table.
fn pack(codes: &[u8], table: &[bool; 256]) -> BooleanBuffer {
    let word = |codes: &[u8]| {
        codes
            .iter()
            .enumerate()
            .fold(0, |word, (bit, code)| word | u64::from(table[usize::from(*code)]) << bit)
    };
    let words: Vec<u64> = codes.chunks(64).map(word).collect();
    BooleanBuffer::new(Buffer::from(words), 0, codes.len())
}
