//! Rows as JSON objects, column name to value, the same in every sink.
//!
//! | Column | JSON |
//! |---|---|
//! | integer, float, decimal | number; NaN and the infinities become `null` |
//! | boolean, text | boolean, string |
//! | timestamp | RFC 3339 in UTC with `Z`: milliseconds, or microseconds where there are any; `null` outside the years 0 to 9999 |
//! | binary | string in base 64, as tables read it |
//! | time of day | string such as `12:34:56.789` |
//! | list, struct, map | array, object, object |
//! | NULL | `null`; the column is never left out |

use std::{io::Write, sync::Arc};

use arrow::{
    array::{Array, AsArray, BinaryArray, StructArray},
    datatypes::{
        DataType, Field, FieldRef, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
        TimestampNanosecondType, TimestampSecondType,
    },
    error::ArrowError,
    json::{
        Encoder, EncoderFactory, EncoderOptions,
        writer::{NullableEncoder, make_encoder},
    },
    record_batch::RecordBatch,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use stream::error::StreamError;

/// Calls `each` with the index and the JSON object of every row, in order. The bytes hold no line break.
pub(crate) fn for_each_row(
    batch: &RecordBatch,
    mut each: impl FnMut(usize, &[u8]) -> Result<(), StreamError>,
) -> Result<(), StreamError> {
    let options =
        EncoderOptions::default().with_explicit_nulls(true).with_encoder_factory(Arc::new(Rfc3339Timestamps));
    let rows = StructArray::from(batch.clone());
    let field: FieldRef = Arc::new(Field::new("row", rows.data_type().clone(), false));
    let mut encoder = make_encoder(&field, &rows, &options)?;
    let mut object = Vec::with_capacity(256);
    for row in 0..batch.num_rows() {
        object.clear();
        encoder.encode(row, &mut object);
        each(row, &object)?;
    }
    Ok(())
}

/// The way every sink writes a point in time; `None` outside the years 0 to 9999, for which RFC 3339 has no
/// form.
pub(crate) fn rfc3339(time: DateTime<Utc>) -> Option<String> {
    let format = match time.timestamp_subsec_nanos() % 1_000_000 {
        0 => SecondsFormat::Millis,
        _ => SecondsFormat::Micros,
    };
    (0..=9999).contains(&time.year()).then(|| time.to_rfc3339_opts(format, true))
}

/// Replaces Arrow's own form of timestamps, which drops the fraction when it is zero, and of bytes, which is
/// hexadecimal and is not what tables read.
#[derive(Debug)]
struct Rfc3339Timestamps;

impl EncoderFactory for Rfc3339Timestamps {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        if let Some(bytes) = array.as_binary_opt::<i32>() {
            let encoder = BytesEncoder(bytes.clone());
            return Ok(Some(NullableEncoder::new(Box::new(encoder), array.nulls().cloned())));
        }
        let DataType::Timestamp(unit, _) = array.data_type() else { return Ok(None) };
        let (values, per_second): (&[i64], i64) = match unit {
            TimeUnit::Second => (array.as_primitive::<TimestampSecondType>().values(), 1),
            TimeUnit::Millisecond => (array.as_primitive::<TimestampMillisecondType>().values(), 1_000),
            TimeUnit::Microsecond => (array.as_primitive::<TimestampMicrosecondType>().values(), 1_000_000),
            TimeUnit::Nanosecond => (array.as_primitive::<TimestampNanosecondType>().values(), 1_000_000_000),
        };
        let encoder = TimestampEncoder { values, per_second };
        Ok(Some(NullableEncoder::new(Box::new(encoder), array.nulls().cloned())))
    }
}

struct BytesEncoder(BinaryArray);

impl Encoder for BytesEncoder {
    fn encode(&mut self, index: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(STANDARD.encode(self.0.value(index)).as_bytes());
        out.push(b'"');
    }
}

