//! Tables, rows and servers for tests.

pub(crate) mod redis_server;

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray},
    datatypes::DataType,
    record_batch::RecordBatch,
};
use plamatio_sinks::{Extras, registry};
use stream::{
    error::StreamError,
    options::Options,
    sink::{Sink, SinkRows},
    table::{ColumnDef, ColumnKind, TableDef, timestamp_type},
    time::{Epoch, EventTime, Watermark},
};

/// A table with these columns and options.
pub(crate) fn table(name: &str, columns: &[(&str, DataType)], options: &[(&str, &str)]) -> TableDef {
    let column = |(name, data_type): &(&str, DataType)| ColumnDef {
        name: (*name).to_owned(),
        data_type: data_type.clone(),
        is_json: false,
        kind: ColumnKind::Physical,
    };
    TableDef {
        name: name.to_owned(),
        columns: columns.iter().map(column).collect(),
        watermark: None,
        primary_key: Vec::new(),
        options: Options::new(
            name,
            options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ),
    }
}

/// Columns `window_start`, `window_end`, `name`, `n`, and these options.
pub(crate) fn window_table(name: &str, options: &[(&str, &str)]) -> TableDef {
    let columns = [
        ("window_start", timestamp_type()),
        ("window_end", timestamp_type()),
        ("name", DataType::Utf8),
        ("n", DataType::Int64),
    ];
    table(name, &columns, options)
}

/// Rows of [`window_table`]: (window end in ms, name, n). Windows are a minute long.
pub(crate) fn window_rows(rows: &[(i64, &str, i64)]) -> RecordBatch {
    let times = |shift: i64| -> ArrayRef {
        let micros = rows.iter().map(|(end, ..)| (end + shift) * 1_000);
        Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
    };
    RecordBatch::try_from_iter_with_nullable([
        ("window_start", times(-60_000), true),
        ("window_end", times(0), true),
        ("name", Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, name, _)| *name))) as _, true),
        ("n", Arc::new(Int64Array::from_iter_values(rows.iter().map(|(.., n)| *n))) as _, true),
    ])
    .unwrap()
}

/// Rows as the engine hands them over, with the watermark before the first row.
pub(crate) fn rows(batch: RecordBatch, epoch: u64, revision: u64, is_final: bool) -> SinkRows {
    SinkRows { batch, is_final, gone: None, epoch: Epoch::new(epoch), revision, watermark: Watermark::START }
}

/// What a writer has shown: rows are handed over as the engine does, which says what they take the place of.
#[derive(Clone, Default)]
pub(crate) struct Picture(BTreeMap<i64, Vec<(i64, &'static str, i64)>>);

impl Picture {
    /// Rows of windows, each whole.
    pub(crate) fn rows(
        &mut self,
        new: &[(i64, &'static str, i64)],
        epoch: u64,
        revision: u64,
        is_final: bool,
    ) -> SinkRows {
        let ends: BTreeSet<i64> = new.iter().map(|(end, ..)| *end).collect();
        let gone = self.gone(&ends);
        if !is_final {
            for row in new {
                self.0.entry(row.0).or_default().push(*row);
            }
        }
        SinkRows { gone, ..rows(window_rows(new), epoch, revision, is_final) }
    }

    /// Windows that have no rows any more.
    pub(crate) fn taken_back(&mut self, ends: &[i64], epoch: u64, revision: u64) -> SinkRows {
        let gone = self.gone(&ends.iter().copied().collect());
        SinkRows { gone, ..rows(window_rows(&[]), epoch, revision, false) }
    }

    /// Whether rows of a window are provisional.
    pub(crate) fn has(&self, end: i64) -> bool {
        self.0.contains_key(&end)
    }

    fn gone(&mut self, ends: &BTreeSet<i64>) -> Option<RecordBatch> {
        let gone: Vec<_> = ends.iter().filter_map(|end| self.0.remove(end)).flatten().collect();
        (!gone.is_empty()).then(|| window_rows(&gone))
    }
}

/// The watermark at `ms`.
pub(crate) fn watermark(ms: i64) -> Watermark {
    Watermark::at(EventTime::from_micros(ms * 1_000))
}

/// Checks and opens the sink of `table`.
pub(crate) async fn open(table: &TableDef) -> Result<Box<dyn Sink>, StreamError> {
    open_with(table, Extras::default()).await
}

/// Checks and opens the sink of `table` beside `extras`.
pub(crate) async fn open_with(table: &TableDef, extras: Extras) -> Result<Box<dyn Sink>, StreamError> {
    let registry = registry(extras);
    let factory = registry.get(&table.connector()).expect("a known connector");
    factory.validate(table)?;
    factory.open(table).await
}

/// Opening fails; answers the message with its causes.
pub(crate) async fn refusal(table: &TableDef) -> String {
    match open(table).await {
        Ok(_) => panic!("opening {} should have failed", table.name),
        Err(error) => message(&error),
    }
}

/// The message with its causes.
pub(crate) fn message(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

/// Writes final rows as one epoch and commits it.
pub(crate) async fn commit(sink: &mut dyn Sink, epoch: u64, batch: RecordBatch) {
    sink.write(rows(batch, epoch, epoch, true)).await.unwrap();
    let token = sink.pre_commit(Epoch::new(epoch)).await.unwrap();
    sink.commit(Epoch::new(epoch), token).await.unwrap();
}
