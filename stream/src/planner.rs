//! Statements to a job graph.
//!
//! ```text
//! text ── sql ──▶ statements ── DataFusion ──▶ logical plan ── rules ──▶ streaming nodes
//!      ── DataFusion's optimiser ──▶ ── graph ──▶ JobPlan
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`catalog`] | `CREATE TABLE` to [`TableDef`]s that DataFusion can plan against |
//! | `attributes` | what is known about the times in a column: event time, a window's bound, under which promise |
//! | `rules` | windows, aggregates and row numbers become `nodes`, one rule a file |
//! | `nodes` | the streaming nodes: what each makes of time, and its operators |
//! | [`graph`] | the optimised plan to operators, shared where two queries compute the same |
//! | `source`, `physical` | what is decoded of a source; expressions that can be evaluated |
//! | `derive` | conditions on texts once per distinct value; columns that nobody uses are not decoded |
//! | `choose` | CASE between a whole number and a constant, computed for all rows at once |
//! | `limit` | how many rows of a ranking are wanted |
//! | [`explain`] | a planned job as text, JSON or a picture |
//! | `dialect` | what Flink means by an expression, as far as that depends on types |
//! | [`diagnose`] | DataFusion's errors with their place in the script |
//!
//! Planning touches nothing outside: topics, files and Redis are looked at when the job starts.

mod attributes;
pub mod catalog;
mod choose;
mod derive;
pub mod diagnose;
mod dialect;
pub mod explain;
pub mod graph;
mod limit;
mod nodes;
mod physical;
mod rules;
mod source;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::{
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Union, cast},
    optimizer::{
        Optimizer, decorrelate_predicate_subquery::DecorrelatePredicateSubquery,
        eliminate_cross_join::EliminateCrossJoin, extract_equijoin_predicate::ExtractEquijoinPredicate,
    },
    physical_expr::PhysicalExpr,
    sql::sqlparser::{
        ast::{Query, Statement as SqlStatement},
        tokenizer::Span,
    },
};

use twox_hash::XxHash3_128;

use self::{catalog::Catalog, graph::GraphBuilder};
use crate::{
    decode::plan::DecodePlan,
    error::{SqlError, StreamError},
    operator::{rank::RankSpec, step::Step, whole::WholeSpec, window_aggregate::WindowAggregateSpec},
    options::{Options, parse_duration},
    sink::{EmitMode, SinkRegistry},
    source::{SourceOptions, SourceRegistry},
    sql::{
        script::{self, Script, Statement},
        tokens, variables,
    },
    table::{ColumnDef, ColumnKind, TableDef},
    window::WindowSpec,
};

/// What a script may name.
#[derive(Clone, Default)]
pub struct Connectors {
    /// Sources by connector.
    pub sources: SourceRegistry,
    /// Sinks by connector.
    pub sinks: SinkRegistry,
}

/// A planned job: what [`crate::runtime`] runs.
#[derive(Debug)]
pub struct JobPlan {
    /// The sources that are read, each once.
    pub sources: Vec<SourcePlan>,
    /// What happens to a source's rows on the thread that reads them.
    pub locals: Vec<LocalPlan>,
    /// The merge stage, inputs before those that they feed.
    pub nodes: Vec<NodePlan>,
    /// The sinks, one a table that is inserted into.
    pub sinks: Vec<SinkPlan>,
    /// The script's settings.
    pub settings: Settings,
    /// Tells this script's checkpoints from another's.
    pub fingerprint: String,
    /// The script asks to be explained (`EXPLAIN …`), not run.
    pub is_explained: bool,
}

impl JobPlan {
    /// Whether every source ends by itself.
    pub fn is_bounded(&self) -> bool {
        self.sources.iter().all(|source| {
            let options = &source.table.options;
            source.table.connector() != "kafka" || options.get("scan.bounded.mode") == Some("latest-offset")
        })
    }
}

/// `SET 'name' = 'value'` in a script.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | `emit.interval` | how often provisional rows are written | 250 ms |
/// | `checkpoint.interval` | how often sinks commit and positions are recorded | 10 s |
/// | `parallelism` | compute threads | one a core |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often provisional rows are written.
    pub emit_interval: Duration,
    /// How often sinks commit and positions are recorded.
    pub checkpoint_interval: Duration,
    /// Compute threads; `None` for one a core.
    pub parallelism: Option<usize>,
}

