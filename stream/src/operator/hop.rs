//! Tumbling, hopping and cumulating windows, made of panes.
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
//! The windows of a day that cumulate by the hour are of panes of an hour, those from the day's first one on. An offset
//! of windows is not known here: times come without it, and go without it.
//!
//! A late row may have come when some of the windows over its pane were closed for it, by the promise of its own
//! partition. It is counted apart from its pane, with the end of the first window that takes it, and joins the pane
//! once every window before that one is written. What is merged of panes never holds it before.
//!
//! State is bounded by the panes of open windows: at most `size / slide + (delay + lateness) / slide + 1`
//! of them, each with a state row a group, and by what is merged of them, which is less again.

mod piece;

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use arrow::{
    array::{Array, ArrayRef, TimestampMicrosecondArray, UInt32Array},
    record_batch::RecordBatch,
};

use self::piece::Piece;
use super::{
    Partial,
    aggregate::{Aggregation, Evaluated, GroupTable, Inputs, live::LiveTable, open::Direction},
};
use crate::{
    error::StreamError,
    time::Watermark,
    window::{Fixed, WindowSpec},
};

/// Tables kept to be filled again: as many as are taken at once when a pane is over in each of a few partitions.
const SPARE: usize = 4;

/// Rows counted into panes, on the thread that reads them.
pub struct PanePartials {
    aggregation: Aggregation,
    slide_us: i64,
    /// By pane, and by the first window's end that takes the rows: the pane's own end, but for some late rows.
    panes: BTreeMap<(i64, i64), (GroupTable, u64)>,
    /// Empty ones with room for about as many groups as the next pane will have.
    spare: Vec<GroupTable>,
}

impl PanePartials {
    /// No rows yet.
    pub fn new(aggregation: Aggregation, slide_us: i64) -> Self {
        PanePartials { aggregation, slide_us, panes: BTreeMap::new(), spare: Vec::new() }
    }

    /// Counts a batch; `times` has the event time of each row, none NULL. Windows that end at or before `closed_us`
    /// do not take the rows.
    pub fn update(
        &mut self,
        batch: &RecordBatch,
        times: &TimestampMicrosecondArray,
        closed_us: Option<i64>,
    ) -> Result<(), StreamError> {
        let times = times.values();
        let (Some(min), Some(max)) = (times.iter().min(), times.iter().max()) else { return Ok(()) };
        let inputs = self.aggregation.inputs(batch)?;
        let first = WindowSpec::pane_start(self.slide_us, *min);
        if *max < first.saturating_add(self.slide_us) {
            return self.add(first, closed_us, &inputs, times.len());
        }
        for (pane, rows) in by_pane(times, self.slide_us) {
            let count = rows.len();
            self.add(pane, closed_us, &inputs.take(&UInt32Array::from(rows))?, count)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        pane: i64,
        closed_us: Option<i64>,
        inputs: &Inputs,
        rows: usize,
    ) -> Result<(), StreamError> {
        let first_end = WindowSpec::first_end(self.slide_us, pane, closed_us);
        let (table, count) = match self.panes.entry((pane, first_end)) {
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
                let open_from = until.saturating_sub(self.slide_us).saturating_add(1);
                let open = self.panes.split_off(&(open_from, i64::MIN));
                std::mem::replace(&mut self.panes, open)
            }
        };
        let mut partials = Vec::with_capacity(panes.len());
        for ((pane_us, first_end_us), (mut table, rows)) in panes {
            let states = table.take_states(&self.aggregation)?;
            partials.push(Partial { pane_us, first_end_us, states, rows });
            self.spare.push(table);
        }
        self.spare.truncate(SPARE);
        Ok(partials)
    }
}

/// The rows of each pane, by their indexes.
fn by_pane(times: &[i64], slide_us: i64) -> BTreeMap<i64, Vec<u32>> {
    let mut by_pane: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (row, time) in (0_u32..).zip(times) {
        by_pane.entry(WindowSpec::pane_start(slide_us, *time)).or_default().push(row);
    }
    by_pane
}

