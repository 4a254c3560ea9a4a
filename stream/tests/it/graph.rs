//! Drives a planned graph by hand: rows, watermarks and emissions come when the test says so.

use std::sync::Arc;

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
    plan: JobPlan,
    /// By local chain, as on a compute thread.
    windows: Vec<Option<WindowPartial>>,
    pub(crate) graph: Graph,
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
        Driven::of(plan)
    }

    fn of(plan: JobPlan) -> Self {
        let graph = Graph::new(&plan, 1).unwrap();
        let windows = plan.locals.iter().map(|local| match &local.terminal {
            Terminal::Forward => None,
            Terminal::Window(spec) => Some(WindowPartial::new(Arc::clone(spec)).unwrap()),
        });
        Driven { windows: windows.collect(), plan, graph }
    }

    /// The same plan with the state of this graph, as a restart makes it.
    pub(crate) fn restored(mut self) -> Self {
        let state = self.graph.snapshot().unwrap();
        let mut restored = Driven::of(self.plan);
        restored.graph.restore(state).unwrap();
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
        shown(self.graph.advance().unwrap(), true)
    }

    /// The provisional rows as of now.
    pub(crate) fn emit(&mut self) -> String {
        shown(self.graph.emit().unwrap(), false)
    }
}

fn shown(outputs: Vec<SinkOutput>, is_final: bool) -> String {
    assert!(outputs.iter().all(|output| output.is_final == is_final));
    text::table(&outputs.into_iter().map(|output| output.batch).collect::<Vec<_>>(), false)
}
