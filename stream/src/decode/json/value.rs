//! The text of a JSON value to a typed value. Both parsers end here, so that they cannot disagree.

use arrow::{
    compute::kernels::cast_utils::parse_decimal,
    datatypes::{DataType, Decimal128Type, TimeUnit},
};

/// What a column wants of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// BOOLEAN.
    Bool,
    /// A signed integer of so many bits.
    Int(u8),
    /// FLOAT (32) or DOUBLE (64).
    Float(u8),
    /// DECIMAL(precision, scale).
    Decimal(u8, i8),
    /// Text.
    Text,
    /// Microseconds since the Unix epoch, UTC.
    Timestamp,
    /// Days since the Unix epoch.
    Date,
}

impl Kind {
    /// The kind of a column of `data_type`, if JSON has one.
    pub fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Kind::Bool,
            DataType::Int8 => Kind::Int(8),
            DataType::Int16 => Kind::Int(16),
            DataType::Int32 => Kind::Int(32),
            DataType::Int64 => Kind::Int(64),
            DataType::Float32 => Kind::Float(32),
            DataType::Float64 => Kind::Float(64),
            DataType::Decimal128(precision, scale) => Kind::Decimal(*precision, *scale),
            DataType::Utf8 => Kind::Text,
            DataType::Timestamp(TimeUnit::Microsecond, _) => Kind::Timestamp,
            DataType::Date32 => Kind::Date,
            _ => return None,
        })
    }

    /// In words, for errors.
    pub fn expected(self) -> &'static str {
        match self {
            Kind::Bool => "true or false",
            Kind::Int(8) => "a whole number from -128 to 127",
            Kind::Int(16) => "a whole number of 16 bits",
            Kind::Int(32) => "a whole number of 32 bits",
            Kind::Int(_) => "a whole number of 64 bits",
            Kind::Float(_) => "a number",
            Kind::Decimal(..) => "a decimal number within the column's precision",
            Kind::Text => "text",
            Kind::Timestamp => "a time such as \"2026-01-05T12:00:00.123Z\"",
            Kind::Date => "a date such as \"2026-01-05\"",
        }
    }
}

/// A typed value. Text is a range of the text that it was read from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// For [`Kind::Bool`].
    Bool(bool),
    /// For [`Kind::Int`], [`Kind::Timestamp`] and [`Kind::Date`].
    Int(i64),
    /// For [`Kind::Float`].
    Float(f64),
    /// For [`Kind::Decimal`]: the unscaled value.
    Decimal(i128),
    /// For [`Kind::Text`]: start and end.
    Text(usize, usize),
}

/// A JSON number's text, valid by JSON's grammar, as a value of `kind`. Text columns are not asked for here.
pub fn number(text: &str, kind: Kind) -> Option<Cell> {
    match kind {
        Kind::Int(bits) => integer(text).filter(|value| fits(*value, bits)).map(Cell::Int),
        Kind::Float(_) => text.parse().ok().filter(|value: &f64| value.is_finite()).map(Cell::Float),
        Kind::Decimal(precision, scale) => {
            parse_decimal::<Decimal128Type>(text, precision, scale).ok().map(Cell::Decimal)
        }
        Kind::Bool | Kind::Text | Kind::Timestamp | Kind::Date => None,
    }
}

/// A JSON string's text (escapes resolved) as a value of `kind`. Text columns are not asked for here.
pub fn string(text: &str, kind: Kind) -> Option<Cell> {
    match kind {
        Kind::Timestamp => timestamp(text.as_bytes()).map(Cell::Int),
        Kind::Date => date(text.as_bytes()).map(Cell::Int),
        _ => None,
    }
}

fn fits(value: i64, bits: u8) -> bool {
    match bits {
        8 => i8::try_from(value).is_ok(),
        16 => i16::try_from(value).is_ok(),
        32 => i32::try_from(value).is_ok(),
        _ => true,
    }
}

