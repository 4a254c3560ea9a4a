//! The text of a row's key columns: Kafka record keys, and Redis keys of tables without windows.

use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::{DataType, TimestampMicrosecondType},
    record_batch::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use stream::{error::StreamError, table::timestamp_type};

use crate::json;

/// The key columns of one batch, as text.
pub(crate) struct KeyText {
    /// Column by column; `None` for NULL.
    columns: Vec<Vec<Option<String>>>,
}

impl KeyText {
    /// Reads the columns with these indices.
    pub(crate) fn new(batch: &RecordBatch, columns: &[usize]) -> Result<Self, StreamError> {
        let columns = columns.iter().map(|index| column_text(batch.column(*index).as_ref()));
        Ok(KeyText { columns: columns.collect::<Result<_, _>>()? })
    }

    /// The key of a row: a single column's text, several joined by `:`; `None` when all are NULL. Of several,
    /// `%` and `:` within a value are written `%25` and `%3A` and NULL is `%null`, so that different keys
    /// have different texts.
    pub(crate) fn row(&self, row: usize) -> Option<String> {
        let mut values = self.columns.iter().map(|column| column[row].as_deref());
        if let [column] = self.columns.as_slice() {
            return column[row].clone();
        }
        if values.clone().all(|value| value.is_none()) {
            return None;
        }
        let mut key = String::new();
        if let Some(first) = values.next() {
            push_escaped(&mut key, first);
        }
        for value in values {
            key.push(':');
            push_escaped(&mut key, value);
        }
        Some(key)
    }
}

fn push_escaped(key: &mut String, value: Option<&str>) {
    let Some(value) = value else { return key.push_str("%null") };
    for character in value.chars() {
        match character {
            '%' => key.push_str("%25"),
            ':' => key.push_str("%3A"),
            other => key.push(other),
        }
    }
}

fn column_text(column: &dyn Array) -> Result<Vec<Option<String>>, StreamError> {
    if let DataType::Timestamp(..) = column.data_type() {
        let times = cast(column, &timestamp_type())?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let text = |micros: i64| {
            let time = chrono::DateTime::from_timestamp_micros(micros).and_then(json::rfc3339);
            time.unwrap_or_else(|| micros.to_string())
        };
        return Ok(times.iter().map(|micros| micros.map(text)).collect());
    }
    let options = FormatOptions::new();
    let formatter = ArrayFormatter::try_new(column, &options)?;
    let text = |row| (!column.is_null(row)).then(|| formatter.value(row).try_to_string()).transpose();
    Ok((0..column.len()).map(text).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn different_keys_have_different_texts() {
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("a", Arc::new(StringArray::from(vec![Some("x:y"), Some("x"), None, None])) as ArrayRef, true),
            ("b", Arc::new(StringArray::from(vec![Some("z"), Some("y:z"), Some("%null"), None])), true),
            ("n", Arc::new(Int64Array::from(vec![Some(7), None, Some(-1), None])), true),
            ("t", Arc::new(TimestampMicrosecondArray::from(vec![0, 1, 2, 3]).with_timezone("UTC")), true),
        ])
        .unwrap();
        let keys = KeyText::new(&batch, &[0, 1]).unwrap();
        let texts: Vec<_> = (0..4).map(|row| keys.row(row)).collect();
        let expected = [Some("x%3Ay:z"), Some("x:y%3Az"), Some("%null:%25null"), None];
        assert_eq!(texts, expected.map(|text| text.map(str::to_owned)));
        let single = KeyText::new(&batch, &[0]).unwrap();
        assert_eq!((single.row(0).as_deref(), single.row(2)), (Some("x:y"), None));
        let mixed = KeyText::new(&batch, &[2, 3]).unwrap();
        assert_eq!(mixed.row(0).unwrap(), "7:1970-01-01T00%3A00%3A00.000Z");
    }
}
