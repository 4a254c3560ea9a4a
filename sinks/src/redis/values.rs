//! From rows to live values: one per window, or one per primary key.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use arrow::{
    array::{Array, AsArray, TimestampMicrosecondArray},
    compute::cast,
    datatypes::{DataType, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use chrono::{DateTime, Utc};
use stream::{
    error::StreamError,
    sink::SinkRows,
    table::{TableDef, timestamp_type},
};

use super::open::{OpenRow, OpenValues};
use crate::{
    content::{Content, objects},
    json,
    keys::KeyText,
    live::{LiveSpan, LiveValue, Version},
};

const WINDOW_START: &str = "window_start";
const WINDOW_END: &str = "window_end";

/// What makes rows belong to one value.
#[derive(Clone, Debug)]
enum Grouping {
    /// Columns of the window; without a start it is the end.
    Window { start: Option<usize>, end: usize },
    /// Columns of the primary key.
    Key(Vec<usize>),
}

/// Turns rows of one table into live values.
#[derive(Debug)]
pub(super) struct Values {
    table: String,
    grouping: Grouping,
    content: Content,
    /// What is provisional.
    open: OpenValues,
    /// At least this long; see [`LiveValue::ttl`].
    ttl: Duration,
}

impl Values {
    /// Finds the columns; fails when the table has neither windows nor a key.
    pub(super) fn new(table: &TableDef, ttl: Duration) -> Result<Self, StreamError> {
        let index = |name: &str| table.columns.iter().position(|column| column.name == name);
        let grouping = match index(WINDOW_END) {
            Some(end) => Grouping::Window { start: index(WINDOW_START), end },
            None => Grouping::Key(table.primary_key.iter().filter_map(|name| index(name)).collect()),
        };
        match &grouping {
            Grouping::Window { start, end } => {
                for column in start.iter().chain([end]).map(|index| &table.columns[*index]) {
                    if !matches!(column.data_type, DataType::Timestamp(..)) {
                        let problem = format!("column {} must be TIMESTAMP(3)", column.name);
                        return Err(StreamError::connector(&table.name, problem));
                    }
                }
            }
            Grouping::Key(columns) => {
                let of_several = columns.iter().map(|index| &table.columns[*index]);
                if let Some(column) = of_several.into_iter().find(|column| column.data_type.is_nested()) {
                    let problem =
                        format!("PRIMARY KEY column {} is no plain value, but of several", column.name);
                    return Err(StreamError::connector(&table.name, problem));
                }
                if columns.is_empty() || columns.len() != table.primary_key.len() {
                    return Err(StreamError::connector(
                        &table.name,
                        "redis needs to know which rows make one value: declare a column window_end, or \
                         PRIMARY KEY (…) NOT ENFORCED over declared columns",
                    ));
                }
            }
        }
        let (content, open) = (Content::new(table), OpenValues::default());
        Ok(Values { table: table.name.clone(), grouping, content, open, ttl })
    }

    /// The values that `rows` change, written at `now`: final ones in order of their first row, then provisional ones
    /// and such as are taken back.
    pub(super) fn of(&mut self, rows: &SinkRows, now: DateTime<Utc>) -> Result<Vec<LiveValue>, StreamError> {
        let mut values = if rows.is_final { self.finals(rows, now)? } else { Vec::new() };
        for value in &values {
            self.open.settle(&value.id);
        }
        let mut touched = BTreeSet::new();
        if let Some(gone) = &rows.gone {
            let keys = RowKeys::new(&self.grouping, gone)?;
            for (row, content) in self.content.of(gone)?.into_iter().enumerate() {
                let (id, _) = keys.row(row).ok_or_else(|| self.no_key())?;
                if self.open.go(&id, &content) {
                    touched.insert(id);
                }
            }
        }
        if !rows.is_final {
            touched.extend(self.come(&rows.batch)?);
        }
        let version = Version { epoch: rows.epoch.number(), revision: rows.revision, is_final: false };
        for id in touched {
            let (rows, window) = self.open.show(&id);
            let rows = rows.map(text).transpose()?;
            values.push(LiveValue { id, window, version, updated_at: now, rows, ttl: self.ttl_of(window) });
        }
        Ok(values)
    }

    /// Takes provisional rows; answers the values that they are of.
    fn come(&mut self, batch: &RecordBatch) -> Result<BTreeSet<String>, StreamError> {
        let keys = RowKeys::new(&self.grouping, batch)?;
        let shown = if self.content.is_all() { Vec::new() } else { objects(batch)? };
        let mut shown = shown.into_iter();
        let mut touched = BTreeSet::new();
        for (row, content) in self.content.of(batch)?.into_iter().enumerate() {
            let (id, window) = keys.row(row).ok_or_else(|| self.no_key())?;
            self.open.come(&id, window, OpenRow { content, shown: shown.next() });
            touched.insert(id);
        }
        Ok(touched)
    }

    fn ttl_of(&self, window: Option<LiveSpan>) -> Duration {
        window.map_or(self.ttl, |window| self.ttl.max(twice(window)))
    }

    fn finals(&self, rows: &SinkRows, now: DateTime<Utc>) -> Result<Vec<LiveValue>, StreamError> {
        let version = Version { epoch: rows.epoch.number(), revision: rows.revision, is_final: true };
        let mut places = HashMap::new();
        let mut values: Vec<(LiveValue, Vec<u8>)> = Vec::new();
        let keys = RowKeys::new(&self.grouping, &rows.batch)?;
        json::for_each_row(&rows.batch, |row, object| {
            let (id, window) = keys.row(row).ok_or_else(|| self.no_key())?;
            let place = *places.entry(id).or_insert_with_key(|id| {
                let ttl = self.ttl_of(window);
                let value = LiveValue { id: id.clone(), window, version, updated_at: now, rows: None, ttl };
                values.push((value, Vec::new()));
                values.len() - 1
            });
            let (_, rows) = &mut values[place];
            // Of several rows with one primary key the last one counts.
            match window {
                Some(_) => rows.push(if rows.is_empty() { b'[' } else { b',' }),
                None => {
                    rows.clear();
                    rows.push(b'[');
                }
            }
            rows.extend_from_slice(object);
            Ok(())
        })?;
        values
            .into_iter()
            .map(|(mut value, mut rows)| {
                rows.push(b']');
                value.rows = Some(text(rows)?);
                Ok(value)
            })
            .collect()
    }

    fn no_key(&self) -> StreamError {
        let problem = match &self.grouping {
            Grouping::Window { .. } => "a row has no usable window_end; leave such rows out with WHERE",
            Grouping::Key(_) => "a row's primary key is NULL; leave such rows out with WHERE",
        };
        StreamError::connector(&self.table, problem)
    }
}

fn text(json: Vec<u8>) -> Result<String, StreamError> {
    String::from_utf8(json).map_err(|e| StreamError::internal(format!("rows as JSON are not UTF-8: {e}")))
}

fn twice(window: LiveSpan) -> Duration {
    (window.end - window.start).to_std().unwrap_or_default().saturating_mul(2)
}

/// The grouping columns of one batch.
enum RowKeys {
    Window { start: Option<TimestampMicrosecondArray>, end: TimestampMicrosecondArray },
    Key(KeyText),
}

impl RowKeys {
    fn new(grouping: &Grouping, batch: &RecordBatch) -> Result<Self, StreamError> {
        let times = |index: &usize| -> Result<_, StreamError> {
            let times = cast(batch.column(*index), &timestamp_type())?;
            Ok(times.as_primitive::<TimestampMicrosecondType>().clone())
        };
        Ok(match grouping {
            Grouping::Window { start, end } => {
                RowKeys::Window { start: start.as_ref().map(times).transpose()?, end: times(end)? }
            }
            Grouping::Key(columns) => RowKeys::Key(KeyText::new(batch, columns)?),
        })
    }

    /// The value that a row belongs to; `None` where that is NULL.
    fn row(&self, row: usize) -> Option<(String, Option<LiveSpan>)> {
        match self {
            RowKeys::Window { start, end } => {
                let time = |times: &TimestampMicrosecondArray| {
                    let micros = times.is_valid(row).then(|| times.value(row))?;
                    DateTime::from_timestamp_millis(micros.div_euclid(1_000))
                };
                let end = time(end)?;
                let start = start.as_ref().and_then(time).unwrap_or(end);
                Some((end.timestamp_millis().to_string(), Some(LiveSpan { start, end })))
            }
            RowKeys::Key(keys) => Some((keys.row(row)?, None)),
        }
    }
}
