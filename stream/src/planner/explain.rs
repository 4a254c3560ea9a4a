//! What a job will do, for people: the tree of its operators, as text, JSON or a picture.
//!
//! One tree a sink, from the sink down to the sources. Each operator says what it computes, by which time it goes, what
//! it keeps, when it writes, and where it runs: on the threads that read, or in the merge stage. An operator that feeds
//! several others is written out once and named after that.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use super::{
    JobPlan, LocalPlan, NodePlan, OperatorPlan, SourcePlan, Target, Terminal,
    words::{bound_text, interval_text, window_text},
};
use crate::{
    operator::{
        interval_join::{IntervalJoinSpec, JoinKind, SideSpec},
        step::Step,
        time_order::TimeOrderSpec,
        window_aggregate::{GroupColumn, WindowAggregateSpec},
    },
    sink::EmitMode,
    window::WindowSpec,
};

/// Where an operator runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// On the threads that read the source.
    Reading,
    /// In the merge stage.
    Merge,
    /// Beside it, as a task of its own.
    Sink,
}

/// An operator and what feeds it.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// What it is, in a word or two.
    pub(crate) operator: String,
    /// Its number in the merge stage; an operator that was explained before has only this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<usize>,
    /// Where it runs.
    pub(crate) stage: Stage,
    /// What there is to say, by name.
    pub details: Vec<(&'static str, String)>,
    /// What feeds it.
    pub(crate) inputs: Vec<Explained>,
}

/// A job, explained: one tree a sink.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The sinks.
    pub sinks: Vec<Explained>,
}

impl Explanation {
    /// Of a planned job.
    pub fn of(plan: &JobPlan) -> Self {
        let mut explainer = Explainer { plan, seen: BTreeSet::new() };
        let sinks = plan.sinks.iter().enumerate().map(|(index, sink)| {
            let feeding = plan.nodes.iter().enumerate();
            let feeding = feeding.filter(|(_, node)| node.outputs.contains(&Target::Sink(index)));
            let inputs = feeding.map(|(node, _)| explainer.node(node)).collect();
            let changes = match sink.emit {
                EmitMode::Final => "appends final rows",
                EmitMode::Updates => "replaces a window's rows: provisional, then final",
            };
            Explained {
                operator: format!("sink {}", sink.table.name),
                node: None,
                stage: Stage::Sink,
                details: vec![("connector", sink.table.connector()), ("changes", changes.to_owned())],
                inputs,
            }
        });
        Explanation { sinks: sinks.collect() }
    }

    /// As JSON, one object.
    pub fn to_json(&self) -> String {
        // Strings and lists only: nothing that JSON could not hold.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// As Mermaid's text of a flow chart.
    pub fn to_mermaid(&self) -> String {
        let mut text = "flowchart BT\n".to_owned();
        let mut names = 0;
        for sink in &self.sinks {
            mermaid(sink, &mut names, &mut text);
        }
        text
    }
}

/// Writes an operator and what feeds it; answers its name.
fn mermaid(explained: &Explained, names: &mut usize, text: &mut String) -> String {
    let name = match explained.node {
        Some(node) => format!("n{node}"),
        None => {
            *names += 1;
            format!("x{names}")
        }
    };
    // One that was written before is only pointed at.
    let is_reference =
        explained.node.is_some() && explained.details.is_empty() && explained.inputs.is_empty();
    if !is_reference {
        let mut label = explained.operator.clone();
        for (what, value) in &explained.details {
            label.push_str(&format!("<br/>{what}: {value}"));
        }
        let label = label.replace('"', "'");
        text.push_str(&format!("  {name}[\"{label}\"]\n"));
    }
    for input in &explained.inputs {
        let from = mermaid(input, names, text);
        text.push_str(&format!("  {from} --> {name}\n"));
    }
    name
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, sink) in self.sinks.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write_tree(f, sink, "", "", "")?;
        }
        Ok(())
    }
}

fn write_tree(
    f: &mut fmt::Formatter<'_>,
    explained: &Explained,
    first: &str,
    rest: &str,
    indent: &str,
) -> fmt::Result {
    let stage = match explained.stage {
        Stage::Reading => " [reading threads]",
        Stage::Merge => " [merge stage]",
        Stage::Sink => "",
    };
    let number = explained.node.map(|node| format!(" #{node}")).unwrap_or_default();
    writeln!(f, "{indent}{first}{}{number}{stage}", explained.operator)?;
    let indent = format!("{indent}{rest}");
    let bar = if explained.inputs.is_empty() { "  " } else { "│ " };
    for (what, value) in &explained.details {
        writeln!(f, "{indent}{bar}{what}: {value}")?;
    }
    let last = explained.inputs.len().saturating_sub(1);
    for (index, input) in explained.inputs.iter().enumerate() {
        let (first, rest) = if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        write_tree(f, input, first, rest, &indent)?;
    }
    Ok(())
}