/// A window's rows: end, key columns, aggregate columns, number.
pub type WindowRows = (i64, Vec<ArrayRef>, Vec<ArrayRef>, usize);

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
    window: Fixed,
    panes: BTreeMap<i64, Pane>,
    /// Late rows by the end of the first window that takes them, and their pane.
    late: BTreeMap<(i64, i64), Pane>,
    /// Panes merged, for windows that close.
    merged: BTreeMap<Piece, RecordBatch>,
    /// Panes that changed since provisional rows were last asked for.
    changed: BTreeSet<i64>,
    /// Windows that end at or before this are closed.
    closed_us: i64,
}

impl Panes {
    /// No panes yet.
    pub fn new(aggregation: Aggregation, window: Fixed) -> Self {
        Panes {
            aggregation,
            window,
            panes: BTreeMap::new(),
            late: BTreeMap::new(),
            merged: BTreeMap::new(),
            changed: BTreeSet::new(),
            closed_us: i64::MIN,
        }
    }

    /// Adds states to a pane, for the windows that end at `first_end_us` or later; `false` if all of them are closed.
    pub fn merge(
        &mut self,
        pane_us: i64,
        first_end_us: i64,
        states: &RecordBatch,
    ) -> Result<bool, StreamError> {
        if self.window.last_end(pane_us) <= self.closed_us {
            return Ok(false);
        }
        self.changed.insert(pane_us);
        let first_open = WindowSpec::first_end(self.window.pane_us, pane_us, Some(self.closed_us));
        let pane = if first_end_us > first_open {
            pane_in(&mut self.late, (first_end_us, pane_us), &self.aggregation)?
        } else {
            self.forget_merged(pane_us);
            pane_in(&mut self.panes, pane_us, &self.aggregation)?
        };
        pane.table.merge(states)?;
        pane.states = None;
        Ok(true)
    }

    /// Takes provisional rows of windows below, or lets go of such that it has taken; those of windows that are closed
    /// are left out both times. `times` are as in [`PanePartials::update`].
    pub fn change(
        &mut self,
        direction: Direction,
        batch: &RecordBatch,
        times: &TimestampMicrosecondArray,
    ) -> Result<(), StreamError> {
        let inputs = self.aggregation.inputs(batch)?;
        for (pane_us, rows) in by_pane(times.values(), self.window.pane_us) {
            if self.window.last_end(pane_us) <= self.closed_us {
                continue;
            }
            self.changed.insert(pane_us);
            let pane = pane_in(&mut self.panes, pane_us, &self.aggregation)?;
            pane.table.change(direction, &inputs.take(&UInt32Array::from(rows))?)?;
        }
        Ok(())
    }

    /// A late row: what was merged without it is merged again when it is next wanted.
    fn forget_merged(&mut self, pane_us: i64) {
        let number = self.number(pane_us);
        for level in 1..=(self.window.size_us / self.window.pane_us).ilog2() {
            self.merged.remove(&Piece { level, number: number >> level });
        }
    }

    /// Counts late rows with their panes whose first window ends at or before `end_us`: the windows before are written.
    fn settle(&mut self, end_us: i64) -> Result<(), StreamError> {
        while let Some(entry) = self.late.first_entry() {
            let (first_end_us, pane_us) = *entry.key();
            if first_end_us > end_us {
                break;
            }
            let states = entry.remove().states()?;
            self.forget_merged(pane_us);
            let pane = pane_in(&mut self.panes, pane_us, &self.aggregation)?;
            pane.table.merge(&states)?;
            pane.states = None;
        }
        Ok(())
    }

