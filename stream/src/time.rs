//! Event time, watermarks, epochs and positions: the small types in which the engine talks about progress.
//!
//! All of them are newtypes with private fields, so that a count of microseconds cannot be added to an
//! offset by mistake. Nothing here reads a clock: time arrives in records, or is handed in at the edge.

use std::fmt;

use serde::{Deserialize, Serialize};

/// When something happened: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct EventTime(i64);

impl EventTime {
    /// The earliest representable time.
    pub(crate) const MIN: EventTime = EventTime(i64::MIN);
    /// The latest representable time.
    pub(crate) const MAX: EventTime = EventTime(i64::MAX);

    /// The earliest and the latest time that a 64-bit count of nanoseconds holds, 1677-09-21 and 2262-04-11: what reads
    /// the tables that are written counts so, and fails at a time beyond.
    pub(crate) const NANOS: std::ops::RangeInclusive<i64> = i64::MIN / 1_000..=i64::MAX / 1_000;

    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        EventTime(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This time moved later by `micros` (earlier when negative), stopping at the ends of the range.
    pub(crate) const fn plus_micros(self, micros: i64) -> Self {
        EventTime(self.0.saturating_add(micros))
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chrono::DateTime::from_timestamp_micros(self.0) {
            Some(time) => write!(f, "{}", time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
            None => write!(f, "{} µs", self.0),
        }
    }
}

/// The promise that no more on-time rows lie below a point in event time.
///
/// A watermark only ever rises; [`Watermark::advance`] is the one way to change it. Streams are combined by
/// minimum, and an idle stream is left out of the minimum (see `combine`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Watermark(EventTime);

impl Watermark {
    /// Before the first row: nothing is promised.
    pub const START: Watermark = Watermark(EventTime::MIN);
    /// After the last row of a bounded stream: every window may close.
    pub const END: Watermark = Watermark(EventTime::MAX);

    /// The promise that no on-time row lies below `time`.
    pub const fn at(time: EventTime) -> Self {
        Watermark(time)
    }

    /// The point in event time below which nothing on time remains.
    pub const fn time(self) -> EventTime {
        self.0
    }

    /// Raises this watermark to `other` if that is higher. Returns whether it rose.
    pub fn advance(&mut self, other: Watermark) -> bool {
        let rose = other > *self;
        if rose {
            *self = other;
        }
        rose
    }

    /// The watermark of a column whose values trail this one by `micros`.
    #[must_use]
    pub(crate) fn delayed_by(self, micros: i64) -> Self {
        match self {
            Watermark::START | Watermark::END => self,
            Watermark(time) => Watermark(time.plus_micros(-micros)),
        }
    }
}

impl fmt::Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Watermark::START => f.write_str("start"),
            Watermark::END => f.write_str("end"),
            Watermark(time) => time.fmt(f),
        }
    }
}

/// What one input says about its progress.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Rows flow; nothing on time lies below the watermark.
    Active(Watermark),
    /// Nothing has come for the idle timeout: do not wait for this input. It keeps the watermark it had.
    Idle(Watermark),
}

impl Progress {
    /// The watermark, whether or not the input is idle.
    pub const fn watermark(self) -> Watermark {
        match self {
            Progress::Active(watermark) | Progress::Idle(watermark) => watermark,
        }
    }
}

/// The watermark of several inputs together: the minimum of the active ones. Where all are idle it is the
/// maximum, since no input holds the others back; `None` where there is no input.
pub(crate) fn combine(inputs: impl IntoIterator<Item = Progress>) -> Option<Watermark> {
    let (mut active, mut idle) = (None::<Watermark>, None::<Watermark>);
    for input in inputs {
        match input {
            Progress::Active(w) => active = Some(active.map_or(w, |a| a.min(w))),
            Progress::Idle(w) => idle = Some(idle.map_or(w, |i| i.max(w))),
        }
    }
    active.or(idle)
}

/// The number of a consistent cut through the stream. Epochs of one job only rise, over restarts too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Epoch(u64);

impl Epoch {
    /// Epoch number `number`.
    pub const fn new(number: u64) -> Self {
        Epoch(number)
    }

    /// The epoch's number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Epoch(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record's number within its partition: the Kafka offset, or the byte offset in a file.
///
/// A *position* is the offset of the next record to read, as Kafka commits it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Offset(i64);

impl Offset {
    /// The first record of a partition that has lost none.
    pub const ZERO: Offset = Offset(0);

    /// Offset `offset`, not negative.
    pub const fn new(offset: i64) -> Self {
        Offset(offset)
    }

    /// The number itself.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The position after this record.
    #[must_use]
    pub const fn next(self) -> Self {
        Offset(self.0.saturating_add(1))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One ordered part of a source: a Kafka topic partition, or one file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PartitionId {
    /// Topic name, or file path.
    pub topic: String,
    /// Partition number within the topic; 0 for a file.
    pub partition: i32,
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Watermark {
        Watermark::at(EventTime::from_micros(micros))
    }

    #[test]
    fn a_watermark_only_rises() {
        let mut watermark = at(5);
        assert!(!watermark.advance(at(3)));
        assert_eq!(watermark, at(5));
        assert!(watermark.advance(at(9)));
        assert_eq!(watermark, at(9));
    }

    #[test]
    fn idle_inputs_do_not_hold_the_others_back() {
        assert_eq!(combine([]), None);
        assert_eq!(combine([Progress::Active(at(5)), Progress::Active(at(3))]), Some(at(3)));
        assert_eq!(combine([Progress::Active(at(5)), Progress::Idle(at(3))]), Some(at(5)));
        assert_eq!(combine([Progress::Idle(at(5)), Progress::Idle(at(3))]), Some(at(5)));
    }

    #[test]
    fn the_ends_stay_where_they_are() {
        assert_eq!(Watermark::END.delayed_by(1_000), Watermark::END);
        assert_eq!(Watermark::START.delayed_by(1_000), Watermark::START);
        assert_eq!(at(10).delayed_by(4), at(6));
    }
}
