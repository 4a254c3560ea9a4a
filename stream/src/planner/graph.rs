//! The optimised plan to a graph of operators.
//!
//! Everything up to the first window (or up to the sink, where there is none) becomes a *local* chain that
//! runs on the threads that read the source; everything after it becomes *nodes* of the merge stage. A
//! sub-plan that occurs again, in the same query or in another `INSERT`, is built once and feeds both.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use arrow::datatypes::SchemaRef;
use datafusion::{
    logical_expr::{LogicalPlan, Union},
    sql::sqlparser::tokenizer::Span,
};

use super::{
    Connectors, JobPlan, LocalPlan, NodePlan, OperatorPlan, Settings, SinkPlan, Target, Terminal,
    canonical::Words,
    catalog::Catalog,
    identity::Identity,
    node::{LocalDraft, Lowering, Stream, schema_of},
    nodes,
    optimize::optimize,
    physical::Physical,
    relation,
    source::source,
};
use crate::{
    error::StreamError,
    operator::{step::Step, window_aggregate::WindowAggregateSpec},
};

/// Builds one graph from the plans of all `INSERT`s.
#[derive(Default)]
pub(crate) struct GraphBuilder {
    locals: Vec<Local>,
    nodes: Vec<NodePlan>,
    sinks: Vec<SinkPlan>,
    /// Plans that have a node already; the flag is [`WindowAggregateSpec::emit_all`] of what is below.
    built: HashMap<(LogicalPlan, bool), usize>,
}

/// A local chain with its end.
struct Local {
    draft: LocalDraft,
    terminal: Terminal,
    node: usize,
}

impl GraphBuilder {
    /// Adds an `INSERT`.
    pub(crate) fn insert(
        &mut self,
        catalog: &Catalog,
        plan: &LogicalPlan,
        sink: SinkPlan,
        span: Span,
    ) -> Result<(), StreamError> {
        let physical = Physical { catalog, span };
        let stream = self.stream(&physical, plan, false)?;
        let node = self.node_of(stream, schema_of(plan));
        let index = self.sinks.len();
        self.sinks.push(sink);
        self.nodes[node].outputs.push(Target::Sink(index));
        Ok(())
    }

    fn push_node(&mut self, operator: OperatorPlan, state: Option<Identity>) -> usize {
        self.nodes.push(NodePlan { operator, state, outputs: Vec::new() });
        self.nodes.len() - 1
    }

    /// A node's inputs by port.
    fn connect(&mut self, node: usize, inputs: &[usize]) -> usize {
        for (port, input) in inputs.iter().enumerate() {
            self.nodes[*input].outputs.push(Target::Node { node, port });
        }
        node
    }

    fn feed(&mut self, drafts: Vec<LocalDraft>, terminal: Terminal, node: usize) {
        self.locals.extend(drafts.into_iter().map(|draft| Local { draft, terminal: terminal.clone(), node }));
    }

    fn new_stream(
        &mut self,
        physical: &Physical<'_>,
        plan: &LogicalPlan,
        counted_anew: bool,
    ) -> Result<Stream, StreamError> {
        match plan {
            LogicalPlan::SubqueryAlias(alias) => self.stream(physical, &alias.input, counted_anew),
            LogicalPlan::TableScan(scan) => {
                let table = scan.table_name.table().to_owned();
                let columns =
                    scan.projected_schema.fields().iter().map(|field| field.name().clone()).collect();
                let mut draft = LocalDraft { table, columns, steps: Vec::new() };
                for filter in &scan.filters {
                    draft.steps.push(physical.filter(filter, &scan.projected_schema)?);
                }
                Ok(Stream::Local(vec![draft]))
            }
            LogicalPlan::Filter(filter) => {
                let step = physical.filter(&filter.predicate, filter.input.schema())?;
                self.step(physical, &filter.input, step, schema_of(plan), counted_anew)
            }
            LogicalPlan::Projection(projection) => {
                let schema = schema_of(plan);
                let input = projection.input.schema();
                let exprs =
                    projection.expr.iter().map(|e| physical.expr(e, input)).collect::<Result<_, _>>()?;
                let step = Step::Project { exprs, schema: Arc::clone(&schema) };
                self.step(physical, &projection.input, step, schema, counted_anew)
            }
            LogicalPlan::Union(union) => self.union(physical, union, schema_of(plan), counted_anew),
            LogicalPlan::Extension(extension) => match nodes::streaming(extension.node.as_ref()) {
                Some(node) => node.lower(self, physical, counted_anew),
                None => Err(physical.unsupported(extension.node.name(), None)),
            },
            other => Err(refused(physical, other)),
        }
    }

    fn union(
        &mut self,
        physical: &Physical<'_>,
        union: &Union,
        schema: SchemaRef,
        counted_anew: bool,
    ) -> Result<Stream, StreamError> {
        let mut streams = Vec::new();
        for input in &union.inputs {
            streams.push((self.stream(physical, input, counted_anew)?, schema_of(input)));
        }
        if streams.iter().all(|(stream, _)| matches!(stream, Stream::Local(_))) {
            let drafts = streams.into_iter().flat_map(|(stream, _)| match stream {
                Stream::Local(drafts) => drafts,
                Stream::Node(_) => Vec::new(),
            });
            return Ok(Stream::Local(drafts.collect()));
        }
        let inputs: Vec<usize> =
            streams.into_iter().map(|(stream, schema)| self.node_of(stream, schema)).collect();
        let meeting = self.push_node(OperatorPlan::Steps { steps: Vec::new(), schema }, None);
        for input in inputs {
            self.nodes[input].outputs.push(Target::Node { node: meeting, port: 0 });
        }
        Ok(Stream::Node(meeting))
    }

