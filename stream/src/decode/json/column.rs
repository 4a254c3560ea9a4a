//! Typed values to Arrow columns.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
        Int8Builder, Int16Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
    },
    datatypes::DataType,
};

use super::value::{Cell, Kind};

/// Collects one column.
#[derive(Debug)]
pub enum ColumnBuilder {
    /// BOOLEAN.
    Bool(BooleanBuilder),
    /// TINYINT.
    Int8(Int8Builder),
    /// SMALLINT.
    Int16(Int16Builder),
    /// INT.
    Int32(Int32Builder),
    /// BIGINT.
    Int64(Int64Builder),
    /// FLOAT.
    Float32(Float32Builder),
    /// DOUBLE.
    Float64(Float64Builder),
    /// DECIMAL.
    Decimal(Decimal128Builder),
    /// STRING.
    Text(StringBuilder),
    /// TIMESTAMP.
    Timestamp(TimestampMicrosecondBuilder),
    /// DATE.
    Date(Date32Builder),
}

impl ColumnBuilder {
    /// An empty column.
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::Bool => ColumnBuilder::Bool(BooleanBuilder::new()),
            Kind::Int(8) => ColumnBuilder::Int8(Int8Builder::new()),
            Kind::Int(16) => ColumnBuilder::Int16(Int16Builder::new()),
            Kind::Int(32) => ColumnBuilder::Int32(Int32Builder::new()),
            Kind::Int(_) => ColumnBuilder::Int64(Int64Builder::new()),
            Kind::Float(32) => ColumnBuilder::Float32(Float32Builder::new()),
            Kind::Float(_) => ColumnBuilder::Float64(Float64Builder::new()),
            Kind::Decimal(precision, scale) => ColumnBuilder::Decimal(
                Decimal128Builder::new().with_data_type(DataType::Decimal128(precision, scale)),
            ),
            Kind::Text => ColumnBuilder::Text(StringBuilder::new()),
            Kind::Timestamp => {
                ColumnBuilder::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC"))
            }
            Kind::Date => ColumnBuilder::Date(Date32Builder::new()),
        }
    }

    /// Appends a value of the column's kind; a value of another kind is NULL, but the parsers make none.
    pub fn push(&mut self, cell: Cell, text: &str) {
        macro_rules! int {
            ($builder:ident) => {
                $builder.append_option(match cell {
                    Cell::Int(value) => value.try_into().ok(),
                    _ => None,
                })
            };
        }
        match self {
            ColumnBuilder::Text(builder) => match cell {
                Cell::Text(start, end) => builder.append_option(text.get(start..end)),
                _ => builder.append_null(),
            },
            ColumnBuilder::Int64(builder) => int!(builder),
            ColumnBuilder::Timestamp(builder) => int!(builder),
            ColumnBuilder::Int8(builder) => int!(builder),
            ColumnBuilder::Int16(builder) => int!(builder),
            ColumnBuilder::Int32(builder) => int!(builder),
            ColumnBuilder::Date(builder) => int!(builder),
            ColumnBuilder::Bool(builder) => builder.append_option(match cell {
                Cell::Bool(value) => Some(value),
                _ => None,
            }),
            ColumnBuilder::Float64(builder) => builder.append_option(match cell {
                Cell::Float(value) => Some(value),
                _ => None,
            }),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a FLOAT column asks for the nearest 32-bit value"
            )]
            ColumnBuilder::Float32(builder) => builder.append_option(match cell {
                Cell::Float(value) => Some(value as f32),
                _ => None,
            }),
            ColumnBuilder::Decimal(builder) => builder.append_option(match cell {
                Cell::Decimal(value) => Some(value),
                _ => None,
            }),
        }
    }

    /// The column so far; the builder starts anew.
    pub fn finish(&mut self) -> ArrayRef {
        match self {
            ColumnBuilder::Bool(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int8(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int16(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int32(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int64(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Float32(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Float64(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Decimal(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Text(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Timestamp(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Date(builder) => Arc::new(builder.finish()),
        }
    }
}
