//! What the sinks count.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::support::{self, commit, rows, window_rows, window_table};

/// Keeps counters by name and labels.
#[derive(Default)]
struct Counts(Mutex<BTreeMap<String, Arc<Count>>>);

#[derive(Default)]
struct Count(AtomicU64);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Counter::from_arc(self.0.lock().unwrap().entry(name).or_default().clone())
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn rows_by_kind_commits_and_refusals() {
    let counts = Counts::default();
    metrics::with_local_recorder(&counts, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let table = window_table("t", &[("connector", "redis"), ("url", "memory://")]);
            let mut sink = support::open(&table).await.unwrap();
            sink.write(rows(window_rows(&[(60_000, "a", 1)]), 1, 0, false)).await.unwrap();
            commit(sink.as_mut(), 2, window_rows(&[(60_000, "a", 1), (60_000, "b", 2)])).await;
            sink.write(rows(window_rows(&[(60_000, "a", 1)]), 3, 0, false)).await.unwrap();
        });
    });
    let counted: Vec<_> =
        counts.0.lock().unwrap().iter().map(|(k, v)| (k.clone(), v.0.load(Ordering::Relaxed))).collect();
    let expected = [
        ("plamatio_sink_commits_total{sink=t}", 1),
        ("plamatio_sink_dropped_total{sink=t}", 0),
        ("plamatio_sink_refused_total{sink=t}", 1),
        ("plamatio_sink_retries_total{sink=t}", 0),
        ("plamatio_sink_rows_total{sink=t,kind=final}", 2),
        ("plamatio_sink_rows_total{sink=t,kind=provisional}", 2),
    ];
    assert_eq!(counted, expected.map(|(name, count)| (name.to_owned(), count)));
}