struct Explainer<'a> {
    plan: &'a JobPlan,
    seen: BTreeSet<usize>,
}

impl Explainer<'_> {
    fn node(&mut self, index: usize) -> Explained {
        let node = &self.plan.nodes[index];
        let (operator, mut details) = operator(node);
        details.extend(node.state.as_ref().map(|state| ("uid", state.uid.clone())));
        let mut explained =
            Explained { operator, node: Some(index), stage: Stage::Merge, details, inputs: Vec::new() };
        if !self.seen.insert(index) {
            explained.operator = format!("the same {}", explained.operator);
            explained.details.clear();
            return explained;
        }
        let mut feeding: Vec<(usize, usize)> = Vec::new();
        for (from, node) in self.plan.nodes.iter().enumerate() {
            feeding.extend(node.outputs.iter().filter_map(|target| match target {
                Target::Node { node, port } if *node == index => Some((*port, from)),
                _ => None,
            }));
        }
        feeding.sort_unstable();
        for (_, from) in feeding {
            explained.inputs.push(self.node(from));
        }
        for local in self.plan.locals.iter().filter(|local| local.node == index) {
            explained.inputs.push(chain(local, &self.plan.sources[local.source]));
        }
        explained
    }
}

/// A local chain, its end first.
fn chain(local: &LocalPlan, source: &SourcePlan) -> Explained {
    let mut explained = explain_source(source);
    for step in &local.steps {
        let (operator, details) = step_details(step);
        // Choosing columns is no work worth a line.
        if matches!(step, Step::Select { .. }) {
            continue;
        }
        explained =
            Explained { operator, node: None, stage: Stage::Reading, details, inputs: vec![explained] };
    }
    if let Terminal::Window(spec) = &local.terminal {
        let details = vec![
            ("window", window_text(spec.window)),
            ("keeps", "what it has counted since its last flush".to_owned()),
        ];
        explained = Explained {
            operator: "partial aggregate".to_owned(),
            node: None,
            stage: Stage::Reading,
            details,
            inputs: vec![explained],
        };
    }
    explained
}

fn explain_source(source: &SourcePlan) -> Explained {
    let columns: Vec<&str> = source.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut details = vec![("connector", source.table.connector()), ("columns", columns.join(", "))];
    if let Some(watermark) = &source.table.watermark {
        details.push((
            "time",
            format!("{}, watermark {} behind it", watermark.column, interval_text(watermark.delay_us)),
        ));
    }
    if source.options.allowed_lateness_us > 0 {
        details.push(("allowed lateness", interval_text(source.options.allowed_lateness_us)));
    }
    if !source.options.deduplicate_key.is_empty() {
        let horizon = interval_text(source.options.deduplicate_horizon_us);
        details.push((
            "keeps",
            format!("keys seen ({}) for {horizon}", source.options.deduplicate_key.join(", ")),
        ));
    }
    details.push(("uid", source.identity.uid.clone()));
    Explained {
        operator: format!("source {}", source.table.name),
        node: None,
        stage: Stage::Reading,
        details,
        inputs: Vec::new(),
    }
}

