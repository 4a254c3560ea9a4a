//! What a decoder must answer, made the slow way: every record by the full parser, every value by Arrow's own
//! builders, every derived column by its expression over the whole text column.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
        Int8Builder, Int16Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
    },
    datatypes::{DataType, Schema},
    record_batch::RecordBatch,
};

use crate::{
    decode::{
        Decoded, Reject,
        json::{
            fallback::Fallback,
            value::{Cell, Kind},
        },
        plan::DecodePlan,
    },
    source::RawBatch,
};

/// Decodes `raw` by `plan`; the plan must be able to be evaluated.
pub(super) fn decode(plan: &DecodePlan, raw: &RawBatch) -> Decoded {
    let fields = plan.fields.fields();
    let kinds: Vec<_> = fields.iter().map(|f| (f.name().clone(), Kind::of(f.data_type()).unwrap())).collect();
    let mut fallback = Fallback::new(kinds.into());
    let (mut rows, mut records, mut rejects) = (Vec::new(), Vec::new(), Vec::new());
    for (record, bytes) in (0_u32..).zip(raw.records()) {
        let parsed = std::str::from_utf8(bytes)
            .map_err(|error| format!("not UTF-8: {error}"))
            .and_then(|text| fallback.parse(text).map(|(cells, text)| (cells.to_vec(), text.to_owned())));
        match parsed {
            Ok(row) => {
                rows.push(row);
                records.push(record);
            }
            Err(reason) => rejects.push(Reject { record, reason }),
        }
    }
    let arrays: Vec<ArrayRef> = (0..fields.len())
        .map(|field| {
            column(fields[field].data_type(), rows.iter().map(|(cells, text)| (cells[field], &**text)))
        })
        .collect();
    let mut columns: Vec<ArrayRef> = plan.columns.iter().map(|field| Arc::clone(&arrays[*field])).collect();
    for derived in &plan.derived {
        let field = fields[derived.column].as_ref().clone().with_nullable(true);
        let input = Arc::new(Schema::new(vec![field]));
        let batch = RecordBatch::try_new(input, vec![Arc::clone(&arrays[derived.column])]).unwrap();
        columns.push(derived.expr.evaluate(&batch).unwrap().into_array(rows.len()).unwrap());
    }
    Decoded { batch: RecordBatch::try_new(plan.schema(), columns).unwrap(), records, rejects }
}

fn column<'a>(data_type: &DataType, cells: impl Iterator<Item = (Cell, &'a str)>) -> ArrayRef {
    macro_rules! build {
        ($builder:expr, $variant:ident, $convert:expr) => {{
            let mut builder = $builder;
            for (cell, _) in cells {
                builder.append_option(match cell {
                    Cell::$variant(value) => Some($convert(value)),
                    _ => None,
                });
            }
            Arc::new(builder.finish())
        }};
    }
    match data_type {
        DataType::Boolean => build!(BooleanBuilder::new(), Bool, |value| value),
        DataType::Int8 => build!(Int8Builder::new(), Int, |value: i64| value.try_into().unwrap()),
        DataType::Int16 => build!(Int16Builder::new(), Int, |value: i64| value.try_into().unwrap()),
        DataType::Int32 => build!(Int32Builder::new(), Int, |value: i64| value.try_into().unwrap()),
        DataType::Date32 => build!(Date32Builder::new(), Int, |value: i64| value.try_into().unwrap()),
        DataType::Int64 => build!(Int64Builder::new(), Int, |value| value),
        DataType::Timestamp(_, zone) => {
            let builder = TimestampMicrosecondBuilder::new().with_timezone_opt(zone.clone());
            build!(builder, Int, |value| value)
        }
        #[expect(clippy::cast_possible_truncation, reason = "what a FLOAT column asks for")]
        DataType::Float32 => build!(Float32Builder::new(), Float, |value| value as f32),
        DataType::Float64 => build!(Float64Builder::new(), Float, |value| value),
        DataType::Decimal128(..) => {
            let builder = Decimal128Builder::new().with_data_type(data_type.clone());
            build!(builder, Decimal, |value| value)
        }
        _ => {
            let mut builder = StringBuilder::new();
            for (cell, text) in cells {
                builder.append_option(match cell {
                    Cell::Text(start, end) => Some(&text[start..end]),
                    _ => None,
                });
            }
            Arc::new(builder.finish())
        }
    }
}
