//! A wanted field: its text to a value, its values to a column.

use arrow::{array::ArrayRef, datatypes::Field as ColumnField};

use crate::{
    decode::json::{
        column::Column,
        shape::Shape,
        value::{Cell, Kind, number, string},
    },
    error::StreamError,
};

/// A field that becomes a column.
pub(super) struct Field {
    name: String,
    kind: Kind,
    /// Which of the record's it is.
    place: usize,
    /// Its values so far.
    column: Column,
}

impl Field {
    /// A field for a column; `None` where CSV has nothing of its type.
    pub(super) fn new(field: &ColumnField, place: usize) -> Option<Self> {
        let kind = Kind::of(field.data_type())?;
        if matches!(kind, Kind::Unsigned(_) | Kind::Time | Kind::Bytes) {
            return None;
        }
        let column = Column::new(field, &Shape::Plain(kind), true, Vec::new());
        Some(Field { name: field.name().clone(), kind, place, column })
    }

    /// Which of the record's fields it is.
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// Starts a batch of at most so many rows.
    pub(super) fn start(&mut self, rows: usize) {
        self.column.start(rows);
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
            format!("field '{}': expected {}, found '{shown}'", self.name, self.kind.expected())
        })
    }

    /// The value of row `row`, text as a range of `text`.
    pub(super) fn push(&mut self, row: usize, cell: Cell, text: &str) {
        self.column.open(row);
        self.column.push(cell, text);
    }

    /// The column.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, StreamError> {
        let array = self.column.finish()?.array;
        array.ok_or_else(|| StreamError::internal(format!("field '{}' got lost", self.name)))
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