struct TimestampEncoder<'a> {
    values: &'a [i64],
    /// Units in a second: 1 to 1,000,000,000, so that every remainder fits nanoseconds.
    per_second: i64,
}

impl Encoder for TimestampEncoder<'_> {
    fn encode(&mut self, index: usize, out: &mut Vec<u8>) {
        let value = self.values[index];
        let nanos = value.rem_euclid(self.per_second) * (1_000_000_000 / self.per_second);
        let time = u32::try_from(nanos)
            .ok()
            .and_then(|nanos| DateTime::from_timestamp(value.div_euclid(self.per_second), nanos));
        let written = match time.and_then(rfc3339) {
            Some(text) => write!(out, "\"{text}\""),
            None => out.write_all(b"null"),
        };
        debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, Time64NanosecondArray,
        TimestampMicrosecondArray,
    };
    use proptest::prelude::*;

    use super::*;

    fn lines(batch: &RecordBatch) -> Vec<String> {
        let mut lines = Vec::new();
        for_each_row(batch, |_, object| {
            lines.push(String::from_utf8(object.to_vec()).unwrap());
            Ok(())
        })
        .unwrap();
        lines
    }

    #[test]
    fn every_kind_of_value() {
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("n", Arc::new(Int64Array::from(vec![Some(i64::MAX), None])) as ArrayRef, true),
            ("f", Arc::new(Float64Array::from(vec![Some(0.25), Some(f64::NAN)])), true),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), None])), true),
            ("s", Arc::new(StringArray::from(vec![Some("a\"\n"), None])), true),
            (
                "t",
                Arc::new(
                    TimestampMicrosecondArray::from(vec![Some(1_767_225_660_000_000), Some(-1)])
                        .with_timezone("UTC"),
                ),
                true,
            ),
        ])
        .unwrap();
        assert_eq!(
            lines(&batch),
            [
                r#"{"n":9223372036854775807,"f":0.25,"b":true,"s":"a\"\n","t":"2026-01-01T00:01:00.000Z"}"#,
                r#"{"n":null,"f":null,"b":null,"s":null,"t":"1969-12-31T23:59:59.999999Z"}"#,
            ]
        );
    }

    #[test]
    fn bytes_and_times_of_day_are_written_as_they_are_read() {
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("b", Arc::new(BinaryArray::from(vec![Some(&b"abc"[..]), None])) as ArrayRef, true),
            ("t", Arc::new(Time64NanosecondArray::from(vec![Some(45_296_789_000_000), Some(0)])), true),
        ])
        .unwrap();
        assert_eq!(lines(&batch), [r#"{"b":"YWJj","t":"12:34:56.789"}"#, r#"{"b":null,"t":"00:00:00"}"#]);
    }

    #[test]
    fn a_slice_gives_its_own_rows() {
        let batch = RecordBatch::try_from_iter([(
            "t",
            Arc::new(TimestampMicrosecondArray::from(vec![0, 1_000, 2_000])) as ArrayRef,
        )])
        .unwrap();
        assert_eq!(lines(&batch.slice(1, 1)), [r#"{"t":"1970-01-01T00:00:00.001Z"}"#]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_timestamp_and_text_is_valid_json(micros in prop_oneof![any::<i64>(), (-1_i64 << 55)..1 << 55], text: String) {
            let batch = RecordBatch::try_from_iter([
                ("t", Arc::new(TimestampMicrosecondArray::from(vec![micros])) as ArrayRef),
                ("s", Arc::new(StringArray::from(vec![text.as_str()]))),
            ]).unwrap();
            let value: serde_json::Value = serde_json::from_str(&lines(&batch)[0]).unwrap();
            prop_assert_eq!(value["s"].as_str(), Some(text.as_str()));
            if let Some(time) = value["t"].as_str() {
                prop_assert_eq!(DateTime::parse_from_rfc3339(time).unwrap().timestamp_micros(), micros);
            }
        }
    }
}
