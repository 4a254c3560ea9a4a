//! Generated events, and what they should become.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray},
    record_batch::RecordBatch,
};
use events::{
    Event,
    generate::{Generated, Generator, GeneratorConfig, Kind, Summary},
};
use parquet::arrow::ArrowWriter;
use serde_json::Value;

/// The generator's records with these settings.
pub(crate) fn records(config: GeneratorConfig) -> (Vec<Generated>, Summary) {
    let mut generator = Generator::new(config).unwrap();
    let records = generator.by_ref().collect();
    (records, generator.summary())
}

/// Writes the table `events`, which batch SQL reads: each event once, without what is malformed, no engine
/// between. Answers its folder.
pub(crate) fn write_batch_events(lake: &Path, records: &[Generated]) -> PathBuf {
    let good = records.iter().filter(|record| matches!(record.kind, Kind::OnTime | Kind::Late));
    let events: Vec<Event> = good.map(|record| serde_json::from_slice(&record.payload).unwrap()).collect();
    let text = |of: fn(&Event) -> Option<&str>| -> ArrayRef {
        Arc::new(events.iter().map(of).collect::<StringArray>())
    };
    let whole = |of: fn(&Event) -> Option<i64>| -> ArrayRef {
        Arc::new(events.iter().map(of).collect::<Int64Array>())
    };
    let times = events.iter().map(|event| event.time.timestamp_micros());
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"));
    let batch = RecordBatch::try_from_iter([
        ("id", text(|event| Some(&event.id))),
        ("type", text(|event| Some(event.event_type.name()))),
        ("event_time", times),
        ("traffic", text(|event| Some(event.traffic.name()))),
        ("anonymous_id", text(|event| Some(&event.anonymous_id))),
        ("cart_id", text(|event| event.cart_id.as_deref())),
        ("currency", text(|event| event.currency.as_deref())),
        ("product_id", whole(|event| event.product_id)),
        ("quantity", whole(|event| event.quantity)),
        ("value_minor", whole(|event| event.value_minor)),
    ])
    .unwrap();
    let folder = lake.join("events");
    std::fs::create_dir_all(&folder).unwrap();
    let file = File::create(folder.join("part-0.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    folder
}

/// A malformed record: where it is and its bytes.
pub(crate) type Letter = (String, i64, Vec<u8>);

/// Writes records as lines; answers the malformed ones.
pub(crate) fn write_lines<'a>(path: &Path, records: impl IntoIterator<Item = &'a Generated>) -> Vec<Letter> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let mut letters = Vec::new();
    let mut offset = 0_i64;
    for record in records {
        if matches!(record.kind, Kind::Malformed(_)) {
            letters.push((path.display().to_string(), offset, record.payload.clone()));
        }
        file.write_all(&record.payload).unwrap();
        file.write_all(b"\n").unwrap();
        offset += i64::try_from(record.payload.len() + 1).unwrap();
    }
    file.flush().unwrap();
    letters
}

/// The ledger of the table `events`.
pub(crate) fn source(ledger: &Value) -> &Value {
    let source = &ledger["sources"]["events"];
    assert!(source.is_object(), "{ledger}");
    source
}

/// One count of the table `events`.
pub(crate) fn count(ledger: &Value, name: &str) -> u64 {
    source(ledger)[name].as_u64().unwrap_or_else(|| panic!("no {name} in {ledger}"))
}

/// The ledger has what the generator made. Which events are late is the generator's word for one sequence; a
/// partition that is slower than the others can take one of them for on time, so there the sum counts.
pub(crate) fn assert_ledger(ledger: &Value, made: &Summary, one_sequence: bool) {
    assert_eq!(ledger["balanced"], true, "{ledger}");
    assert_eq!(count(ledger, "read"), made.events, "{ledger}");
    assert_eq!(count(ledger, "duplicate"), made.duplicates, "{ledger}");
    assert_eq!(count(ledger, "dead_letter"), made.malformed, "{ledger}");
    assert_eq!(count(ledger, "late_dropped"), 0, "{ledger}");
    let (on_time, late) = (count(ledger, "on_time"), count(ledger, "late_accepted"));
    assert_eq!(on_time + late, made.on_time + made.late, "{ledger}");
    if one_sequence {
        assert_eq!((on_time, late), (made.on_time, made.late), "{ledger}");
    }
}
