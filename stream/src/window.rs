//! Window arithmetic: which windows a time belongs to, when they end, and until when they take rows.
//!
//! One pure place for it. Windows are `[start, end)`, aligned to the Unix epoch, in microseconds.

use crate::{
    error::StreamError,
    time::{EventTime, Watermark},
};

/// The shape of a window.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum WindowSpec {
    /// Windows of `size_us` that start every `slide_us`; a tumbling window has the two equal.
    /// `size_us` is a whole multiple of `slide_us`, and both are positive.
    Hop {
        /// Distance between window starts, in microseconds.
        slide_us: i64,
        /// Length of a window, in microseconds.
        size_us: i64,
    },
    /// A key's rows with no gap over `gap_us` between neighbours. The window is
    /// `[first row, last row + gap)`; two rows exactly `gap_us` apart belong together, as in Flink.
    Session {
        /// The longest gap within a session, in microseconds; positive.
        gap_us: i64,
    },
}

/// The latest watermark at which arithmetic on times is still exact; beyond it everything is closed.
fn limit(watermark: Watermark, lateness_us: i64) -> i64 {
    watermark.delayed_by(lateness_us).time().micros()
}

impl WindowSpec {
    /// A tumbling window of `size_us`.
    pub const fn tumble(size_us: i64) -> Self {
        WindowSpec::Hop { slide_us: size_us, size_us }
    }

    /// Start of the pane that holds `time_us`: the slide-sized slice of time that all its rows share.
    pub const fn pane_start(slide_us: i64, time_us: i64) -> i64 {
        time_us.saturating_sub(time_us.rem_euclid(slide_us))
    }

    /// The windows that hold a time, as `[start, end)`, earliest first. A session has none before it is over.
    pub fn windows_of(self, time_us: i64) -> Result<impl Iterator<Item = (i64, i64)>, StreamError> {
        let WindowSpec::Hop { slide_us, size_us } = self else {
            return Err(StreamError::internal("a row alone has no session"));
        };
        let last = Self::pane_start(slide_us, time_us);
        let number = size_us / slide_us;
        Ok((0..number).rev().filter_map(move |back| {
            let start = last.checked_sub(back.checked_mul(slide_us)?)?;
            Some((start, start.checked_add(size_us)?))
        }))
    }

    /// How far before its end a window can start; `None` where there is no bound.
    pub const fn longest_us(self) -> Option<i64> {
        match self {
            WindowSpec::Hop { size_us, .. } => Some(size_us),
            WindowSpec::Session { .. } => None,
        }
    }

    /// The earliest event time that is still accepted when the watermark is `watermark` and windows take
    /// rows for `lateness_us` after it has passed their end. A row below it belongs only to windows that are
    /// closed.
    ///
    /// This depends on nothing but the watermark, not even for sessions (where Flink also looks for an open
    /// session to merge with), so that whether a row is refused never depends on how rows were batched. Nor
    /// does it in which of its windows a late row counts: see [`first_end`](Self::first_end) and
    /// [`session_from`](Self::session_from).
    pub const fn accepts_from(self, watermark: Watermark, lateness_us: i64) -> EventTime {
        let closed = watermark.time().micros();
        if closed == i64::MIN {
            return EventTime::MIN;
        }
        let closed = closed.saturating_sub(lateness_us);
        match self {
            WindowSpec::Hop { slide_us, size_us } => {
                // The last window of pane p ends at p + size; it is closed when that is <= the watermark.
                let last_closed = Self::pane_start(slide_us, closed.saturating_sub(size_us));
                EventTime::from_micros(last_closed.saturating_add(slide_us))
            }
            WindowSpec::Session { gap_us } => EventTime::from_micros(closed.saturating_sub(gap_us)),
        }
    }

    /// The end of the first window over a pane that ends behind `closed_us`; of the first of all for `None`. No
    /// window may be left: it is for the caller to have asked [`accepts_from`](Self::accepts_from).
    pub const fn first_end(slide_us: i64, pane_us: i64, closed_us: Option<i64>) -> i64 {
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
    pub const fn takes_in_part(self, time_us: i64, watermark: Watermark, lateness_us: i64) -> bool {
        let closed_us = watermark.time().micros();
        let closed_us = closed_us.saturating_sub(lateness_us);
        match self {
            WindowSpec::Hop { slide_us, size_us } => {
                let pane_us = Self::pane_start(slide_us, time_us);
                let first_end = Self::first_end(slide_us, pane_us, Some(closed_us));
                first_end > pane_us.saturating_add(slide_us) && first_end <= pane_us.saturating_add(size_us)
            }
            WindowSpec::Session { .. } => false,
        }
    }

    /// Whether the window ending at `end_us` is closed: no row can be added to it any more.
    pub fn is_closed(self, end_us: i64, watermark: Watermark, lateness_us: i64) -> bool {
        if watermark == Watermark::START {
            return false;
        }
        let limit = limit(watermark, lateness_us);
        match self {
            WindowSpec::Hop { .. } => end_us <= limit,
            // A row exactly at `last + gap` still belongs to the session.
            WindowSpec::Session { .. } => end_us < limit || watermark == Watermark::END,
        }
    }

    /// A lower bound of the start of every window that can still be written once the watermark stands at
    /// `watermark`, given the earliest start among the open ones.
    pub fn starts_from(
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
            WindowSpec::Hop { size_us, .. } => limit.saturating_sub(size_us),
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

    /// The ends of all windows that hold `time`, one by one.
    fn window_ends(slide: i64, size: i64, time: i64) -> Vec<i64> {
        let mut start = (time - size).div_euclid(slide) * slide;
        let mut ends = Vec::new();
        while start <= time {
            if time < start + size {
                ends.push(start + size);
            }
            start += slide;
        }
        ends
    }

    proptest! {
        #[test]
        fn a_row_is_accepted_while_one_of_its_windows_is_open(
            slide in 1_i64..20, factor in 1_i64..6, time in -200_i64..200, mark in -200_i64..200, late in 0_i64..30,
        ) {
            let size = slide * factor;
            let spec = WindowSpec::Hop { slide_us: slide, size_us: size };
            let open = window_ends(slide, size, time).iter().any(|end| !spec.is_closed(*end, at(mark), late));
            prop_assert_eq!(time >= spec.accepts_from(at(mark), late).micros(), open);
        }

        #[test]
        fn a_session_row_is_accepted_while_its_own_session_would_be_open(
            gap in 1_i64..50, time in -200_i64..200, mark in -200_i64..200, late in 0_i64..30,
        ) {
            let spec = WindowSpec::Session { gap_us: gap };
            let open = !spec.is_closed(time + gap, at(mark), late);
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
