//! Window arithmetic: which windows a time belongs to, when they end, and until when they take rows.
//!
//! One pure place for it. Windows are `[start, end)`, aligned to the Unix epoch or by an offset to it, in microseconds.

use crate::{
    error::StreamError,
    time::{EventTime, Watermark},
};

/// The shape of a window.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum WindowSpec {
    /// Windows whose bounds do not depend on rows.
    Fixed(Fixed),
    /// A key's rows with no gap over `gap_us` between neighbours. The window is
    /// `[first row, last row + gap)`; two rows exactly `gap_us` apart belong together, as in Flink.
    Session {
        /// The longest gap within a session, in microseconds; positive.
        gap_us: i64,
    },
}

/// Windows made of panes: tumbling, hopping, or cumulating.
///
/// All lengths in microseconds. Windows end at multiples of `pane_us`, counted from the Unix epoch plus the offset. The
/// arithmetic of panes leaves the offset out: who counts in panes takes it off times first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Fixed {
    /// Distance between the ends of windows; positive.
    pub(crate) pane_us: i64,
    /// Length of the longest window; a whole multiple of `pane_us`.
    pub(crate) size_us: i64,
    /// By how much windows are later than they would be counted from the epoch; from 0 to `pane_us`, to `size_us` for
    /// cumulating windows.
    pub(crate) offset_us: i64,
    /// Cumulating: windows that begin together grow by a pane until they are `size_us` long. Otherwise all are.
    pub(crate) cumulates: bool,
}

impl Fixed {
    /// Hopping windows of `size_us`, one every `pane_us`; tumbling where the two are equal.
    pub(crate) const fn hop(pane_us: i64, size_us: i64) -> Self {
        Fixed { pane_us, size_us, offset_us: 0, cumulates: false }
    }

    /// Windows that grow by `pane_us` up to `size_us`.
    pub(crate) const fn cumulate(pane_us: i64, size_us: i64) -> Self {
        Fixed { pane_us, size_us, offset_us: 0, cumulates: true }
    }

    /// The same, later by `offset_us` (earlier when negative).
    #[must_use]
    pub(crate) const fn with_offset(self, offset_us: i64) -> Self {
        let period_us = if self.cumulates { self.size_us } else { self.pane_us };
        match offset_us.checked_rem_euclid(period_us) {
            Some(offset_us) => Fixed { offset_us, ..self },
            // Windows of no length are refused by those who plan them.
            None => self,
        }
    }

    /// A time as panes count it.
    pub(crate) const fn shifted(self, time_us: i64) -> i64 {
        time_us.saturating_sub(self.offset_us)
    }

    /// Start of the window that ends at `end_us`; both without the offset.
    pub(crate) const fn start_of(self, end_us: i64) -> i64 {
        if self.cumulates {
            return WindowSpec::pane_start(self.size_us, end_us.saturating_sub(1));
        }
        end_us.saturating_sub(self.size_us)
    }

    /// End of the last window over a pane; both without the offset.
    pub(crate) const fn last_end(self, pane_us: i64) -> i64 {
        let from = if self.cumulates { WindowSpec::pane_start(self.size_us, pane_us) } else { pane_us };
        from.saturating_add(self.size_us)
    }

    /// The earliest time whose pane is in a window that ends behind `closed_us`; both without the offset.
    pub(crate) const fn open_from(self, closed_us: i64) -> i64 {
        if self.cumulates {
            return WindowSpec::pane_start(self.size_us, closed_us);
        }
        closed_us.saturating_sub(self.size_us).saturating_add(1)
    }
}

/// The latest watermark at which arithmetic on times is still exact; beyond it everything is closed.
fn limit(watermark: Watermark, lateness_us: i64) -> i64 {
    watermark.delayed_by(lateness_us).time().micros()
}

impl WindowSpec {
    /// A tumbling window of `size_us`.
    pub(crate) const fn tumble(size_us: i64) -> Self {
        WindowSpec::Fixed(Fixed::hop(size_us, size_us))
    }

    /// Start of the pane that holds `time_us`: the slide-sized slice of time that all its rows share.
    pub(crate) const fn pane_start(slide_us: i64, time_us: i64) -> i64 {
        time_us.saturating_sub(time_us.rem_euclid(slide_us))
    }

    /// The windows that hold a time, as `[start, end)`, earliest first. A session has none before it is over.
    pub(crate) fn windows_of(self, time_us: i64) -> Result<impl Iterator<Item = (i64, i64)>, StreamError> {
        let WindowSpec::Fixed(window) = self else {
            return Err(StreamError::internal("a row alone has no session"));
        };
        let pane = Self::pane_start(window.pane_us, window.shifted(time_us));
        let windows = (window.last_end(pane).saturating_sub(pane)) / window.pane_us;
        Ok((1..=windows).filter_map(move |number| {
            let end = pane.checked_add(number.checked_mul(window.pane_us)?)?;
            let back = |time: i64| time.checked_add(window.offset_us);
            Some((back(window.start_of(end))?, back(end)?))
        }))
    }

