//! What goes into a table: its sink, and the queries of all `INSERT`s into it with the table's columns.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{compute::can_cast_types, datatypes::FieldRef};
use datafusion::{
    common::{Column, ScalarValue},
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast},
    sql::sqlparser::tokenizer::Span,
};

use super::{Connectors, SinkPlan, canonical::sink_identity, catalog::Catalog};
use crate::{
    error::StreamError,
    options::Options,
    sink::EmitMode,
    table::{ColumnDef, ColumnKind, TableDef},
};

/// What goes into one table: a table has one sink, whatever number of `INSERT`s feed it.
pub(super) struct Insert {
    pub(super) sink: SinkPlan,
    /// Where the first stands.
    pub(super) span: Span,
    /// Their queries, each with the table's columns.
    pub(super) plans: Vec<LogicalPlan>,
}

/// Sends the rows of a query into a table: a sink, or one in memory.
pub(super) fn into(
    catalog: &mut Catalog,
    connectors: &Connectors,
    (name, span): (&str, Span),
    columns: &[(String, Span)],
    plan: LogicalPlan,
    inserts: &mut Vec<Insert>,
) -> Result<(), StreamError> {
    if catalog.is_memory(name) {
        let table = catalog.table(name).ok_or_else(|| catalog.unknown_table(name, span))?;
        let plan = projection(catalog, table, columns, span, plan)?;
        return catalog.insert_into_memory(name, span, plan);
    }
    let sink = sink(catalog, connectors, name, span)?;
    let plan = projection(catalog, &sink.table, columns, span, plan)?;
    add(inserts, sink, span, plan);
    Ok(())
}

/// Adds a query to those of its table.
fn add(inserts: &mut Vec<Insert>, sink: SinkPlan, span: Span, plan: LogicalPlan) {
    match inserts.iter_mut().find(|insert| insert.sink.table.name == sink.table.name) {
        Some(insert) => insert.plans.push(plan),
        None => inserts.push(Insert { sink, span, plans: vec![plan] }),
    }
}

/// Where the rows of a query that is only explained would go.
pub(super) fn shown(plan: &LogicalPlan) -> SinkPlan {
    let columns = plan.schema().fields().iter().map(|field| ColumnDef {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        is_json: false,
        kind: ColumnKind::Physical,
    });
    let table = TableDef {
        name: "(shown)".to_owned(),
        columns: columns.collect(),
        watermark: None,
        primary_key: Vec::new(),
        options: Options::new("(shown)", BTreeMap::from([("connector".to_owned(), "none".to_owned())])),
    };
    SinkPlan { identity: sink_identity(&table, Vec::new()), table, emit: EmitMode::Updates }
}

/// The sink of the table `name`, whose options are looked at.
fn sink(catalog: &Catalog, connectors: &Connectors, name: &str, span: Span) -> Result<SinkPlan, StreamError> {
    let Some(declared) = catalog.table(name) else {
        return Err(catalog.unknown_table(name, span).into());
    };
    // What only a source knows is no column of a sink, and must not look as if it were written.
    let mut table = declared.clone();
    table.columns.retain(|column| !matches!(column.kind, ColumnKind::FromSource { .. }));
    if let Some((column, metadata)) = declared.columns.iter().find_map(|column| match column.kind {
        ColumnKind::FromSource { metadata, is_virtual: false } => Some((column, metadata)),
        _ => None,
    }) {
        let message = format!("metadata '{}' of table {name} can only be read, not written", metadata.name());
        return Err(catalog
            .error(catalog.place(name, &column.name), message)
            .with_help("write VIRTUAL behind it, where the table is a source, too, or leave it out")
            .into());
    }
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
    factory.validate(&table)?;
    SinkPlan::of(table, factory.as_ref(), emit)
}

/// Maps a query's columns to the table's, by position, and casts.
fn projection(
    catalog: &Catalog,
    table: &TableDef,
    named: &[(String, Span)],
    span: Span,
    plan: LogicalPlan,
) -> Result<LogicalPlan, StreamError> {
    let targets = targets(catalog, table, named)?;
    let schema = Arc::clone(plan.schema());
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
            None if catalog.is_required(&table.name, &column.name) => {
                let name = &column.name;
                let message =
                    format!("nothing is inserted into '{name}' of {}, which is NOT NULL", table.name);
                let help = "name it, too, behind the table's name";
                return Err(catalog.error(span, message).with_help(help).into());
            }
            None => Expr::Literal(ScalarValue::Null, None),
            Some(index) => {
                let (qualifier, field) = schema.qualified_field(index);
                if !can_cast_types(field.data_type(), &column.data_type) {
                    return Err(does_not_go_in(catalog, table, column, span, (index, field)));
                }
                Expr::Column(Column::from((qualifier, field)))
            }
        };
        exprs.push(cast(expr, column.data_type.clone()).alias(column.name.clone()));
    }
    Ok(LogicalPlanBuilder::from(plan).project(exprs)?.build()?)
}

/// The names of the columns that a query's go into: those of the list behind the table's name, or all.
fn targets<'a>(
    catalog: &Catalog,
    table: &'a TableDef,
    named: &'a [(String, Span)],
) -> Result<Vec<&'a str>, StreamError> {
    if named.is_empty() {
        return Ok(table.insert_columns().map(|column| column.name.as_str()).collect());
    }
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
    Ok(named.iter().map(|(name, _)| name.as_str()).collect())
}

fn does_not_go_in(
    catalog: &Catalog,
    table: &TableDef,
    column: &ColumnDef,
    span: Span,
    (index, field): (usize, &FieldRef),
) -> StreamError {
    catalog
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
        .into()
}
