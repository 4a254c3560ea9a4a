//! The text of a JSON value to a typed value. Both parsers end here, so that they cannot disagree.

use arrow::datatypes::{DataType, TimeUnit};

use base64::{Engine, engine::general_purpose::STANDARD};

pub use super::time::timestamp;
pub(crate) use super::time::{date, time_of_day};

/// What a column wants of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// BOOLEAN.
    Bool,
    /// A signed integer of so many bits.
    Int(u8),
    /// An unsigned integer of so many bits. Those of 64 bits are held as the signed ones of the same bits.
    Unsigned(u8),
    /// FLOAT (32) or DOUBLE (64).
    Float(u8),
    /// DECIMAL(precision, scale).
    Decimal(u8, i8),
    /// Text.
    Text,
    /// Text that is the JSON of the value, as it is written.
    Json,
    /// Bytes, which JSON has as a string in base 64.
    Bytes,
    /// Microseconds since the Unix epoch, UTC.
    Timestamp,
    /// Days since the Unix epoch.
    Date,
    /// Nanoseconds since midnight.
    Time,
    /// Values inside of the value: a shape.
    Nested,
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
            DataType::UInt8 => Kind::Unsigned(8),
            DataType::UInt16 => Kind::Unsigned(16),
            DataType::UInt32 => Kind::Unsigned(32),
            DataType::UInt64 => Kind::Unsigned(64),
            DataType::Float32 => Kind::Float(32),
            DataType::Float64 => Kind::Float(64),
            DataType::Decimal128(precision, scale) => Kind::Decimal(*precision, *scale),
            DataType::Utf8 => Kind::Text,
            DataType::Timestamp(TimeUnit::Microsecond, _) => Kind::Timestamp,
            DataType::Date32 => Kind::Date,
            DataType::Time64(TimeUnit::Nanosecond) => Kind::Time,
            DataType::Binary => Kind::Bytes,
            _ => return None,
        })
    }

    /// In words, for errors.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Kind::Bool => "true or false",
            Kind::Int(8) => "a whole number from -128 to 127",
            Kind::Int(16) => "a whole number of 16 bits",
            Kind::Int(32) => "a whole number of 32 bits",
            Kind::Int(_) => "a whole number of 64 bits",
            Kind::Unsigned(8) => "a whole number from 0 to 255",
            Kind::Unsigned(16) => "a whole number of 16 bits, not negative",
            Kind::Unsigned(32) => "a whole number of 32 bits, not negative",
            Kind::Unsigned(_) => "a whole number of 64 bits, not negative",
            Kind::Float(32) => "a number that 32 bits hold",
            Kind::Float(_) => "a number",
            Kind::Decimal(..) => "a decimal number within the column's precision and scale",
            Kind::Text | Kind::Json => "text",
            Kind::Bytes => "bytes as a string in base 64",
            Kind::Timestamp => "a time such as \"2026-01-05T12:00:00.123Z\", from 1677-09-21 to 2262-04-11",
            Kind::Date => "a date such as \"2026-01-05\"",
            Kind::Time => "a time of day such as \"12:00:00.123\"",
            Kind::Nested => "an object or an array",
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
    /// For [`Kind::Int`], [`Kind::Unsigned`], [`Kind::Timestamp`], [`Kind::Date`] and [`Kind::Time`].
    Int(i64),
    /// For [`Kind::Float`].
    Float(f64),
    /// For [`Kind::Decimal`]: the unscaled value.
    Decimal(i128),
    /// For [`Kind::Text`] and [`Kind::Json`], and for [`Kind::Bytes`] still in base 64: start and end.
    Text(usize, usize),
}

/// A JSON number's text, valid by JSON's grammar, as a value of `kind`. Text columns are not asked for here.
pub fn number(text: &str, kind: Kind) -> Option<Cell> {
    match kind {
        Kind::Int(bits) => integer(text).filter(|value| fits(*value, bits)).map(Cell::Int),
        Kind::Unsigned(bits) => unsigned(text, bits).map(Cell::Int),
        Kind::Float(bits) => text.parse().ok().filter(|value| is_held(*value, bits)).map(Cell::Float),
        Kind::Decimal(precision, scale) => decimal(text, precision, scale).map(Cell::Decimal),
        _ => None,
    }
}

