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
    /// Where its values come from.
    pub kind: ColumnKind,
}

/// Where a column's values come from.
#[derive(Clone, Debug)]
pub enum ColumnKind {
    /// From the record (source) or the query (sink).
    Physical,
    /// Computed from the record's own columns: `GENERATED ALWAYS AS (…) STORED`, or Flink's `name AS expr`.
    Generated(Expr),
    /// Filled by the engine: `METADATA [FROM 'key']`.
    Metadata(MetadataKey),
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
    pub fn from_name(name: &str) -> Option<Self> {
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
    pub fn insert_columns(&self) -> impl Iterator<Item = &ColumnDef> {
        self.columns.iter().filter(|column| matches!(column.kind, ColumnKind::Physical))
    }

    /// The connector's name, in lower case; empty when not given.
    pub fn connector(&self) -> String {
        self.options.get("connector").unwrap_or_default().to_lowercase()
    }
}
