//! Tumbling and hopping windows, made of panes.
//!
//! A pane is a slide-sized slice of time. [`PanePartials`] counts rows into panes where they are read, one
//! update a row however many windows overlap; [`Panes`] collects what the compute threads made and puts panes
//! together into windows:
//!
//! ```text
//! slide 1 min, size 3 min        12:00  12:01  12:02  12:03  12:04
//! panes                          [ p0 ) [ p1 ) [ p2 ) [ p3 )
//! window ending 12:03            [ p0     p1     p2 )
//! window ending 12:04                   [ p1     p2     p3 )
//! ```
//!
//! State is bounded by the panes of open windows: at most `size / slide + (delay + lateness) / slide + 1`
//! of them, each with a state row a group.

use std::collections::{BTreeMap, BTreeSet};

use arrow::{
    array::{Array, TimestampMicrosecondArray, UInt32Array},
    record_batch::RecordBatch,
};

use super::{
    Partial,
    aggregate::{Aggregation, GroupTable},
};
use crate::{error::StreamError, time::Watermark, window::WindowSpec};

/// State batches of a pane are merged into one when there are more than this.
const MAX_BATCHES: usize = 16;

/// Rows counted into panes, on the thread that reads them.
pub struct PanePartials {
    aggregation: Aggregation,
    slide_us: i64,
    panes: BTreeMap<i64, (GroupTable, u64)>,
}

impl PanePartials {
    /// No rows yet.
    pub fn new(aggregation: Aggregation, slide_us: i64) -> Self {
        PanePartials { aggregation, slide_us, panes: BTreeMap::new() }
    }

    /// Counts a batch; `times` has the event time of each row, none NULL.
    pub fn update(
        &mut self,
        batch: &RecordBatch,
        times: &TimestampMicrosecondArray,
    ) -> Result<(), StreamError> {
        let times = times.values();
        let (Some(min), Some(max)) = (times.iter().min(), times.iter().max()) else { return Ok(()) };
        let inputs = self.aggregation.inputs(batch)?;
        let first = WindowSpec::pane_start(self.slide_us, *min);
        if *max < first.saturating_add(self.slide_us) {
            return self.add(first, &inputs, times.len());
        }
        // Rows of several panes: their indexes, pane by pane.
        let mut by_pane: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (row, time) in (0_u32..).zip(times) {
            by_pane.entry(WindowSpec::pane_start(self.slide_us, *time)).or_default().push(row);
        }
        for (pane, rows) in by_pane {
            let count = rows.len();
            self.add(pane, &inputs.take(&UInt32Array::from(rows))?, count)?;
        }
        Ok(())
    }

    fn add(&mut self, pane: i64, inputs: &super::aggregate::Inputs, rows: usize) -> Result<(), StreamError> {
        use std::collections::btree_map::Entry;
        let (table, count) = match self.panes.entry(pane) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert((self.aggregation.table()?, 0)),
        };
        *count += u64::try_from(rows).unwrap_or(u64::MAX);
        table.update(inputs)
    }

    /// Takes out, pane by pane, everything, or the panes that end at or before `until`: each is then in a window
    /// that can close.
    pub fn take(&mut self, until: Option<i64>) -> Result<Vec<Partial>, StreamError> {
        let panes = match until {
            None => std::mem::take(&mut self.panes),
            Some(until) => {
                let open = self.panes.split_off(&until.saturating_sub(self.slide_us).saturating_add(1));
                std::mem::replace(&mut self.panes, open)
            }
        };
        let mut partials = Vec::with_capacity(panes.len());
        for (pane_us, (mut table, rows)) in panes {
            partials.push(Partial { pane_us, states: table.take_states(&self.aggregation)?, rows });
        }
        Ok(partials)
    }
}

/// A window's rows: end, key columns, aggregate columns.
pub type WindowRows = (i64, Vec<arrow::array::ArrayRef>, Vec<arrow::array::ArrayRef>, usize);

/// The panes of open windows.
pub struct Panes {
    aggregation: Aggregation,
    slide_us: i64,
    size_us: i64,
    panes: BTreeMap<i64, Vec<RecordBatch>>,
    /// Panes that changed since provisional rows were last asked for.
    changed: BTreeSet<i64>,
    /// Windows that end at or before this are closed.
    closed_us: i64,
}

impl Panes {
    /// No panes yet.
    pub fn new(aggregation: Aggregation, slide_us: i64, size_us: i64) -> Self {
        Panes {
            aggregation,
            slide_us,
            size_us,
            panes: BTreeMap::new(),
            changed: BTreeSet::new(),
            closed_us: i64::MIN,
        }
    }

    /// Adds states to a pane; `false` if every window of the pane is closed.
    pub fn merge(&mut self, pane_us: i64, states: RecordBatch) -> Result<bool, StreamError> {
        if pane_us.saturating_add(self.size_us) <= self.closed_us {
            return Ok(false);
        }
        let batches = self.panes.entry(pane_us).or_default();
        batches.push(states);
        if batches.len() > MAX_BATCHES {
            *batches = vec![self.aggregation.combine(batches.iter())?];
        }
        self.changed.insert(pane_us);
        Ok(true)
    }