/// A source and what is decoded of it.
#[derive(Clone, Debug)]
pub struct SourcePlan {
    /// Its table.
    pub table: TableDef,
    /// The options every source has.
    pub options: SourceOptions,
    /// What is decoded of a record.
    pub decode: DecodePlan,
    /// The columns computed from decoded ones, appended in this order.
    pub generated: Vec<(Arc<dyn PhysicalExpr>, FieldRef)>,
    /// Decoded, then generated, then derived columns.
    pub schema: SchemaRef,
    /// Index of the event-time column, if the table has a watermark.
    pub time_column: Option<usize>,
    /// Indexes of the columns of `'deduplicate.key'`.
    pub deduplicate_columns: Vec<usize>,
}

/// One way from a source to the merge stage.
#[derive(Clone, Debug)]
pub struct LocalPlan {
    /// Index of its source.
    pub source: usize,
    /// Stateless steps, from the source's schema on.
    pub steps: Vec<Step>,
    /// What is done at the end.
    pub terminal: Terminal,
    /// The node that is fed.
    pub node: usize,
}

impl LocalPlan {
    /// The windows that a row of the source is held against, and how long they take it behind their ends.
    pub fn window(&self) -> Option<(WindowSpec, i64)> {
        let assigned = self.steps.iter().find_map(|step| match step {
            Step::Assign(assign) => Some((assign.window, assign.lateness_us)),
            _ => None,
        });
        assigned.or(match &self.terminal {
            Terminal::Window(spec) => Some((spec.window, spec.lateness_us)),
            Terminal::Forward => None,
        })
    }
}

/// The end of a local chain.
#[derive(Clone, Debug)]
pub enum Terminal {
    /// Rows go on as they are.
    Forward,
    /// Rows are aggregated partially.
    Window(Arc<WindowAggregateSpec>),
}

/// A node of the merge stage.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// What it does.
    pub operator: OperatorPlan,
    /// Where its rows go.
    pub outputs: Vec<Target>,
}

/// The operator of a node.
#[derive(Clone, Debug)]
pub enum OperatorPlan {
    /// Filter or projection, or nothing: where streams meet.
    Steps {
        /// The steps.
        steps: Vec<Step>,
        /// The output schema.
        schema: SchemaRef,
    },
    /// A windowed aggregation.
    Window(Arc<WindowAggregateSpec>),
    /// A row number within a window.
    Rank(RankSpec),
    /// A computation over whole windows.
    Whole(Arc<WholeSpec>),
}

/// What a node feeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// An input of another node.
    Node {
        /// Its number.
        node: usize,
        /// Which of its inputs.
        port: usize,
    },
    /// A sink.
    Sink(usize),
}

/// A sink of the job.
#[derive(Clone, Debug)]
pub struct SinkPlan {
    /// Its table.
    pub table: TableDef,
    /// Which rows it takes.
    pub emit: EmitMode,
}

/// Plans a script. `values` fill its variables.
pub async fn plan(
    text: &str,
    values: &BTreeMap<String, String>,
    connectors: &Connectors,
) -> Result<JobPlan, StreamError> {
    let text = variables::substitute(text, values)?;
    let script = script::parse(&text)?;
    let settings = settings(&script)?;
    let mut catalog = Catalog::new(&script.text)?;
    let mut graph = GraphBuilder::default();
    let mut inserts: Vec<Insert> = Vec::new();
    for statement in &script.statements {
        match statement {
            Statement::Table(table) => catalog.create_table(table)?,
            Statement::View { name, span, query } => {
                let plan = query_plan(&catalog, query).await?;
                catalog.create_view(name, *span, plan)?;
            }
            Statement::Insert { table, span, columns, query } => {
                let sink = sink(&catalog, connectors, table, *span)?;
                let plan = query_plan(&catalog, query).await?;
                let plan = insert_projection(&catalog, &sink.table, columns, *span, plan)?;
                add(&mut inserts, sink, *span, plan);
            }
            Statement::Explain { span, query } => {
                let plan = query_plan(&catalog, query).await?;
                inserts.push(Insert { sink: shown(&plan), span: *span, plans: vec![plan] });
            }
        }
    }
    if inserts.is_empty() {
        return Err(SqlError::at(
            &script.text,
            None,
            "the script has no INSERT INTO, so there is nothing to run",
        )
        .with_help("write INSERT INTO a_sink_table SELECT …")
        .into());
    }
    for Insert { sink, span, plans } in inserts {
        let plan = together(plans)?;
        let plan = optimised(&catalog, plan, span, sink.emit == EmitMode::Updates)?;
        graph.insert(&catalog, &plan, sink, span)?;
    }
    let fingerprint = format!("{:032x}", XxHash3_128::oneshot(script.text.as_bytes()));
    Ok(JobPlan {
        fingerprint,
        is_explained: script.is_explained,
        ..graph.finish(&catalog, connectors, settings)?
    })
}

