//! Runs to medians, spread and shares, and these to a table.

use std::fmt;

use serde::Serialize;

use crate::case::{Case, Measured, Work};

/// Median and range of some runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Spread {
    /// Of these values; `None` where there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => (values.get(middle.checked_sub(1)?)? + values.get(middle)?) / 2.0,
            _ => *values.get(middle)?,
        };
        Some(Spread { median, min: *values.first()?, max: *values.last()? })
    }
}

/// A case over all runs.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The case.
    pub case: Case,
    /// Events per second on the clock.
    pub events_per_second: Spread,
    /// Events per second of processor time: what one busy core does.
    pub per_core: Option<Spread>,
    /// The rate as a share of the bare loop's over the same input, columns and threads, run by run.
    pub share: Option<Spread>,
    /// Processor seconds per million events.
    pub cpu_per_million: Option<Spread>,
    /// Most memory held in any run, in bytes.
    pub peak_bytes: Option<u64>,
    /// Each run.
    pub runs: Vec<Measured>,
}

/// Puts the runs of all cases together: `runs[i]` has one measurement of each case.
pub fn rows(cases: &[Case], runs: &[Vec<Measured>]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let measured: Vec<&Measured> = runs.iter().filter_map(|run| run.get(index)).collect();
        let rate = |measured: &Measured| events(measured) / measured.seconds;
        let cpu = || measured.iter().filter_map(|m| Some((*m, m.cpu_seconds.filter(|cpu| *cpu > 0.0)?)));
        let bare = cases.iter().position(|bare| {
            bare.work == Work::Parse
                && case.work != Work::Parse
                && (&bare.input, bare.threads, &bare.metrics) == (&case.input, case.threads, &case.metrics)
        });
        let shares = runs.iter().filter_map(|run| Some(rate(run.get(index)?) / rate(run.get(bare?)?)));
        let Some(events_per_second) = Spread::of(measured.iter().map(|m| rate(m))) else { continue };
        rows.push(Row {
            case: case.clone(),
            events_per_second,
            per_core: Spread::of(cpu().map(|(m, cpu)| events(m) / cpu)),
            share: Spread::of(shares),
            cpu_per_million: Spread::of(cpu().map(|(m, cpu)| cpu / events(m) * 1e6)),
            peak_bytes: measured.iter().filter_map(|m| m.peak_bytes).max(),
            runs: measured.into_iter().cloned().collect(),
        });
    }
    rows
}

#[expect(clippy::cast_precision_loss, reason = "numbers of events are far below 2^53")]
fn events(measured: &Measured) -> f64 {
    measured.events as f64
}

/// Rows as a table in Markdown.
pub struct Table<'a>(pub &'a [Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millions = |spread: &Spread| format!("{:.3}", spread.median / 1e6);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let mut cells = vec![
            [
                "from",
                "cores",
                "what",
                "M events/s",
                "lowest to highest",
                "per core",
                "of bare",
                "CPU s/M",
                "peak MiB",
            ]
            .map(str::to_owned),
        ];
        for row in self.0 {
            let rate = row.events_per_second;
            cells.push([
                row.case.input.name().to_owned(),
                row.case.threads.to_string(),
                row.case.to_string(),
                millions(&rate),
                format!("{:.3} to {:.3}", rate.min / 1e6, rate.max / 1e6),
                or_dash(row.per_core.as_ref().map(millions)),
                or_dash(row.share.map(|share| format!("{:.2}", share.median))),
                or_dash(row.cpu_per_million.map(|cpu| format!("{:.2}", cpu.median))),
                or_dash(row.peak_bytes.map(|bytes| (bytes >> 20).to_string())),
            ]);
        }
        let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or_default();
        let widths: [usize; 9] = std::array::from_fn(width);
        for (line, row) in cells.iter().enumerate() {
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                // Words to the left, numbers to the right.
                match column {
                    0 | 2 => write!(f, "| {cell:<width$} ")?,
                    _ => write!(f, "| {cell:>width$} ")?,
                }
            }
            writeln!(f, "|")?;
            if line == 0 {
                for (column, width) in widths.into_iter().enumerate() {
                    let end = if matches!(column, 0 | 2) { "-" } else { ":" };
                    write!(f, "|{}{end}", "-".repeat(width + 1))?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::case::{Input, Metric};

    fn measured(seconds: f64) -> Measured {
        let final_rows = BTreeMap::new();
        Measured {
            events: 1_000_000,
            seconds,
            cpu_seconds: Some(seconds * 2.0),
            peak_bytes: Some(1 << 20),
            final_rows,
        }
    }

    #[test]
    fn a_share_is_taken_run_by_run_from_the_bare_loop_beside_it() {
        let case = |work, threads| Case {
            input: Input::Files { folder: "events".into() },
            threads,
            work,
            metrics: vec![Metric::Conversion],
        };
        let cases = [case(Work::Parse, 2), case(Work::Engine, 2), case(Work::Engine, 1)];
        let run = |slow: f64| vec![measured(slow), measured(4.0 * slow), measured(9.0)];
        let rows = rows(&cases, &[run(1.0), run(3.0), run(2.0)]);

        assert_eq!(rows[0].events_per_second, Spread { median: 500_000.0, min: 1e6 / 3.0, max: 1e6 });
        assert_eq!(rows[0].share, None);
        let quarter = Spread { median: 0.25, min: 0.25, max: 0.25 };
        assert!(rows[1].share.is_some_and(|share| (share.median - quarter.median).abs() < 1e-9));
        assert_eq!(rows[2].share, None, "there is no bare loop on one core");
        assert_eq!(rows[1].cpu_per_million.map(|cpu| cpu.median), Some(16.0));

        let table = Table(&rows).to_string();
        assert_eq!(table.lines().count(), 5);
        assert!(table.lines().all(|line| line.len() == table.lines().next().unwrap().len()), "{table}");
    }

    #[test]
    fn an_even_number_of_runs_has_its_median_between_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 3.0, 2.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(Spread::of([]), None);
    }
}
