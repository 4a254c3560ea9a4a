//! One pass over a record's bytes.
//!
//! The scanner walks the object once. Values of fields that the query does not use are skipped, not parsed;
//! the others become typed cells, text as a range of the record, without a copy. It remembers in which order
//! the last record had its fields, since nearly every record of a topic has the same, and then needs no
//! look-up to know a field.
//!
//! It is allowed to give up: for escapes in a text it needs, a value of an unexpected type, or anything that
//! is not plain JSON it answers `None`, and the [fallback](super::fallback) decides. What it does answer is
//! what the fallback would have answered; a property test holds the two against each other.

use std::sync::Arc;

use super::value::{Cell, Kind, number, string};

/// How deep a skipped value may be nested before the scanner leaves it to the fallback.
const MAX_DEPTH: usize = 32;

/// The fast path.
#[derive(Debug)]
pub struct Scanner {
    fields: Arc<[(String, Kind)]>,
    /// The keys of the last record in its order, with the column they go to.
    order: Vec<(Box<str>, Option<usize>)>,
    cells: Vec<Cell>,
}

/// A place in the record.
type At = usize;

impl Scanner {
    /// A scanner for these fields.
    pub fn new(fields: Arc<[(String, Kind)]>) -> Self {
        let cells = vec![Cell::Null; fields.len()];
        Scanner { fields, order: Vec::new(), cells }
    }

    /// The fields' values, text as ranges of `record`; `None` to ask the fallback.
    pub fn scan(&mut self, record: &str) -> Option<&[Cell]> {
        self.cells.fill(Cell::Null);
        let bytes = record.as_bytes();
        let mut at = expect(bytes, skip_space(bytes, 0), b'{')?;
        at = skip_space(bytes, at);
        if bytes.get(at) == Some(&b'}') {
            return self.end(bytes, at + 1);
        }
        for position in 0.. {
            at = expect(bytes, at, b'"')?;
            let key_end = plain_string(bytes, at)?;
            let column = self.column(position, &record[at..key_end]);
            at = skip_space(bytes, key_end + 1);
            at = skip_space(bytes, expect(bytes, at, b':')?);
            at = match column {
                Some(column) => self.value(record, at, column)?,
                None => skip_value(bytes, at, 0)?,
            };
            at = skip_space(bytes, at);
            match bytes.get(at)? {
                b',' => at = skip_space(bytes, at + 1),
                b'}' => return self.end(bytes, at + 1),
                _ => return None,
            }
        }
        None
    }

    fn end(&self, bytes: &[u8], at: At) -> Option<&[Cell]> {
        (skip_space(bytes, at) == bytes.len()).then_some(&self.cells)
    }

    /// The column of the key at `position`.
    fn column(&mut self, position: usize, key: &str) -> Option<usize> {
        if let Some((known, column)) = self.order.get(position)
            && **known == *key
        {
            return *column;
        }
        let column = self.fields.iter().position(|(name, _)| name == key);
        // Remember no more keys than a table of sensible width has: hostile records must not grow this.
        const MOST_KEYS: usize = 256;
        if let Some(slot) = self.order.get_mut(position) {
            *slot = (key.into(), column);
        } else if position == self.order.len() && position < MOST_KEYS {
            self.order.push((key.into(), column));
        }
        column
    }

    /// Reads the value at `at` for `column`; answers the place behind it.
    fn value(&mut self, record: &str, at: At, column: usize) -> Option<At> {
        let bytes = record.as_bytes();
        let kind = self.fields[column].1;
        let (cell, end) = match bytes.get(at)? {
            b'"' => {
                let end = plain_string(bytes, at + 1)?;
                let cell = match kind {
                    Kind::Text => Cell::Text(at + 1, end),
                    kind => string(&record[at + 1..end], kind)?,
                };
                (cell, end + 1)
            }
            b'-' | b'0'..=b'9' => {
                let (end, whole) = scan_number(bytes, at)?;
                let cell = match kind {
                    Kind::Text => Cell::Text(at, end),
                    Kind::Int(64) if whole && end - at <= 18 => Cell::Int(small_integer(&bytes[at..end])),
                    kind => number(&record[at..end], kind)?,
                };
                (cell, end)
            }
            b'n' => (Cell::Null, word(bytes, at, b"null")?),
            b't' | b'f' => {
                let value = bytes[at] == b't';
                let end = word(bytes, at, if value { b"true" } else { b"false" })?;
                match kind {
                    Kind::Bool => (Cell::Bool(value), end),
                    Kind::Text => (Cell::Text(at, end), end),
                    _ => return None,
                }
            }
            b'{' | b'[' if kind == Kind::Text => {
                let end = skip_value(bytes, at, 0)?;
                (Cell::Text(at, end), end)
            }
            _ => return None,
        };
        self.cells[column] = cell;
        Some(end)
    }
}

