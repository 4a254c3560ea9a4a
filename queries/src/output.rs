//! Writes a result to any [`std::io::Write`].
//!
//! | format | shape | memory |
//! |---|---|---|
//! | [`Format::Table`] | aligned columns for people, numbers to the right, `NULL` written out | all rows up to the row limit |
//! | [`Format::Json`] | one array of objects per statement, one line each; absent values are `null` | one batch |
//! | [`Format::Csv`] | header and rows, RFC 4180; absent values are empty | one batch |
//!
//! Times are RFC 3339 in all of them; a timestamp without a zone is UTC, as everywhere in the lake.
//! Binary is hexadecimal.

mod table;
mod values;

use std::io::{self, Write};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder as CsvBuilder;
use arrow::error::ArrowError;
use arrow::json::writer::{JsonArray, WriterBuilder as JsonBuilder};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt as _;

/// The form of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Table,
    Json,
    Csv,
}

impl Format {
    pub const NAMES: [&str; 3] = ["table", "json", "csv"];
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            other => Err(format!("unknown format {other:?}; formats: {}", Self::NAMES.join(", "))),
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Csv => "csv",
        })
    }
}

/// What was written of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    /// The result has more rows than the row limit let through.
    pub(crate) cut: bool,
}

/// Whose failure it was, since each is reported in another way.
#[derive(Debug)]
pub(crate) enum WriteError {
    Query { source: DataFusionError },
    Encode { format: &'static str, source: ArrowError },
    Write { source: io::Error },
}

/// Writes all rows of `stream`; `row_limit` holds for tables only.
pub(crate) async fn write<W: Write>(
    stream: SendableRecordBatchStream,
    format: Format,
    row_limit: Option<usize>,
    out: &mut W,
) -> Result<Written, WriteError> {
    match format {
        Format::Table => table::write(stream, row_limit, out).await,
        Format::Json => write_json(stream, out).await,
        Format::Csv => write_csv(stream, out).await,
    }
}

/// The line below a table: `(12 rows)`, and the time if asked for.
pub(crate) fn write_footer<W: Write>(
    written: Written,
    elapsed: Option<Duration>,
    out: &mut W,
) -> io::Result<()> {
    let rows = written.rows;
    let noun = if rows == 1 { "row" } else { "rows" };
    if written.cut {
        write!(
            out,
            "(first {rows} {noun}; the result has more: add LIMIT or aggregate, or write CSV or JSON)"
        )?;
    } else {
        write!(out, "({rows} {noun})")?;
    }
    match elapsed {
        Some(elapsed) => writeln!(out, " {:.3} s\n", elapsed.as_secs_f64()),
        None => writeln!(out, "\n"),
    }
}

async fn write_json<W: Write>(
    mut stream: SendableRecordBatchStream,
    out: &mut W,
) -> Result<Written, WriteError> {
    let encode = |error| encode_error("json", error);
    let mut rows = 0;
    {
        let mut writer = JsonBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(&mut *out);
        while let Some(batch) = next_batch(&mut stream).await? {
            rows += batch.num_rows() as u64;
            writer.write(&values::in_utc(&batch).map_err(encode)?).map_err(encode)?;
        }
        writer.finish().map_err(encode)?;
    }
    writeln!(out).map_err(|source| WriteError::Write { source })?;
    Ok(Written { rows, cut: false })
}

async fn write_csv<W: Write>(
    mut stream: SendableRecordBatchStream,
    out: &mut W,
) -> Result<Written, WriteError> {
    // An empty result still has a header, so an empty batch goes first.
    let mut text = csv_text(&RecordBatch::new_empty(stream.schema()), true)?;
    let mut rows = 0;
    loop {
        out.write_all(&text).map_err(|source| WriteError::Write { source })?;
        let Some(batch) = next_batch(&mut stream).await? else { return Ok(Written { rows, cut: false }) };
        rows += batch.num_rows() as u64;
        text = csv_text(&batch, false)?;
    }
}

/// Arrow's CSV writer turns a failing `io::Write` into text, so it gets memory to write to.
fn csv_text(batch: &RecordBatch, header: bool) -> Result<Vec<u8>, WriteError> {
    let mut text = Vec::new();
    let batch = values::flat(batch).map_err(|error| encode_error("csv", error))?;
    CsvBuilder::new()
        .with_header(header)
        .build(&mut text)
        .write(&batch)
        .map_err(|error| encode_error("csv", error))?;
    Ok(text)
}

async fn next_batch(stream: &mut SendableRecordBatchStream) -> Result<Option<RecordBatch>, WriteError> {
    stream.next().await.transpose().map_err(|source| WriteError::Query { source })
}

/// Arrow's JSON writer reports a failing `io::Write` as an Arrow error.
fn encode_error(format: &'static str, error: ArrowError) -> WriteError {
    match error {
        ArrowError::IoError(_, source) => WriteError::Write { source },
        source => WriteError::Encode { format, source },
    }
}
