//! Whole jobs over events in memory, on one compute thread: from raw records to discarded final rows, one kind of
//! window or aggregate each. `read and decode` writes nothing: it is what the others have in common.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench, run by hand: what fails here ought to stop it"
)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use plamatio_benches::{
    measure::{connectors, discard, job_options},
    workload::{
        Workload,
        source::{self, Rendered},
    },
};
use stream::{
    planner::{self, Connectors, JobPlan},
    runtime::job::Job,
};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EVENTS: u64 = 262_144;
const RUN_RECORDS: usize = 4_096;

/// The same columns for all, so that decoding costs the same.
const NOTHING: &str = "
CREATE TABLE result (a STRING, b TIMESTAMP_LTZ(3), c STRING, d BIGINT, e BIGINT, f BIGINT) WITH (${result});
INSERT INTO result
SELECT event_type, event_time, session_id, product_id, quantity, price_cents FROM events WHERE product_id < 0;
";

/// Few groups, several aggregates.
const TUMBLE: &str = "
CREATE TABLE result (a TIMESTAMP_LTZ(3), b STRING, c BIGINT, d BIGINT, e BIGINT) WITH (${result});
INSERT INTO result
SELECT window_start, event_type, COUNT(*), SUM(quantity), MAX(price_cents)
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, event_type;
";

/// Ten overlapping windows by product, every row of them written.
const HOP: &str = "
CREATE TABLE result (a TIMESTAMP_LTZ(3), b BIGINT, c BIGINT, d BIGINT) WITH (${result});
INSERT INTO result
SELECT window_start, product_id, COUNT(*), SUM(quantity * price_cents)
FROM TABLE(HOP(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE, INTERVAL '10' MINUTE))
GROUP BY window_start, window_end, product_id;
";

/// The three queries of the workload, their tables' options in one variable.
fn script(query: &str) -> String {
    match query {
        "top ten of a hop" => include_str!("../sql/top_products.sql").replace("${top_products}", "${result}"),
        "distinct" => include_str!("../sql/funnel.sql").replace("${funnel}", "${result}"),
        "sessions" => include_str!("../sql/sessions.sql").replace("${sessions}", "${result}"),
        "tumble" => TUMBLE.to_owned(),
        "hop" => HOP.to_owned(),
        _ => NOTHING.to_owned(),
    }
}

fn plan(runtime: &Runtime, query: &str, connectors: &Connectors, workload: &Workload) -> JobPlan {
    let script = format!("{}{}", include_str!("../sql/events.sql"), script(query));
    let values = [("source", source::options(workload, 1)), ("result", discard("final"))];
    let values: BTreeMap<_, _> = values.map(|(name, value)| (name.to_owned(), value)).into();
    runtime.block_on(planner::plan(&script, &values, connectors)).unwrap()
}

/// Runs a job to its end; answers how many final rows it wrote.
fn run(runtime: &Runtime, plan: JobPlan, connectors: &Connectors) -> u64 {
    let ledger = runtime.block_on(async {
        let job = Job::start(plan, connectors, job_options(1)).await.unwrap();
        job.wait().await.unwrap()
    });
    assert_eq!(ledger.sources["events"].on_time, EVENTS);
    ledger.sinks.values().map(|sink| sink.finals).sum()
}

fn queries(criterion: &mut Criterion) {
    // At 500 events a second these are nearly nine minutes.
    let workload = Workload { rate: 500, ..Workload::new(EVENTS) };
    let mut connectors = connectors();
    connectors.sources.register(source::CONNECTOR, Arc::new(Rendered::new(&workload, RUN_RECORDS)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut group = criterion.benchmark_group("queries");
    group.throughput(Throughput::Elements(EVENTS)).sample_size(20);
    group.measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_secs(1));
    for query in ["read and decode", "tumble", "hop", "top ten of a hop", "distinct", "sessions"] {
        let plan = || plan(&runtime, query, &connectors, &workload);
        eprintln!("{query}: {} final rows of {EVENTS} events", run(&runtime, plan(), &connectors));
        group.bench_function(query, |bencher| {
            bencher.iter_batched(plan, |plan| run(&runtime, plan, &connectors), BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, queries);
criterion_main!(benches);
