//! Drives a planned graph by hand: rows, watermarks and emissions come when the test says so. What its sink was given is
//! kept as a live table: the provisional rows that are not gone.

use std::{collections::BTreeMap, sync::Arc};

use arrow::array::RecordBatch;

use plamatio_stream::{
    decode::{Decoder, json::JsonDecoder},
    operator::{step::apply_all, window_aggregate::WindowPartial},
    planner::{JobPlan, Terminal},
    runtime::graph::{Graph, SinkOutput},
    source::RawBatch,
    time::{EventTime, Offset, Progress, Watermark},
};

use crate::{
    run::plan,
    text::{self, DAY_US},
};

/// A graph over the table `events (time, k, v)` and its one sink `out`.
pub(crate) struct Driven {
    plan: Arc<JobPlan>,
    /// By local chain, as on a compute thread.
    windows: Vec<Option<WindowPartial>>,
    pub(crate) graph: Graph,
    /// The rows that are provisional, with their number.
    live: BTreeMap<String, usize>,
    /// The rows that are final, in order.
    finals: Vec<String>,
    /// Of the last emission.
    gone: String,
}

impl Driven {
    /// Plans `query` into a table of `columns`.
    pub(crate) fn new(columns: &str, query: &str) -> Self {
        let script = format!(
            "CREATE TABLE events (`time` TIMESTAMP(3), k STRING, v BIGINT, WATERMARK FOR `time` AS `time`)
             WITH ('connector' = 'filesystem', 'path' = 'unused');
             CREATE TABLE out ({columns}) WITH ('connector' = 'collect');
             INSERT INTO out {query}"
        );
        let plan = plan(&script).unwrap_or_else(|error| panic!("{error}"));
        Driven::of(Arc::new(plan))
    }

    fn of(plan: Arc<JobPlan>) -> Self {
        let graph = Graph::new(&plan, 1).unwrap();
        let windows = plan.locals.iter().map(|local| match &local.terminal {
            Terminal::Forward => None,
            Terminal::Window(spec) => Some(WindowPartial::new(Arc::clone(spec)).unwrap()),
        });
        let (windows, gone) = (windows.collect(), String::new());
        Driven { windows, plan, graph, live: BTreeMap::new(), finals: Vec::new(), gone }
    }

    /// The same plan from the start.
    pub(crate) fn anew(&self) -> Self {
        Driven::of(Arc::clone(&self.plan))
    }

    /// The same plan with the state of this graph, as a restart makes it.
    pub(crate) fn restored(mut self) -> Self {
        let state = self.graph.snapshot().unwrap();
        let mut restored = self.anew();
        restored.graph.restore(state).unwrap();
        restored.finals = self.finals;
        restored
    }

    /// Takes the rows of a text table.
    pub(crate) fn rows(&mut self, input: &str) {
        self.rows_at(input, None);
    }

    /// The same for late rows that met a watermark of so many seconds of the day.
    pub(crate) fn late_rows(&mut self, input: &str, seconds: i64) {
        self.rows_at(input, Some(Watermark::at(EventTime::from_micros(DAY_US + seconds * 1_000_000))));
    }

    fn rows_at(&mut self, input: &str, late_at: Option<Watermark>) {
        let source = &self.plan.sources[0];
        let mut decoder = JsonDecoder::new("events", source.decode.clone()).unwrap();
        let mut raw = RawBatch::default();
        for line in text::json_lines(input) {
            raw.push(line.as_bytes(), Offset::ZERO);
        }
        let decoded = decoder.decode(&raw).unwrap();
        assert!(decoded.rejects.is_empty(), "{:?}", decoded.rejects);
        for (local, window) in self.plan.locals.iter().zip(&mut self.windows) {
            let Some(batch) = apply_all(&local.steps, &decoded.batch, None).unwrap() else { continue };
            match window {
                None => self.graph.rows(local.node, batch).unwrap(),
                Some(window) => {
                    window.update(&batch, late_at).unwrap();
                    for partial in window.take(None).unwrap() {
                        assert_eq!(self.graph.partial(local.node, partial).unwrap(), 0, "rows came too late");
                    }
                }
            }
        }
    }

    /// The final rows that a watermark of so many seconds of the day closes.
    pub(crate) fn watermark(&mut self, seconds: i64) -> String {
        let time = EventTime::from_micros(DAY_US + seconds * 1_000_000);
        self.graph.progress(0, 0, Progress::Active(Watermark::at(time)));
        self.advanced()
    }

    /// What is final at the end of time.
    pub(crate) fn end(&mut self) -> String {
        self.graph.progress(0, 0, Progress::Active(Watermark::END));
        self.advanced()
    }

    fn advanced(&mut self) -> String {
        let mut finals = Vec::new();
        loop {
            for output in self.graph.advance().unwrap() {
                self.keep(&output);
                finals.extend(output.is_final.then_some(output.batch));
            }
            if !self.graph.is_behind() {
                return text::table(&finals, false);
            }
        }
    }

    /// Does with a call what a live sink would.
    fn keep(&mut self, output: &SinkOutput) {
        for row in output.gone.iter().flat_map(rows_of) {
            let count =
                self.live.get_mut(&row).unwrap_or_else(|| panic!("{row} is gone and was never there"));
            *count -= 1;
            if *count == 0 {
                self.live.remove(&row);
            }
        }
        for row in rows_of(&output.batch) {
            match output.is_final {
                true => self.finals.push(row),
                false => *self.live.entry(row).or_default() += 1,
            }
        }
    }

    /// The rows that a live sink has, sorted: first those that are final, then provisional ones.
    pub(crate) fn live(&self) -> (Vec<String>, Vec<String>) {
        let live = self.live.iter().flat_map(|(row, count)| vec![row.clone(); *count]);
        let mut finals = self.finals.clone();
        finals.sort();
        (finals, live.collect())
    }

    /// The rows that were taken back by the last emission.
    pub(crate) fn gone(&self) -> &str {
        &self.gone
    }

    /// The provisional rows as of now.
    pub(crate) fn emit(&mut self) -> String {
        let outputs = self.graph.emit().unwrap();
        assert!(outputs.iter().all(|output| !output.is_final));
        outputs.iter().for_each(|output| self.keep(output));
        let gone: Vec<RecordBatch> = outputs.iter().filter_map(|output| output.gone.clone()).collect();
        self.gone = text::table(&gone, false);
        let now = outputs.into_iter().map(|output| output.batch).filter(|batch| batch.num_rows() > 0);
        text::table(&now.collect::<Vec<_>>(), false)
    }
}

fn rows_of(batch: &RecordBatch) -> Vec<String> {
    let table = text::table(std::slice::from_ref(batch), true);
    table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}
