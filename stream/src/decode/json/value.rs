//! The text of a JSON value to a typed value. Both parsers end here, so that they cannot disagree.

use arrow::{
    compute::kernels::cast_utils::parse_decimal,
    datatypes::{DataType, Decimal128Type, TimeUnit},
};

pub use super::time::{date, timestamp};

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
            Kind::Timestamp => "a time such as \"2026-01-05T12:00:00.123Z\", from 1677-09-21 to 2262-04-11",
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
        Kind::Decimal(precision, scale) => decimal(text, precision, scale).map(Cell::Decimal),
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

/// Arrow's parser counts digits and adds up the exponent in small integers that overflow: what is too long for
/// them is out of any column's range.
fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    const MOST: usize = 100;
    const MOST_OF_EXPONENT: usize = 4;
    let exponent = text.find(['e', 'E']).map_or("", |at| &text[at + 1..]);
    let is_short = text.len() <= MOST && exponent.trim_start_matches(['+', '-']).len() <= MOST_OF_EXPONENT;
    if !is_short {
        return None;
    }
    parse_decimal::<Decimal128Type>(text, precision, scale).ok()
}

/// Whether `value` is an integer of so many bits.
pub fn fits(value: i64, bits: u8) -> bool {
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
        for endless in ["1e3456789012345678", "1e-99999", &format!("0.{}", "0".repeat(300))] {
            assert_eq!(number(endless, Kind::Decimal(10, 2)), None);
        }
    }
}