    /// Closes the windows that end at or before `limit_us` and hands over their rows, in order of their ends.
    pub fn close(&mut self, limit_us: i64) -> Result<Vec<WindowRows>, StreamError> {
        if limit_us <= self.closed_us {
            return Ok(Vec::new());
        }
        let ends = self.ends(|end| end <= limit_us, self.panes.keys());
        let mut windows = Vec::with_capacity(ends.len());
        for end in ends {
            let batches =
                self.panes.range(end.saturating_sub(self.size_us)..end).flat_map(|(_, batches)| batches);
            let (keys, values, rows) = self.aggregation.evaluate(batches)?;
            windows.push((end, keys, values, rows));
        }
        self.closed_us = limit_us;
        let size_us = self.size_us;
        self.panes.retain(|pane, _| pane.saturating_add(size_us) > limit_us);
        self.changed.retain(|pane| pane.saturating_add(size_us) > limit_us);
        Ok(windows)
    }

    /// The ends of open windows over `panes` for which `wanted` holds.
    fn ends<'a>(&self, wanted: impl Fn(i64) -> bool, panes: impl Iterator<Item = &'a i64>) -> BTreeSet<i64> {
        let mut ends = BTreeSet::new();
        for pane in panes {
            let last = pane.saturating_add(self.size_us);
            let mut end = pane.saturating_add(self.slide_us);
            loop {
                if end > self.closed_us && wanted(end) {
                    ends.insert(end);
                }
                // At the end of representable time there is no further window.
                match end.checked_add(self.slide_us) {
                    Some(next) if next <= last => end = next,
                    _ => break,
                }
            }
        }
        ends
    }

    /// The rows of open windows as of now, of all or of those that changed since the last call, together with
    /// `overlay`, states by pane that are counted this time only. Latest window last.
    ///
    /// Windows that reach past the newest pane are suffixes of each other, so they are built from the newest
    /// pane backwards, each from the one before: the cost is two merges a window, not one a pane.
    pub fn provisional(
        &mut self,
        overlay: &BTreeMap<i64, Vec<RecordBatch>>,
        all: bool,
    ) -> Result<Vec<WindowRows>, StreamError> {
        let mut changed = std::mem::take(&mut self.changed);
        if all {
            changed.extend(self.panes.keys());
        }
        let ends = self.ends(|_| true, changed.iter().chain(overlay.keys()));
        let newest = self.panes.keys().chain(overlay.keys()).max().copied().unwrap_or(i64::MIN);
        let pane_batches = |pane: i64| {
            let own = self.panes.get(&pane).into_iter().flatten();
            own.chain(overlay.get(&pane).into_iter().flatten())
        };
        let panes: BTreeSet<i64> = self.panes.keys().chain(overlay.keys()).copied().collect();

        let mut windows = Vec::with_capacity(ends.len());
        let mut running: Option<RecordBatch> = None;
        let mut from = i64::MAX;
        for end in ends.into_iter().rev() {
            let start = end.saturating_sub(self.size_us);
            let (keys, values, rows) = if end > newest {
                let added: Vec<i64> = panes.range(start..from).copied().collect();
                if !added.is_empty() || running.is_none() {
                    let combined = self.aggregation.combine(
                        added
                            .iter()
                            .flat_map(|pane| pane_batches(*pane))
                            .cloned()
                            .chain(running.take())
                            .collect::<Vec<_>>()
                            .iter(),
                    )?;
                    running = Some(combined);
                }
                from = start;
                self.aggregation.evaluate(running.as_ref())?
            } else {
                let batches = panes.range(start..end).flat_map(|pane| pane_batches(*pane));
                self.aggregation.evaluate(batches)?
            };
            if rows > 0 {
                windows.push((end, keys, values, rows));
            }
        }
        windows.reverse();
        Ok(windows)
    }

    /// The panes with their states, one batch a pane.
    pub fn snapshot(&mut self) -> Result<Vec<(i64, RecordBatch)>, StreamError> {
        for batches in self.panes.values_mut().filter(|batches| batches.len() > 1) {
            *batches = vec![self.aggregation.combine(batches.iter())?];
        }
        Ok(self.panes.iter().flat_map(|(pane, batches)| batches.iter().map(|b| (*pane, b.clone()))).collect())
    }

    /// Windows that end at or before `limit_us` were closed before a restart.
    pub fn restore_closed(&mut self, limit_us: i64) {
        self.closed_us = self.closed_us.max(limit_us);
    }
}

/// The watermark as a limit on window ends: `None` before the first.
pub fn closing_limit(watermark: Watermark, lateness_us: i64) -> Option<i64> {
    (watermark != Watermark::START).then(|| watermark.delayed_by(lateness_us).time().micros())
}

/// The event times in a column, or an error if the planner chose a column of another type.
pub fn event_times(array: &dyn Array) -> Result<&TimestampMicrosecondArray, StreamError> {
    array
        .as_any()
        .downcast_ref()
        .ok_or_else(|| StreamError::internal(format!("event time is a {} column", array.data_type())))
}
