//! The optimised plan to a graph of operators.
//!
//! Everything up to the first window (or up to the sink, where there is none) becomes a *local* chain that
//! runs on the threads that read the source; everything after it becomes *nodes* of the merge stage. A
//! sub-plan that occurs again, in the same query or in another `INSERT`, is built once and feeds both.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::{
    common::DFSchema,
    execution::context::ExecutionProps,
    logical_expr::{Expr, LogicalPlan, physical_planning_context::PhysicalPlanningContext},
    physical_expr::{PhysicalExpr, PhysicalSortExpr, aggregate::LoweredAggregateBuilder},
    sql::sqlparser::tokenizer::Span,
};

use super::{
    Connectors, JobPlan, LocalPlan, NodePlan, OperatorPlan, Settings, SinkPlan, SourcePlan, Target, Terminal,
    catalog::Catalog,
    derive::derive,
    limit::limit,
    nodes::{RankNode, WindowAggregateNode},
};
use crate::{
    decode::plan::DecodePlan,
    error::StreamError,
    operator::{aggregate::Aggregation, rank::RankSpec, step::Step, window_aggregate::WindowAggregateSpec},
    source::SourceOptions,
    table::{ColumnKind, TableDef},
};

/// Builds one graph from the plans of all `INSERT`s.
#[derive(Default)]
pub(crate) struct GraphBuilder {
    locals: Vec<LocalDraft>,
    nodes: Vec<NodePlan>,
    sinks: Vec<SinkPlan>,
    /// Plans that have a node already; the flag is [`WindowAggregateSpec::emit_all`] of what is below.
    built: HashMap<(LogicalPlan, bool), usize>,
}

/// A local chain whose source's columns are not settled yet.
#[derive(Clone)]
struct LocalDraft {
    table: String,
    /// The columns that the chain's first step keeps.
    columns: Vec<String>,
    steps: Vec<Step>,
    terminal: Terminal,
    node: usize,
}