    /// Settles what each source decodes, now that all readers of it are known.
    pub(crate) fn finish(
        self,
        catalog: &Catalog,
        connectors: &Connectors,
        settings: Settings,
    ) -> Result<JobPlan, StreamError> {
        if self.nodes.iter().any(|node| node.operator.has_state() != node.state.is_some()) {
            return Err(StreamError::internal("what an operator's state is known by got lost"));
        }
        let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for local in &self.locals {
            let columns = local.draft.columns.iter().map(String::as_str);
            wanted.entry(&local.draft.table).or_default().extend(columns);
        }
        let mut sources = Vec::new();
        for (name, columns) in &wanted {
            let table =
                catalog.table(name).ok_or_else(|| StreamError::internal(format!("table {name} got lost")))?;
            sources.push(source(catalog, connectors, table, columns)?);
        }
        let mut locals = Vec::new();
        for Local { draft, terminal, node } in self.locals {
            let source = sources.iter().position(|source| source.table.name == draft.table);
            let source =
                source.ok_or_else(|| StreamError::internal(format!("source {} got lost", draft.table)))?;
            let indexes = draft.columns.iter().map(|column| sources[source].schema.index_of(column));
            let mut steps = vec![Step::Select { indexes: indexes.collect::<Result<_, _>>()? }];
            steps.extend(draft.steps);
            locals.push(LocalPlan { source, steps, terminal, node });
        }
        let mut plan =
            JobPlan { sources, locals, nodes: self.nodes, sinks: self.sinks, settings, is_explained: false };
        optimize(&mut plan)?;
        Ok(plan)
    }
}

impl Lowering for GraphBuilder {
    fn stream(
        &mut self,
        physical: &Physical<'_>,
        plan: &LogicalPlan,
        counted_anew: bool,
    ) -> Result<Stream, StreamError> {
        let key = (plan.clone(), counted_anew);
        if let Some(node) = self.built.get(&key) {
            return Ok(Stream::Node(*node));
        }
        let stream = self.new_stream(physical, plan, counted_anew)?;
        if let Stream::Node(node) = stream {
            self.built.insert(key, node);
        }
        Ok(stream)
    }

    fn step(
        &mut self,
        physical: &Physical<'_>,
        input: &LogicalPlan,
        step: Step,
        schema: SchemaRef,
        counted_anew: bool,
    ) -> Result<Stream, StreamError> {
        Ok(match self.stream(physical, input, counted_anew)? {
            Stream::Local(mut drafts) => {
                for draft in &mut drafts {
                    draft.steps.push(step.clone());
                }
                Stream::Local(drafts)
            }
            Stream::Node(input) => {
                Stream::Node(self.add(OperatorPlan::Steps { steps: vec![step], schema }, &[input]))
            }
        })
    }

    fn window(
        &mut self,
        physical: &Physical<'_>,
        input: &LogicalPlan,
        spec: Arc<WindowAggregateSpec>,
        state: Identity,
    ) -> Result<usize, StreamError> {
        // The windows below are counted anew at every emission here, so they must be complete.
        Ok(match self.stream(physical, input, true)? {
            Stream::Node(input) => self.add_stateful(OperatorPlan::Window(spec), &[input], state),
            Stream::Local(drafts) => {
                let node = self.push_node(OperatorPlan::Window(Arc::clone(&spec)), Some(state));
                self.feed(drafts, Terminal::Window(spec), node);
                node
            }
        })
    }

    fn node_of(&mut self, stream: Stream, schema: SchemaRef) -> usize {
        match stream {
            Stream::Node(node) => node,
            Stream::Local(drafts) => {
                let node = self.push_node(OperatorPlan::Steps { steps: Vec::new(), schema }, None);
                self.feed(drafts, Terminal::Forward, node);
                node
            }
        }
    }

    fn add(&mut self, operator: OperatorPlan, inputs: &[usize]) -> usize {
        let node = self.push_node(operator, None);
        self.connect(node, inputs)
    }

    fn add_stateful(&mut self, operator: OperatorPlan, inputs: &[usize], state: Identity) -> usize {
        let node = self.push_node(operator, Some(state));
        self.connect(node, inputs)
    }

    fn words<'a>(&self, physical: &'a Physical<'a>) -> Words<'a> {
        relation::words(physical)
    }
}

/// Why a plan has no operators.
fn refused(physical: &Physical<'_>, plan: &LogicalPlan) -> StreamError {
    match plan {
        LogicalPlan::EmptyRelation(empty) if !empty.produce_one_row => physical
            .catalog
            .error(physical.span, "a condition in this query is never true, so that it has no rows")
            .into(),
        LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => {
            physical.unsupported("a query without a table", None)
        }
        LogicalPlan::Distinct(_) => {
            physical.unsupported("DISTINCT ON", Some("number the rows within a window and keep the first"))
        }
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => physical.unsupported(
            "ORDER BY or LIMIT over a stream",
            Some(
                "rank within a window: ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY …)",
            ),
        ),
        other => physical.unsupported(&format!("{}", other.display()), None),
    }
}
