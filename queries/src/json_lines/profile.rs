//! What a file's lines hold: its columns, their types, and how far it can be read.

use std::collections::HashMap;

use arrow::datatypes::{DataType, TimeUnit};
use object_store::{DynObjectStore, ObjectMeta, ObjectStoreExt as _, Result};

use super::line::{Kind, Value, read_line};

/// Bytes read at a time.
const BLOCK_BYTES: u64 = 4 << 20;
/// Keys past this many get no column: data used as keys would make a table of any width.
const MAX_COLUMNS: usize = 1_000;

/// The columns of a file, learnt from all of its lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Profile {
    /// Names and counts, in order of first appearance.
    columns: Vec<(String, Counts)>,
    index: HashMap<String, usize>,
    /// Bytes up to the last line break.
    scanned: u64,
    /// Bytes that hold whole lines: `scanned`, or the file's size when its last line is complete
    /// without a line break.
    readable: u64,
}

/// How many values of each kind a column has; null is not counted.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    bool: u64,
    int: u64,
    float: u64,
    time: u64,
    other: u64,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnType {
    Bool,
    Int,
    Float,
    Time,
    /// Takes any value.
    Text,
}

impl ColumnType {
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Text => DataType::Utf8,
        }
    }

    pub(super) fn fits(self, value: Value<'_>) -> bool {
        match (self, value.kind()) {
            (Self::Text, _)
            | (_, Kind::Null)
            | (Self::Bool, Kind::Bool)
            | (Self::Int, Kind::Int)
            | (Self::Time, Kind::Time) => true,
            (Self::Float, Kind::Int | Kind::Float) => value.float().is_some(),
            _ => false,
        }
    }
}

impl Counts {
    fn add(&mut self, kind: Kind) {
        match kind {
            Kind::Null => {}
            Kind::Bool => self.bool += 1,
            Kind::Int => self.int += 1,
            Kind::Float => self.float += 1,
            Kind::Time => self.time += 1,
            Kind::Text | Kind::Nested => self.other += 1,
        }
    }

    /// Nine in ten decide: a few malformed records must not turn a number into text.
    fn column_type(&self) -> ColumnType {
        let total = self.bool + self.int + self.float + self.time + self.other;
        let rules = |count: u64| count > 0 && count.saturating_mul(10) >= total.saturating_mul(9);
        if rules(self.int) && self.float == 0 {
            ColumnType::Int
        } else if rules(self.int + self.float) {
            ColumnType::Float
        } else if rules(self.bool) {
            ColumnType::Bool
        } else if rules(self.time) {
            ColumnType::Time
        } else {
            ColumnType::Text
        }
    }
}

impl Profile {
    /// Names and types, in order of first appearance.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&str, ColumnType)> {
        self.columns.iter().map(|(name, counts)| (name.as_str(), counts.column_type()))
    }

    pub(super) fn readable(&self) -> u64 {
        self.readable
    }

    /// Reads what was added since the last look.
    pub(super) async fn extend(mut self, store: &DynObjectStore, meta: &ObjectMeta) -> Result<Self> {
        let mut fetched = self.scanned;
        let mut buffer = Vec::new();
        while fetched < meta.size {
            let end = meta.size.min(fetched + BLOCK_BYTES);
            buffer.extend_from_slice(&store.get_range(&meta.location, fetched..end).await?);
            fetched = end;
            let mut start = 0;
            while let Some(length) = memchr::memchr(b'\n', &buffer[start..]) {
                self.learn(&buffer[start..start + length]);
                start += length + 1;
            }
            buffer.drain(..start);
        }
        self.scanned = fetched - buffer.len() as u64;
        // An object cut short is never valid JSON, so a last line that parses is complete.
        let complete = self.learn(&buffer);
        self.readable = if complete { fetched } else { self.scanned };
        Ok(self)
    }

    /// Counts the values of a line; a line that is no object counts for nothing.
    fn learn(&mut self, line: &[u8]) -> bool {
        if !read_line(line, |_, _| {}) {
            return false;
        }
        read_line(line, |key, value| {
            let column = match self.index.get(key) {
                Some(column) => *column,
                None if self.columns.len() < MAX_COLUMNS => {
                    self.columns.push((key.to_owned(), Counts::default()));
                    self.index.insert(key.to_owned(), self.columns.len() - 1);
                    self.columns.len() - 1
                }
                None => return,
            };
            self.columns[column].1.add(value.kind());
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(lines: &[&str]) -> Vec<(String, ColumnType)> {
        let mut profile = Profile::default();
        for line in lines {
            profile.learn(line.as_bytes());
        }
        profile.columns().map(|(name, column)| (name.to_owned(), column)).collect()
    }

    #[test]
    fn a_few_malformed_values_do_not_change_a_type() {
        let mut lines = vec![r#"{"time":"2026-01-05T00:00:00Z","quantity":1}"#; 30];
        lines.push(r#"{"time":12345,"quantity":"many"}"#);
        lines.push(r#"{"late":"column"}"#);
        let expected =
            [("time", ColumnType::Time), ("quantity", ColumnType::Int), ("late", ColumnType::Text)];
        assert_eq!(learnt(&lines), expected.map(|(name, column)| (name.to_owned(), column)));
    }

    #[test]
    fn numbers_widen_and_mixtures_become_text() {
        let lines = [r#"{"a":1,"b":1,"c":null}"#, r#"{"a":1.5,"b":"x"}"#];
        let expected = [("a", ColumnType::Float), ("b", ColumnType::Text), ("c", ColumnType::Text)];
        assert_eq!(learnt(&lines), expected.map(|(name, column)| (name.to_owned(), column)));
    }
}
