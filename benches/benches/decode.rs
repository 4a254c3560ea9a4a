//! JSON records to columns: the engine's decoder beside `serde_json` into a borrowed struct.
//!
//! `serde_json` stops at the struct, it builds no columns: its figures are what is left out of the decoder's
//! way before any column exists.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench, run by hand: what fails here ought to stop it"
)]

use std::{hint::black_box, sync::Arc, time::Duration};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use plamatio_benches::traffic::Traffic;
use serde::Deserialize;
use stream::{
    decode::{Decoder, json::JsonDecoder},
    source::RawBatch,
    table::timestamp_type,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As many records as the engine decodes at once.
const RECORDS: usize = 8_192;

const TEXT: DataType = DataType::Utf8;
const NUMBER: DataType = DataType::Int64;

/// The columns of `queries/metrics/top_products.sql`.
fn projected() -> SchemaRef {
    schema(&[
        ("id", TEXT),
        ("source", TEXT),
        ("type", TEXT),
        ("time", timestamp_type()),
        ("traffic", TEXT),
        ("anonymous_id", TEXT),
        ("product_id", NUMBER),
        ("quantity", NUMBER),
        ("value_minor", NUMBER),
        ("currency", TEXT),
    ])
}

/// Every field that an event may have.
fn all() -> SchemaRef {
    schema(&[
        ("id", TEXT),
        ("source", TEXT),
        ("type", TEXT),
        ("time", timestamp_type()),
        ("received_at", timestamp_type()),
        ("sent_at", timestamp_type()),
        ("schema_version", NUMBER),
        ("session_id", TEXT),
        ("anonymous_id", TEXT),
        ("user_id", TEXT),
        ("traffic", TEXT),
        ("product_id", NUMBER),
        ("category_id", NUMBER),
        ("quantity", NUMBER),
        ("price_minor", NUMBER),
        ("currency", TEXT),
        ("cart_id", TEXT),
        ("order_id", TEXT),
        ("line", NUMBER),
        ("value_minor", NUMBER),
    ])
}

fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    let field = |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read by nobody: what is measured is that they are filled")]
struct Projected<'a> {
    id: &'a str,
    source: &'a str,
    r#type: &'a str,
    time: &'a str,
    traffic: &'a str,
    anonymous_id: &'a str,
    product_id: Option<i64>,
    quantity: Option<i64>,
    value_minor: Option<i64>,
    currency: Option<&'a str>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read by nobody: what is measured is that they are filled")]
struct All<'a> {
    id: &'a str,
    source: &'a str,
    r#type: &'a str,
    time: &'a str,
    received_at: Option<&'a str>,
    sent_at: Option<&'a str>,
    schema_version: i64,
    session_id: &'a str,
    anonymous_id: &'a str,
    user_id: Option<&'a str>,
    traffic: &'a str,
    product_id: Option<i64>,
    category_id: Option<i64>,
    quantity: Option<i64>,
    price_minor: Option<i64>,
    currency: Option<&'a str>,
    cart_id: Option<&'a str>,
    order_id: Option<&'a str>,
    line: Option<i64>,
    value_minor: Option<i64>,
}

fn into_struct<'a, T: Deserialize<'a>>(raw: &'a RawBatch) {
    for record in raw.records() {
        black_box(serde_json::from_slice::<T>(record).unwrap());
    }
}

fn decode(criterion: &mut Criterion) {
    let records = u64::try_from(RECORDS).unwrap();
    let traffic = Traffic { events: records, seed: 1, events_per_second: 200.0 };
    let raw = traffic.batches(RECORDS).unwrap().remove(0);
    assert_eq!(raw.len(), RECORDS);
    eprintln!("{} bytes a record", raw.bytes() / RECORDS);
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::ElementsAndBytes {
        elements: records,
        bytes: u64::try_from(raw.bytes()).unwrap(),
    });
    group.sample_size(30).measurement_time(Duration::from_secs(4)).warm_up_time(Duration::from_secs(1));
    for (name, columns) in [("top_products", projected()), ("all columns", all())] {
        let mut decoder = JsonDecoder::new("events", columns).unwrap();
        assert!(decoder.decode(&raw).unwrap().rejects.is_empty());
        group.bench_function(format!("scanner, {name}"), |bencher| {
            bencher.iter_batched(|| (), |()| decoder.decode(&raw).unwrap(), BatchSize::PerIteration);
        });
    }
    group.bench_function("serde_json, top_products", |bencher| {
        bencher.iter(|| into_struct::<Projected<'_>>(&raw))
    });
    group.bench_function("serde_json, all columns", |bencher| bencher.iter(|| into_struct::<All<'_>>(&raw)));
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
