//! A wanted field: its text to a value, its values to a column.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, BooleanBuilder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    },
    compute::cast,
    datatypes::{DataType, FieldRef},
};

use crate::{
    decode::json::value::{Cell, Kind, number, string},
    error::StreamError,
};

/// A field that becomes a column.
pub(super) struct Field {
    field: FieldRef,
    kind: Kind,
    /// Which of the record's it is.
    place: usize,
    values: Values,
}

/// Values so far; whole numbers, times and floats in their widest type.
enum Values {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Decimal(Decimal128Builder),
    Text(StringBuilder),
}

impl Field {
    /// A field for a column; `None` where CSV has nothing of its type.
    pub(super) fn new(field: &FieldRef, place: usize) -> Option<Self> {
        let kind = Kind::of(field.data_type())?;
        let values = match field.data_type() {
            DataType::Boolean => Values::Bool(BooleanBuilder::new()),
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Timestamp(..)
            | DataType::Date32 => Values::Int(Int64Builder::new()),
            DataType::Float32 | DataType::Float64 => Values::Float(Float64Builder::new()),
            decimal @ DataType::Decimal128(..) => {
                Values::Decimal(Decimal128Builder::new().with_data_type(decimal.clone()))
            }
            DataType::Utf8 => Values::Text(StringBuilder::new()),
            _ => return None,
        };
        Some(Field { field: Arc::clone(field), kind, place, values })
    }

    /// Which of the record's fields it is.
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// The value of a field's text, which begins at `start`.
    pub(super) fn cell(&self, text: &str, start: usize) -> Result<Cell, String> {
        let bare = text.trim();
        let cell = match self.kind {
            Kind::Text => Some(Cell::Text(start, start + text.len())),
            Kind::Bool if bare.eq_ignore_ascii_case("true") => Some(Cell::Bool(true)),
            Kind::Bool if bare.eq_ignore_ascii_case("false") => Some(Cell::Bool(false)),
            Kind::Bool => None,
            Kind::Timestamp | Kind::Date => string(bare, self.kind),
            _ if is_number(bare) => number(bare.strip_prefix('+').unwrap_or(bare), self.kind),
            _ => None,
        };
        cell.ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            format!("field '{}': expected {}, found '{shown}'", self.field.name(), self.kind.expected())
        })
    }

    /// Adds a value, text as a range of `text`.
    pub(super) fn push(&mut self, cell: Cell, text: &str) {
        match (&mut self.values, cell) {
            (Values::Bool(values), Cell::Bool(value)) => values.append_value(value),
            (Values::Bool(values), _) => values.append_null(),
            (Values::Int(values), Cell::Int(value)) => values.append_value(value),
            (Values::Int(values), _) => values.append_null(),
            (Values::Float(values), Cell::Float(value)) => values.append_value(value),
            (Values::Float(values), _) => values.append_null(),
            (Values::Decimal(values), Cell::Decimal(value)) => values.append_value(value),
            (Values::Decimal(values), _) => values.append_null(),
            (Values::Text(values), Cell::Text(start, end)) => values.append_value(&text[start..end]),
            (Values::Text(values), _) => values.append_null(),
        }
    }

    /// The column, in the field's type.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, StreamError> {
        let array: ArrayRef = match &mut self.values {
            Values::Bool(values) => Arc::new(values.finish()),
            Values::Int(values) => Arc::new(values.finish()),
            Values::Float(values) => Arc::new(values.finish()),
            Values::Decimal(values) => Arc::new(values.finish()),
            Values::Text(values) => Arc::new(values.finish()),
        };
        let array = match self.field.data_type() {
            DataType::Date32 => cast(&array, &DataType::Int32)?,
            _ => array,
        };
        if array.data_type() == self.field.data_type() {
            return Ok(array);
        }
        Ok(cast(&array, self.field.data_type())?)
    }
}

/// Whether a text is a number as JSON writes them, with a plus sign or leading zeros besides.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole) && is_digits(fraction) && exponent.is_none_or(is_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_form() {
        for text in ["0", "-1", "+12", "007", "1.50", "1e3", "-2.5E-3"] {
            assert!(is_number(text), "{text}");
        }
        for text in ["", "-", "1.", ".5", "NaN", "inf", "1e", "0x1", "1 2", "--1"] {
            assert!(!is_number(text), "{text}");
        }
    }
}
