//! Statements to a job graph.
//!
//! ```text
//! text ── sql ──▶ statements ── DataFusion ──▶ logical plan ── rules ──▶ streaming nodes
//!      ── DataFusion's optimiser ──▶ ── graph ──▶ JobPlan
//! ```
//!
//! | module | what |
//! |---|---|
//! | `catalog` | `CREATE TABLE` to [`TableDef`](crate::table::TableDef)s that DataFusion can plan against |
//! | `attributes` | what is known about the times in a column: event time, a window's bound, under which promise |
//! | `plan` | what comes out: the parts of a [`JobPlan`] |
//! | `insert` | what goes into a table: its sink, its queries with its columns |
//! | `settings` | what `SET` says for the whole job |
//! | `rules` | windows, aggregates and row numbers become `nodes`, one rule a file |
//! | `node` | what is asked of a streaming node, and what it may ask of the graph |
//! | `nodes` | the streaming nodes: what each makes of time, and its operators |
//! | `graph` | the optimised plan to operators, shared where two queries compute the same |
//! | `source`, `physical` | what is decoded of a source; expressions that can be evaluated |
//! | `optimize` | the graph made cheaper: what is decoded, what is computed once, how much of a ranking is wanted |
//! | `canonical`, `relation`, [`identity`] | plans in words; the uid by which state is known again |
//! | [`explain`] | a planned job as text, JSON or a picture |
//! | `unnest` | lists as rows |
//! | `dialect` | what Flink means by an expression, as far as that depends on types |
//! | `diagnose` | DataFusion's errors with their place in the script |
//!
//! Planning touches nothing outside: topics, files and Redis are looked at when the job starts.

mod attributes;
mod canonical;
mod catalog;
mod diagnose;
mod dialect;
pub mod explain;
mod graph;
pub mod identity;
mod insert;
mod interval;
mod node;
mod nodes;
mod optimize;
mod physical;
mod plan;
mod relation;
mod rules;
mod settings;
mod source;
mod together;
mod unnest;
mod words;

pub use self::{
    plan::{JobPlan, LocalPlan, NodePlan, OperatorPlan, SinkPlan, SourcePlan, Target, Terminal},
    settings::Settings,
};

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    common::Column,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder},
    optimizer::{
        Optimizer, decorrelate_predicate_subquery::DecorrelatePredicateSubquery,
        eliminate_cross_join::EliminateCrossJoin, extract_equijoin_predicate::ExtractEquijoinPredicate,
    },
    sql::sqlparser::{
        ast::{Query, Statement as SqlStatement},
        tokenizer::Span,
    },
};

use self::{catalog::Catalog, graph::GraphBuilder, insert::Insert};
use crate::{
    error::{SqlError, StreamError},
    format::FormatRegistry,
    sink::{EmitMode, SinkRegistry},
    source::SourceRegistry,
    sql::{
        script::{self, Statement},
        variables,
    },
};

/// What a script may name.
#[derive(Clone, Default)]
pub struct Connectors {
    /// Sources by connector.
    pub sources: SourceRegistry,
    /// Sinks by connector.
    pub sinks: SinkRegistry,
    /// What sources' bytes may mean.
    pub formats: FormatRegistry,
}

/// Plans a script. `values` fill its variables.
pub async fn plan(
    text: &str,
    values: &BTreeMap<String, String>,
    connectors: &Connectors,
) -> Result<JobPlan, StreamError> {
    let text = variables::substitute(text, values)?;
    let script = script::parse(&text)?;
    let settings = settings::settings(&script)?;
    let mut catalog = Catalog::new(&script.text, unnest::relations())?;
    let mut graph = GraphBuilder::default();
    let mut inserts: Vec<Insert> = Vec::new();
    for statement in &script.statements {
        match statement {
            Statement::Table(table) if table.if_not_exists && catalog.knows(&table.name) => {}
            Statement::Table(table) => match &table.query {
                None => catalog.create_table(table, None)?,
                Some(query) => {
                    let plan = query_plan(&mut catalog, query).await?;
                    catalog.create_table(table, Some(plan.schema()))?;
                    let name = (table.name.as_str(), table.span);
                    insert::into(&mut catalog, connectors, name, &[], plan, &mut inserts)?;
                }
            },
            Statement::View { name, if_not_exists: true, .. } if catalog.knows(name) => {}
            Statement::View { name, span, columns, query, .. } => {
                let plan = query_plan(&mut catalog, query).await?;
                let plan = renamed(&catalog, plan, columns, *span)?;
                catalog.create_view(name, *span, plan)?;
            }
            Statement::Insert { table, span, columns, query } => {
                let plan = query_plan(&mut catalog, query).await?;
                insert::into(&mut catalog, connectors, (table, *span), columns, plan, &mut inserts)?;
            }
            Statement::Explain { span, query } => {
                let plan = query_plan(&mut catalog, query).await?;
                inserts.push(Insert { sink: insert::shown(&plan), span: *span, plans: vec![plan] });
            }
        }
    }
    catalog.all_memory_is_read()?;
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
        let plan = together::together(plans)?;
        let plan = optimised(&catalog, plan, span, sink.emit == EmitMode::Updates)?;
        graph.insert(&catalog, &plan, sink, span)?;
    }
    Ok(JobPlan { is_explained: script.is_explained, ..graph.finish(&catalog, connectors, settings)? })
}

/// The query of a view with the names that its columns are given.
fn renamed(
    catalog: &Catalog,
    plan: LogicalPlan,
    names: &[(String, Span)],
    span: Span,
) -> Result<LogicalPlan, StreamError> {
    if names.is_empty() {
        return Ok(plan);
    }
    let schema = Arc::clone(plan.schema());
    if schema.fields().len() != names.len() {
        let (columns, names) = (schema.fields().len(), names.len());
        let message = format!("the view names {names} columns, but its query has {columns}");
        return Err(catalog.error(span, message).into());
    }
    let columns = schema
        .iter()
        .zip(names)
        .map(|(column, (name, _))| Expr::Column(Column::from(column)).alias(name.clone()));
    Ok(LogicalPlanBuilder::from(plan).project(columns.collect::<Vec<_>>())?.build()?)
}

/// DataFusion's plan of a query, types coerced, before any rewriting.
async fn query_plan(catalog: &mut Catalog, query: &Query) -> Result<LogicalPlan, StreamError> {
    catalog.note_read(query)?;
    let statement = SqlStatement::Query(Box::new(query.clone()));
    let statement = datafusion::sql::parser::Statement::Statement(Box::new(statement));
    let plan = catalog.state().statement_to_plan(statement).await.map_err(|error| catalog.diagnose(error))?;
    Ok(plan)
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
    let plan = unnest::joined(catalog, plan, span)?;
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
