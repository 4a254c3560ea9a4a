//! What a measurement is taken with, and what comes of it.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use serde::{Deserialize, Serialize};
use sinks::Extras;
use stream::{
    planner::Connectors,
    runtime::{clock, job::JobOptions},
};

use crate::{machine, workload::source};

/// Records read at once, as in the engine.
pub(crate) const MAX_RECORDS: usize = 8_192;

/// The engine's connectors and the workload's.
pub fn connectors() -> Connectors {
    let mut connectors = Connectors { sinks: sinks::registry(Extras::default()), ..Connectors::default() };
    connectors.sources.register(source::CONNECTOR, Arc::new(source::Generate));
    connectors
}

/// A job without state and dead letters.
pub fn job_options(threads: usize) -> JobOptions {
    JobOptions {
        name: "bench".to_owned(),
        state: None,
        may_drop_state: false,
        dead_letters: None,
        clock: clock::system(),
        parallelism: Some(threads),
    }
}

/// What a case took.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Events read; several jobs over the same input read the same events.
    pub events: u64,
    /// On the clock.
    pub seconds: f64,
    /// On processors, all threads together.
    pub cpu_seconds: Option<f64>,
    /// Memory held before the clock started, in bytes.
    pub start_bytes: Option<u64>,
    /// Most memory held until the last event had been read, in bytes; for events that are made.
    pub read_peak_bytes: Option<u64>,
    /// Most memory held, in bytes.
    pub peak_bytes: Option<u64>,
    /// Final rows of each table.
    pub final_rows: BTreeMap<String, u64>,
}

/// The options of a table that keeps nothing.
pub fn discard(emit: &str) -> String {
    format!("'connector' = 'blackhole', 'emit' = '{emit}'")
}

/// What a measurement is taken with.
pub(crate) struct Stopwatch {
    started: Instant,
    cpu_seconds: Option<f64>,
    start_bytes: Option<u64>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Stopwatch {
            start_bytes: machine::resident_bytes(),
            cpu_seconds: machine::cpu_seconds(),
            started: Instant::now(),
        }
    }

    pub(crate) fn stop(self, events: u64, final_rows: BTreeMap<String, u64>) -> Measured {
        let seconds = self.started.elapsed().as_secs_f64();
        let cpu = machine::cpu_seconds().zip(self.cpu_seconds);
        Measured {
            events,
            seconds,
            cpu_seconds: cpu.map(|(after, before)| after - before),
            start_bytes: self.start_bytes,
            read_peak_bytes: None,
            peak_bytes: machine::peak_bytes(),
            final_rows,
        }
    }
}
