//! Panes side by side that are merged once for all windows that hold them.

/// `2^level` panes side by side, the `number`-th such piece counted from the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Piece {
    pub(super) level: u32,
    pub(super) number: i64,
}

impl Piece {
    /// The fewest pieces that cover the panes of the numbers `[from, to)`.
    pub(super) fn cover(mut from: i64, to: i64) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while from < to {
            let fits = to.saturating_sub(from).ilog2();
            let level = from.trailing_zeros().min(fits);
            pieces.push(Piece { level, number: from >> level });
            from += 1 << level;
        }
        pieces
    }

    /// The number of its first pane.
    pub(super) fn start(self) -> i64 {
        self.number.saturating_mul(1 << self.level)
    }

    /// The number of the pane behind its last one.
    pub(super) fn end(self) -> i64 {
        self.number.saturating_add(1).saturating_mul(1 << self.level)
    }

    /// Its halves; none of a single pane.
    pub(super) fn halves(self) -> Option<[Piece; 2]> {
        let level = self.level.checked_sub(1)?;
        Some([0, 1].map(|half| Piece { level, number: self.number * 2 + half }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_cover_each_pane_once_and_are_few(from in -200_i64..200, panes in 0_i64..130) {
            let pieces = Piece::cover(from, from + panes);
            let mut next = from;
            for piece in &pieces {
                prop_assert_eq!(piece.number << piece.level, next);
                next = piece.end();
            }
            prop_assert_eq!(next, from + panes);
            prop_assert!(pieces.len() <= 14, "{} pieces", pieces.len());
        }
    }
}
