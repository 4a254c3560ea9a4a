//! A value's bytes into its column.
//!
//! Like the [scanner](super::scan), which is at a record's values, reading answers `None` where the
//! [fallback](super::fallback) must decide.

use std::collections::HashSet;

use super::{
    bytes::{
        At, expect, plain_string, scan_number, short_integer, skip_space, skip_string, skip_value,
        small_integer, word,
    },
    column::{Column, Nested, fill_up},
    time::LastDay,
    value::{self, Cell, Kind, fits, number, string},
};

/// Reads the value at `at` into `column`; answers the place behind it.
#[inline(always)]
pub(super) fn read(column: &mut Column, bytes: &[u8], at: At) -> Option<At> {
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
        b'{' | b'[' if kind == Kind::Nested => return read_nested(column, bytes, at),
        _ => return None,
    };
    if matches!(kind, Kind::Text | Kind::Json) {
        column.push_text(&bytes[at..], end - at);
    }
    Some(end)
}

/// Reads a value where the fast path has something in front of it, or around it.
#[inline(never)]
fn read_again(column: &mut Column, bytes: &[u8], at: At) -> Option<At> {
    read(column, bytes, at)
}

/// Reads what is inside of the nested value at `at`.
fn read_nested(column: &mut Column, bytes: &[u8], at: At) -> Option<At> {
    let (nested, row) = column.nested()?;
    match nested {
        Nested::Row(members) => {
            let mut usual = 0;
            let end = read_members(bytes, at, |key, at| {
                // Members come in the declared order more often than not.
                let is_next = members.get(usual).is_some_and(|(name, _)| **name == *key);
                let known =
                    if is_next { Some(usual) } else { members.iter().position(|(name, _)| **name == *key) };
                match known.and_then(|known| Some((known, members.get_mut(known)?))) {
                    None => skip_value(bytes, at),
                    Some((known, (_, member))) => {
                        usual = known + 1;
                        member.open(row);
                        read_again(member, bytes, at)
                    }
                }
            })?;
            fill_up(members, row);
            Some(end)
        }
        Nested::List(ends, items) => {
            let end = read_items(items, bytes, at)?;
            ends.push(items.rows());
            Some(end)
        }
        Nested::Map(ends, keys, values) => {
            let first = ends.last();
            let end = read_members(bytes, at, |key, at| {
                keys.open(keys.rows());
                keys.push_text(key, key.len());
                values.open(values.rows());
                read_again(values, bytes, at)
            })?;
            // Of a key that comes twice the last value counts, which is not the last row here.
            are_distinct(keys, first).then(|| ends.push(values.rows()))?;
            Some(end)
        }
    }
}

/// Walks over the object at `at`; `read` takes the value of a key, and its place.
#[inline]
fn read_members(bytes: &[u8], at: At, mut read: impl FnMut(&[u8], At) -> Option<At>) -> Option<At> {
    let mut at = skip_space(bytes, expect(bytes, at, b'{')?);
    if let Some(end) = expect(bytes, at, b'}') {
        return Some(end);
    }
    loop {
        let start = expect(bytes, at, b'"')?;
        let end = plain_string(bytes, start)?;
        at = skip_space(bytes, expect(bytes, skip_space(bytes, end + 1), b':')?);
        at = skip_space(bytes, read(bytes.get(start..end)?, at)?);
        match bytes.get(at)? {
            b',' => at = skip_space(bytes, at + 1),
            b'}' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// Reads the array at `at`.
fn read_items(items: &mut Column, bytes: &[u8], at: At) -> Option<At> {
    let mut at = skip_space(bytes, expect(bytes, at, b'[')?);
    if let Some(end) = expect(bytes, at, b']') {
        return Some(end);
    }
    loop {
        items.open(items.rows());
        at = skip_space(bytes, read_again(items, bytes, at)?);
        match bytes.get(at)? {
            b',' => at = skip_space(bytes, at + 1),
            b']' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// Whether no key comes twice from the row `first` on.
fn are_distinct(keys: &Column, first: usize) -> bool {
    const FEW: usize = 12;
    let of = || (first..keys.rows()).filter_map(|row| keys.text(row));
    if keys.rows() - first > FEW {
        let mut seen = HashSet::new();
        return of().all(|key| seen.insert(key));
    }
    of().enumerate().all(|(index, key)| of().take(index).all(|other| other != key))
}
