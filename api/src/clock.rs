//! The clock, injected: the only place of this crate that asks for the time of day is [`wall`], and only the
//! edge (the state's builder) chooses it.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

/// Tells the current time. Everything the API writes down is at millisecond precision, as on the wire.
pub type Clock = fn() -> DateTime<Utc>;

/// The machine's clock, cut to whole milliseconds.
pub fn wall() -> DateTime<Utc> {
    let now = Utc::now();
    // Truncation fails only outside the range of nanosecond timestamps (year 2262).
    now.duration_trunc(TimeDelta::milliseconds(1)).unwrap_or(now)
}
