//! What is set aside: records that could not be decoded, and rows that came too late.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `kind` | STRING | `malformed` or `late` |
//! | `source_table` | STRING | the table that was read |
//! | `topic`, `partition`, `offset` | STRING, INT, BIGINT | where the record is; for a file its path, 0 and the byte offset |
//! | `reason` | STRING | why it was set aside |
//! | `payload` | BYTES | the record as it was read |
//! | `event_time` | TIMESTAMP | where it was understood |
//! | `set_aside_at` | TIMESTAMP | the clock, for people |

use std::sync::Arc;

use arrow::{
    array::{BinaryArray, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};

use crate::{
    error::StreamError,
    options::Options,
    table::{ColumnDef, ColumnKind, TableDef, timestamp_type},
    time::{Offset, PartitionId},
};

/// Why a record was set aside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It could not be decoded, or has no event time.
    Malformed,
    /// It came too late for a window.
    Late,
}

/// A record that was set aside.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Why, in one word.
    pub kind: Kind,
    /// The table that was read.
    pub table: Arc<str>,
    /// Where the record is.
    pub partition: PartitionId,
    /// Its offset.
    pub(crate) offset: Offset,
    /// Why, in a sentence.
    pub reason: String,
    /// Its bytes.
    pub(crate) payload: Vec<u8>,
    /// Its event time in microseconds, if known.
    pub(crate) event_time_us: Option<i64>,
    /// When it was set aside, in microseconds.
    pub(crate) set_aside_us: i64,
}

/// The columns of the dead-letter table.
pub fn schema() -> SchemaRef {
    let field = |name: &str, data_type: DataType| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("kind", DataType::Utf8),
        field("source_table", DataType::Utf8),
        field("topic", DataType::Utf8),
        field("partition", DataType::Int32),
        field("offset", DataType::Int64),
        field("reason", DataType::Utf8),
        field("payload", DataType::Binary),
        field("event_time", timestamp_type()),
        field("set_aside_at", timestamp_type()),
    ]))
}

/// A table definition for the dead letters, for a sink with these options.
pub fn table(name: &str, options: impl IntoIterator<Item = (String, String)>) -> TableDef {
    let column = |field: &Arc<Field>| ColumnDef {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        is_json: false,
        kind: ColumnKind::Physical,
    };
    TableDef {
        name: name.to_owned(),
        columns: schema().fields().iter().map(column).collect(),
        watermark: None,
        primary_key: Vec::new(),
        options: Options::new(name, options.into_iter().collect()),
    }
}

/// Dead letters as rows.
pub fn batch(letters: &[DeadLetter]) -> Result<RecordBatch, StreamError> {
    let kind = |letter: &DeadLetter| match letter.kind {
        Kind::Malformed => "malformed",
        Kind::Late => "late",
    };
    let time = |of: fn(&DeadLetter) -> Option<i64>| {
        letters.iter().map(of).collect::<TimestampMicrosecondArray>().with_timezone("UTC")
    };
    Ok(RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(StringArray::from_iter_values(letters.iter().map(kind))),
            Arc::new(StringArray::from_iter_values(letters.iter().map(|l| l.table.as_ref()))),
            Arc::new(StringArray::from_iter_values(letters.iter().map(|l| l.partition.topic.as_str()))),
            Arc::new(Int32Array::from_iter_values(letters.iter().map(|l| l.partition.partition))),
            Arc::new(Int64Array::from_iter_values(letters.iter().map(|l| l.offset.get()))),
            Arc::new(StringArray::from_iter_values(letters.iter().map(|l| l.reason.as_str()))),
            Arc::new(BinaryArray::from_iter_values(letters.iter().map(|l| l.payload.as_slice()))),
            Arc::new(time(|l| l.event_time_us)),
            Arc::new(time(|l| Some(l.set_aside_us))),
        ],
    )?)
}