/// `12`, `-3`, `12.0`, `1.5e1`: whole numbers only, exactly.
fn integer(text: &str) -> Option<i64> {
    if let Ok(value) = text.parse::<i64>() {
        return Some(value);
    }
    if !text.contains(['.', 'e', 'E']) {
        return None;
    }
    // Below 2^53 every whole number is exact in a double; above, a fraction in the text could be lost.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let value = text.parse::<f64>().ok().filter(|v| v.fract() == 0.0 && v.abs() < EXACT)?;
    format!("{value:.0}").parse().ok()
}

fn digits(bytes: &[u8]) -> Option<i64> {
    let mut value = 0_i64;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(value)
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar; `None` where there is no such date.
///
/// The arithmetic is Howard Hinnant's `days_from_civil` (<https://howardhinnant.github.io/date_algorithms.html>).
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// `YYYY-MM-DD` as days since the Unix epoch.
pub fn date(text: &[u8]) -> Option<i64> {
    match text {
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] => {
            days(digits(&[*y1, *y2, *y3, *y4])?, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?)
        }
        _ => None,
    }
}

/// `YYYY-MM-DD[T ]HH:MM:SS[.fraction][Z|±HH:MM]` as microseconds since the Unix epoch; digits of the fraction
/// past the sixth are cut off.
pub fn timestamp(text: &[u8]) -> Option<i64> {
    let day = date(text.get(..10)?)?;
    let time = text.get(10..19)?;
    let [b'T' | b't' | b' ', h1, h2, b':', m1, m2, b':', s1, s2] = time else { return None };
    let (hour, minute, second) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?, digits(&[*s1, *s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = &text[19..];
    let mut micros = 0;
    if let [b'.', fraction @ ..] = rest {
        let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return None;
        }
        let digits = fraction[..length].iter().map(|digit| i64::from(digit - b'0'));
        for digit in digits.chain(std::iter::repeat(0)).take(6) {
            micros = micros * 10 + digit;
        }
        rest = &fraction[length..];
    }
    let offset_minutes = match rest {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 60 + minutes;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    Some((((day * 24 + hour) * 60 + minute - offset_minutes) * 60 + second) * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn timestamps_agree_with_chrono(micros in -62_135_596_800_000_000_i64..253_402_300_799_999_999) {
            let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
            let text = time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
            prop_assert_eq!(timestamp(text.as_bytes()), Some(micros));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (timestamp(&bytes), date(&bytes));
        }
    }

    #[test]
    fn zones_and_fractions() {
        let noon = timestamp(b"2026-01-05T12:00:00Z").unwrap();
        assert_eq!(timestamp(b"2026-01-05 12:00:00"), Some(noon));
        assert_eq!(timestamp(b"2026-01-05T13:30:00+01:30"), Some(noon));
        assert_eq!(timestamp(b"2026-01-05T12:00:00.5Z"), Some(noon + 500_000));
        assert_eq!(timestamp(b"2026-01-05T12:00:00.1234567Z"), Some(noon + 123_456));
        for bad in [
            "2026-02-29T00:00:00Z",
            "2026-01-05T24:00:00Z",
            "2026-01-05",
            "2026-01-05T12:00:00.Z",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(timestamp(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn whole_numbers_are_exact_or_refused() {
        assert_eq!(number("12.0", Kind::Int(64)), Some(Cell::Int(12)));
        assert_eq!(number("1.5e1", Kind::Int(64)), Some(Cell::Int(15)));
        assert_eq!(number("12.5", Kind::Int(64)), None);
        assert_eq!(number("9007199254740993", Kind::Int(64)), Some(Cell::Int(9_007_199_254_740_993)));
        assert_eq!(number("9223372036854775808", Kind::Int(64)), None);
        assert_eq!(number("300", Kind::Int(8)), None);
        assert_eq!(number("1e999", Kind::Float(64)), None);
        assert_eq!(number("1.25", Kind::Decimal(10, 2)), Some(Cell::Decimal(125)));
    }
}