/// A JSON string's text (escapes resolved) as a value of `kind`. Text columns are not asked for here.
pub(crate) fn string(text: &str, kind: Kind) -> Option<Cell> {
    match kind {
        Kind::Timestamp => timestamp(text.as_bytes()).map(Cell::Int),
        Kind::Date => date(text.as_bytes()).map(Cell::Int),
        Kind::Time => time_of_day(text.as_bytes()).map(Cell::Int),
        _ => None,
    }
}

/// The bytes that a string in base 64 stands for.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The unscaled value of a number, if the column holds it exactly: no digit is cut off or rounded away. (Flink rounds, and
/// makes NULL of what is too large.)
fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent),
        None => (text, "0"),
    };
    let is_negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let cut = i64::try_from(digits.len() - significant.len()).ok()?;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // An exponent that is no number of 64 bits belongs to nothing that a column holds.
    let exponent: i64 = exponent.parse().ok()?;
    let point = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(cut)?;
    let zeros = usize::try_from(point.checked_add(i64::from(scale))?).ok()?;
    if significant.len().checked_add(zeros)? > usize::from(precision) {
        return None;
    }
    let value: i128 = format!("{significant}{}", "0".repeat(zeros)).parse().ok()?;
    Some(if is_negative { -value } else { value })
}

/// Whether a float of so many bits holds `value`, if not to the last digit.
fn is_held(value: f64, bits: u8) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "what a FLOAT column asks for")]
    let nearest = value as f32;
    if bits == 32 { nearest.is_finite() } else { value.is_finite() }
}

/// Whether `value` is an integer of so many bits.
pub(crate) fn fits(value: i64, bits: u8) -> bool {
    match bits {
        8 => i8::try_from(value).is_ok(),
        16 => i16::try_from(value).is_ok(),
        32 => i32::try_from(value).is_ok(),
        _ => true,
    }
}

/// A whole number that is not negative, by its bits.
fn unsigned(text: &str, bits: u8) -> Option<i64> {
    let value = match text.parse::<u64>() {
        Ok(value) => value,
        Err(_) => u64::try_from(integer(text)?).ok()?,
    };
    let is_held = bits == 64 || value >> bits == 0;
    is_held.then_some(value.cast_signed())
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

#[cfg(test)]
mod tests {
    use super::*;

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
        for endless in ["1e3456789012345678", "1e-99999", "1e99999999999999999999", "-1e-9223372036854775808"]
        {
            assert_eq!(number(endless, Kind::Decimal(10, 2)), None);
        }
    }

    #[test]
    fn unsigned_numbers_are_exact_or_refused() {
        assert_eq!(number("18446744073709551615", Kind::Unsigned(64)), Some(Cell::Int(-1)));
        assert_eq!(number("9223372036854775808", Kind::Unsigned(64)), Some(Cell::Int(i64::MIN)));
        assert_eq!(number("12.0", Kind::Unsigned(64)), Some(Cell::Int(12)));
        assert_eq!(number("255", Kind::Unsigned(8)), Some(Cell::Int(255)));
        assert_eq!(number("-0", Kind::Unsigned(8)), Some(Cell::Int(0)));
        for (text, bits) in
            [("-1", 64), ("18446744073709551616", 64), ("256", 8), ("65536", 16), ("4294967296", 32)]
        {
            assert_eq!(number(text, Kind::Unsigned(bits)), None, "{text}");
        }
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        let decimal = |text| match number(text, Kind::Decimal(10, 2)) {
            Some(Cell::Decimal(value)) => Some(value),
            _ => None,
        };
        let zeros = format!("0.{}", "0".repeat(300));
        for (text, value) in [
            ("1.23", 123),
            ("1.230", 123),
            ("-1.5", -150),
            ("123e-2", 123),
            ("1.2e1", 1_200),
            ("100", 10_000),
            ("0.01", 1),
            ("-0.0", 0),
            ("99999999.99", 9_999_999_999),
            ("0e99999999999999999999", 0),
            (&zeros, 0),
        ] {
            assert_eq!(decimal(text), Some(value), "{text}");
        }
        for text in ["1.239", "0.001", "100000000", "99999999.991", "1e8", "1e-3"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_that_a_float_does_not_hold_is_refused() {
        assert_eq!(number("1e39", Kind::Float(32)), None);
        assert_eq!(number("-3.5e38", Kind::Float(32)), None);
        assert_eq!(number("3.4e38", Kind::Float(32)), Some(Cell::Float(3.4e38)));
        assert_eq!(number("1e39", Kind::Float(64)), Some(Cell::Float(1e39)));
        assert_eq!(number("0.1", Kind::Float(32)), Some(Cell::Float(0.1)));
    }
}
