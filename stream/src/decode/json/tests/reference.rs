//! What a decoder must answer, made the slow way: every record by the full parser, every value by Arrow's own
//! builders, every derived column by its expression over the whole text column.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
        Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, ListArray, MapArray,
        StringBuilder, StructArray, Time64NanosecondBuilder, TimestampMicrosecondBuilder, UInt8Builder,
        UInt16Builder, UInt32Builder, UInt64Builder,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Schema},
    record_batch::RecordBatch,
};

use crate::{
    decode::{
        Decoded, Reject,
        json::{
            fallback::{Fallback, Parsed},
            shape::Shape,
            value::{self, Cell},
        },
        plan::DecodePlan,
    },
    source::RawBatch,
};

/// Decodes `raw` by `plan`; the plan must be able to be evaluated.
pub(super) fn decode(plan: &DecodePlan, raw: &RawBatch) -> Decoded {
    let fields = plan.fields.fields();
    let shapes: Vec<_> =
        fields.iter().map(|field| (field.name().clone(), Shape::of(field).unwrap())).collect();
    let mut fallback = Fallback::new(shapes.into());
    let (mut rows, mut records, mut rejects) = (Vec::new(), Vec::new(), Vec::new());
    for (record, bytes) in (0_u32..).zip(raw.records()) {
        let parsed = std::str::from_utf8(bytes)
            .map_err(|error| format!("not UTF-8: {error}"))
            .and_then(|text| fallback.parse(text).map(|(values, text)| (values.to_vec(), text.to_owned())));
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
            let values = rows.iter().map(|(values, text)| (Some(&values[field]), &**text));
            nested(fields[field].data_type(), &values.collect::<Vec<_>>())
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

/// Values with the text that they are ranges of; `None` where there is none, or NULL around it.
fn nested(data_type: &DataType, values: &[(Option<&Parsed>, &str)]) -> ArrayRef {
    let nulls = values.iter().map(|(value, _)| !matches!(value, None | Some(Parsed::Cell(Cell::Null))));
    let nulls = Some(NullBuffer::from(nulls.collect::<Vec<bool>>())).filter(|nulls| nulls.null_count() > 0);
    match data_type {
        DataType::Struct(fields) => {
            let member = |index: usize| {
                let values = values.iter().map(|(value, text)| match value {
                    Some(Parsed::Row(members)) => (Some(&members[index]), *text),
                    _ => (None, *text),
                });
                nested(fields[index].data_type(), &values.collect::<Vec<_>>())
            };
            let members = (0..fields.len()).map(member).collect();
            Arc::new(StructArray::try_new_with_length(fields.clone(), members, nulls, values.len()).unwrap())
        }
        DataType::List(item) => {
            let mut items = Vec::new();
            let lengths = values.iter().map(|(value, text)| match value {
                Some(Parsed::List(own)) => {
                    items.extend(own.iter().map(|item| (Some(item), *text)));
                    own.len()
                }
                _ => 0,
            });
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::new(Arc::clone(item), offsets, nested(item.data_type(), &items), nulls))
        }
        DataType::Map(entries, is_sorted) => {
            let DataType::Struct(fields) = entries.data_type() else { panic!("a map has entries") };
            let (mut keys, mut items) = (Vec::new(), Vec::new());
            let lengths = values.iter().map(|(value, text)| match value {
                Some(Parsed::Map(own)) => {
                    keys.extend(own.iter().map(|(key, _)| (*key, *text)));
                    items.extend(own.iter().map(|(_, item)| (Some(item), *text)));
                    own.len()
                }
                _ => 0,
            });
            let offsets = OffsetBuffer::from_lengths(lengths);
            let keys = column(&DataType::Utf8, keys.into_iter());
            let items = nested(fields[1].data_type(), &items);
            let entries_of = StructArray::new(fields.clone(), vec![keys, items], None);
            Arc::new(MapArray::new(Arc::clone(entries), offsets, entries_of, nulls, *is_sorted))
        }
        data_type => column(
            data_type,
            values.iter().map(|(value, text)| match value {
                Some(Parsed::Cell(cell)) => (*cell, *text),
                _ => (Cell::Null, *text),
            }),
        ),
    }
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
        DataType::UInt8 => build!(UInt8Builder::new(), Int, |value: i64| value.try_into().unwrap()),
        DataType::UInt16 => build!(UInt16Builder::new(), Int, |value: i64| value.try_into().unwrap()),
        DataType::UInt32 => build!(UInt32Builder::new(), Int, |value: i64| value.try_into().unwrap()),
        DataType::UInt64 => build!(UInt64Builder::new(), Int, |value: i64| value.cast_unsigned()),
        DataType::Time64(_) => build!(Time64NanosecondBuilder::new(), Int, |value| value),
        DataType::Binary => {
            let mut builder = BinaryBuilder::new();
            for (cell, text) in cells {
                builder.append_option(match cell {
                    Cell::Text(start, end) => value::bytes(&text[start..end]),
                    _ => None,
                });
            }
            Arc::new(builder.finish())
        }
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