/// What a sub-plan has become.
enum Stream {
    /// Local chains, not yet fed into a node; several for a union.
    Local(Vec<LocalDraft>),
    /// A node's output.
    Node(usize),
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
        let build = Build { catalog, span };
        let stream = self.stream(&build, plan, false)?;
        let node = self.node_of(stream, schema_of(plan));
        let index = self.sinks.len();
        self.sinks.push(sink);
        self.nodes[node].outputs.push(Target::Sink(index));
        Ok(())
    }

    fn push_node(&mut self, operator: OperatorPlan) -> usize {
        self.nodes.push(NodePlan { operator, outputs: Vec::new() });
        self.nodes.len() - 1
    }

    /// A node whose output is `stream`; local chains get one to meet in.
    fn node_of(&mut self, stream: Stream, schema: SchemaRef) -> usize {
        match stream {
            Stream::Node(node) => node,
            Stream::Local(drafts) => {
                let node = self.push_node(OperatorPlan::Steps { steps: Vec::new(), schema });
                self.feed(drafts, Terminal::Forward, node);
                node
            }
        }
    }

    fn feed(&mut self, drafts: Vec<LocalDraft>, terminal: Terminal, node: usize) {
        for draft in drafts {
            self.locals.push(LocalDraft { terminal: terminal.clone(), node, ..draft });
        }
    }

    /// A node with one input.
    fn add(&mut self, operator: OperatorPlan, input: usize) -> usize {
        let node = self.push_node(operator);
        self.nodes[input].outputs.push(Target::Node(node));
        node
    }

    fn stream(
        &mut self,
        build: &Build<'_>,
        plan: &LogicalPlan,
        counted_anew: bool,
    ) -> Result<Stream, StreamError> {
        let key = (plan.clone(), counted_anew);
        if let Some(node) = self.built.get(&key) {
            return Ok(Stream::Node(*node));
        }
        let stream = self.new_stream(build, plan, counted_anew)?;
        if let Stream::Node(node) = stream {
            self.built.insert(key, node);
        }
        Ok(stream)
    }

    fn new_stream(
        &mut self,
        build: &Build<'_>,
        plan: &LogicalPlan,
        counted_anew: bool,
    ) -> Result<Stream, StreamError> {
        match plan {
            LogicalPlan::SubqueryAlias(alias) => self.stream(build, &alias.input, counted_anew),
            LogicalPlan::TableScan(scan) => {
                let table = scan.table_name.table().to_owned();
                let columns = scan.projected_schema.fields().iter().map(|field| field.name().clone()).collect();
                let mut draft =
                    LocalDraft { table, columns, steps: Vec::new(), terminal: Terminal::Forward, node: 0 };
                for filter in &scan.filters {
                    draft.steps.push(build.filter(filter, &scan.projected_schema)?);
                }
                Ok(Stream::Local(vec![draft]))
            }
            LogicalPlan::Filter(filter) => {
                let step = build.filter(&filter.predicate, filter.input.schema())?;
                self.step(build, &filter.input, step, schema_of(plan), counted_anew)
            }
            LogicalPlan::Projection(projection) => {
                let schema = schema_of(plan);
                let input = projection.input.schema();
                let exprs = projection.expr.iter().map(|e| build.expr(e, input)).collect::<Result<_, _>>()?;
                let step = Step::Project { exprs, schema: Arc::clone(&schema) };
                self.step(build, &projection.input, step, schema, counted_anew)
            }
            LogicalPlan::Union(union) => {
                let mut streams = Vec::new();
                for input in &union.inputs {
                    streams.push((self.stream(build, input, counted_anew)?, schema_of(input)));
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
                let meeting = self.push_node(OperatorPlan::Steps { steps: Vec::new(), schema: schema_of(plan) });
                for input in inputs {
                    self.nodes[input].outputs.push(Target::Node(meeting));
                }
                Ok(Stream::Node(meeting))
            }
            LogicalPlan::Extension(extension) => {
                let node = extension.node.as_any();
                if let Some(window) = node.downcast_ref::<WindowAggregateNode>() {
                    // The windows below are counted anew at every emission here, so they must be complete.
                    let input = self.stream(build, &window.input, true)?;
                    let spec = Arc::new(build.window(window, counted_anew)?);
                    return Ok(Stream::Node(match input {
                        Stream::Node(input) => self.add(OperatorPlan::Window(spec), input),
                        Stream::Local(drafts) => {
                            let node = self.push_node(OperatorPlan::Window(Arc::clone(&spec)));
                            self.feed(drafts, Terminal::Window(spec), node);
                            node
                        }
                    }));
                }
                if let Some(rank) = node.downcast_ref::<RankNode>() {
                    let input = self.stream(build, &rank.input, counted_anew)?;
                    let input = self.node_of(input, schema_of(&rank.input));
                    let spec = build.rank(rank)?;
                    return Ok(Stream::Node(self.add(OperatorPlan::Rank(spec), input)));
                }
                Err(build.unsupported(extension.node.name(), None))
            }
            LogicalPlan::Join(_) => Err(build.unsupported("JOIN", Some("put the tables together with UNION ALL"))),
            LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => {
                Err(build.unsupported("a query without a table", None))
            }
            LogicalPlan::Distinct(_) => Err(build.distinct()),
            // What the optimiser makes of DISTINCT; other aggregations are streaming nodes by now.
            LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.is_empty() => Err(build.distinct()),
            LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => Err(build.unsupported(
                "ORDER BY or LIMIT over a stream",
                Some("rank within a window: ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY …)"),
            )),
            other => Err(build.unsupported(&format!("{}", other.display()), None)),
        }
    }

    /// Puts a stateless step behind `input`.
    fn step(
        &mut self,
        build: &Build<'_>,
        input: &LogicalPlan,
        step: Step,
        schema: SchemaRef,
        counted_anew: bool,
    ) -> Result<Stream, StreamError> {
        Ok(match self.stream(build, input, counted_anew)? {
            Stream::Local(mut drafts) => {
                for draft in &mut drafts {
                    draft.steps.push(step.clone());
                }
                Stream::Local(drafts)
            }
            Stream::Node(input) => {
                Stream::Node(self.add(OperatorPlan::Steps { steps: vec![step], schema }, input))
            }
        })
    }

    /// Settles what each source decodes, now that all readers of it are known.
    pub(crate) fn finish(
        self,
        catalog: &Catalog,
        connectors: &Connectors,
        settings: Settings,
    ) -> Result<JobPlan, StreamError> {
        let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for local in &self.locals {
            wanted.entry(&local.table).or_default().extend(local.columns.iter().map(String::as_str));
        }
        let mut sources = Vec::new();
        for (name, columns) in &wanted {
            let table =
                catalog.table(name).ok_or_else(|| StreamError::internal(format!("table {name} got lost")))?;
            sources.push(source(catalog, connectors, table, columns)?);
        }
        let mut locals = Vec::new();
        for local in &self.locals {
            let index = sources.iter().position(|source| source.table.name == local.table);
            let index =
                index.ok_or_else(|| StreamError::internal(format!("source {} got lost", local.table)))?;
            let indexes = local
                .columns
                .iter()
                .map(|c| sources[index].schema.index_of(c))
                .collect::<Result<Vec<_>, _>>()?;
            let mut steps = vec![Step::Select { indexes }];
            steps.extend(local.steps.iter().cloned());
            locals.push(LocalPlan {
                source: index,
                steps,
                terminal: local.terminal.clone(),
                node: local.node,
            });
        }
        let mut plan = JobPlan {
            sources,
            locals,
            nodes: self.nodes,
            sinks: self.sinks,
            settings,
            fingerprint: String::new(),
        };
        derive(&mut plan)?;
        limit(&mut plan.nodes);
        Ok(plan)
    }
}

