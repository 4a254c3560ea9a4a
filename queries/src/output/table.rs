//! A result as aligned columns.

use std::io::Write;

use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::SendableRecordBatchStream;

use super::{WriteError, Written, encode_error, next_batch, values};

/// Collects up to `row_limit` rows, then writes them. The columns' widths need all rows first.
pub(super) async fn write<W: Write>(
    mut stream: SendableRecordBatchStream,
    row_limit: Option<usize>,
    out: &mut W,
) -> Result<Written, WriteError> {
    let schema = stream.schema();
    let mut cells: Vec<Vec<String>> = Vec::new();
    let mut cut = false;
    while let Some(mut batch) = next_batch(&mut stream).await? {
        if let Some(limit) = row_limit {
            let room = limit.saturating_sub(cells.len());
            if batch.num_rows() > room {
                batch = batch.slice(0, room);
                cut = true;
            }
        }
        format_rows(&batch, &mut cells).map_err(|error| encode_error("table", error))?;
        if cut {
            break;
        }
    }
    let columns: Vec<_> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(at, field)| {
            let name = clean(field.name());
            let widest = cells.iter().flat_map(|row| row[at].lines()).map(width).max().unwrap_or(0);
            Column { width: widest.max(width(&name)), name, right: is_number(field.data_type()) }
        })
        .collect();
    write_rows(&columns, &cells, out).map_err(|source| WriteError::Write { source })?;
    Ok(Written { rows: cells.len() as u64, cut })
}

struct Column {
    name: String,
    width: usize,
    right: bool,
}

fn format_rows(
    batch: &arrow::array::RecordBatch,
    cells: &mut Vec<Vec<String>>,
) -> Result<(), arrow::error::ArrowError> {
    let batch = values::in_utc(batch)?;
    let format = FormatOptions::default().with_null("NULL");
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &format))
        .collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        let values = columns.iter().map(|column| column.value(row).try_to_string().map(|text| clean(&text)));
        cells.push(values.collect::<Result<_, _>>()?);
    }
    Ok(())
}

fn write_rows<W: Write>(columns: &[Column], cells: &[Vec<String>], out: &mut W) -> std::io::Result<()> {
    let header: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
    write_line(columns, &header, out)?;
    let rule: Vec<_> = columns.iter().map(|column| "-".repeat(column.width + 2)).collect();
    writeln!(out, "{}", rule.join("+"))?;
    for row in cells {
        // A plan or a text with line breaks takes several lines.
        let height = row.iter().map(|cell| cell.lines().count()).max().unwrap_or(0).max(1);
        for line in 0..height {
            let parts: Vec<_> = row.iter().map(|cell| cell.lines().nth(line).unwrap_or_default()).collect();
            write_line(columns, &parts, out)?;
        }
    }
    Ok(())
}

fn write_line<W: Write>(columns: &[Column], cells: &[&str], out: &mut W) -> std::io::Result<()> {
    let mut line = String::new();
    for (at, (column, cell)) in columns.iter().zip(cells).enumerate() {
        line.push_str(if at == 0 { " " } else { " | " });
        let pad = " ".repeat(column.width.saturating_sub(width(cell)));
        if column.right {
            line.push_str(&pad);
            line.push_str(cell);
        } else {
            line.push_str(cell);
            line.push_str(&pad);
        }
    }
    writeln!(out, "{}", line.trim_end())
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// Control characters are shown escaped: data comes from browsers, and an escape sequence in it
/// must not reach the terminal.
fn clean(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = (c.is_control() && c != '\n').then(|| c.escape_default());
            escaped.into_iter().flatten().chain((!c.is_control() || c == '\n').then_some(c))
        })
        .collect()
}
