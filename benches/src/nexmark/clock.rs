//! Event time: from an event's number to the text of its time.

use arrow::temporal_conversions::timestamp_ms_to_datetime;

/// 2026-01-01 00:00:00, in milliseconds since 1970. The original begins at the present; a fixed time gives the same
/// bytes on every day.
const FIRST_MS: i64 = 1_767_225_600_000;

/// Turns numbers of events into times.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    events_per_second: u64,
    /// The second written last, and its text: most events lie in the second of the one before.
    second: i64,
    prefix: String,
}

impl Clock {
    /// For so many events in a second of event time; at least one.
    pub(super) fn new(events_per_second: u64) -> Self {
        Clock { events_per_second: events_per_second.max(1), second: i64::MIN, prefix: String::new() }
    }

    /// Milliseconds from the first event to the one with this number.
    pub(super) fn millis(&self, number: u64) -> u64 {
        number.saturating_mul(1_000) / self.events_per_second
    }

    /// So many milliseconds after the first event, in SQL's form: `2026-01-01 00:00:00.000`.
    pub(super) fn text(&mut self, millis: u64) -> String {
        let millis = FIRST_MS.saturating_add(i64::try_from(millis).unwrap_or(i64::MAX));
        let second = millis.div_euclid(1_000);
        if second != self.second {
            self.second = second;
            let time = timestamp_ms_to_datetime(second.saturating_mul(1_000)).unwrap_or_default();
            self.prefix = time.format("%Y-%m-%d %H:%M:%S").to_string();
        }
        format!("{}.{:03}", self.prefix, millis.rem_euclid(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_rise_by_the_rate_and_cross_midnight() {
        let mut clock = Clock::new(10_000);
        assert_eq!(clock.text(clock.millis(0)), "2026-01-01 00:00:00.000");
        assert_eq!(clock.text(clock.millis(9)), "2026-01-01 00:00:00.000");
        assert_eq!(clock.text(clock.millis(10)), "2026-01-01 00:00:00.001");
        assert_eq!(clock.text(86_400_250), "2026-01-02 00:00:00.250");
    }
}
