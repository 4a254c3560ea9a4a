//! Table definitions as the engine sees them after `CREATE TABLE`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::logical_expr::Expr;

use crate::options::Options;

/// The one timestamp type of the engine: microseconds, UTC. `TIMESTAMP(p)` and `TIMESTAMP_LTZ(p)` both map to
/// it, since event time is always a point in time here; a shop's zone matters only in batch roll-ups.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Metadata that marks a text field as `JSON`: it holds the field of a record as it is written there.
pub(crate) const JSON_METADATA: &str = "plamatio.json";

/// A table named in a script: a source, a sink, or both.
#[derive(Clone, Debug)]
pub struct TableDef {
    /// The name, as resolved (unquoted names in lower case).
    pub name: String,
    /// Columns in declared order.
    pub columns: Vec<ColumnDef>,
    /// Event time and its watermark, if declared.
    pub watermark: Option<WatermarkDef>,
    /// Columns of `PRIMARY KEY (…) NOT ENFORCED`, in order; empty when not declared.
    pub primary_key: Vec<String>,
    /// The `WITH` options.
    pub options: Options,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub struct ColumnDef {
    /// Column name.
    pub name: String,
    /// Arrow type.
    pub data_type: DataType,
    /// Whether it is declared as `JSON`: text that holds the field of a record as it is written there.
    pub is_json: bool,
    /// Where its values come from.
    pub kind: ColumnKind,
}

impl ColumnDef {
    /// The field that a record is decoded into. NULL is allowed, since JSON may leave any field out.
    pub(crate) fn decoded(&self) -> Field {
        let field = Field::new(&self.name, self.data_type.clone(), true);
        match self.is_json {
            true => field.with_metadata([(JSON_METADATA.to_owned(), String::new())].into()),
            false => field,
        }
    }
}

/// Where a column's values come from.
#[derive(Clone, Debug)]
pub enum ColumnKind {
    /// From the record (source) or the query (sink).
    Physical,
    /// Computed from the record's own columns: `GENERATED ALWAYS AS (…) STORED`, or Flink's `name AS expr`.
    Generated(Expr),
    /// Filled by the engine, in sinks: `METADATA [FROM 'key']`.
    Metadata(MetadataKey),
    /// Known by the source besides the record's bytes: `METADATA [FROM 'key'] [VIRTUAL]`.
    FromSource {
        /// What is known.
        metadata: SourceMetadata,
        /// `VIRTUAL`: the table can be a sink, too, which then has no such column.
        is_virtual: bool,
    },
}

/// What the engine can fill into a metadata column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetadataKey {
    /// Sink: whether the value can still change (BOOLEAN).
    IsFinal,
    /// Sink: epoch in which it was written (BIGINT).
    Epoch,
    /// Sink: rises with every write of the job (BIGINT).
    Revision,
}

impl MetadataKey {
    /// The key of this name, if there is one.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "is_final" => Some(MetadataKey::IsFinal),
            "epoch" => Some(MetadataKey::Epoch),
            "revision" => Some(MetadataKey::Revision),
            _ => None,
        }
    }

    /// The type its column must have.
    pub fn data_type(self) -> DataType {
        match self {
            MetadataKey::IsFinal => DataType::Boolean,
            MetadataKey::Epoch | MetadataKey::Revision => DataType::Int64,
        }
    }
}

/// What a source may know of a record besides its bytes. Names are Flink's, and those of Arroyo that Flink has not.
///
/// | name | type | of |
/// |---|---|---|
/// | `key` | STRING (a key that is not UTF-8 makes a dead letter), or BYTES | Kafka |
/// | `timestamp` | TIMESTAMP_LTZ; or BIGINT, in milliseconds | Kafka |
/// | `timestamp-type` | STRING: `CreateTime`, `LogAppendTime`, `NoTimestampType` | Kafka |
/// | `topic` | STRING | Kafka |
/// | `partition` | INT or BIGINT | Kafka |
/// | `offset` (in Arroyo `offset_id`) | BIGINT | Kafka |
/// | `leader-epoch` | INT or BIGINT | Kafka |
/// | `headers` | MAP<STRING, BYTES>, or MAP<STRING, STRING> (what is not UTF-8 makes a dead letter); the last of one name | Kafka |
/// | `file.path`, `file.name` | STRING | files |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceMetadata {
    /// The record's key.
    Key,
    /// Its timestamp.
    Timestamp,
    /// Who gave the timestamp.
    TimestampType,
    /// The topic that it is of.
    Topic,
    /// The number of the partition.
    Partition,
    /// Where it is in the partition.
    Offset,
    /// How often the partition had changed its leader when it was written.
    LeaderEpoch,
    /// Its headers.
    Headers,
    /// The path of the file.
    FilePath,
    /// The last part of the path.
    FileName,
}

