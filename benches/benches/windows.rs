//! Windowed aggregation on one thread, from decoded columns to final rows: the operators without source,
//! decoder, channels and sinks.
//!
//! `partial` is the part that runs on every compute thread; `whole` adds the merge stage. As in a running job,
//! partial aggregates go over every few batches, not after each.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench, run by hand: what fails here ought to stop it"
)]

use std::{collections::BTreeMap, hint::black_box, sync::Arc, time::Duration};

use arrow::{array::AsArray, compute::max, datatypes::TimestampMicrosecondType, record_batch::RecordBatch};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use plamatio_benches::traffic::Traffic;
use sinks::Extras;
use stream::{
    decode::{Decoder, json::JsonDecoder},
    operator::{Partial, step::apply_all, window_aggregate::WindowPartial},
    planner::{self, Connectors, JobPlan, Terminal},
    runtime::graph::Graph,
    time::{EventTime, Progress, Watermark},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS: u64 = 262_144;
const BATCH_ROWS: usize = 8_192;
/// Batches between two flushes to the merge stage.
const FLUSH_BATCHES: usize = 8;
const DELAY_US: i64 = 5_000_000;

const EVENTS: &str = "
CREATE TABLE events (
  `type` STRING, `time` TIMESTAMP_LTZ(3), anonymous_id STRING, product_id BIGINT, quantity BIGINT,
  value_minor BIGINT, event_time AS `time`,
  WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'not-opened', 'format' = 'json');
CREATE TABLE result (window_start TIMESTAMP_LTZ(3), a BIGINT, b BIGINT, c BIGINT) WITH ('connector' = 'blackhole');
";

/// Few groups, several aggregates.
const TUMBLE: &str = "
INSERT INTO result
SELECT window_start, COUNT(*), COUNT(*) FILTER (WHERE `type` = 'purchase'),
  SUM(CASE WHEN `type` = 'purchase_item' THEN quantity ELSE 0 END)
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, `type`;
";

/// Ten overlapping windows by product, and the best ten of each.
const HOP_TOP: &str = "
INSERT INTO result
SELECT window_start, product_id, revenue, place FROM (
  SELECT window_start, product_id, revenue,
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY revenue DESC, product_id) AS place
  FROM (
    SELECT window_start, window_end, product_id,
      SUM(CASE WHEN `type` = 'purchase_item' THEN value_minor ELSE 0 END) AS revenue
    FROM TABLE(HOP(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE, INTERVAL '10' MINUTE))
    WHERE product_id IS NOT NULL
    GROUP BY window_start, window_end, product_id
  )
) WHERE place <= 10;
";

/// One session a visitor.
const SESSION: &str = "
INSERT INTO result
SELECT window_start, COUNT(*), COUNT(*) FILTER (WHERE `type` = 'add_to_cart'), SUM(value_minor)
FROM TABLE(SESSION(TABLE events PARTITION BY anonymous_id, DESCRIPTOR(event_time), INTERVAL '30' MINUTE))
GROUP BY window_start, window_end, anonymous_id;
";

fn plan(query: &str) -> JobPlan {
    let connectors = Connectors { sinks: sinks::registry(Extras::default()), ..Connectors::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(planner::plan(&format!("{EVENTS}{query}"), &BTreeMap::new(), &connectors)).unwrap()
}

/// Batches in the schema of the plan's source, each with the watermark after it.
fn input(plan: &JobPlan) -> Vec<(RecordBatch, Watermark)> {
    let source = &plan.sources[0];
    let mut decoder = JsonDecoder::new("events", Arc::clone(&source.decoded)).unwrap();
    // At 100 events a second this is three quarters of an hour: sessions open and close.
    let traffic = Traffic { events: ROWS, seed: 1, events_per_second: 100.0 };
    let mut batches = Vec::new();
    for raw in traffic.batches(BATCH_ROWS).unwrap() {
        let decoded = decoder.decode(&raw).unwrap().batch;
        let mut columns = decoded.columns().to_vec();
        for (expr, _) in &source.generated {
            columns.push(expr.evaluate(&decoded).unwrap().into_array(decoded.num_rows()).unwrap());
        }
        let batch = RecordBatch::try_new(Arc::clone(&source.schema), columns).unwrap();
        let times = batch.column(source.time_column.unwrap()).as_primitive::<TimestampMicrosecondType>();
        let seen = max(times).unwrap();
        batches.push((batch, Watermark::at(EventTime::from_micros(seen - DELAY_US))));
    }
    batches
}

/// The compute thread's part; `merge` takes what is flushed, with the watermark then.
fn partials(
    plan: &JobPlan,
    input: &[(RecordBatch, Watermark)],
    mut merge: impl FnMut(usize, Vec<Partial>, Watermark),
) {
    let local = &plan.locals[0];
    let Terminal::Window(spec) = &local.terminal else { panic!("the query has no window") };
    let mut window = WindowPartial::new(Arc::clone(spec)).unwrap();
    for chunk in input.chunks(FLUSH_BATCHES) {
        let mut watermark = Watermark::START;
        for (batch, after) in chunk {
            if let Some(batch) = apply_all(&local.steps, batch).unwrap() {
                window.update(&batch, None).unwrap();
            }
            watermark.advance(*after);
        }
        merge(local.node, window.take().unwrap(), watermark);
    }
}

/// Compute thread and merge stage; answers the final rows.
fn whole(plan: &JobPlan, input: &[(RecordBatch, Watermark)]) -> usize {
    let mut graph = Graph::new(plan, 1).unwrap();
    let mut rows = 0;
    let mut advance = |graph: &mut Graph, watermark| {
        graph.progress(0, 0, Progress::Active(watermark));
        rows += graph.advance().unwrap().iter().map(|output| output.batch.num_rows()).sum::<usize>();
    };
    partials(plan, input, |node, partials, watermark| {
        for partial in partials {
            assert_eq!(graph.partial(node, partial).unwrap(), 0, "no row is late");
        }
        advance(&mut graph, watermark);
    });
    advance(&mut graph, Watermark::END);
    rows
}

fn windows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("windows");
    group.throughput(Throughput::Elements(ROWS)).sample_size(20);
    group.measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_secs(1));
    for (name, query) in [("tumble", TUMBLE), ("hop, top 10", HOP_TOP), ("session", SESSION)] {
        let plan = plan(query);
        let input = input(&plan);
        eprintln!("{name}: {} final rows of {ROWS} events", whole(&plan, &input));
        group.bench_function(format!("{name}, partial"), |bencher| {
            bencher.iter(|| {
                partials(&plan, &input, |_, partials, _| {
                    black_box(partials);
                })
            });
        });
        group.bench_function(format!("{name}, whole"), |bencher| bencher.iter(|| whole(&plan, &input)));
    }
    group.finish();
}

criterion_group!(benches, windows);
criterion_main!(benches);
