//! The kinds of arguments: which types are of a kind, and what they are turned into.

use arrow::datatypes::{DataType, TimeUnit};

use crate::table::timestamp_type;

/// What an argument may be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::sql::functions) enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Whole,
    /// Any number, as a double.
    Double,
    /// A date, a timestamp, or a text of one.
    TimeOrText,
    /// A date, a timestamp or a time of the day, in microseconds.
    TimeOrClock,
    /// A timestamp or a time of the day, in microseconds.
    StampOrClock,
    /// A timestamp, a time of the day, or a text of one.
    ClockStampOrText,
    /// A text, or any number: a whole one, or a double.
    TextOrNumber,
    /// A text, or bytes.
    TextOrBytes,
    /// Bytes.
    Bytes,
    /// A text, or a whole number.
    TextOrWhole,
    /// Anything.
    Any,
}

impl Kind {
    /// What an argument of the type `given` is turned into.
    pub(super) fn data_type(self, given: &DataType) -> DataType {
        match self {
            Kind::Any => given.clone(),
            Kind::TextOrBytes if is_bytes(given) => DataType::Binary,
            Kind::TextOrWhole if given.is_integer() => DataType::Int64,
            Kind::Text | Kind::TextOrBytes | Kind::TextOrWhole => DataType::Utf8,
            Kind::Bytes => DataType::Binary,
            Kind::Whole => DataType::Int64,
            Kind::Double => DataType::Float64,
            Kind::TextOrNumber if given.is_integer() => DataType::Int64,
            Kind::TextOrNumber if given.is_numeric() => DataType::Float64,
            Kind::TextOrNumber => DataType::Utf8,
            Kind::TimeOrClock | Kind::StampOrClock | Kind::ClockStampOrText if is_clock(given) => {
                clock_type()
            }
            Kind::TimeOrText | Kind::ClockStampOrText
                if !matches!(given, DataType::Timestamp(..) | DataType::Date32) =>
            {
                DataType::Utf8
            }
            Kind::TimeOrText | Kind::TimeOrClock | Kind::ClockStampOrText | Kind::StampOrClock => {
                timestamp_type()
            }
        }
    }

    pub(super) fn takes(self, given: &DataType) -> bool {
        let text = matches!(given, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let time = matches!(given, DataType::Date32 | DataType::Timestamp(..));
        given.is_null()
            || match self {
                Kind::Text => text,
                Kind::Whole => given.is_integer(),
                Kind::Double => given.is_numeric(),
                Kind::TimeOrText => time || text,
                Kind::TimeOrClock => time || is_clock(given),
                Kind::StampOrClock => matches!(given, DataType::Timestamp(..)) || is_clock(given),
                Kind::ClockStampOrText => matches!(given, DataType::Timestamp(..)) || is_clock(given) || text,
                Kind::TextOrNumber => text || given.is_numeric(),
                Kind::TextOrBytes => text || is_bytes(given),
                Kind::Bytes => is_bytes(given),
                Kind::TextOrWhole => text || given.is_integer(),
                Kind::Any => true,
            }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Text => "a text",
            Kind::Whole => "a whole number",
            Kind::Double => "a number",
            Kind::TimeOrText => "a date, a timestamp or a text of one",
            Kind::TimeOrClock => "a date, a timestamp or a time of the day",
            Kind::StampOrClock => "a timestamp or a time of the day",
            Kind::ClockStampOrText => "a time of the day, a timestamp or a text of one",
            Kind::TextOrNumber => "a text or a number",
            Kind::TextOrBytes => "a text, or bytes,",
            Kind::Bytes => "bytes",
            Kind::TextOrWhole => "a text or a whole number",
            Kind::Any => "any value",
        }
    }
}

pub(super) fn is_clock(given: &DataType) -> bool {
    matches!(given, DataType::Time64(_) | DataType::Time32(_))
}

pub(super) fn clock_type() -> DataType {
    DataType::Time64(TimeUnit::Nanosecond)
}

pub(super) fn is_bytes(given: &DataType) -> bool {
    matches!(
        given,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
    )
}
