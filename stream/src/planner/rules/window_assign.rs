//! A window table function: rows with the columns of their windows.
//!
//! [`crate::sql::tvf`] has made a subquery of it, whose projection computes the three columns by markers. Here the
//! markers become columns of a [`WindowAssignNode`] below the projection.

use std::collections::BTreeSet;

use datafusion::{
    common::tree_node::{Transformed, TreeNode},
    logical_expr::{Expr, LogicalPlan, Projection, expr::ScalarFunction},
};

use super::context::{Context, Outcome, place_of, unaliased};
use crate::{
    error::StreamError,
    planner::{
        attributes::{Role, TimeAttribute, of_expr},
        nodes::{extension, window_assign::WindowAssignNode},
    },
    sql::functions::window::{Marker, marker},
};

pub(super) fn apply(context: &Context<'_>, plan: LogicalPlan) -> Outcome {
    let LogicalPlan::Projection(projection) = plan else { return Ok(Err(plan)) };
    let Some(function) = projection.expr.iter().find_map(table_marker).cloned() else {
        return Ok(Err(LogicalPlan::Projection(projection)));
    };
    let Projection { expr, input, schema, .. } = projection;
    let node = node(context, &function, std::sync::Arc::unwrap_or_clone(input))?;
    let exprs = expr.into_iter().map(columns_for_markers).collect::<Result<Vec<_>, _>>()?;
    let projection = Projection::try_new_with_schema(exprs, std::sync::Arc::new(extension(node)), schema)?;
    Ok(Ok(LogicalPlan::Projection(projection)))
}

/// The marker of a table function that an expression is.
fn table_marker(expr: &Expr) -> Option<&ScalarFunction> {
    match unaliased(expr) {
        Expr::ScalarFunction(function) => role(function).map(|_| function),
        _ => None,
    }
}

fn role(function: &ScalarFunction) -> Option<Role> {
    match marker(&function.func)? {
        Marker::Start => Some(Role::Start),
        Marker::End => Some(Role::End),
        Marker::Time => Some(Role::Time),
        Marker::Window => None,
    }
}

fn columns_for_markers(expr: Expr) -> datafusion::common::Result<Expr> {
    let replaced = expr.transform_up(|expr| {
        let column = match &expr {
            Expr::ScalarFunction(function) => role(function).and_then(WindowAssignNode::column),
            _ => None,
        };
        Ok(column.map_or_else(|| Transformed::no(expr), Transformed::yes))
    });
    Ok(replaced?.data)
}

/// The node of `__window_start(kind, time, intervals…, PARTITION BY columns…)`; a column is no interval.
fn node(
    context: &Context<'_>,
    function: &ScalarFunction,
    input: LogicalPlan,
) -> Result<WindowAssignNode, StreamError> {
    let [Expr::Literal(kind, _), time, rest @ ..] = function.args.as_slice() else {
        return Err(StreamError::internal("a window marker has too few arguments"));
    };
    let kind = kind.try_as_str().flatten().unwrap_or_default();
    let (partition_by, intervals): (Vec<Expr>, Vec<Expr>) =
        rest.iter().cloned().partition(|arg| matches!(arg, Expr::Column(_)));
    if !matches!(time, Expr::Column(_)) {
        return Err(context.error(&function.args, "DESCRIPTOR takes the name of a column").into());
    }
    let attributes = context.attributes(&input);
    let attribute = of_expr(time, input.schema(), &attributes);
    let Some(TimeAttribute { bound: Some(bound), lateness_us, .. }) = attribute else {
        return Err(no_event_time(context, time, attribute, &input));
    };
    Ok(WindowAssignNode {
        window: context.window(kind, &intervals, &function.args)?,
        time: time.clone(),
        bound,
        lateness_us,
        partition_by,
        schema: WindowAssignNode::schema_over(input.schema())?,
        input,
    })
}

/// Why a column is no event time, and what would work.
pub(super) fn no_event_time(
    context: &Context<'_>,
    time: &Expr,
    attribute: Option<TimeAttribute>,
    input: &LogicalPlan,
) -> StreamError {
    let name = match time {
        Expr::Column(column) => column.name.as_str(),
        _ => "the expression",
    };
    let place = place_of(std::slice::from_ref(time)).unwrap_or(context.statement);
    if let Some(attribute) = attribute {
        let message =
            format!("'{name}' is {} about whose values to come nothing is known here", attribute.role.name());
        return context.catalog.error(place, message).with_help("window over window_time instead").into();
    }
    if let Some(table) = table_of(time, input) {
        return context
            .catalog
            .error(place, format!("'{name}' is not the event time of table {table}"))
            .with_help(format!(
                "declare WATERMARK FOR {name} AS {name} - INTERVAL '5' SECOND in CREATE TABLE {table}"
            ))
            .into();
    }
    context
        .catalog
        .error(place, format!("'{name}' is not event time"))
        .with_help(
            "a window goes over the WATERMARK column of a table, or over window_start, window_end or window_time of another window",
        )
        .into()
}

/// The one table that a plan reads, where it passes on its column unchanged.
fn table_of(time: &Expr, plan: &LogicalPlan) -> Option<String> {
    let Expr::Column(column) = unaliased(time) else { return None };
    match plan {
        LogicalPlan::TableScan(scan) => {
            let known: BTreeSet<&String> = scan.projected_schema.fields().iter().map(|f| f.name()).collect();
            known.contains(&column.name).then(|| scan.table_name.table().to_owned())
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let index = crate::planner::attributes::index_of(&alias.schema, column)?;
            let inner = alias.input.schema().qualified_field(index);
            table_of(&Expr::Column(inner.into()), &alias.input)
        }
        LogicalPlan::Filter(filter) => table_of(time, &filter.input),
        LogicalPlan::Projection(projection) => {
            let index = crate::planner::attributes::index_of(&projection.schema, column)?;
            table_of(projection.expr.get(index)?, &projection.input)
        }
        _ => None,
    }
}
