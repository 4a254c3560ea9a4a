//! A text column while it is filled: one buffer of bytes, and where each row's text ends.

use arrow::{
    array::{BinaryArray, StringArray},
    buffer::{Buffer, NullBuffer, OffsetBuffer},
};

use crate::error::StreamError;

/// Bytes copied at once. Copying too many is faster than copying as many as there are.
const CHUNK: usize = 64;

/// Text of some rows.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// As long as it has ever been, and at least a chunk longer than `used`.
    bytes: Vec<u8>,
    used: usize,
    /// A zero, then where each text ends.
    ends: Vec<i32>,
}

impl Text {
    /// Starts a batch of at most so many rows.
    pub(crate) fn start(&mut self, rows: usize) {
        self.used = 0;
        self.ends = Vec::with_capacity(rows + 1);
        self.ends.push(0);
    }

    /// Appends the first `length` of `bytes`, or all if there are fewer. More bytes behind them make it faster.
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8], length: usize) {
        let length = length.min(bytes.len());
        let end = self.used + length;
        if end + CHUNK > self.bytes.len() {
            self.grow(end);
        }
        let target = &mut self.bytes[self.used..];
        match (bytes.first_chunk::<CHUNK>(), target.first_chunk_mut::<CHUNK>()) {
            (Some(source), Some(target)) if length <= CHUNK => *target = *source,
            _ => target[..length].copy_from_slice(&bytes[..length]),
        }
        self.used = end;
        // A batch takes no more text than 31 bits can count, see `Columns::has_room`.
        self.ends.push(i32::try_from(end).unwrap_or(i32::MAX));
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        self.bytes.resize((end + CHUNK).saturating_mul(2), 0);
    }

    /// Forgets all but the first `rows` rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows + 1);
        self.used = self.ends.last().map_or(0, |end| usize::try_from(*end).unwrap_or(0));
    }

    /// The text of a row.
    pub(crate) fn get(&self, row: usize) -> Option<&[u8]> {
        let place = |row: usize| self.ends.get(row).and_then(|end| usize::try_from(*end).ok());
        self.bytes.get(place(row)?..place(row + 1)?)
    }

    /// The column; nothing is left here.
    pub(crate) fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<StringArray, StreamError> {
        let (ends, bytes) = self.take();
        Ok(StringArray::try_new(ends, bytes, nulls)?)
    }

    /// The column where it is of bytes; nothing is left here.
    pub(crate) fn finish_bytes(&mut self, nulls: Option<NullBuffer>) -> Result<BinaryArray, StreamError> {
        let (ends, bytes) = self.take();
        Ok(BinaryArray::try_new(ends, bytes, nulls)?)
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        // Copied, so that the column holds no more memory than it needs and this one stays in the cache.
        let bytes = Buffer::from(self.bytes.get(..self.used).unwrap_or_default());
        let ends = OffsetBuffer::new(std::mem::take(&mut self.ends).into());
        self.start(0);
        (ends, bytes)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;

    use super::*;

    #[test]
    fn texts_of_every_length_come_out_as_they_went_in() {
        let long = "é".repeat(300);
        let texts: Vec<&str> = (0..300).map(|length| &long[..length * 2]).chain(["", "x"]).collect();
        let mut text = Text::default();
        for batch in 0..2 {
            text.start(texts.len());
            for (row, value) in texts.iter().enumerate() {
                let mut bytes = value.as_bytes().to_vec();
                bytes.extend(vec![b'?'; row * 7 % 80]);
                text.push(&bytes, value.len());
                text.push(b"half a row", 10);
                text.truncate(row + 1);
            }
            let array = text.finish(None).unwrap();
            assert_eq!(array.len(), texts.len(), "{batch}");
            assert!(array.iter().zip(&texts).all(|(found, expected)| found == Some(*expected)), "{batch}");
        }
        assert_eq!(text.finish(None).unwrap().len(), 0);
    }
}
