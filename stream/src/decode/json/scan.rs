//! One pass over a record's bytes, the fast path.
//!
//! The scanner walks the object once, from key to key by its [memory](super::order) of what follows what. Values
//! of fields that the plan does not read are skipped, not parsed; the others go straight into the columns.
//!
//! It is allowed to give up: for a value of an unexpected type, a key with escapes, or anything that is not plain
//! JSON it answers `None`, and the [fallback](super::fallback) decides. What it does answer is what the fallback
//! would have answered; property tests hold the two against each other.
//!
//! It may look past the end of the record, since bytes are read several at once. What it finds there it refuses
//! only when it has reached the record's end, which costs one comparison instead of one a value.

use std::sync::Arc;

use super::{
    bytes::{
        At, plain_string, scan_number, short_integer, skip_space, skip_string, skip_value, small_integer,
        word,
    },
    column::Column,
    columns::Columns,
    order::{Action, Order, START},
    shape::Shape,
    time::LastDay,
    value::{self, Cell, Kind, fits, number, string},
};

/// The fast path.
#[derive(Debug)]
pub struct Scanner {
    order: Order,
}

impl Scanner {
    /// A scanner for these fields.
    pub fn new(fields: Arc<[(String, Shape)]>) -> Self {
        Scanner { order: Order::new(fields) }
    }

    /// Starts a batch.
    pub fn start(&mut self) {
        self.order.start_batch();
    }

    /// Reads the record that is the first `length` of `bytes`, and valid UTF-8, as a row of `columns`. `None` to
    /// take the row back and ask the fallback.
    pub fn scan(&mut self, bytes: &[u8], length: usize, columns: &mut Columns) -> Option<()> {
        let (mut step, mut at) = (START, 0);
        loop {
            let (next, action, value) = self.order.follow(step, bytes, at, length)?;
            step = next;
            at = match action {
                Action::Skip => skip_value(bytes, value)?,
                Action::Read(field) => read(columns.open(field)?, bytes, value)?,
                Action::End => {
                    // Whatever was read lies before this place, so all of it was the record's own.
                    let rest = skip_space(bytes.get(..length)?, value);
                    return (rest == length).then(|| columns.end_row());
                }
            };
        }
    }
}

/// Reads the value at `at` into `column`; answers the place behind it.
#[inline(always)]
fn read(column: &mut Column, bytes: &[u8], at: At) -> Option<At> {
    match (bytes.get(at)?, column.kind) {
        (b'"', Kind::Text) => {
            let start = at + 1;
            match plain_string(bytes, start) {
                Some(end) => {
                    column.push_text(&bytes[start..], end - start);
                    Some(end + 1)
                }
                None => read_escaped(column, bytes, at),
            }
        }
        (b'0'..=b'9', Kind::Int(bits)) => match short_integer(bytes, at) {
            Some((value, end)) if fits(value, bits) => {
                column.push_int(value);
                Some(end)
            }
            _ => read_any(column, bytes, at),
        },
        (b'"', Kind::Timestamp) => {
            let text = &bytes[at + 1..];
            match column.last_day.timestamp(text) {
                Some(time) if text.get(LastDay::LENGTH) == Some(&b'"') => {
                    column.push_int(time);
                    Some(at + 1 + LastDay::LENGTH + 1)
                }
                _ => read_any(column, bytes, at),
            }
        }
        _ => read_any(column, bytes, at),
    }
}

/// A text with escapes; they are resolved as the fallback does it.
#[cold]
fn read_escaped(column: &mut Column, bytes: &[u8], at: At) -> Option<At> {
    let end = skip_string(bytes, at + 1)?;
    let text: String = serde_json::from_slice(bytes.get(at..end)?).ok()?;
    column.push_text(text.as_bytes(), text.len());
    Some(end)
}

/// A value that is not in the form that is usual for its column.
fn read_any(column: &mut Column, bytes: &[u8], at: At) -> Option<At> {
    let kind = column.kind;
    let text = |start: At, end: At| std::str::from_utf8(bytes.get(start..end)?).ok();
    let end = match bytes.get(at)? {
        // A known key may go on with white space that was not there before.
        b' ' | b'\t' | b'\n' | b'\r' => return read_again(column, bytes, skip_space(bytes, at)),
        b'n' => {
            let end = word(bytes, at, b"null")?;
            column.push_null();
            return Some(end);
        }
        b'"' if kind == Kind::Json => skip_value(bytes, at)?,
        b'"' if kind == Kind::Bytes => {
            let end = plain_string(bytes, at + 1)?;
            let decoded = value::bytes(text(at + 1, end)?)?;
            column.push_text(&decoded, decoded.len());
            return Some(end + 1);
        }
        b'"' => {
            let end = plain_string(bytes, at + 1)?;
            column.push(string(text(at + 1, end)?, kind)?, "");
            return Some(end + 1);
        }
        b'-' | b'0'..=b'9' => {
            let (end, is_whole) = scan_number(bytes, at)?;
            match kind {
                Kind::Text | Kind::Json => {}
                Kind::Int(64) if is_whole && end - at <= 18 => {
                    column.push_int(small_integer(&bytes[at..end]))
                }
                kind => column.push(number(text(at, end)?, kind)?, ""),
            }
            end
        }
        first @ (b't' | b'f') => {
            let value = *first == b't';
            let end = word(bytes, at, if value { b"true" } else { b"false" })?;
            match kind {
                Kind::Text | Kind::Json => {}
                Kind::Bool => column.push(Cell::Bool(value), ""),
                _ => return None,
            }
            end
        }
        b'{' | b'[' if matches!(kind, Kind::Text | Kind::Json) => skip_value(bytes, at)?,
        b'{' | b'[' if kind == Kind::Nested => return column.read_nested(bytes, at),
        _ => return None,
    };
    if matches!(kind, Kind::Text | Kind::Json) {
        column.push_text(&bytes[at..], end - at);
    }
    Some(end)
}

/// Reads a value where the fast path has something in front of it, or around it.
#[inline(never)]
pub(super) fn read_again(column: &mut Column, bytes: &[u8], at: At) -> Option<At> {
    read(column, bytes, at)
}
