//! What a row is in a file or a record: `'format' = '…'`.

mod csv;

use arrow::record_batch::RecordBatch;
use stream::{error::StreamError, table::TableDef};

use self::csv::Csv;
use crate::json;

/// Writes rows in one format.
pub(crate) trait RowFormat: Send + Sync {
    /// How names of files of such lines end, the usual way first.
    fn extensions(&self) -> &'static [&'static str];

    /// Calls `each` with the bytes of every row, in order.
    fn for_each_row(
        &self,
        batch: &RecordBatch,
        each: &mut dyn FnMut(&[u8]) -> Result<(), StreamError>,
    ) -> Result<(), StreamError>;
}

/// Reads the options of a format.
type Factory = fn(&TableDef) -> Result<Box<dyn RowFormat>, StreamError>;

/// The formats that a sink may name.
const FORMATS: [(&str, Factory); 2] =
    [("csv", |table| Ok(Box::new(Csv::read(table)?))), ("json", |_| Ok(Box::new(Json)))];

/// The format of a table; JSON where it names none.
pub(crate) fn of(table: &TableDef) -> Result<Box<dyn RowFormat>, StreamError> {
    let name = table.options.get("format").unwrap_or("json");
    match FORMATS.iter().find(|(known, _)| *known == name) {
        Some((_, factory)) => factory(table),
        None => {
            let known = FORMATS.map(|(name, _)| name).join("', '");
            Err(table.options.bad("format", &format!("a format of sinks; these are: '{known}'")))
        }
    }
}

/// An object a row: see [`json`].
struct Json;

impl RowFormat for Json {
    fn extensions(&self) -> &'static [&'static str] {
        &["jsonl", "json", "ndjson"]
    }

    fn for_each_row(
        &self,
        batch: &RecordBatch,
        each: &mut dyn FnMut(&[u8]) -> Result<(), StreamError>,
    ) -> Result<(), StreamError> {
        json::for_each_row(batch, |_, object| each(object))
    }
}
