//! Columns of arrays, objects and maps while they are filled, and how the scanner reads them.
//!
//! What is inside of a value goes straight into columns of its own: the members of objects into one each, the
//! elements of all arrays into one, with a list of where each array ends. They are taken back with the row.
//! Like the [scanner](super::scan), reading answers `None` where the [fallback](super::fallback) must decide.

use std::{collections::HashSet, sync::Arc};

use arrow::{
    array::{ArrayRef, ListArray, MapArray, StructArray},
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Field},
};

use super::{
    bytes::{At, expect, plain_string, skip_space, skip_value},
    column::Column,
    fallback::Parsed,
    scan,
    shape::Shape,
    value::Kind,
};
use crate::error::StreamError;

/// The values inside of a column's.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each nested column, and it is boxed there")]
pub enum Nested {
    /// Objects of known members: a column each.
    Row(Vec<(Box<[u8]>, Column)>),
    /// Arrays.
    List(Ends, Column),
    /// Objects of any members: keys and values.
    Map(Ends, Column, Column),
}

/// A zero, then where the elements of each row end.
#[derive(Debug)]
pub struct Ends(Vec<i32>);

impl Ends {
    fn start(&mut self, rows: usize) {
        self.0 = Vec::with_capacity(rows + 1);
        self.0.push(0);
    }

    fn push(&mut self, elements: usize) {
        // A batch has fewer bytes than 31 bits count, and an element has at least one.
        self.0.push(i32::try_from(elements).unwrap_or(i32::MAX));
    }

    /// Where the last row ends.
    fn last(&self) -> usize {
        self.0.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0)
    }

    fn finish(&mut self) -> OffsetBuffer<i32> {
        OffsetBuffer::new(std::mem::take(&mut self.0).into())
    }
}

impl Nested {
    /// Empty columns for what is inside of `data_type`, whose shape is `shape`; `None` for a plain one.
    pub fn new(data_type: &DataType, shape: &Shape, is_wanted: bool) -> Option<Self> {
        let column = |field: &Field, shape: &Shape| Column::new(field, shape, is_wanted, Vec::new());
        let ends = || Ends(vec![0]);
        Some(match (data_type, shape) {
            (DataType::Struct(fields), Shape::Row(members)) => Nested::Row(
                fields
                    .iter()
                    .zip(members.iter())
                    .map(|(field, (name, shape))| (name.as_bytes().into(), column(field, shape)))
                    .collect(),
            ),
            (DataType::List(item), Shape::List(shape)) => Nested::List(ends(), column(item, shape)),
            (DataType::Map(entries, _), Shape::Map(shape)) => {
                let DataType::Struct(fields) = entries.data_type() else { return None };
                let [key, value] = fields.as_ref() else { return None };
                Nested::Map(ends(), column(key, &Shape::Plain(Kind::Text)), column(value, shape))
            }
            _ => return None,
        })
    }

    /// Starts a batch of at most so many rows.
    pub fn start(&mut self, rows: usize) {
        match self {
            Nested::Row(members) => members.iter_mut().for_each(|(_, member)| member.start(rows)),
            Nested::List(ends, items) => {
                ends.start(rows);
                items.start(rows);
            }
            Nested::Map(ends, keys, values) => {
                ends.start(rows);
                keys.start(rows);
                values.start(rows);
            }
        }
    }

    /// Forgets all but the first `rows` rows, and what a row had that never came to its end.
    pub fn truncate(&mut self, rows: usize) {
        match self {
            Nested::Row(members) => members.iter_mut().for_each(|(_, member)| member.truncate(rows)),
            Nested::List(ends, items) => {
                ends.0.truncate(rows + 1);
                items.truncate(ends.last());
            }
            Nested::Map(ends, keys, values) => {
                ends.0.truncate(rows + 1);
                keys.truncate(ends.last());
                values.truncate(ends.last());
            }
        }
    }

