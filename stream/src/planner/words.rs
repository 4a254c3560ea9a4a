//! Windows, lengths of time and promises in words: for those who look at a plan, and for the identity of its state.

use crate::{
    operator::{Clock, TimeBound},
    window::{Fixed, WindowSpec},
};

/// By which promise a column of times goes.
pub(super) fn bound_text(bound: TimeBound) -> String {
    let clock = match bound.clock {
        Clock::Watermark => "the watermark",
        Clock::Starts => "the starts of open windows",
    };
    match bound.slack_us {
        0 | -1 => clock.to_owned(),
        slack => format!("{clock}, {} behind", interval_text(slack)),
    }
}

/// The shape of a window.
pub(super) fn window_text(window: WindowSpec) -> String {
    match window {
        WindowSpec::Fixed(Fixed { pane_us, size_us, offset_us, cumulates }) => {
            let (size, pane) = (interval_text(size_us), interval_text(pane_us));
            let window = match cumulates {
                true => format!("cumulating, up to {size} by {pane}"),
                false if pane_us == size_us => format!("tumbling, {size}"),
                false => format!("hopping, {size} every {pane}"),
            };
            match offset_us {
                0 => window,
                offset => format!("{window}, {} after the epoch", interval_text(offset)),
            }
        }
        WindowSpec::Session { gap_us } => format!("session, gap {}", interval_text(gap_us)),
    }
}

/// A length of time, in the largest unit that divides it.
pub(super) fn interval_text(micros: i64) -> String {
    const UNITS: [(i64, &str); 5] =
        [(86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"), (1_000, "ms")];
    if micros == 0 {
        return "0 s".to_owned();
    }
    match UNITS.iter().find(|(unit, _)| micros % unit == 0) {
        Some((unit, name)) => format!("{} {name}", micros / unit),
        None => format!("{micros} µs"),
    }
}
