//! Where the elements of arrays and maps end in the columns of their elements.

use arrow::buffer::OffsetBuffer;

/// A zero, then where the elements of each row end.
#[derive(Debug)]
pub(crate) struct Ends(Vec<i32>);

impl Default for Ends {
    fn default() -> Self {
        Ends(vec![0])
    }
}

impl Ends {
    /// Starts a batch of at most so many rows.
    pub(crate) fn start(&mut self, rows: usize) {
        self.0 = Vec::with_capacity(rows + 1);
        self.0.push(0);
    }

    /// The next row ends behind so many elements.
    pub(crate) fn push(&mut self, elements: usize) {
        // A batch has fewer bytes than 31 bits count, and an element has at least one.
        self.0.push(i32::try_from(elements).unwrap_or(i32::MAX));
    }

    /// Forgets all but the first `rows` rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows + 1);
    }

    /// Where the last row ends.
    pub(crate) fn last(&self) -> usize {
        self.0.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0)
    }

    /// The list; nothing is left here.
    pub(crate) fn finish(&mut self) -> OffsetBuffer<i32> {
        OffsetBuffer::new(std::mem::take(&mut self.0).into())
    }
}