    /// Closes the windows that end at or before `limit_us` and hands over their rows, in order of their ends.
    pub fn close(&mut self, limit_us: i64) -> Result<Vec<WindowRows>, StreamError> {
        let mut windows = Vec::new();
        // Behind the last one: at the end of representable time there is no further window.
        while let Some(end) = self.first_open_end().filter(|end| self.closed_us < *end && *end <= limit_us) {
            self.settle(end)?;
            let start = self.window.start_of(end);
            let (keys, values, rows) = if self.window.pane_us == self.window.size_us {
                // No other window holds this pane.
                let Some(mut pane) = self.panes.remove(&start) else { break };
                pane.table.evaluate()?
            } else {
                let mut batches = Vec::new();
                for piece in Piece::cover(self.number(start), self.number(end)) {
                    batches.extend(self.states_of(piece)?);
                }
                self.aggregation.evaluate(&batches)?
            };
            windows.push((end, keys, values, rows));
            self.closed_us = end;
        }
        if limit_us > self.closed_us {
            self.closed_us = limit_us;
            self.let_go();
        }
        Ok(windows)
    }

    /// The end of the first window that is not closed and holds rows.
    fn first_open_end(&self) -> Option<i64> {
        // The first pane may be in closed windows only until they are let go.
        let open_from = self.window.open_from(self.closed_us);
        let pane = self.panes.range(open_from..).next().map(|(pane, _)| *pane);
        let of_pane = pane.map(|pane| WindowSpec::first_end(self.window.pane_us, pane, Some(self.closed_us)));
        let of_late = self.late.first_key_value().map(|((first_end, _), _)| *first_end);
        [of_pane, of_late].into_iter().flatten().min()
    }

    /// Lets go of what only closed windows hold.
    fn let_go(&mut self) {
        let open_from = self.window.open_from(self.closed_us);
        while self.panes.first_key_value().is_some_and(|(pane, _)| *pane < open_from) {
            self.panes.pop_first();
        }
        while self.changed.first().is_some_and(|pane| *pane < open_from) {
            self.changed.pop_first();
        }
        for level in 1..=(self.window.size_us / self.window.pane_us).ilog2() {
            let first = Piece { level, number: i64::MIN };
            while let Some(piece) = self.merged.range(first..).next().map(|(piece, _)| *piece) {
                let last_us = piece.end().saturating_sub(1).saturating_mul(self.window.pane_us);
                if piece.level != level || last_us >= open_from {
                    break;
                }
                self.merged.remove(&piece);
            }
        }
    }

    /// The number of the pane that starts at `pane_us`.
    fn number(&self, pane_us: i64) -> i64 {
        pane_us.div_euclid(self.window.pane_us)
    }

