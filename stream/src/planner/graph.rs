//! The optimised plan to a graph of operators.
//!
//! Everything up to the first window (or up to the sink, where there is none) becomes a *local* chain that
//! runs on the threads that read the source; everything after it becomes *nodes* of the merge stage. A
//! sub-plan that occurs again, in the same query or in another `INSERT`, is built once and feeds both.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use arrow::datatypes::{Field, SchemaRef};
use datafusion::{
    logical_expr::{LogicalPlan, Union},
    physical_expr::{PhysicalExpr, expressions::Column},
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
    /// Plans that have a node already; the flag is [`WindowAggregateSpec::knows_starts`] of what is below.
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

    /// Feeds a stream into the only input of a node.
    fn feed(&mut self, stream: Stream, terminal: Terminal, node: usize) {
        let locals = stream.locals.into_iter();
        self.locals.extend(locals.map(|draft| Local { draft, terminal: terminal.clone(), node }));
        if let Some(input) = stream.node {
            self.nodes[input].outputs.push(Target::Node { node, port: 0 });
        }
    }

    fn new_stream(
        &mut self,
        physical: &Physical<'_>,
        plan: &LogicalPlan,
        knows_starts: bool,
    ) -> Result<Stream, StreamError> {
        match plan {
            LogicalPlan::SubqueryAlias(alias) => self.stream(physical, &alias.input, knows_starts),
            LogicalPlan::TableScan(scan) => {
                let table = scan.table_name.table().to_owned();
                let columns =
                    scan.projected_schema.fields().iter().map(|field| field.name().clone()).collect();
                let mut draft = LocalDraft { table, columns, steps: Vec::new() };
                for filter in &scan.filters {
                    draft.steps.push(physical.filter(filter, &scan.projected_schema)?);
                }
                Ok(Stream { locals: vec![draft], node: None })
            }
            LogicalPlan::Filter(filter) => {
                let step = physical.filter(&filter.predicate, filter.input.schema())?;
                self.step(physical, &filter.input, step, schema_of(plan), knows_starts)
            }
            LogicalPlan::Projection(projection) => {
                let schema = schema_of(plan);
                let input = projection.input.schema();
                let exprs =
                    projection.expr.iter().map(|e| physical.expr(e, input)).collect::<Result<_, _>>()?;
                let step = Step::Project { exprs, schema: Arc::clone(&schema) };
                self.step(physical, &projection.input, step, schema, knows_starts)
            }
            LogicalPlan::Union(union) => self.union(physical, union, schema_of(plan), knows_starts),
            LogicalPlan::Extension(extension) => match nodes::streaming(extension.node.as_ref()) {
                Some(node) => node.lower(self, physical, knows_starts),
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
        knows_starts: bool,
    ) -> Result<Stream, StreamError> {
        let (mut locals, mut nodes) = (Vec::new(), Vec::new());
        for input in &union.inputs {
            let stream = self.stream(physical, input, knows_starts)?;
            locals.extend(stream.locals);
            nodes.extend(stream.node);
        }
        let node = match nodes.as_slice() {
            [] | [_] => nodes.pop(),
            _ => {
                let meeting = self.push_node(OperatorPlan::Steps { steps: Vec::new(), schema }, None);
                nodes.into_iter().for_each(|input| self.feed(Stream::of(input), Terminal::Forward, meeting));
                Some(meeting)
            }
        };
        Ok(Stream { locals, node })
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
        knows_starts: bool,
    ) -> Result<Stream, StreamError> {
        let key = (plan.clone(), knows_starts);
        if let Some(node) = self.built.get(&key) {
            return Ok(Stream::of(*node));
        }
        let stream = self.new_stream(physical, plan, knows_starts)?;
        if let (Some(node), true) = (stream.node, stream.locals.is_empty()) {
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
        knows_starts: bool,
    ) -> Result<Stream, StreamError> {
        let mut stream = self.stream(physical, input, knows_starts)?;
        for draft in &mut stream.locals {
            draft.steps.push(step.clone());
        }
        stream.node =
            stream.node.map(|input| self.add(OperatorPlan::Steps { steps: vec![step], schema }, &[input]));
        Ok(stream)
    }

    fn window(
        &mut self,
        physical: &Physical<'_>,
        input: &LogicalPlan,
        spec: Arc<WindowAggregateSpec>,
        state: Identity,
    ) -> Result<usize, StreamError> {
        // Windows over windows may go by the starts of those below.
        let stream = self.stream(physical, input, true)?;
        let node = self.push_node(OperatorPlan::Window(Arc::clone(&spec)), Some(state));
        self.feed(stream, Terminal::Window(spec), node);
        Ok(node)
    }

    fn node_of(&mut self, stream: Stream, schema: SchemaRef) -> usize {
        match stream {
            Stream { locals, node: Some(node) } if locals.is_empty() => node,
            mut stream => {
                stream.locals.iter_mut().for_each(|draft| narrow(draft, &schema));
                let node = self.push_node(OperatorPlan::Steps { steps: Vec::new(), schema }, None);
                self.feed(stream, Terminal::Forward, node);
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

/// Makes a chain end with just these columns: behind a condition there may be more, that it was computed of.
fn narrow(draft: &mut LocalDraft, schema: &SchemaRef) {
    if matches!(draft.steps.last(), Some(Step::Filter { .. } | Step::OnTime { .. })) {
        let column = |(index, field): (usize, &Arc<Field>)| -> Arc<dyn PhysicalExpr> {
            Arc::new(Column::new(field.name(), index))
        };
        let exprs = schema.fields().iter().enumerate().map(column).collect();
        draft.steps.push(Step::Project { exprs, schema: Arc::clone(schema) });
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
            let help = "write the rows into a file, and read it by a table WITH ('connector' = 'filesystem')";
            physical.unsupported("a query without a table", Some(help))
        }
        LogicalPlan::Distinct(_) => {
            physical.unsupported("DISTINCT ON", Some("number the rows within a window and keep the first"))
        }
        other => physical.unsupported(&format!("{}", other.display()), None),
    }
}