/// Plans a source for the columns that are wanted of it.
fn source(
    catalog: &Catalog,
    connectors: &Connectors,
    table: &TableDef,
    wanted: &BTreeSet<&str>,
) -> Result<SourcePlan, StreamError> {
    let connector = table.connector();
    if connector.is_empty() {
        return Err(StreamError::MissingOption { table: table.name.clone(), option: "connector".to_owned() });
    }
    let Some(factory) = connectors.sources.get(&connector) else {
        let known = connectors.sources.names().collect::<Vec<_>>().join("', '");
        return Err(table
            .options
            .bad("connector", &format!("a connector for sources; these are: '{known}'")));
    };
    let options = SourceOptions::read(table)?;
    factory.validate(table)?;
    table.options.finish()?;

    let mut needed: BTreeSet<&str> = wanted.clone();
    needed.extend(table.watermark.as_ref().map(|watermark| watermark.column.as_str()));
    needed.extend(options.deduplicate_key.iter().map(String::as_str));
    // A generated column needs the columns of its expression.
    let mut inputs: BTreeSet<String> = BTreeSet::new();
    for column in table.columns.iter().filter(|column| needed.contains(column.name.as_str())) {
        match &column.kind {
            ColumnKind::Physical => {
                inputs.insert(column.name.clone());
            }
            ColumnKind::Generated(expr) => {
                inputs.extend(expr.column_refs().into_iter().map(|c| c.name.clone()))
            }
            ColumnKind::Metadata(_) => {
                return Err(catalog
                    .error(
                        Span::empty(),
                        format!(
                            "metadata column '{}' of table {} can only be written, not read",
                            column.name, table.name
                        ),
                    )
                    .into());
            }
        }
    }
    let field = |column: &crate::table::ColumnDef| Field::new(&column.name, column.data_type.clone(), true);
    let decoded: Vec<Field> = table.columns.iter().filter(|c| inputs.contains(&c.name)).map(field).collect();
    let decoded = Arc::new(Schema::new(decoded));
    let physical = DFSchema::try_from(decoded.as_ref().clone())?;
    let mut fields: Vec<Arc<Field>> = decoded.fields().iter().cloned().collect();
    let mut generated = Vec::new();
    for column in table.columns.iter().filter(|column| needed.contains(column.name.as_str())) {
        if let ColumnKind::Generated(expr) = &column.kind {
            let expr = catalog.state().create_physical_expr(expr.clone(), &physical)?;
            let field = Arc::new(field(column));
            fields.push(Arc::clone(&field));
            generated.push((expr, field));
        }
    }
    let schema = Arc::new(Schema::new(fields));
    let time_column = match &table.watermark {
        None => None,
        Some(watermark) => Some(schema.index_of(&watermark.column)?),
    };
    let deduplicate_columns =
        options.deduplicate_key.iter().map(|name| schema.index_of(name)).collect::<Result<_, _>>()?;
    Ok(SourcePlan {
        table: table.clone(),
        options,
        decode: DecodePlan::all(decoded),
        generated,
        schema,
        time_column,
        deduplicate_columns,
    })
}

