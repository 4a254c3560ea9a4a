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
//! A window that closes is not put together pane by pane: two neighbouring panes are merged once for all windows that
//! hold both, and so are two such pairs, and so on. A window of `n` panes takes about `2 log n` pieces, and no piece
//! has to be taken out of another, so that any aggregate will do:
//!
//! ```text
//! panes                          p0   p1   p2   p3   p4   p5   p6   p7
//! merged                         [ p0 p1 ] [ p2 p3 ] [ p4 p5 ] [ p6 p7 ]
//!                                [  p0 p1 p2 p3   ]  [  p4 p5 p6 p7   ]
//! window of p1 to p6                 p1  [ p2 p3 ] [ p4 p5 ]  p6
//! ```
//!
//! State is bounded by the panes of open windows: at most `size / slide + (delay + lateness) / slide + 1`
//! of them, each with a state row a group, and by what is merged of them, which is less again.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use arrow::{
    array::{Array, ArrayRef, TimestampMicrosecondArray, UInt32Array},
    record_batch::RecordBatch,
};

use super::{
    Partial,
    aggregate::{Aggregation, Evaluated, GroupTable, live::LiveTable},
};
use crate::{error::StreamError, time::Watermark, window::WindowSpec};

/// Tables kept to be filled again: as many as are taken at once when a pane is over in each of a few partitions.
const SPARE: usize = 4;

/// Rows counted into panes, on the thread that reads them.
pub struct PanePartials {
    aggregation: Aggregation,
    slide_us: i64,
    panes: BTreeMap<i64, (GroupTable, u64)>,
    /// Empty ones with room for about as many groups as the next pane will have.
    spare: Vec<GroupTable>,
}

impl PanePartials {
    /// No rows yet.
    pub fn new(aggregation: Aggregation, slide_us: i64) -> Self {
        PanePartials { aggregation, slide_us, panes: BTreeMap::new(), spare: Vec::new() }
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
        let (table, count) = match self.panes.entry(pane) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let table = self.spare.pop().map_or_else(|| self.aggregation.table(), Ok)?;
                entry.insert((table, 0))
            }
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
            self.spare.push(table);
        }
        self.spare.truncate(SPARE);
        Ok(partials)
    }
}

/// A window's rows: end, key columns, aggregate columns.
pub type WindowRows = (i64, Vec<ArrayRef>, Vec<ArrayRef>, usize);

/// `2^level` panes side by side, the `number`-th such piece counted from the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Piece {
    level: u32,
    number: i64,
}

impl Piece {
    /// The fewest pieces that cover the panes of the numbers `[from, to)`.
    fn cover(mut from: i64, to: i64) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while from < to {
            let fits = to.saturating_sub(from).ilog2();
            let level = from.trailing_zeros().min(fits);
            pieces.push(Piece { level, number: from >> level });
            from += 1 << level;
        }
        pieces
    }

    /// The number of the pane behind its last one.
    fn end(self) -> i64 {
        self.number.saturating_add(1).saturating_mul(1 << self.level)
    }

    /// Its halves; none of a single pane.
    fn halves(self) -> Option<[Piece; 2]> {
        let level = self.level.checked_sub(1)?;
        Some([0, 1].map(|half| Piece { level, number: self.number * 2 + half }))
    }
}

/// A pane in the merge stage. What compute threads send is merged when it comes: provisional rows then cost what they
/// hold, not what went into them.
struct Pane {
    table: LiveTable,
    /// The table's states, until more comes.
    states: Option<RecordBatch>,
}

impl Pane {
    fn states(&mut self) -> Result<RecordBatch, StreamError> {
        if let Some(states) = &self.states {
            return Ok(states.clone());
        }
        Ok(self.states.insert(self.table.states()?).clone())
    }
}

