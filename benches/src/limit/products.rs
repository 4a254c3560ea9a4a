//! Revenue, units and views by minute and product, and the ten best of ten minutes.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{
    MINUTE_MS, TopRow,
    hash::Mixing,
    scan::{Fields, Kind},
};

/// Minutes in a window.
const PANES: i64 = 10;
/// Rows of a window.
const BEST: usize = 10;

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    revenue_cents: i64,
    units: i64,
    views: i64,
}

/// One minute, by product.
#[derive(Debug, Default)]
pub struct Pane(HashMap<i64, Totals, Mixing>);

impl Pane {
    /// Adds another pane of the same minute.
    pub fn add(&mut self, other: Pane) {
        self.add_all(&other);
    }

    fn add_all(&mut self, other: &Pane) {
        for (product, more) in &other.0 {
            let totals = self.0.entry(*product).or_default();
            totals.revenue_cents += more.revenue_cents;
            totals.units += more.units;
            totals.views += more.views;
        }
    }

    fn best(&self, start_ms: i64, rows: &mut Vec<TopRow>) {
        let mut best: Vec<(i64, i64, Totals)> = Vec::with_capacity(BEST + 1);
        for (product, totals) in &self.0 {
            // Ascending by this is descending by revenue, then ascending by product.
            let place = (totals.revenue_cents.wrapping_neg(), *product);
            if best.len() < BEST || best.last().is_some_and(|last| place < (last.0, last.1)) {
                let index = best.partition_point(|(revenue, product, _)| (*revenue, *product) < place);
                best.insert(index, (place.0, place.1, *totals));
                best.truncate(BEST);
            }
        }
        for (rank, (_, product, totals)) in (1..).zip(best) {
            rows.push(TopRow {
                start_ms,
                end_ms: start_ms + PANES * MINUTE_MS,
                rank,
                product,
                revenue_cents: totals.revenue_cents,
                units: totals.units,
                views: totals.views,
            });
        }
    }
}

/// The minutes that a thread has counted and not handed over.
#[derive(Debug, Default)]
pub struct Panes {
    minute: i64,
    /// Of `minute`: most events are of the same minute as the one before.
    current: Pane,
    others: BTreeMap<i64, Pane>,
}

impl Panes {
    /// Counts an event.
    pub fn add(&mut self, event: &Fields<'_>) {
        let minute = event.time_ms.div_euclid(MINUTE_MS);
        if minute != self.minute {
            let next = self.others.remove(&minute).unwrap_or_default();
            let last = std::mem::replace(&mut self.current, next);
            if !last.0.is_empty() {
                self.others.insert(self.minute, last);
            }
            self.minute = minute;
        }
        let totals = self.current.0.entry(event.product).or_default();
        match event.kind {
            Kind::View => totals.views += 1,
            Kind::Order => {
                totals.revenue_cents += event.revenue_cents();
                totals.units += event.quantity;
            }
            Kind::Addition | Kind::Other => {}
        }
    }

    /// Takes out the minutes below `before`.
    pub fn take(&mut self, before: i64) -> BTreeMap<i64, Pane> {
        let later = self.others.split_off(&before);
        let mut taken = std::mem::replace(&mut self.others, later);
        if self.minute < before && !self.current.0.is_empty() {
            taken.insert(self.minute, std::mem::take(&mut self.current));
        }
        taken
    }
}

/// The last ten minutes of which everything is known.
#[derive(Debug, Default)]
pub struct Window {
    panes: VecDeque<(i64, Pane)>,
    /// The first minute of the next window.
    next: Option<i64>,
}

impl Window {
    /// Takes complete minutes, in order, and writes the windows that end before minute `before` has ended.
    pub fn advance(
        &mut self,
        panes: impl IntoIterator<Item = (i64, Pane)>,
        before: i64,
        rows: &mut Vec<TopRow>,
    ) {
        for (minute, pane) in panes {
            // Windows up to the first that holds this minute see nothing of it.
            self.write(minute, rows);
            self.next.get_or_insert(minute - PANES + 1);
            self.panes.push_back((minute, pane));
        }
        self.write(before, rows);
    }

    /// Writes the windows whose last minute lies below `before`.
    fn write(&mut self, before: i64, rows: &mut Vec<TopRow>) {
        while let Some(start) = self.next {
            if self.panes.is_empty() {
                self.next = None;
                return;
            }
            if start.saturating_add(PANES) > before {
                return;
            }
            let mut all = Pane::default();
            for (_, pane) in self.panes.iter().filter(|(minute, _)| *minute < start + PANES) {
                all.add_all(pane);
            }
            all.best(start * MINUTE_MS, rows);
            while self.panes.front().is_some_and(|(minute, _)| *minute <= start) {
                self.panes.pop_front();
            }
            self.next = Some(start + 1);
        }
    }
}
