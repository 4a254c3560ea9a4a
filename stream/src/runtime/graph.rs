//! The merge stage: operators in order, the promises between them, and what goes to which sink.
//!
//! Pure and synchronous: it is told partial aggregates, rows and progress, and answers rows for sinks. Nodes
//! are numbered so that a node comes after those that feed it, and one pass in that order carries a watermark
//! through the graph.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{compute::concat_batches, datatypes::SchemaRef, record_batch::RecordBatch};

use crate::{
    error::StreamError,
    operator::{
        Changes, Marks, Operator, Output, Partial, Rows, Snapshot, first_rows::FirstRows,
        interval_join::IntervalJoin, rank::Rank, step::Steps, time_order::TimeOrder, whole::Whole,
        window_aggregate::WindowAggregate,
    },
    planner::{JobPlan, OperatorPlan, Target},
    sink::EmitMode,
    time::{Progress, Watermark, combine},
};

/// Rows that a sink is due.
#[derive(Debug)]
pub struct SinkOutput {
    /// The sink's number.
    pub(crate) sink: usize,
    /// The rows, of the query's schema.
    pub batch: RecordBatch,
    /// Whether they are stated once and for all.
    pub is_final: bool,
    /// Provisional rows that it was due before and that hold no longer.
    pub gone: Option<RecordBatch>,
    /// How far event time has come.
    pub watermark: Watermark,
}

struct Node {
    operator: Box<dyn Operator>,
    /// What its state is known by, if it has any.
    uid: Option<String>,
    outputs: Vec<Target>,
    /// Nodes that feed it.
    inputs: Vec<usize>,
    /// Sources that feed it through local chains.
    sources: Vec<usize>,
    /// The promise it was given, and the one it gives.
    marks_in: Marks,
    marks_out: Marks,
    /// It has not written all that the promise lets it write.
    is_behind: bool,
    /// Whether its provisional rows reach a sink that takes them.
    emits: bool,
}

/// The merge stage of a job.
pub struct Graph {
    nodes: Vec<Node>,
    /// What every worker says about every source: `progress[source][worker]`; `None` for a worker that reads
    /// none of its partitions.
    progress: Vec<Vec<Option<Progress>>>,
    /// By source: the group of those whose rows meet it in some operator, straight or by others.
    groups: Vec<usize>,
    emit_modes: Vec<EmitMode>,
    /// Rows on their way to the sinks.
    pending: Vec<(usize, Rows)>,
    /// What sinks are due before that, of a restart.
    restored: Vec<SinkOutput>,
}

impl Graph {
    /// The graph of a plan, to be fed by `workers`.
    pub fn new(plan: &JobPlan, workers: usize) -> Result<Self, StreamError> {
        let mut nodes = Vec::with_capacity(plan.nodes.len());
        for node in &plan.nodes {
            let operator: Box<dyn Operator> = match &node.operator {
                OperatorPlan::Steps { steps, schema } => {
                    Box::new(Steps::new(steps.clone(), Arc::clone(schema)))
                }
                OperatorPlan::Window(spec) => Box::new(WindowAggregate::new(Arc::clone(spec))?),
                OperatorPlan::Rank(spec) => Box::new(Rank::new(spec.clone())),
                OperatorPlan::Whole(spec) => Box::new(Whole::new(Arc::clone(spec))),
                OperatorPlan::TimeOrder(spec) => Box::new(TimeOrder::new(Arc::clone(spec))?),
                OperatorPlan::FirstRows(spec) => Box::new(FirstRows::new(spec.clone())),
                OperatorPlan::IntervalJoin(spec) => Box::new(IntervalJoin::new(Arc::clone(spec))?),
            };
            nodes.push(Node {
                operator,
                uid: node.state.as_ref().map(|state| state.uid.clone()),
                outputs: node.outputs.clone(),
                inputs: Vec::new(),
                sources: Vec::new(),
                marks_in: Marks::START,
                marks_out: Marks::START,
                is_behind: false,
                emits: false,
            });
        }
        for index in 0..nodes.len() {
            for target in nodes[index].outputs.clone() {
                if let Target::Node { node, .. } = target {
                    nodes[node].inputs.push(index);
                }
            }
        }
        for local in &plan.locals {
            if !nodes[local.node].sources.contains(&local.source) {
                nodes[local.node].sources.push(local.source);
            }
        }
        let emit_modes: Vec<EmitMode> = plan.sinks.iter().map(|sink| sink.emit).collect();
        for index in (0..nodes.len()).rev() {
            nodes[index].emits = nodes[index].outputs.iter().any(|target| match target {
                Target::Node { node, .. } => nodes[*node].emits,
                Target::Sink(sink) => emit_modes[*sink] == EmitMode::Updates,
            });
        }
        for index in 0..nodes.len() {
            if is_alone(&nodes, index) {
                nodes[index].operator.write_in_parts();
            }
        }
        Ok(Graph {
            groups: groups(&nodes, plan.sources.len()),
            nodes,
            progress: vec![vec![None; workers]; plan.sources.len()],
            emit_modes,
            pending: Vec::new(),
            restored: Vec::new(),
        })
    }