/// The panes of open windows.
pub struct Panes {
    aggregation: Aggregation,
    slide_us: i64,
    size_us: i64,
    panes: BTreeMap<i64, Pane>,
    /// Panes merged, for windows that close.
    merged: BTreeMap<Piece, RecordBatch>,
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
            merged: BTreeMap::new(),
            changed: BTreeSet::new(),
            closed_us: i64::MIN,
        }
    }

    /// Adds states to a pane; `false` if every window of the pane is closed.
    pub fn merge(&mut self, pane_us: i64, states: &RecordBatch) -> Result<bool, StreamError> {
        if pane_us.saturating_add(self.size_us) <= self.closed_us {
            return Ok(false);
        }
        let pane = match self.panes.entry(pane_us) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(Pane { table: LiveTable::new(self.aggregation.clone())?, states: None })
            }
        };
        pane.table.merge(states)?;
        pane.states = None;
        self.changed.insert(pane_us);
        // A late row: what was merged without it is merged again when it is next wanted.
        let number = self.number(pane_us);
        for level in 1..=(self.size_us / self.slide_us).ilog2() {
            self.merged.remove(&Piece { level, number: number >> level });
        }
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
            let start = end.saturating_sub(self.size_us);
            let (keys, values, rows) = if self.slide_us == self.size_us {
                // No other window holds this pane.
                let Some(mut pane) = self.panes.remove(&start) else { continue };
                pane.table.evaluate()?
            } else {
                let mut batches = Vec::new();
                for piece in Piece::cover(self.number(start), self.number(end)) {
                    batches.extend(self.states_of(piece)?);
                }
                self.aggregation.evaluate(&batches)?
            };
            windows.push((end, keys, values, rows));
        }
        self.closed_us = limit_us;
        let (size_us, slide_us) = (self.size_us, self.slide_us);
        self.merged.retain(|piece, _| {
            let last_us = piece.end().saturating_sub(1).saturating_mul(slide_us);
            last_us.saturating_add(size_us) > limit_us
        });
        self.panes.retain(|pane, _| pane.saturating_add(size_us) > limit_us);
        self.changed.retain(|pane| pane.saturating_add(size_us) > limit_us);
        Ok(windows)
    }

    /// The number of the pane that starts at `pane_us`.
    fn number(&self, pane_us: i64) -> i64 {
        pane_us.div_euclid(self.slide_us)
    }

    /// The states of a piece; none where all its panes are empty.
    fn states_of(&mut self, piece: Piece) -> Result<Option<RecordBatch>, StreamError> {
        let Some(halves) = piece.halves() else {
            let pane_us = piece.number.saturating_mul(self.slide_us);
            let pane = self.panes.get_mut(&pane_us);
            return pane.map(|pane| pane.states()).transpose();
        };
        if let Some(merged) = self.merged.get(&piece) {
            return Ok(Some(merged.clone()));
        }
        let [left, right] = halves.map(|half| self.states_of(half));
        let merged = match (left?, right?) {
            (Some(left), Some(right)) => Some(self.aggregation.combine([&left, &right])?),
            (left, right) => left.or(right),
        };
        if let Some(merged) = &merged {
            self.merged.insert(piece, merged.clone());
        }
        Ok(merged)
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
        let panes: BTreeSet<i64> = self.panes.keys().chain(overlay.keys()).copied().collect();

        let mut windows = Vec::with_capacity(ends.len());
        let mut running: Option<RecordBatch> = None;
        // Of the window before, which is this one's too where no pane was added.
        let mut evaluated: Option<Evaluated> = None;
        let mut from = i64::MAX;
        for end in ends.into_iter().rev() {
            let start = end.saturating_sub(self.size_us);
            let (keys, values, rows) = if self.slide_us == self.size_us && !overlay.contains_key(&start) {
                let Some(pane) = self.panes.get_mut(&start) else { continue };
                pane.table.evaluate()?
            } else if end > newest {
                let added: Vec<i64> = panes.range(start..from).copied().collect();
                from = start;
                match evaluated.clone().filter(|_| added.is_empty()) {
                    Some(evaluated) => evaluated,
                    None => {
                        let mut batches = self.states_with(overlay, added)?;
                        batches.extend(running.take());
                        running = Some(self.aggregation.combine(&batches)?);
                        evaluated.insert(self.aggregation.evaluate(running.as_ref())?).clone()
                    }
                }
            } else {
                let batches = self.states_with(overlay, panes.range(start..end).copied())?;
                self.aggregation.evaluate(&batches)?
            };
            if rows > 0 {
                windows.push((end, keys, values, rows));
            }
        }
        windows.reverse();
        Ok(windows)
    }

    /// The states of panes, and of the overlay over them.
    fn states_with(
        &mut self,
        overlay: &BTreeMap<i64, Vec<RecordBatch>>,
        panes: impl IntoIterator<Item = i64>,
    ) -> Result<Vec<RecordBatch>, StreamError> {
        let mut batches = Vec::new();
        for pane_us in panes {
            if let Some(pane) = self.panes.get_mut(&pane_us) {
                batches.push(pane.states()?);
            }
            batches.extend(overlay.get(&pane_us).into_iter().flatten().cloned());
        }
        Ok(batches)
    }

    /// The panes with their states, one batch a pane.
    pub fn snapshot(&mut self) -> Result<Vec<(i64, RecordBatch)>, StreamError> {
        let panes = self.panes.iter_mut();
        panes.map(|(pane_us, pane)| Ok((*pane_us, pane.states()?))).collect()
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_cover_each_pane_once_and_are_few(from in -200_i64..200, panes in 0_i64..130) {
            let pieces = Piece::cover(from, from + panes);
            let mut next = from;
            for piece in &pieces {
                prop_assert_eq!(piece.number << piece.level, next);
                next = piece.end();
            }
            prop_assert_eq!(next, from + panes);
            prop_assert!(pieces.len() <= 14, "{} pieces", pieces.len());
        }
    }
}
