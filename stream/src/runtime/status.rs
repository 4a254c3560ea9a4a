//! What can be asked of a job while it runs: its ledger, its watermark, its epoch.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use super::checkpoint::Checkpoint;
use crate::{
    ledger::{Ledger, SinkCounters, SourceCounters},
    planner::JobPlan,
    table::TableDef,
};

/// What can be asked of a job from outside, at any time.
pub struct Status {
    sources: Vec<(String, Arc<SourceCounters>)>,
    sinks: Vec<(String, Arc<SinkCounters>)>,
    pub(super) watermark_us: AtomicI64,
    pub(super) epoch: AtomicU64,
}

impl Status {
    /// Of a job over these tables, which goes on from a checkpoint.
    pub(super) fn new(plan: &JobPlan, sinks: &[TableDef], checkpoint: &Checkpoint) -> Self {
        let sources = plan.sources.iter().map(|source| source.table.name.clone());
        let sources: Vec<_> = sources.map(|name| (name, Arc::new(SourceCounters::default()))).collect();
        let sinks = sinks.iter().map(|table| (table.name.clone(), Arc::new(SinkCounters::default())));
        let sinks: Vec<_> = sinks.collect();
        restore_ledger(&checkpoint.ledger, &sources, &sinks);
        let epoch = AtomicU64::new(checkpoint.epoch.number());
        Status { sources, sinks, watermark_us: AtomicI64::new(i64::MIN), epoch }
    }

    /// The counters of the sources, as in the plan.
    pub(super) fn sources(&self) -> &[(String, Arc<SourceCounters>)] {
        &self.sources
    }

    /// The counters of the sinks, as they were given.
    pub(super) fn sinks(&self) -> &[(String, Arc<SinkCounters>)] {
        &self.sinks
    }

    /// Exports the ledger as metrics: `plamatio_source_records_total{job,source,class}` and
    /// `plamatio_job_rows_total{job,sink,kind}`, and how far event time has come.
    pub(super) fn export(&self, job: &str) {
        let ledger = self.ledger();
        for (source, counts) in &ledger.sources {
            let classes = [
                ("read", counts.read),
                ("on_time", counts.on_time),
                ("late_accepted", counts.late_accepted),
                ("late_dropped", counts.late_dropped),
                ("duplicate", counts.duplicate),
                ("dead_letter", counts.dead_letter),
            ];
            for (class, count) in classes {
                let labels =
                    [("job", job.to_owned()), ("source", source.clone()), ("class", class.to_owned())];
                metrics::counter!("plamatio_source_records_total", &labels).absolute(count);
            }
        }
        for (sink, counts) in &ledger.sinks {
            for (kind, count) in [("provisional", counts.provisional), ("final", counts.finals)] {
                let labels = [("job", job.to_owned()), ("sink", sink.clone()), ("kind", kind.to_owned())];
                metrics::counter!("plamatio_job_rows_total", &labels).absolute(count);
            }
        }
        if let Some(watermark_us) = self.watermark_us() {
            #[expect(clippy::cast_precision_loss, reason = "seconds for a gauge")]
            metrics::gauge!("plamatio_watermark_seconds", "job" => job.to_owned())
                .set(watermark_us as f64 / 1e6);
        }
    }

    /// The ledger as of now.
    pub fn ledger(&self) -> Ledger {
        let mut sinks: BTreeMap<String, crate::ledger::SinkLedger> = BTreeMap::new();
        for (name, counters) in &self.sinks {
            let (ledger, more) = (sinks.entry(name.clone()).or_default(), counters.snapshot());
            ledger.provisional += more.provisional;
            ledger.finals += more.finals;
        }
        Ledger {
            sources: self
                .sources
                .iter()
                .map(|(name, counters)| (name.clone(), counters.snapshot()))
                .collect(),
            sinks,
        }
    }

    /// How far event time has come over all sources, in microseconds; `None` before the first watermark and
    /// after the last.
    pub(crate) fn watermark_us(&self) -> Option<i64> {
        let micros = self.watermark_us.load(Ordering::Relaxed);
        (micros != i64::MIN && micros != i64::MAX).then_some(micros)
    }

    /// The newest epoch that was committed; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }
}

fn restore_ledger(
    ledger: &Ledger,
    sources: &[(String, Arc<SourceCounters>)],
    sinks: &[(String, Arc<SinkCounters>)],
) {
    for (name, counters) in sources {
        if let Some(ledger) = ledger.sources.get(name) {
            counters.add(ledger);
        }
    }
    let mut restored = std::collections::BTreeSet::new();
    for (name, counters) in sinks {
        // Several INSERTs into one table share a line of the ledger.
        if let Some(ledger) = ledger.sinks.get(name).filter(|_| restored.insert(name)) {
            counters.restore(ledger);
        }
    }
}