    /// Whether any sink takes provisional rows.
    pub(crate) fn emits(&self) -> bool {
        self.emit_modes.contains(&EmitMode::Updates)
    }

    /// Takes partial aggregates for a node; answers how many rows came too late for every window.
    pub fn partial(&mut self, node: usize, partial: Partial) -> Result<u64, StreamError> {
        self.nodes[node].operator.partial(partial)
    }

    /// Takes rows for a node.
    pub fn rows(&mut self, node: usize, batch: RecordBatch) -> Result<(), StreamError> {
        self.process(node, 0, Rows::Final(batch))
    }

    /// A worker reads partitions of `source`: until it says more, it holds the source's watermark back.
    pub(crate) fn expect(&mut self, source: usize, worker: usize) {
        self.progress[source][worker] = Some(Progress::Active(Watermark::START));
    }

    /// Notes a worker's progress in a source. It takes effect with [`Graph::advance`].
    pub fn progress(&mut self, source: usize, worker: usize, progress: Progress) {
        self.progress[source][worker] = Some(progress);
    }

    /// The watermarks of the sources, each over all workers. One that is idle is taken along by those that its rows
    /// meet, as an idle partition is by the others of its table: none of them waits for it, and its own windows close
    /// with theirs. What has ended takes nothing along.
    pub(crate) fn source_watermarks(&self) -> Vec<Watermark> {
        let own: Vec<Option<Progress>> = self.progress.iter().map(|workers| together(workers)).collect();
        let of = |source: usize| match own[source] {
            None => Watermark::END,
            Some(Progress::Active(watermark)) => watermark,
            Some(Progress::Idle(watermark)) => {
                let group = (0..own.len()).filter(|other| self.groups[*other] == self.groups[source]);
                let open = group.filter_map(|other| own[other]).filter(|p| p.watermark() != Watermark::END);
                combine(open).map_or(watermark, |others| others.max(watermark))
            }
        };
        (0..own.len()).map(of).collect()
    }

    /// The watermark of the whole job: the lowest of its sources.
    pub fn watermark(&self) -> Watermark {
        self.source_watermarks().into_iter().min().unwrap_or(Watermark::END)
    }

