//! Rows that can be compared: sorted, in the sink's types, with a tolerance for the last digits of doubles.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Float64Type, SchemaRef},
    util::display::{ArrayFormatter, FormatOptions},
};

#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Text(String),
    Double(f64),
}

/// The rows of a sink.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows(Vec<Vec<Cell>>);

impl Rows {
    /// The rows, cast as an `INSERT` does; an error where a value does not go into its column.
    pub(crate) fn new(batches: &[RecordBatch], schema: &SchemaRef) -> Result<Self, String> {
        let format = FormatOptions::new().with_null("NULL").with_timestamp_tz_format(Some("%H:%M:%S%.f"));
        let mut rows = Vec::new();
        for batch in batches {
            let options = CastOptions { safe: false, ..CastOptions::default() };
            let columns = batch
                .columns()
                .iter()
                .zip(schema.fields())
                .map(|(column, field)| cast_with_options(column, field.data_type(), &options))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| error.to_string())?;
            let formats: Vec<ArrayFormatter<'_>> =
                columns.iter().map(|column| ArrayFormatter::try_new(column, &format).unwrap()).collect();
            for row in 0..batch.num_rows() {
                let cell = |(column, format): (&arrow::array::ArrayRef, &ArrayFormatter<'_>)| {
                    if column.data_type() == &DataType::Float64 && column.is_valid(row) {
                        // Zero's sign is that of whichever zero came first.
                        return Cell::Double(column.as_primitive::<Float64Type>().value(row) + 0.0);
                    }
                    Cell::Text(format.value(row).to_string())
                };
                rows.push(columns.iter().zip(&formats).map(cell).collect());
            }
        }
        let mut rows = Rows(rows);
        rows.sort();
        Ok(rows)
    }

    /// By all that is exact first, so that rows whose doubles differ in the last digits meet.
    fn sort(&mut self) {
        let key = |row: &[Cell]| -> Vec<String> {
            row.iter()
                .map(|cell| if let Cell::Text(text) = cell { text.clone() } else { String::new() })
                .collect()
        };
        let doubles = |row: &[Cell]| -> Vec<f64> {
            row.iter().map(|cell| if let Cell::Double(value) = cell { *value } else { 0.0 }).collect()
        };
        self.0.sort_by(|a, b| {
            let doubles = || {
                let (a, b) = (doubles(a), doubles(b));
                let orders = a.iter().zip(&b).map(|(a, b)| a.total_cmp(b));
                orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            };
            key(a).cmp(&key(b)).then_with(doubles)
        });
    }

    pub(crate) fn equals(&self, other: &Rows) -> bool {
        let near = |a: f64, b: f64| {
            (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) + 1e-7 || a.to_bits() == b.to_bits()
        };
        let same = |(a, b): (&Cell, &Cell)| match (a, b) {
            (Cell::Double(a), Cell::Double(b)) => near(*a, *b),
            _ => a == b,
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| a.iter().zip(b).all(same))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The rows as text, at most so many.
    pub(crate) fn text(&self, most: usize) -> String {
        let cell = |cell: &Cell| match cell {
            Cell::Text(text) => text.clone(),
            Cell::Double(value) => format!("{value:?}"),
        };
        let mut lines: Vec<String> = self
            .0
            .iter()
            .take(most)
            .map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" | "))
            .collect();
        if self.0.len() > most {
            lines.push(format!("… {} rows in all", self.0.len()));
        }
        if lines.is_empty() { "(no rows)".to_owned() } else { lines.join("\n") }
    }
}
