//! JSON records to columns: the engine's decoder beside `serde_json` into a borrowed struct, and the
//! hand-written scanner.
//!
//! The last two build no columns: their figures are what can be had before any column exists.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench, run by hand: what fails here ought to stop it"
)]

use std::{hint::black_box, sync::Arc, time::Duration};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use plamatio_benches::{
    borrowed,
    limit::scan::Scanner,
    workload::{Workload, source::Rendered},
};
use stream::{
    decode::{Decoder, json::JsonDecoder, plan::DecodePlan},
    table::timestamp_type,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As many records as the engine decodes at once.
const RECORDS: usize = 8_192;

const TEXT: DataType = DataType::Utf8;
const NUMBER: DataType = DataType::Int64;

/// The columns of the three queries.
fn projected() -> SchemaRef {
    schema(&[
        ("event_type", TEXT),
        ("event_time", timestamp_type()),
        ("session_id", TEXT),
        ("product_id", NUMBER),
        ("quantity", NUMBER),
        ("price_cents", NUMBER),
    ])
}

/// Every field of an event.
fn all() -> SchemaRef {
    schema(&[
        ("event_id", TEXT),
        ("event_type", TEXT),
        ("event_time", timestamp_type()),
        ("session_id", TEXT),
        ("user_id", TEXT),
        ("product_id", NUMBER),
        ("category", TEXT),
        ("quantity", NUMBER),
        ("price_cents", NUMBER),
        ("currency", TEXT),
        ("page", TEXT),
    ])
}

fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    let field = |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn decode(criterion: &mut Criterion) {
    let records = u64::try_from(RECORDS).unwrap();
    let raw = Rendered::new(&Workload::new(records), RECORDS).batches().remove(0);
    assert_eq!(raw.len(), RECORDS);
    eprintln!("{} bytes a record", raw.bytes() / RECORDS);
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::ElementsAndBytes {
        elements: records,
        bytes: u64::try_from(raw.bytes()).unwrap(),
    });
    group.sample_size(30).measurement_time(Duration::from_secs(4)).warm_up_time(Duration::from_secs(1));
    for (name, columns) in [("six columns", projected()), ("all eleven", all())] {
        let mut decoder = JsonDecoder::new("events", DecodePlan::all(columns)).unwrap();
        assert!(decoder.decode(&raw).unwrap().rejects.is_empty());
        group.bench_function(format!("engine, {name}"), |bencher| {
            bencher.iter_batched(|| (), |()| decoder.decode(&raw).unwrap(), BatchSize::PerIteration);
        });
    }
    group.bench_function("serde_json, six fields", |bencher| {
        bencher.iter(|| borrowed::parse(&raw).unwrap());
    });
    group.bench_function("by hand, six fields", |bencher| {
        let mut scanner = Scanner::default();
        bencher.iter(|| {
            for record in raw.records() {
                scanner.scan(record, |fields| _ = black_box(fields)).unwrap();
            }
        });
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