type Details = Vec<(&'static str, String)>;

fn operator(node: &NodePlan) -> (String, Details) {
    match &node.operator {
        OperatorPlan::Steps { steps, .. } => match steps.as_slice() {
            [] => ("union".to_owned(), Vec::new()),
            [step] => step_details(step),
            _ => ("steps".to_owned(), Vec::new()),
        },
        OperatorPlan::Window(spec) => window_details(spec),
        OperatorPlan::Rank(spec) => {
            let mut details = vec![("partition by", texts(&spec.partition_by))];
            let order: Vec<String> = spec.order_by.iter().map(ToString::to_string).collect();
            details.push(("order by", order.join(", ")));
            if let Some(limit) = spec.limit {
                details.push(("first rows", limit.to_string()));
            }
            details.push(("keeps", "nothing: windows come whole".to_owned()));
            ("row number".to_owned(), details)
        }
        OperatorPlan::Whole(spec) => {
            let times = spec.ports.iter().map(|port| {
                let column = port.column;
                format!("column {column} by {}", bound_text(port.bound))
            });
            let details = vec![
                ("time", times.collect::<Vec<_>>().join("; ")),
                ("keeps", "the rows of windows that are not complete".to_owned()),
                ("writes", "a window once every input has passed it".to_owned()),
            ];
            (spec.name.clone(), details)
        }
        OperatorPlan::IntervalJoin(spec) => interval_join_details(spec),
        OperatorPlan::TimeOrder(spec) => time_order_details(spec),
        OperatorPlan::FirstRows(spec) => {
            let rows = match spec.fetch {
                Some(fetch) => format!("{fetch} after {}", spec.skip),
                None => format!("all after {}", spec.skip),
            };
            ("first rows".to_owned(), vec![("rows", rows), ("keeps", "how many rows have come".to_owned())])
        }
    }
}

fn interval_join_details(spec: &IntervalJoinSpec) -> (String, Details) {
    let [left, right] = &spec.sides;
    let keys = left.keys.iter().zip(&right.keys).map(|(left, right)| format!("{left} = {right}"));
    let time =
        |side: &SideSpec| format!("{} by {}", side.schema.field(side.time).name(), bound_text(side.bound));
    let reach = |micros: i64| match micros {
        ..0 => format!("-{}", interval_text(micros.saturating_neg())),
        _ => interval_text(micros),
    };
    let mut details = vec![
        ("key", keys.collect::<Vec<_>>().join(", ")),
        ("time", format!("{}; {}", time(left), time(right))),
        ("interval", format!("right from {} to {} of left", reach(spec.lower_us), reach(spec.upper_us))),
    ];
    if let Some(filter) = &spec.filter {
        details.push(("where", filter.to_string()));
    }
    details.push(("keeps", "the rows of each side that a row to come of the other may meet".to_owned()));
    let writes = match spec.kind {
        JoinKind::Inner | JoinKind::Semi => "a row once both are there",
        JoinKind::Anti => "a row once none to come may meet it",
        _ => "a row once both are there; one without a partner once none to come may meet it",
    };
    details.push(("writes", writes.to_owned()));
    (format!("{:?} interval join", spec.kind).to_lowercase(), details)
}

fn time_order_details(spec: &TimeOrderSpec) -> (String, Details) {
    let order: Vec<String> = spec.order_by.iter().map(ToString::to_string).collect();
    let mut details = vec![
        ("order by", order.join(", ")),
        ("time", format!("{} by {}", spec.input.field(spec.time).name(), bound_text(spec.bound))),
    ];
    let mut keeps = "rows that may not be in order yet".to_owned();
    if let Some(keys) = &spec.number_by {
        let keys: Vec<String> = keys.iter().map(|(key, _)| key.to_string()).collect();
        details.push(("numbered by", keys.join(", ")));
        keeps += "; a count for each key, for ever";
    }
    details.push(("keeps", keeps));
    details.push(("writes", "a row once none to come lies before it".to_owned()));
    ("order of time".to_owned(), details)
}

fn step_details(step: &Step) -> (String, Details) {
    match step {
        Step::Select { indexes } => ("select".to_owned(), vec![("columns", format!("{indexes:?}"))]),
        Step::Filter { predicate } => ("filter".to_owned(), vec![("where", predicate.to_string())]),
        Step::Project { exprs, schema } => {
            let columns = exprs.iter().zip(schema.fields()).map(|(expr, field)| {
                let text = expr.to_string();
                let plain = text.split('@').next() == Some(field.name().as_str());
                if plain { field.name().clone() } else { format!("{text} AS {}", field.name()) }
            });
            ("project".to_owned(), vec![("columns", columns.collect::<Vec<_>>().join(", "))])
        }
        Step::Assign(assign) => (
            "assign windows".to_owned(),
            vec![("window", window_text(assign.window)), ("time", assign.time.to_string())],
        ),
        Step::OnTime { time, bound } => {
            ("leave out late rows".to_owned(), vec![("time", format!("{time} by {}", bound_text(*bound)))])
        }
        Step::Unnest(unnest) => {
            let mut details = vec![("list", unnest.list.to_string())];
            if unnest.keeps_empty {
                details.push(("keeps", "rows without elements".to_owned()));
            }
            ("unnest".to_owned(), details)
        }
    }
}

fn window_details(spec: &WindowAggregateSpec) -> (String, Details) {
    let is_attached = spec.group_columns.iter().all(|column| matches!(column, GroupColumn::Key(_)));
    let mut details: Details = Vec::new();
    let window = if is_attached { "that of the rows".to_owned() } else { window_text(spec.window) };
    details.push(("window", window));
    details.push(("time", format!("{} by {}", spec.time, bound_text(spec.bound))));
    let (keys, aggregates) = spec.aggregation.texts();
    if !keys.is_empty() {
        details.push(("key", keys.join(", ")));
    }
    if !aggregates.is_empty() {
        details.push(("aggregates", aggregates.join(", ")));
    }
    if spec.lateness_us > 0 {
        details.push(("allowed lateness", interval_text(spec.lateness_us)));
    }
    let keeps = match spec.window {
        WindowSpec::Session { .. } => "an entry for each open session",
        WindowSpec::Fixed(_) if is_attached => "a group for each key of a window that is not complete",
        WindowSpec::Fixed(_) => "panes of open windows, a group for each key",
    };
    details.push(("keeps", keeps.to_owned()));
    let writes = "final rows when a window closes; provisional rows of windows that changed";
    details.push(("writes", writes.to_owned()));
    ("window aggregate".to_owned(), details)
}

fn texts<T: ToString>(exprs: &[T]) -> String {
    exprs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