impl SourceMetadata {
    /// All there are, by name.
    pub(crate) const NAMES: [(&'static str, SourceMetadata); 11] = [
        ("key", SourceMetadata::Key),
        ("timestamp", SourceMetadata::Timestamp),
        ("timestamp-type", SourceMetadata::TimestampType),
        ("topic", SourceMetadata::Topic),
        ("partition", SourceMetadata::Partition),
        ("offset", SourceMetadata::Offset),
        ("offset_id", SourceMetadata::Offset),
        ("leader-epoch", SourceMetadata::LeaderEpoch),
        ("headers", SourceMetadata::Headers),
        ("file.path", SourceMetadata::FilePath),
        ("file.name", SourceMetadata::FileName),
    ];

    /// The one of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, metadata)| *metadata)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    /// The types that its column may have, the usual one first.
    pub(crate) fn types(self) -> Vec<DataType> {
        match self {
            SourceMetadata::Key => vec![DataType::Utf8, DataType::Binary],
            SourceMetadata::Timestamp => vec![timestamp_type(), DataType::Int64],
            SourceMetadata::Partition | SourceMetadata::LeaderEpoch => vec![DataType::Int32, DataType::Int64],
            SourceMetadata::Headers => vec![map_of(DataType::Binary), map_of(DataType::Utf8)],
            SourceMetadata::Offset => vec![DataType::Int64],
            SourceMetadata::TimestampType
            | SourceMetadata::Topic
            | SourceMetadata::FilePath
            | SourceMetadata::FileName => vec![DataType::Utf8],
        }
    }

    /// The same in SQL's words, for errors.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            SourceMetadata::Key => "STRING or BYTES",
            SourceMetadata::Timestamp => "TIMESTAMP_LTZ(3), or BIGINT for milliseconds",
            SourceMetadata::Partition | SourceMetadata::LeaderEpoch => "INT or BIGINT",
            SourceMetadata::Headers => "MAP<STRING, BYTES> or MAP<STRING, STRING>",
            SourceMetadata::Offset => "BIGINT",
            SourceMetadata::TimestampType
            | SourceMetadata::Topic
            | SourceMetadata::FilePath
            | SourceMetadata::FileName => "STRING",
        }
    }
}

/// How much of what comes with records a table wants.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Envelopes {
    /// Nothing: records are pushed alone.
    #[default]
    None,
    /// All but headers.
    WithoutHeaders,
    /// All.
    Whole,
}

/// `WATERMARK FOR column AS column - INTERVAL delay`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WatermarkDef {
    /// The event-time column.
    pub column: String,
    /// How far the watermark trails the highest event time seen, in microseconds; not negative.
    pub delay_us: i64,
}

impl TableDef {
    /// The schema of all declared columns. Every column may be NULL: JSON may leave any of them out.
    pub fn schema(&self) -> SchemaRef {
        let field = |column: &ColumnDef| Field::new(&column.name, column.data_type.clone(), true);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    /// The columns that an `INSERT` fills, by position: all but metadata columns.
    pub(crate) fn insert_columns(&self) -> impl Iterator<Item = &ColumnDef> {
        self.columns.iter().filter(|column| matches!(column.kind, ColumnKind::Physical))
    }

    /// How much its columns need of what comes with a record.
    pub fn envelopes(&self) -> Envelopes {
        use SourceMetadata::{Headers, Key, LeaderEpoch, Timestamp, TimestampType};
        let needed = |column: &ColumnDef| match column.kind {
            ColumnKind::FromSource { metadata: Headers, .. } => Envelopes::Whole,
            ColumnKind::FromSource { metadata: Key | Timestamp | TimestampType | LeaderEpoch, .. } => {
                Envelopes::WithoutHeaders
            }
            _ => Envelopes::None,
        };
        self.columns.iter().map(needed).max().unwrap_or_default()
    }

    /// The connector's name, in lower case; empty when not given.
    pub fn connector(&self) -> String {
        self.options.get("connector").unwrap_or_default().to_lowercase()
    }
}

/// The type of a map from texts to values of a type.
pub(crate) fn map_of(values: DataType) -> DataType {
    map_with(Field::new("value", values, true))
}

/// The type of a map from texts to values as this field says.
pub(crate) fn map_with(value: Field) -> DataType {
    let key = Field::new("key", DataType::Utf8, false);
    let entries = DataType::Struct(vec![key, value].into());
    DataType::Map(Field::new("entries", entries, false).into(), false)
}
