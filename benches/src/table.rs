//! Runs to medians, spread and shares, and these to a table.

use std::fmt;

use serde::Serialize;

use crate::{
    case::{Case, Query, Work},
    measure::Measured,
};

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
    /// The rate as a share of the bare loop's over the same input and threads, run by run: of the engine's
    /// bare parse, or for the hand-written program of its own decoding.
    pub of_bare: Option<Spread>,
    /// The rate as a share of the hand-written program's for the same queries, input and threads, run by run.
    pub of_limit: Option<Spread>,
    /// The same in processor time instead of time on the clock: what other processes take away counts less.
    pub of_limit_in_processor_time: Option<Spread>,
    /// Processor seconds per million events.
    pub cpu_per_million: Option<Spread>,
    /// Most memory held in any run, in bytes.
    pub peak_bytes: Option<u64>,
    /// Each run.
    pub runs: Vec<Measured>,
}

/// Puts the runs of all cases together: `runs[i]` has one measurement of each case.
pub fn rows(cases: &[Case], runs: &[Vec<Measured>]) -> Vec<Row> {
    let rate = |measured: &Measured| Some(events(measured) / measured.seconds);
    let per_core =
        |measured: &Measured| Some(events(measured) / measured.cpu_seconds.filter(|cpu| *cpu > 0.0)?);
    let mut rows = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let measured = || runs.iter().filter_map(|run| run.get(index));
        let share = |base: Option<usize>, rate: &dyn Fn(&Measured) -> Option<f64>| {
            let one = |run: &Vec<Measured>| Some(rate(run.get(index)?)? / rate(run.get(base?)?)?);
            Spread::of(runs.iter().filter_map(one))
        };
        let bare = bare_of(case).and_then(|work| beside(cases, case, work, &[]));
        let limit = is_engine(case).then(|| beside(cases, case, Work::Limit, &case.queries)).flatten();
        let Some(events_per_second) = Spread::of(measured().filter_map(rate)) else { continue };
        rows.push(Row {
            case: case.clone(),
            events_per_second,
            per_core: Spread::of(measured().filter_map(per_core)),
            of_bare: share(bare, &rate),
            of_limit: share(limit, &rate),
            of_limit_in_processor_time: share(limit, &per_core),
            cpu_per_million: Spread::of(measured().filter_map(per_core).map(|rate| 1e6 / rate)),
            peak_bytes: measured().filter_map(|m| m.peak_bytes).max(),
            runs: measured().cloned().collect(),
        });
    }
    rows
}

fn is_engine(case: &Case) -> bool {
    matches!(case.work, Work::Engine | Work::EngineWithUpdates)
}

fn bare_of(case: &Case) -> Option<Work> {
    match case.work {
        Work::Engine | Work::EngineWithUpdates => Some(Work::Parse),
        Work::Limit => Some(Work::LimitDecode),
        Work::LimitDecode | Work::Parse | Work::ParseSerde | Work::Shop => None,
    }
}

/// The case with this work and these queries over the same input on as many threads.
fn beside(cases: &[Case], case: &Case, work: Work, queries: &[Query]) -> Option<usize> {
    let same = |other: &Case| {
        other.work == work
            && other.queries == queries
            && (&other.input, other.threads) == (&case.input, case.threads)
    };
    cases.iter().position(same)
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
        let share = |spread: &Spread| format!("{:.2}", spread.median);
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
                "of limit",
                "CPU s/M",
                "peak MiB",
            ]
            .map(str::to_owned),
        ];
        for row in self.0 {
            let rate = row.events_per_second;
            cells.push([
                row.case.input.name(),
                row.case.threads.to_string(),
                row.case.to_string(),
                millions(&rate),
                format!("{:.3} to {:.3}", rate.min / 1e6, rate.max / 1e6),
                or_dash(row.per_core.as_ref().map(millions)),
                or_dash(row.of_bare.as_ref().map(share)),
                or_dash(row.of_limit.as_ref().map(share)),
                or_dash(row.cpu_per_million.map(|cpu| format!("{:.2}", cpu.median))),
                or_dash(row.peak_bytes.map(|bytes| (bytes >> 20).to_string())),
            ]);
        }
        let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or_default();
        let widths: [usize; 10] = std::array::from_fn(width);
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
    use super::*;
    use crate::case::Input;

    fn measured(seconds: f64) -> Measured {
        Measured {
            events: 1_000_000,
            seconds,
            cpu_seconds: Some(seconds * 2.0),
            peak_bytes: Some(1 << 20),
            ..Measured::default()
        }
    }

    #[test]
    fn shares_are_taken_run_by_run_from_what_stands_beside() {
        let case = |work, threads, queries: &[Query]| {
            let input = Input::File { path: "events.jsonl".into() };
            Case { input, threads, work, queries: queries.to_vec() }
        };
        let cases = [
            case(Work::Parse, 2, &[]),
            case(Work::Engine, 2, &Query::ALL),
            case(Work::Limit, 2, &Query::ALL),
            case(Work::Engine, 2, &[Query::Funnel]),
            case(Work::Engine, 1, &Query::ALL),
        ];
        let run = |slow: f64| [1.0, 4.0, 2.0, 3.0, 9.0].map(|seconds| measured(seconds * slow)).to_vec();
        let rows = rows(&cases, &[run(1.0), run(3.0), run(2.0)]);

        assert_eq!(rows[0].events_per_second, Spread { median: 500_000.0, min: 1e6 / 3.0, max: 1e6 });
        assert_eq!((rows[0].of_bare, rows[0].of_limit), (None, None));
        let is = |share: Option<Spread>, value: f64| {
            let share = share.unwrap();
            [share.median, share.min, share.max].iter().all(|found| (found - value).abs() < 1e-9)
        };
        assert!(is(rows[1].of_bare, 0.25));
        assert!(is(rows[1].of_limit, 0.5));
        assert!(is(rows[1].of_limit_in_processor_time, 0.5));
        assert_eq!(rows[2].of_bare, None, "nothing decodes by hand here");
        assert_eq!(rows[3].of_limit, None, "this query was not measured by hand");
        assert_eq!((rows[4].of_bare, rows[4].of_limit), (None, None), "nothing else runs on one core");
        assert_eq!(rows[1].cpu_per_million.map(|cpu| cpu.median), Some(16.0));

        let table = Table(&rows).to_string();
        assert_eq!(table.lines().count(), 7);
        assert!(table.lines().all(|line| line.len() == table.lines().next().unwrap().len()), "{table}");
    }

    #[test]
    fn an_even_number_of_runs_has_its_median_between_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 3.0, 2.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(Spread::of([]), None);
    }
}