    /// By how much its windows are later than they would be counted from the epoch.
    pub(crate) const fn offset_us(self) -> i64 {
        match self {
            WindowSpec::Fixed(window) => window.offset_us,
            WindowSpec::Session { .. } => 0,
        }
    }

    /// How far before its end a window can start; `None` where there is no bound.
    pub(crate) const fn longest_us(self) -> Option<i64> {
        match self {
            WindowSpec::Fixed(window) => Some(window.size_us),
            WindowSpec::Session { .. } => None,
        }
    }

    /// How far before its end a window starts at least; `None` where that is not known.
    pub(crate) const fn shortest_us(self) -> Option<i64> {
        match self {
            WindowSpec::Fixed(window) if window.cumulates => Some(window.pane_us),
            WindowSpec::Fixed(window) => Some(window.size_us),
            WindowSpec::Session { .. } => None,
        }
    }

    /// The earliest event time that is still accepted when the watermark is `watermark` and windows take
    /// rows for `lateness_us` after it has passed their end. A row below it belongs only to windows that are
    /// closed.
    ///
    /// This depends on nothing but the watermark, not even for sessions (where Flink also looks for an open
    /// session to merge with), so that whether a row is refused never depends on how rows were batched. Nor
    /// does it in which of its windows a late row counts: see `first_end` and
    /// [`session_from`](Self::session_from).
    pub const fn accepts_from(self, watermark: Watermark, lateness_us: i64) -> EventTime {
        let closed = watermark.time().micros();
        if closed == i64::MIN {
            return EventTime::MIN;
        }
        let closed = closed.saturating_sub(lateness_us);
        match self {
            WindowSpec::Fixed(window) => {
                let from = window.open_from(window.shifted(closed));
                // The first pane that begins there or later: a pane is open as a whole or not at all.
                let pane =
                    Self::pane_start(window.pane_us, from.saturating_add(window.pane_us).saturating_sub(1));
                EventTime::from_micros(pane.saturating_add(window.offset_us))
            }
            // A session by itself that ends right at the watermark is over, as in Flink, though one that is open at it
            // still waits: a row at its end that is on time prolongs it.
            WindowSpec::Session { gap_us } => {
                EventTime::from_micros(closed.saturating_sub(gap_us).saturating_add(1))
            }
        }
    }

    /// The end of the first window over a pane that ends behind `closed_us`; of the first of all for `None`. No
    /// window may be left: it is for the caller to have asked [`accepts_from`](Self::accepts_from).
    pub(crate) const fn first_end(slide_us: i64, pane_us: i64, closed_us: Option<i64>) -> i64 {
        let first = pane_us.saturating_add(slide_us);
        match closed_us {
            Some(closed_us) if closed_us >= first => {
                Self::pane_start(slide_us, closed_us).saturating_add(slide_us)
            }
            _ => first,
        }
    }

    /// From when on a row reaches for sessions, if sessions that end before `closed_us` are closed for it: from its own
    /// time, or from there if that is later. A session of rows reaches from the least of these to its last row plus
    /// the gap, and two whose reaches meet are one: in whatever order rows come, what a promise has closed is never met
    /// by a row that came after it.
    pub fn session_from(time_us: i64, closed_us: Option<i64>) -> i64 {
        closed_us.map_or(time_us, |closed_us| time_us.max(closed_us))
    }

    /// Whether a row that came when the watermark stood at `watermark` is too late for some window that it lies in, and
    /// not for all.
    pub(crate) const fn takes_in_part(self, time_us: i64, watermark: Watermark, lateness_us: i64) -> bool {
        let closed_us = watermark.time().micros();
        let closed_us = closed_us.saturating_sub(lateness_us);
        match self {
            WindowSpec::Fixed(window) => {
                let pane_us = Self::pane_start(window.pane_us, window.shifted(time_us));
                let first_end = Self::first_end(window.pane_us, pane_us, Some(window.shifted(closed_us)));
                first_end > pane_us.saturating_add(window.pane_us) && first_end <= window.last_end(pane_us)
            }
            WindowSpec::Session { .. } => false,
        }
    }

