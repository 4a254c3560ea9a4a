//! What is known of records besides their bytes, as columns.

use std::{iter, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BinaryArray, Int32Array, Int64Array, MapArray, StringArray, StructArray,
        TimestampMicrosecondArray,
    },
    buffer::OffsetBuffer,
    compute::cast,
    datatypes::DataType,
};

use crate::{
    error::StreamError,
    source::{Envelope, RawBatch},
    table::{SourceMetadata, map_of},
    time::PartitionId,
};

/// Why a record's value does not go into a column of this type.
pub(super) fn refuses(
    metadata: SourceMetadata,
    data_type: &DataType,
    raw: &RawBatch,
    record: u32,
) -> Option<String> {
    let wrong = |what: &str, bytes: &[u8]| {
        std::str::from_utf8(bytes).err().map(|error| format!("{what} is not UTF-8: {error}"))
    };
    match metadata {
        SourceMetadata::Key if *data_type == DataType::Utf8 => {
            wrong("the key", raw.envelope(index(record)).key?)
        }
        SourceMetadata::Headers => raw.envelope(index(record)).headers.iter().find_map(|header| {
            let value = header.value.filter(|_| has_texts(data_type));
            wrong("a header's name", header.name).or_else(|| wrong("a header's value", value?))
        }),
        _ => None,
    }
}

/// Whether the values of a map are texts.
fn has_texts(data_type: &DataType) -> bool {
    *data_type == map_of(DataType::Utf8)
}

/// The column of these records; none of them [is refused](refuses).
pub(super) fn values(
    metadata: SourceMetadata,
    data_type: &DataType,
    raw: &RawBatch,
    partition: &PartitionId,
    records: &[u32],
) -> Result<ArrayRef, StreamError> {
    let envelopes = || records.iter().map(|record| raw.envelope(index(*record)));
    let text = |text: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(iter::repeat_n(text, records.len())))
    };
    let array: ArrayRef = match metadata {
        SourceMetadata::Key if *data_type == DataType::Binary => {
            Arc::new(envelopes().map(|envelope| envelope.key).collect::<BinaryArray>())
        }
        SourceMetadata::Key => {
            let text = |key| std::str::from_utf8(key).ok();
            Arc::new(envelopes().map(|envelope| envelope.key.and_then(text)).collect::<StringArray>())
        }
        SourceMetadata::Timestamp if *data_type == DataType::Int64 => {
            Arc::new(envelopes().map(|envelope| envelope.timestamp_ms).collect::<Int64Array>())
        }
        SourceMetadata::Timestamp => {
            let micros = |millis: i64| millis.checked_mul(1_000);
            let times = envelopes().map(|envelope| envelope.timestamp_ms.and_then(micros));
            Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        SourceMetadata::TimestampType => {
            let types = envelopes().map(|envelope| Some(envelope.timestamp_type));
            Arc::new(types.collect::<StringArray>())
        }
        SourceMetadata::Partition => Arc::new(Int32Array::from_value(partition.partition, records.len())),
        SourceMetadata::Offset => {
            let offset = |record: &u32| raw.record(index(*record)).map(|(_, offset)| offset.get());
            Arc::new(records.iter().map(offset).collect::<Int64Array>())
        }
        SourceMetadata::LeaderEpoch => {
            Arc::new(envelopes().map(|envelope| envelope.leader_epoch).collect::<Int32Array>())
        }
        SourceMetadata::Headers => return headers(data_type, envelopes()),
        SourceMetadata::Topic | SourceMetadata::FilePath => text(&partition.topic),
        SourceMetadata::FileName => text(partition.topic.rsplit('/').next().unwrap_or(&partition.topic)),
    };
    if array.data_type() == data_type {
        return Ok(array);
    }
    Ok(cast(&array, data_type)?)
}

/// The headers of records as maps. Of several with one name the last counts, as in Flink; they may be none.
fn headers<'a>(
    data_type: &DataType,
    envelopes: impl Iterator<Item = Envelope<'a>>,
) -> Result<ArrayRef, StreamError> {
    let (mut lengths, mut names, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for envelope in envelopes {
        let start = names.len();
        for header in envelope.headers {
            match names[start..].iter().position(|known| *known == header.name) {
                Some(known) => values[start + known] = header.value,
                None => {
                    names.push(header.name);
                    values.push(header.value);
                }
            }
        }
        lengths.push(names.len() - start);
    }
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let names: StringArray = names.into_iter().map(text).collect();
    let values: ArrayRef = match has_texts(data_type) {
        true => Arc::new(values.into_iter().map(|value| value.and_then(text)).collect::<StringArray>()),
        false => Arc::new(values.into_iter().collect::<BinaryArray>()),
    };
    let DataType::Map(field, is_sorted) = data_type else {
        return Err(StreamError::internal("headers are a map"));
    };
    let DataType::Struct(fields) = field.data_type() else {
        return Err(StreamError::internal("a map has entries"));
    };
    let entries = StructArray::try_new(fields.clone(), vec![Arc::new(names), values], None)?;
    let ends = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(MapArray::try_new(Arc::clone(field), ends, entries, None, *is_sorted)?))
}

fn index(record: u32) -> usize {
    usize::try_from(record).unwrap_or(usize::MAX)
}