    /// NULL for row `row`.
    pub fn push_null(&mut self, row: usize) {
        match self {
            Nested::Row(members) => fill_up(members, row),
            Nested::List(ends, _) | Nested::Map(ends, ..) => ends.push(ends.last()),
        }
    }

    /// A parsed value for row `row`, text as ranges of `text`.
    pub fn push(&mut self, row: usize, parsed: &Parsed, text: &str) {
        match (&mut *self, parsed) {
            (Nested::Row(members), Parsed::Row(values)) => {
                for ((_, member), value) in members.iter_mut().zip(values) {
                    member.open(row);
                    member.push_parsed(value, text);
                }
            }
            (Nested::List(ends, items), Parsed::List(values)) => {
                for value in values {
                    items.open(items.rows());
                    items.push_parsed(value, text);
                }
                ends.push(items.rows());
            }
            (Nested::Map(ends, keys, values), Parsed::Map(entries)) => {
                for (key, value) in entries {
                    keys.open(keys.rows());
                    keys.push(*key, text);
                    values.open(values.rows());
                    values.push_parsed(value, text);
                }
                ends.push(values.rows());
            }
            // The parser makes no other.
            _ => self.push_null(row),
        }
    }

    /// Reads the value at `at` as row `row`; answers the place behind it.
    pub fn read(&mut self, row: usize, bytes: &[u8], at: At) -> Option<At> {
        match self {
            Nested::Row(members) => {
                let mut usual = 0;
                let end = read_members(bytes, at, |key, at| {
                    // Members come in the declared order more often than not.
                    let is_next = members.get(usual).is_some_and(|(name, _)| **name == *key);
                    let known = if is_next {
                        Some(usual)
                    } else {
                        members.iter().position(|(name, _)| **name == *key)
                    };
                    match known.and_then(|known| Some((known, members.get_mut(known)?))) {
                        None => skip_value(bytes, at),
                        Some((known, (_, member))) => {
                            usual = known + 1;
                            member.open(row);
                            scan::read_again(member, bytes, at)
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
                    scan::read_again(values, bytes, at)
                })?;
                // Of a key that comes twice the last value counts, which is not the last row here.
                are_distinct(keys, first).then(|| ends.push(values.rows()))?;
                Some(end)
            }
        }
    }

    /// The column so far.
    pub fn finish(
        &mut self,
        data_type: &DataType,
        nulls: Option<NullBuffer>,
        rows: usize,
    ) -> Result<ArrayRef, StreamError> {
        let array: ArrayRef = match (self, data_type) {
            (Nested::Row(members), DataType::Struct(fields)) => {
                let arrays =
                    members.iter_mut().map(|(_, member)| finished(member)).collect::<Result<_, _>>()?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, nulls, rows)?)
            }
            (Nested::List(ends, items), DataType::List(item)) => {
                Arc::new(ListArray::try_new(Arc::clone(item), ends.finish(), finished(items)?, nulls)?)
            }
            (Nested::Map(ends, keys, values), DataType::Map(field, is_sorted)) => {
                let DataType::Struct(fields) = field.data_type() else { return Err(mismatch()) };
                let entries =
                    StructArray::try_new(fields.clone(), vec![finished(keys)?, finished(values)?], None)?;
                Arc::new(MapArray::try_new(Arc::clone(field), ends.finish(), entries, nulls, *is_sorted)?)
            }
            _ => return Err(mismatch()),
        };
        Ok(array)
    }
}

fn mismatch() -> StreamError {
    StreamError::internal("a nested column is of another type than its values")
}

fn finished(column: &mut Column) -> Result<ArrayRef, StreamError> {
    column.finish()?.array.ok_or_else(|| StreamError::internal("a nested column was not filled"))
}

/// Members that row `row` lacks are NULL.
fn fill_up(members: &mut [(Box<[u8]>, Column)], row: usize) {
    for (_, member) in members.iter_mut().filter(|(_, member)| member.lacks(row)) {
        member.open(row);
        member.push_null();
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
        at = skip_space(bytes, scan::read_again(items, bytes, at)?);
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