    /// Whether the window ending at `end_us` is closed: no row can be added to it any more.
    pub(crate) fn is_closed(self, end_us: i64, watermark: Watermark, lateness_us: i64) -> bool {
        if watermark == Watermark::START {
            return false;
        }
        let limit = limit(watermark, lateness_us);
        match self {
            WindowSpec::Fixed(_) => end_us <= limit,
            // A row exactly at `last + gap` still belongs to the session.
            WindowSpec::Session { .. } => end_us < limit || watermark == Watermark::END,
        }
    }

    /// A lower bound of the start of every window that can still be written once the watermark stands at
    /// `watermark`, given the earliest start among the open ones.
    pub(crate) fn starts_from(
        self,
        watermark: Watermark,
        lateness_us: i64,
        earliest_open: Option<i64>,
    ) -> Watermark {
        if watermark == Watermark::START || watermark == Watermark::END {
            return watermark;
        }
        let limit = limit(watermark, lateness_us);
        let bound = match self {
            WindowSpec::Fixed(window) => limit.saturating_sub(window.size_us),
            WindowSpec::Session { gap_us } => {
                let accepted = limit.saturating_sub(gap_us);
                earliest_open.map_or(accepted, |open| accepted.min(open))
            }
        };
        Watermark::at(EventTime::from_micros(bound))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(micros: i64) -> Watermark {
        Watermark::at(EventTime::from_micros(micros))
    }

    /// Windows over a few times of each kind, one by one: those that hold `time`.
    fn windows(window: Fixed, time: i64) -> Vec<(i64, i64)> {
        let Fixed { pane_us, size_us, offset_us, cumulates } = window;
        let starts = |period: i64| {
            (-40..40).map(move |number| number * period + offset_us).filter(move |start| *start <= time)
        };
        let all: Vec<(i64, i64)> = if cumulates {
            let sizes = || (1..=size_us / pane_us).map(|number| number * pane_us);
            starts(size_us).flat_map(|start| sizes().map(move |size| (start, start + size))).collect()
        } else {
            starts(pane_us).map(|start| (start, start + size_us)).collect()
        };
        all.into_iter().filter(|(start, end)| *start <= time && time < *end).collect()
    }

    fn fixed() -> impl Strategy<Value = Fixed> {
        (2_i64..20, 1_i64..6, -50_i64..50, any::<bool>()).prop_map(
            |(pane_us, factor, offset_us, cumulates)| {
                let size_us = pane_us * factor;
                Fixed { pane_us, size_us, offset_us: 0, cumulates }.with_offset(offset_us)
            },
        )
    }

    proptest! {
        #[test]
        fn a_time_is_in_the_windows_that_hold_it(window in fixed(), time in -30_i64..30) {
            let found: Vec<(i64, i64)> = WindowSpec::Fixed(window).windows_of(time).unwrap().collect();
            prop_assert_eq!(found, windows(window, time));
        }

        #[test]
        fn a_row_is_accepted_while_one_of_its_windows_is_open(
            window in fixed(), time in -30_i64..30, mark in -60_i64..60, late in 0_i64..30,
        ) {
            let spec = WindowSpec::Fixed(window);
            let is_open = |(_, end): &(i64, i64)| !spec.is_closed(*end, at(mark), late);
            let all = windows(window, time);
            let open = all.iter().filter(|window| is_open(window)).count();
            prop_assert_eq!(time >= spec.accepts_from(at(mark), late).micros(), open > 0);
            let is_in_part = open > 0 && open < all.len();
            prop_assert_eq!(spec.takes_in_part(time, at(mark), late), is_in_part);
        }

        #[test]
        fn a_session_row_is_accepted_while_its_own_session_would_be_open(
            gap in 1_i64..50, time in -200_i64..200, mark in -200_i64..200, late in 0_i64..30,
        ) {
            let spec = WindowSpec::Session { gap_us: gap };
            let open = time + gap > mark - late;
            prop_assert_eq!(time >= spec.accepts_from(at(mark), late).micros(), open);
        }

        #[test]
        fn the_pane_holds_its_time(slide in 1_i64..1_000_000, time in any::<i64>().prop_map(|t| t / 4)) {
            let start = WindowSpec::pane_start(slide, time);
            prop_assert!(start <= time && time < start + slide && start.rem_euclid(slide) == 0);
        }
    }

    #[test]
    fn nothing_is_refused_before_the_first_watermark_and_everything_after_the_last() {
        let spec = WindowSpec::tumble(10);
        assert_eq!(spec.accepts_from(Watermark::START, 0), EventTime::MIN);
        assert!(!spec.is_closed(i64::MIN + 10, Watermark::START, 0));
        assert!(spec.is_closed(i64::MAX, Watermark::END, 5));
        assert!(WindowSpec::Session { gap_us: 3 }.is_closed(i64::MAX, Watermark::END, 0));
    }
}