fn schema_of(plan: &LogicalPlan) -> SchemaRef {
    Arc::clone(plan.schema().inner())
}

/// Logical expressions to physical ones.
struct Build<'a> {
    catalog: &'a Catalog,
    span: Span,
}

impl Build<'_> {
    fn expr(&self, expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, StreamError> {
        let expr = match expr {
            Expr::Alias(alias) => alias.expr.as_ref(),
            other => other,
        };
        self.catalog
            .state()
            .create_physical_expr(expr.clone(), schema)
            .map_err(|error| self.catalog.diagnose(error))
    }

    fn filter(&self, predicate: &Expr, schema: &DFSchema) -> Result<Step, StreamError> {
        Ok(Step::Filter { predicate: self.expr(predicate, schema)? })
    }

    fn window(&self, node: &WindowAggregateNode, emit_all: bool) -> Result<WindowAggregateSpec, StreamError> {
        let input = node.input.schema();
        let fields = node.schema.fields();
        let mut keys = Vec::new();
        for (column, field) in node.group_columns.iter().zip(fields) {
            if let crate::operator::window_aggregate::GroupColumn::Key(index) = column {
                keys.push((self.expr(&node.keys[*index], input)?, Arc::clone(field)));
            }
        }
        let props = ExecutionProps::new();
        let context = PhysicalPlanningContext::default();
        let mut aggregates = Vec::new();
        for (expr, field) in node.aggregates.iter().zip(fields.iter().skip(node.group_columns.len())) {
            let lowered = LoweredAggregateBuilder::new(expr, input, input.as_arrow(), &props, &context)
                .with_name(field.name())
                .build()
                .map_err(|error| self.catalog.diagnose(error))?;
            aggregates.push((lowered.aggregate, lowered.filter));
        }
        Ok(WindowAggregateSpec {
            window: node.window,
            lateness_us: node.lateness_us,
            time: self.expr(&node.time, input)?,
            time_kind: node.time_kind,
            aggregation: Aggregation::new(keys, aggregates, input.as_arrow())?,
            group_columns: node.group_columns.clone(),
            schema: Arc::clone(node.schema.inner()),
            emit_all,
        })
    }

    fn rank(&self, node: &RankNode) -> Result<RankSpec, StreamError> {
        let input = node.input.schema();
        let mut order_by = Vec::new();
        for sort in &node.order_by {
            let options =
                arrow::compute::SortOptions { descending: !sort.asc, nulls_first: sort.nulls_first };
            order_by.push(PhysicalSortExpr { expr: self.expr(&sort.expr, input)?, options });
        }
        Ok(RankSpec {
            partition_by: node.partition_by.iter().map(|e| self.expr(e, input)).collect::<Result<_, _>>()?,
            order_by,
            schema: Arc::clone(node.schema.inner()),
            input_schema: Arc::clone(input.inner()),
            limit: None,
        })
    }

    fn distinct(&self) -> StreamError {
        self.unsupported(
            "SELECT DISTINCT or UNION",
            Some("write UNION ALL, or group by a window and the columns instead"),
        )
    }

    fn unsupported(&self, what: &str, help: Option<&str>) -> StreamError {
        let error = self.catalog.error(self.span, format!("{what} is not supported in a streaming query"));
        match help {
            Some(help) => error.with_help(help).into(),
            None => error.into(),
        }
    }
}
