//! What is known of records besides their bytes, as columns.

use std::{iter, sync::Arc};

use arrow::{
    array::{ArrayRef, BinaryArray, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray},
    compute::cast,
    datatypes::DataType,
};

use crate::{error::StreamError, source::RawBatch, table::SourceMetadata, time::PartitionId};

/// Why a record's value does not go into a column of this type.
pub(super) fn refuses(
    metadata: SourceMetadata,
    data_type: &DataType,
    raw: &RawBatch,
    record: u32,
) -> Option<String> {
    if metadata != SourceMetadata::Key || *data_type != DataType::Utf8 {
        return None;
    }
    let key = raw.envelope(index(record)).key?;
    std::str::from_utf8(key).err().map(|error| format!("the key is not UTF-8: {error}"))
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
        SourceMetadata::Topic | SourceMetadata::FilePath => text(&partition.topic),
        SourceMetadata::FileName => text(partition.topic.rsplit('/').next().unwrap_or(&partition.topic)),
    };
    if array.data_type() == data_type {
        return Ok(array);
    }
    Ok(cast(&array, data_type)?)
}

fn index(record: u32) -> usize {
    usize::try_from(record).unwrap_or(usize::MAX)
}