    /// Carries the sources' watermarks through the graph: windows close, final rows come out. Not all at once
    /// where there are very many; then the graph is behind.
    pub fn advance(&mut self) -> Result<Vec<SinkOutput>, StreamError> {
        let sources: Vec<Marks> = self.source_watermarks().into_iter().map(Marks::source).collect();
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            let from_sources = node.sources.iter().map(|source| sources[*source]);
            let from_nodes = node.inputs.iter().map(|input| self.nodes[*input].marks_out);
            let Some(marks) = from_sources.chain(from_nodes).reduce(Marks::min) else { continue };
            let node = &mut self.nodes[index];
            if !node.marks_in.advance(marks) && !node.is_behind {
                continue;
            }
            let mut output = Output::default();
            node.operator.watermark(node.marks_in, &mut output)?;
            node.is_behind = output.is_partial;
            if let Some(marks) = output.marks {
                node.marks_out.advance(marks);
            }
            self.deliver(index, output.rows)?;
        }
        self.take_pending()
    }

    /// Whether [`advance`](Graph::advance) is to be called again.
    pub fn is_behind(&self) -> bool {
        self.nodes.iter().any(|node| node.is_behind)
    }

    /// Asks for what has changed of provisional rows.
    pub fn emit(&mut self) -> Result<Vec<SinkOutput>, StreamError> {
        for index in 0..self.nodes.len() {
            if !self.nodes[index].emits {
                continue;
            }
            let mut output = Output::default();
            self.nodes[index].operator.emit(&mut output)?;
            self.deliver(index, output.rows)?;
        }
        self.take_pending()
    }

    fn process(&mut self, node: usize, port: usize, rows: Rows) -> Result<(), StreamError> {
        let mut output = Output::default();
        self.nodes[node].operator.process(port, rows, &mut output)?;
        self.deliver(node, output.rows)
    }

    fn deliver(&mut self, node: usize, rows: Vec<Rows>) -> Result<(), StreamError> {
        for rows in rows {
            for target in self.nodes[node].outputs.clone() {
                match target {
                    Target::Node { node: next, port } if rows.are_final() || self.nodes[next].emits => {
                        self.process(next, port, rows.clone())?;
                    }
                    Target::Sink(sink) if rows.are_final() || self.emit_modes[sink] == EmitMode::Updates => {
                        self.pending.push((sink, rows.clone()));
                    }
                    Target::Node { .. } | Target::Sink(_) => {}
                }
            }
        }
        Ok(())
    }

    /// Rows that went straight through, without a window to wait for.
    pub(crate) fn take_pending(&mut self) -> Result<Vec<SinkOutput>, StreamError> {
        let pending = std::mem::take(&mut self.pending);
        let watermark = self.watermark();
        let mut outputs = std::mem::take(&mut self.restored);
        for sink in 0..self.emit_modes.len() {
            let of_sink = pending.iter().filter(|(to, _)| *to == sink).map(|(_, rows)| rows);
            let mut call = Call::default();
            for rows in of_sink {
                if !call.takes(rows) {
                    outputs.extend(std::mem::take(&mut call).output(sink, watermark)?);
                }
                call.add(rows);
            }
            outputs.extend(call.output(sink, watermark)?);
        }
        Ok(outputs)
    }

    /// The state of every operator that has any. Operators of one uid compute the same of the same rows: their state is
    /// that of the first.
    pub fn snapshot(&mut self) -> Result<Vec<NodeState>, StreamError> {
        let mut states: Vec<NodeState> = Vec::new();
        for node in &mut self.nodes {
            let Some(uid) = node.uid.clone().filter(|uid| states.iter().all(|state| state.uid != *uid))
            else {
                continue;
            };
            let snapshot = node.operator.snapshot()?;
            states.push(NodeState { uid, marks_in: node.marks_in, marks_out: node.marks_out, snapshot });
        }
        Ok(states)
    }

    /// Takes state to where it belongs; operators without begin empty. What has no state needs nothing: the promises that
    /// it has passed on are in the operators behind it.
    pub fn restore(&mut self, states: Vec<NodeState>) -> Result<(), StreamError> {
        for state in states {
            for node in self.nodes.iter_mut().filter(|node| node.uid.as_ref() == Some(&state.uid)) {
                // First the promise, so that what is closed stays closed; then the state.
                if state.marks_in != Marks::START {
                    let mut closed = Output::default();
                    node.operator.watermark(state.marks_in, &mut closed)?;
                }
                node.operator.restore(state.snapshot.clone())?;
                (node.marks_in, node.marks_out) = (state.marks_in, state.marks_out);
            }
        }
        // What was shown when the checkpoint was taken: operators know it again, and sinks that have lost it get it.
        self.restored = self.emit()?;
        Ok(())
    }

    /// What of a source's promise has been acted upon: rows below it may be too late.
    pub(crate) fn acted_upon(&self, source: usize) -> Watermark {
        let fed = self.nodes.iter().filter(|node| node.sources.contains(&source));
        fed.map(|node| node.marks_in.watermark).max().unwrap_or(Watermark::START)
    }
}