    /// The states of a piece; none where all its panes are empty.
    fn states_of(&mut self, piece: Piece) -> Result<Option<RecordBatch>, StreamError> {
        let Some(halves) = piece.halves() else {
            let pane_us = piece.number.saturating_mul(self.window.pane_us);
            let pane = self.panes.get_mut(&pane_us);
            return pane.map(|pane| pane.states()).transpose();
        };
        if let Some(merged) = self.merged.get(&piece) {
            return Ok(Some(merged.clone()));
        }
        let from_us = piece.start().saturating_mul(self.window.pane_us);
        if self.panes.range(from_us..piece.end().saturating_mul(self.window.pane_us)).next().is_none() {
            return Ok(None);
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

    /// The ends of open windows over `panes`, which are in order.
    fn ends(&self, panes: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let mut ends: Vec<i64> = Vec::new();
        for pane in panes {
            let last = self.window.last_end(pane);
            let before = ends.last().map_or(self.closed_us, |end| self.closed_us.max(*end));
            let mut end = WindowSpec::first_end(self.window.pane_us, pane, Some(before));
            while end <= last {
                ends.push(end);
                // At the end of representable time there is no further window.
                let Some(next) = end.checked_add(self.window.pane_us) else { break };
                end = next;
            }
        }
        ends
    }

    /// The rows as of now of the open windows that changed since the last call, provisional ones of windows below
    /// among them. Latest window last; a window may have no rows any more.
    ///
    /// Windows that reach past the newest pane are suffixes of each other, so they are built from the newest
    /// pane backwards, each from the one before: the cost is two merges a window, not one a pane.
    pub fn provisional(&mut self) -> Result<Vec<WindowRows>, StreamError> {
        let changed = std::mem::take(&mut self.changed);
        let ends = self.ends(changed);
        let newest = self.panes.last_key_value().map_or(i64::MIN, |(pane, _)| *pane);

        let mut windows = Vec::with_capacity(ends.len());
        let mut running: Option<RecordBatch> = None;
        // Of the window before, which is this one's too where no pane was added.
        let mut evaluated: Option<Evaluated> = None;
        let mut from = i64::MAX;
        for end in ends.into_iter().rev() {
            let start = self.window.start_of(end);
            let late = self.late_of(start, end)?;
            let (keys, values, rows) = if self.window.pane_us == self.window.size_us {
                let Some(pane) = self.panes.get_mut(&start) else { continue };
                pane.table.evaluate_provisional()?
            } else if end > newest {
                let added: Vec<i64> = self.panes.range(start..from).map(|(pane, _)| *pane).collect();
                from = start;
                if !added.is_empty() {
                    evaluated = None;
                    let mut batches = self.states_with(added)?;
                    batches.extend(running.take());
                    running = Some(self.aggregation.combine(&batches)?);
                }
                match &evaluated {
                    Some(evaluated) if late.is_empty() => evaluated.clone(),
                    _ if late.is_empty() => {
                        evaluated.insert(self.aggregation.evaluate(running.as_ref())?).clone()
                    }
                    _ => self.aggregation.evaluate(running.iter().chain(&late))?,
                }
            } else {
                let mut batches = late;
                for piece in Piece::cover(self.number(start), self.number(end)) {
                    batches.extend(self.states_of(piece)?);
                }
                for (_, pane) in self.panes.range(start..end) {
                    batches.extend(pane.table.provisional_states()?);
                }
                self.aggregation.evaluate(&batches)?
            };
            windows.push((end, keys, values, rows));
        }
        windows.reverse();
        Ok(windows)
    }

    /// The states of late rows that are not with their panes yet and lie in the window `[start, end)`.
    fn late_of(&mut self, start: i64, end: i64) -> Result<Vec<RecordBatch>, StreamError> {
        let mut batches = Vec::new();
        for ((_, pane_us), pane) in self.late.range_mut(..(end, i64::MAX)) {
            if (start..end).contains(pane_us) {
                batches.push(pane.states()?);
            }
        }
        Ok(batches)
    }

    /// The states of panes, and what provisional rows add to them.
    fn states_with(&mut self, panes: impl IntoIterator<Item = i64>) -> Result<Vec<RecordBatch>, StreamError> {
        let mut batches = Vec::new();
        for pane_us in panes {
            if let Some(pane) = self.panes.get_mut(&pane_us) {
                batches.push(pane.states()?);
                batches.extend(pane.table.provisional_states()?);
            }
        }
        Ok(batches)
    }

    /// The panes with their states: pane, end of the first window that takes them, and one batch.
    pub fn snapshot(&mut self) -> Result<Vec<(i64, i64, RecordBatch)>, StreamError> {
        let slide_us = self.window.pane_us;
        let mut all = Vec::with_capacity(self.panes.len() + self.late.len());
        for (pane_us, pane) in &mut self.panes {
            all.push((*pane_us, pane_us.saturating_add(slide_us), pane.states()?));
        }
        for ((first_end_us, pane_us), pane) in &mut self.late {
            all.push((*pane_us, *first_end_us, pane.states()?));
        }
        Ok(all)
    }
}

fn pane_in<'a, K: Ord>(
    panes: &'a mut BTreeMap<K, Pane>,
    key: K,
    aggregation: &Aggregation,
) -> Result<&'a mut Pane, StreamError> {
    Ok(match panes.entry(key) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => {
            entry.insert(Pane { table: LiveTable::new(aggregation.clone())?, states: None })
        }
    })
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
