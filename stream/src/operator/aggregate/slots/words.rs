//! What a few words a slot can hold: the room of aggregates whose state is that small.
//!
//! The words of all aggregates of a slot lie side by side in one row, so that a session that is touched costs
//! one line of the cache and not one an aggregate.

use arrow::array::ArrowNativeTypeOp;

use crate::operator::aggregate::pages::Pages;

/// A group's place.
pub type Slot = u32;

/// A slot as an index.
pub fn index(slot: Slot) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

/// Bits of a word.
const BITS: usize = 64;

/// Which words of a row are whose, while a query is planned.
#[derive(Debug, Default)]
pub struct Layout {
    width: usize,
    /// The word with the newest bits, and how many of them are taken.
    bits: Option<(usize, usize)>,
}

impl Layout {
    /// So many words side by side; the first one's place.
    pub(super) fn words(&mut self, count: usize) -> usize {
        let at = self.width;
        self.width += count;
        at
    }

    /// A bit: the place of its word, and the word with that bit set.
    pub(super) fn bit(&mut self) -> (usize, u64) {
        let (word, bit) = match self.bits {
            Some((word, taken)) if taken < BITS => (word, taken),
            _ => (self.words(1), 0),
        };
        self.bits = Some((word, bit + 1));
        (word, 1 << bit)
    }
}

/// The words of all slots, zero in a slot that is clear.
#[derive(Debug)]
pub struct Words {
    width: usize,
    pages: Pages<u64>,
}

impl Words {
    /// No slots yet.
    pub fn new(layout: &Layout) -> Self {
        Words { width: layout.width, pages: Pages::default() }
    }

    /// Makes room for this many slots.
    pub fn grow(&mut self, slots: usize) {
        self.pages.grow(slots * self.width);
    }

    /// Forgets what went into a slot.
    pub fn clear(&mut self, slot: Slot) {
        for at in 0..self.width {
            *self.word(slot, at) = 0;
        }
    }

    /// Forgets what went into all slots below this number.
    pub fn clear_below(&mut self, slots: usize) {
        self.pages.iter_mut(slots * self.width).for_each(|word| *word = 0);
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot, at: usize) -> u64 {
        self.pages[index(slot) * self.width + at]
    }

    #[inline]
    pub(super) fn word(&mut self, slot: Slot, at: usize) -> &mut u64 {
        &mut self.pages[index(slot) * self.width + at]
    }
}

/// A value as words; all zero is its default.
pub(super) trait AsWords: ArrowNativeTypeOp {
    /// How many.
    const COUNT: usize;

    fn load(words: &Words, slot: Slot, at: usize) -> Self;

    fn store(self, words: &mut Words, slot: Slot, at: usize);
}

impl AsWords for i64 {
    const COUNT: usize = 1;

    #[inline]
    fn load(words: &Words, slot: Slot, at: usize) -> Self {
        words.get(slot, at).cast_signed()
    }

    #[inline]
    fn store(self, words: &mut Words, slot: Slot, at: usize) {
        *words.word(slot, at) = self.cast_unsigned();
    }
}

impl AsWords for i32 {
    const COUNT: usize = 1;

    fn load(words: &Words, slot: Slot, at: usize) -> Self {
        // What was stored as one fits.
        i32::try_from(i64::load(words, slot, at)).unwrap_or_default()
    }

    fn store(self, words: &mut Words, slot: Slot, at: usize) {
        i64::from(self).store(words, slot, at);
    }
}

impl AsWords for f64 {
    const COUNT: usize = 1;

    fn load(words: &Words, slot: Slot, at: usize) -> Self {
        f64::from_bits(words.get(slot, at))
    }

    fn store(self, words: &mut Words, slot: Slot, at: usize) {
        *words.word(slot, at) = self.to_bits();
    }
}

impl AsWords for i128 {
    const COUNT: usize = 2;

    fn load(words: &Words, slot: Slot, at: usize) -> Self {
        let (low, high) = (words.get(slot, at), words.get(slot, at + 1));
        (u128::from(low) | u128::from(high) << BITS).cast_signed()
    }

    fn store(self, words: &mut Words, slot: Slot, at: usize) {
        let value = self.cast_unsigned();
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        let (low, high) = (value as u64, (value >> BITS) as u64);
        *words.word(slot, at) = low;
        *words.word(slot, at + 1) = high;
    }
}