/// What goes into one table: a table has one sink, whatever number of `INSERT`s feed it.
struct Insert {
    sink: SinkPlan,
    /// Where the first stands.
    span: Span,
    /// Their queries, each with the table's columns.
    plans: Vec<LogicalPlan>,
}

fn add(inserts: &mut Vec<Insert>, sink: SinkPlan, span: Span, plan: LogicalPlan) {
    match inserts.iter_mut().find(|insert| insert.sink.table.name == sink.table.name) {
        Some(insert) => insert.plans.push(plan),
        None => inserts.push(Insert { sink, span, plans: vec![plan] }),
    }
}

/// Where the rows of a query that is only explained would go.
fn shown(plan: &LogicalPlan) -> SinkPlan {
    let columns = plan.schema().fields().iter().map(|field| ColumnDef {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        kind: ColumnKind::Physical,
    });
    let table = TableDef {
        name: "(shown)".to_owned(),
        columns: columns.collect(),
        watermark: None,
        primary_key: Vec::new(),
        options: Options::new("(shown)", BTreeMap::from([("connector".to_owned(), "none".to_owned())])),
    };
    SinkPlan { table, emit: EmitMode::Updates }
}

/// The rows of all these plans of one schema.
fn together(mut plans: Vec<LogicalPlan>) -> Result<LogicalPlan, StreamError> {
    match plans.len() {
        1 => plans.pop().ok_or_else(|| StreamError::internal("a plan got lost")),
        _ => {
            let plans = plans.into_iter().map(Arc::new).collect();
            Ok(LogicalPlan::Union(Union::try_new_with_loose_types(plans)?))
        }
    }
}

fn settings(script: &Script) -> Result<Settings, SqlError> {
    let mut settings = Settings {
        emit_interval: Duration::from_millis(250),
        checkpoint_interval: Duration::from_secs(10),
        parallelism: None,
    };
    for (name, (value, span)) in &script.settings {
        let bad = |expected: &str| {
            SqlError::at(
                &script.text,
                tokens::place(span.start),
                format!("setting '{name}' = '{value}' is not {expected}"),
            )
        };
        let duration = || {
            parse_duration(value).filter(|d| !d.is_zero()).ok_or_else(|| bad("a duration such as '250 ms'"))
        };
        match name.as_str() {
            "emit.interval" => settings.emit_interval = duration()?,
            "checkpoint.interval" => settings.checkpoint_interval = duration()?,
            "parallelism" => {
                let threads = value.parse().ok().filter(|threads| (1..=1024).contains(threads));
                settings.parallelism =
                    Some(threads.ok_or_else(|| bad("a number of threads from 1 to 1024"))?);
            }
            _ => {
                return Err(SqlError::at(
                    &script.text,
                    tokens::place(span.start),
                    format!("unknown setting '{name}'"),
                )
                .with_help("the settings are emit.interval, checkpoint.interval and parallelism"));
            }
        }
    }
    Ok(settings)
}

/// DataFusion's plan of a query, types coerced, before any rewriting.
async fn query_plan(catalog: &Catalog, query: &Query) -> Result<LogicalPlan, StreamError> {
    let statement = SqlStatement::Query(Box::new(query.clone()));
    let statement = datafusion::sql::parser::Statement::Statement(Box::new(statement));
    let plan = catalog.state().statement_to_plan(statement).await.map_err(|error| catalog.diagnose(error))?;
    Ok(plan)
}

