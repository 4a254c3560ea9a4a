//! The counters of a running sink; their names are in the crate's doc.

use metrics::{Counter, counter};

/// Counters of one sink, labelled with its table's name.
pub(crate) struct SinkMetrics {
    rows_provisional: Counter,
    rows_final: Counter,
    /// Epochs made visible.
    pub(crate) commits: Counter,
    /// Attempts after a first one failed.
    pub(crate) retries: Counter,
    /// Provisional values replaced by newer ones before they could be written.
    pub(crate) dropped: Counter,
    /// Values that the store refused as older than what it holds.
    pub(crate) refused: Counter,
}

impl SinkMetrics {
    pub(crate) fn new(table: &str) -> Self {
        let sink = || table.to_owned();
        SinkMetrics {
            rows_provisional: counter!("plamatio_sink_rows_total", "sink" => sink(), "kind" => "provisional"),
            rows_final: counter!("plamatio_sink_rows_total", "sink" => sink(), "kind" => "final"),
            commits: counter!("plamatio_sink_commits_total", "sink" => sink()),
            retries: counter!("plamatio_sink_retries_total", "sink" => sink()),
            dropped: counter!("plamatio_sink_dropped_total", "sink" => sink()),
            refused: counter!("plamatio_sink_refused_total", "sink" => sink()),
        }
    }

    /// Counts rows handed to the sink.
    pub(crate) fn rows(&self, count: usize, is_final: bool) {
        let counter = if is_final { &self.rows_final } else { &self.rows_provisional };
        counter.increment(u64::try_from(count).unwrap_or(u64::MAX));
    }
}
