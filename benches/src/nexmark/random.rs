//! Random numbers and texts of a Nexmark event.

use crate::workload::random::Random as Numbers;

/// Random numbers as a Nexmark event needs them. The sequence is cheap to begin, so each event has one of its own. (It
/// is also the one behind Java's `SplittableRandom`, with which the Flink suite draws.)
#[derive(Clone, Debug)]
pub(super) struct Random(Numbers);

impl Random {
    /// The numbers of one event, or of another thing with a number.
    pub(super) const fn new(seed: u64, number: u64) -> Self {
        Random(Numbers::new(seed, number))
    }

    /// Uniform in `[0, bound)`; 0 for a bound of 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.0.next()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or_default()
    }

    /// True in `ratio - 1` of `ratio` cases: the specification's way to prefer what is hot.
    pub(super) fn is_hot(&mut self, ratio: u64) -> bool {
        self.below(ratio) > 0
    }

    /// One of them.
    pub(super) fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        let index = self.below(u64::try_from(all.len()).unwrap_or_default());
        usize::try_from(index).ok().and_then(|index| all.get(index)).copied().unwrap_or_default()
    }

    /// Cents from 100 to 100,000,000, each decimal order equally likely.
    pub(super) fn price(&mut self) -> u64 {
        // 53 random bits: what a double holds exactly.
        let unit = (self.0.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (10_f64.powf(unit * 6.0) * 100.0).round() as u64
    }

    /// Words of small letters, 3 to `most - 1` characters with the spaces at the ends cut off.
    pub(super) fn words(&mut self, most: u64) -> String {
        let letters = 3 + self.below(most.saturating_sub(3));
        let letter = |random: &mut Self| if random.below(13) == 0 { ' ' } else { random.letter() };
        let text: String = (0..letters).map(|_| letter(self)).collect();
        text.trim().to_owned()
    }

    /// Letters that bring an event of `size` idealised bytes to `average` on average, within a fifth.
    pub(super) fn filler(&mut self, size: usize, average: usize) -> String {
        let Some(missing) = average.checked_sub(size) else { return String::new() };
        let fifth = (missing + 2) / 5;
        let spread = self.below(u64::try_from(2 * fifth).unwrap_or_default());
        let length = missing - fifth + usize::try_from(spread).unwrap_or_default();
        (0..length).map(|_| self.letter()).collect()
    }

    fn letter(&mut self) -> char {
        u8::try_from(self.below(26)).map_or('a', |letter| char::from(b'a' + letter))
    }
}