/// Rows that go to a sink in one call. The rows of one window may come from several branches: together they are
/// complete.
#[derive(Default)]
struct Call<'a> {
    finals: Vec<&'a RecordBatch>,
    gone: Vec<&'a RecordBatch>,
    now: Vec<&'a RecordBatch>,
}

impl<'a> Call<'a> {
    /// Whether rows may go along: final ones and provisional ones never share a call.
    fn takes(&self, rows: &Rows) -> bool {
        match rows {
            Rows::Final(_) => self.now.is_empty(),
            Rows::Provisional(changes) => self.finals.is_empty() || changes.now.is_none(),
        }
    }

    fn add(&mut self, rows: &'a Rows) {
        match rows {
            Rows::Final(batch) => self.finals.push(batch),
            Rows::Provisional(Changes { gone, now }) => {
                self.gone.extend(gone);
                self.now.extend(now);
            }
        }
    }

    fn output(self, sink: usize, watermark: Watermark) -> Result<Option<SinkOutput>, StreamError> {
        let is_final = !self.finals.is_empty();
        let rows = if is_final { &self.finals } else { &self.now };
        let Some(schema) = rows.iter().chain(&self.gone).map(|batch| batch.schema()).next() else {
            return Ok(None);
        };
        let together =
            |batches: &[&RecordBatch], schema: &SchemaRef| concat_batches(schema, batches.iter().copied());
        let gone = (!self.gone.is_empty()).then(|| together(&self.gone, &schema)).transpose()?;
        Ok(Some(SinkOutput { sink, batch: together(rows, &schema)?, is_final, gone, watermark }))
    }
}

/// What the workers that read a source say of it together; idle where all of them are.
fn together(workers: &[Option<Progress>]) -> Option<Progress> {
    let told = || workers.iter().flatten().copied();
    let watermark = combine(told())?;
    let is_idle = told().all(|progress| matches!(progress, Progress::Idle(_)));
    Some(if is_idle { Progress::Idle(watermark) } else { Progress::Active(watermark) })
}

/// By source, the group of those whose rows meet.
fn groups(nodes: &[Node], sources: usize) -> Vec<usize> {
    let mut groups: Vec<usize> = (0..sources).collect();
    let mut above: Vec<BTreeSet<usize>> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let mut of_node: BTreeSet<usize> = node.sources.iter().copied().collect();
        of_node.extend(node.inputs.iter().flat_map(|input| &above[*input]));
        let met: BTreeSet<usize> = of_node.iter().map(|source| groups[*source]).collect();
        if let Some(first) = met.first() {
            groups.iter_mut().filter(|group| met.contains(group)).for_each(|group| *group = *first);
        }
        above.push(of_node);
    }
    groups
}

/// Whether no other branch meets the rows of a node on their way to the sinks.
fn is_alone(nodes: &[Node], index: usize) -> bool {
    nodes[index].outputs.iter().all(|target| match target {
        Target::Node { node: next, .. } => {
            nodes[*next].inputs.len() + nodes[*next].sources.len() == 1 && is_alone(nodes, *next)
        }
        Target::Sink(_) => nodes.iter().filter(|node| node.outputs.contains(target)).count() == 1,
    })
}

/// The state of an operator at a cut.
#[derive(Debug)]
pub struct NodeState {
    /// What it is known by.
    pub uid: String,
    /// The promise given to it.
    pub(crate) marks_in: Marks,
    /// The promise given by it.
    pub(crate) marks_out: Marks,
    /// The state itself.
    pub snapshot: Snapshot,
}