fn skip_space(bytes: &[u8], mut at: At) -> At {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

fn expect(bytes: &[u8], at: At, byte: u8) -> Option<At> {
    (bytes.get(at) == Some(&byte)).then_some(at + 1)
}

fn word(bytes: &[u8], at: At, word: &[u8]) -> Option<At> {
    bytes.get(at..)?.starts_with(word).then_some(at + word.len())
}

/// The closing quote of the string whose text starts at `at`; `None` if it has escapes or control characters.
fn plain_string(bytes: &[u8], at: At) -> Option<At> {
    let end = find_special(bytes, at)?;
    (bytes[end] == b'"').then_some(end)
}

/// The first quote, backslash or control character from `at` on, eight bytes at a time.
fn find_special(bytes: &[u8], mut at: At) -> Option<At> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // Sets the high bit of every byte that is zero; bytes above a zero one may be set falsely, so only the
    // lowest bit set is used (the classic "has zero byte" test).
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().ok()?);
        let quotes = zero(word ^ (ONES * u64::from(b'"')));
        let slashes = zero(word ^ (ONES * u64::from(b'\\')));
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = quotes | slashes | controls;
        if found != 0 {
            return usize::try_from(found.trailing_zeros() / 8).ok().map(|offset| at + offset);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).map(|offset| at + offset)
}

/// The end of the number at `at` by JSON's grammar, and whether it has neither fraction nor exponent.
fn scan_number(bytes: &[u8], mut at: At) -> Option<(At, bool)> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    let digits_from = |mut at: At| {
        let start = at;
        while matches!(bytes.get(at), Some(b'0'..=b'9')) {
            at += 1;
        }
        (at > start).then_some(at)
    };
    let start = at;
    at = digits_from(at)?;
    if bytes[start] == b'0' && at > start + 1 {
        return None;
    }
    let mut whole = true;
    if bytes.get(at) == Some(&b'.') {
        at = digits_from(at + 1)?;
        whole = false;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits_from(at)?;
        whole = false;
    }
    Some((at, whole))
}

/// A whole number of at most 18 characters, which cannot overflow.
fn small_integer(text: &[u8]) -> i64 {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        digits => (1, digits),
    };
    sign * digits.iter().fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'))
}

/// The end of the value at `at`, checked by JSON's grammar as far as the fallback would.
fn skip_value(bytes: &[u8], at: At, depth: usize) -> Option<At> {
    match bytes.get(at)? {
        b'"' => skip_string(bytes, at + 1),
        b'-' | b'0'..=b'9' => scan_number(bytes, at).map(|(end, _)| end),
        b't' => word(bytes, at, b"true"),
        b'f' => word(bytes, at, b"false"),
        b'n' => word(bytes, at, b"null"),
        open @ (b'{' | b'[') if depth < MAX_DEPTH => {
            let is_object = *open == b'{';
            let close = if is_object { b'}' } else { b']' };
            let mut at = skip_space(bytes, at + 1);
            if bytes.get(at) == Some(&close) {
                return Some(at + 1);
            }
            loop {
                if is_object {
                    at = skip_string(bytes, expect(bytes, at, b'"')?)?;
                    at = skip_space(bytes, expect(bytes, skip_space(bytes, at), b':')?);
                }
                at = skip_space(bytes, skip_value(bytes, at, depth + 1)?);
                match bytes.get(at)? {
                    b',' => at = skip_space(bytes, at + 1),
                    byte if *byte == close => return Some(at + 1),
                    _ => return None,
                }
            }
        }
        _ => None,
    }
}

/// The place behind the closing quote of a string that is not needed. Simple escapes are stepped over; `\u`
/// is left to the fallback, which knows which pairs of surrogates are valid.
fn skip_string(bytes: &[u8], mut at: At) -> Option<At> {
    loop {
        at = find_special(bytes, at)?;
        match bytes[at] {
            b'"' => return Some(at + 1),
            b'\\' if matches!(bytes.get(at + 1)?, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                at += 2
            }
            _ => return None,
        }
    }
}
