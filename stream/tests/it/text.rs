//! Tables as text: what goes in and what comes out.
//!
//! Times are written `12:00:05` or `12:00:05.250`, all on 5 January 2026, UTC.

use arrow::{
    array::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};

/// The day of all times in text tables.
pub(crate) const DAY: &str = "2026-01-05";
/// Its start, in microseconds since the Unix epoch.
pub(crate) const DAY_US: i64 = 1_767_571_200_000_000;

/// A text table as JSON lines: the first line names the columns, `-` is an absent field, the column `time` is
/// a time of the day, numbers are numbers and everything else is text.
pub(crate) fn json_lines(table: &str) -> Vec<String> {
    let mut lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    let names: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    lines
        .map(|line| {
            let cells = names.iter().zip(line.split_whitespace()).filter(|(_, cell)| *cell != "-");
            let fields = cells.map(|(name, cell)| match (*name, cell.parse::<i64>()) {
                ("time", _) => format!("\"time\":\"{DAY}T{cell}Z\""),
                (_, Ok(number)) => format!("\"{name}\":{number}"),
                _ => format!("\"{name}\":\"{cell}\""),
            });
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        })
        .collect()
}

/// Rows as an aligned table; each row is `[batch, batch, …]` in order, sorted unless `as_they_came`.
pub(crate) fn table(batches: &[RecordBatch], as_they_came: bool) -> String {
    let Some(first) = batches.first() else { return "(no rows)".to_owned() };
    let header: Vec<String> = first.schema().fields().iter().map(|field| field.name().clone()).collect();
    let format = FormatOptions::new().with_null("NULL").with_timestamp_tz_format(Some("%H:%M:%S%.f"));
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &format).unwrap()).collect();
        rows.extend(
            (0..batch.num_rows()).map(|row| columns.iter().map(|c| c.value(row).to_string()).collect()),
        );
    }
    if !as_they_came {
        rows.sort();
    }
    aligned(header, rows)
}

fn aligned(header: Vec<String>, rows: Vec<Vec<String>>) -> String {
    let all: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..all[0].len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}