fn sink(catalog: &Catalog, connectors: &Connectors, name: &str, span: Span) -> Result<SinkPlan, StreamError> {
    let Some(table) = catalog.table(name) else {
        return Err(catalog.unknown_table(name, span).into());
    };
    let connector = table.connector();
    if connector.is_empty() {
        return Err(StreamError::MissingOption { table: table.name.clone(), option: "connector".to_owned() });
    }
    let Some(factory) = connectors.sinks.get(&connector) else {
        let known = connectors.sinks.names().collect::<Vec<_>>().join("', '");
        return Err(table.options.bad("connector", &format!("a connector for sinks; these are: '{known}'")));
    };
    let emit = match table.options.get("emit") {
        None => factory.default_emit(),
        Some("final") => EmitMode::Final,
        Some("updates") => EmitMode::Updates,
        Some(_) => return Err(table.options.bad("emit", "'final' or 'updates'")),
    };
    factory.validate(table)?;
    Ok(SinkPlan { table: table.clone(), emit })
}

/// Maps a query's columns to the table's, by position, and casts.
fn insert_projection(
    catalog: &Catalog,
    table: &TableDef,
    named: &[(String, Span)],
    span: Span,
    plan: LogicalPlan,
) -> Result<LogicalPlan, StreamError> {
    let targets: Vec<&str> = if named.is_empty() {
        table.insert_columns().map(|column| column.name.as_str()).collect()
    } else {
        for (index, (name, place)) in named.iter().enumerate() {
            if named[..index].iter().any(|(other, _)| other == name) {
                return Err(catalog.error(*place, format!("column '{name}' is inserted into twice")).into());
            }
            if table.insert_columns().all(|column| column.name != *name) {
                let known = table.insert_columns().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(catalog
                    .error(*place, format!("table {} has no column '{name}' to insert into", table.name))
                    .with_help(format!("its columns are {known}"))
                    .into());
            }
        }
        named.iter().map(|(name, _)| name.as_str()).collect()
    };
    let schema = std::sync::Arc::clone(plan.schema());
    if schema.fields().len() != targets.len() {
        return Err(catalog
            .error(
                span,
                format!(
                    "the query has {} columns, but {} are inserted into {}",
                    schema.fields().len(),
                    targets.len(),
                    table.name
                ),
            )
            .with_help(format!("into {} go, in this order: {}", table.name, targets.join(", ")))
            .into());
    }
    let mut exprs = Vec::new();
    for column in table.insert_columns() {
        let expr = match targets.iter().position(|target| *target == column.name) {
            None => Expr::Literal(datafusion::common::ScalarValue::Null, None),
            Some(index) => {
                let (qualifier, field) = schema.qualified_field(index);
                if !arrow::compute::can_cast_types(field.data_type(), &column.data_type) {
                    return Err(catalog
                        .error(
                            span,
                            format!(
                                "column {} of the query is {}, which does not go into {}.{} of type {}",
                                index + 1,
                                field.data_type(),
                                table.name,
                                column.name,
                                column.data_type
                            ),
                        )
                        .with_help("cast it in the query, or change the table's column")
                        .into());
                }
                Expr::Column(datafusion::common::Column::from((qualifier, field)))
            }
        };
        exprs.push(cast(expr, column.data_type.clone()).alias(column.name.clone()));
    }
    Ok(LogicalPlanBuilder::from(plan).project(exprs)?.build()?)
}

/// Coerces types, puts streaming nodes in, and lets DataFusion's optimiser work on the whole.
fn optimised(
    catalog: &Catalog,
    plan: LogicalPlan,
    span: Span,
    by_window: bool,
) -> Result<LogicalPlan, StreamError> {
    let state = catalog.state();
    let plan = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})
        .map_err(|error| catalog.diagnose(error))?;
    // Joins are seen as such: IN and EXISTS become joins, and conditions on two tables become theirs.
    let joins = Optimizer::with_rules(vec![
        Arc::new(DecorrelatePredicateSubquery::new()),
        Arc::new(EliminateCrossJoin::new()),
        Arc::new(ExtractEquijoinPredicate::new()),
    ]);
    let plan = joins.optimize(plan, &state, |_, _| {}).map_err(|error| catalog.diagnose(error))?;
    let plan = rules::to_streaming(catalog, plan, span, by_window)?;
    let plan =
        state.optimizer().optimize(plan, &state, |_, _| {}).map_err(|error| catalog.diagnose(error))?;
    rules::refuse_markers(catalog, &plan, span)?;
    Ok(plan)
}
