//! Whether records are UTF-8, asked of many at once.
//!
//! Nearly all bytes of events are ASCII, which is found out several times faster for a stretch of many records
//! than for each. Records in a stretch that has other characters are checked one by one, so that a damaged one
//! harms no other.

use std::{ops::Range, str::Utf8Error};

/// Bytes looked at together: so few that they are still in the nearest cache when they are scanned.
const STRETCH: usize = 8 << 10;

/// What is known of a batch's bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Utf8Check {
    /// The stretch looked at last.
    stretch: Range<usize>,
    is_ascii: bool,
}

impl Utf8Check {
    /// An error unless the record at `span` of `bytes` is UTF-8. All calls must be about the same bytes.
    #[inline]
    pub(crate) fn check(&mut self, bytes: &[u8], span: &Range<usize>) -> Result<(), Utf8Error> {
        if span.start < self.stretch.start || span.end > self.stretch.end {
            self.look(bytes, span);
        }
        if self.is_ascii { Ok(()) } else { one(bytes, span) }
    }

    fn look(&mut self, bytes: &[u8], span: &Range<usize>) {
        let end = span.end.max(bytes.len().min(span.start.saturating_add(STRETCH)));
        self.stretch = span.start..end;
        self.is_ascii = bytes.get(self.stretch.clone()).is_some_and(<[u8]>::is_ascii);
    }
}

#[cold]
fn one(bytes: &[u8], span: &Range<usize>) -> Result<(), Utf8Error> {
    std::str::from_utf8(bytes.get(span.clone()).unwrap_or_default()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn many_at_once_are_as_one_by_one(
            lengths in prop::collection::vec(0_usize..3_000, 1..20),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<[u8; 2]>()), 0..4),
        ) {
            let mut bytes = vec![b'x'; lengths.iter().sum::<usize>() + 2];
            for (at, change) in changes {
                let at = at.index(bytes.len() - 1);
                bytes[at..at + 2].copy_from_slice(&change);
            }
            let (mut check, mut start) = (Utf8Check::default(), 0);
            for length in lengths {
                let span = start..start + length;
                let expected = std::str::from_utf8(&bytes[span.clone()]).map(|_| ());
                prop_assert_eq!(check.check(&bytes, &span), expected);
                start = span.end;
            }
        }
    }
}
