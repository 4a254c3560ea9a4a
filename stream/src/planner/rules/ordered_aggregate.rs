//! `GROUP BY` with aggregates that want the rows of a window together, in their order.

use std::sync::Arc;

use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};

use super::{
    context::{Context, unaliased},
    whole::{bounding, column_of},
};
use crate::{
    error::StreamError,
    planner::{
        attributes::{Attributes, of_expr},
        nodes::{
            extension,
            whole::{WholeInput, WholeNode, gathered, placeholder},
        },
    },
};

/// Whether an aggregate depends on the order of its rows, so that parts of it cannot be put together.
pub(super) fn is_ordered(expr: &Expr) -> bool {
    let Expr::AggregateFunction(function) = unaliased(expr) else { return false };
    let by_place = ["first_value", "last_value", "nth_value"].contains(&function.func.name());
    by_place || !function.params.order_by.is_empty()
}

/// Aggregates that want the rows of a window together, in order: DataFusion computes them over gathered windows.
pub(super) fn over_whole(context: &Context<'_>, aggregate: Aggregate) -> Result<LogicalPlan, StreamError> {
    let attributes = context.attributes(&aggregate.input);
    let columns = aggregate.group_expr.iter().filter_map(|group| column_of(group, &aggregate.input));
    let Some((column, bound)) = bounding(&attributes, columns) else {
        return Err(no_window(context, &aggregate));
    };
    let place =
        aggregate.group_expr.iter().position(|group| column_of(group, &aggregate.input) == Some(column));
    let mut of_result: Attributes = Vec::new();
    let gathered = gathered(&attributes, column);
    for group in &aggregate.group_expr {
        of_result.push(of_expr(group, aggregate.input.schema(), &gathered));
    }
    of_result.resize(aggregate.schema.fields().len(), None);
    let rows = Arc::new(placeholder(0, aggregate.input.schema())?);
    let computation = Aggregate::try_new(rows, aggregate.group_expr.clone(), aggregate.aggr_expr.clone())?;
    Ok(extension(WholeNode {
        name: "ordered aggregates".to_owned(),
        inputs: vec![WholeInput { plan: Arc::unwrap_or_clone(aggregate.input), column, bound }],
        computation: LogicalPlan::Aggregate(computation),
        attributes: of_result,
        window_column: place,
        schema: aggregate.schema,
    }))
}

/// An aggregation that would never be final.
pub(super) fn no_window(context: &Context<'_>, aggregate: &Aggregate) -> StreamError {
    if aggregate.aggr_expr.is_empty() {
        return context
            .error(&aggregate.group_expr, "SELECT DISTINCT or UNION without a window would never be final")
            .with_help("select the window's window_start and window_end as well, or write UNION ALL")
            .into();
    }
    let mut exprs = aggregate.group_expr.clone();
    exprs.extend(aggregate.aggr_expr.iter().cloned());
    context
        .error(&exprs, "this aggregation has no window, so it would never be final")
        .with_help(
            "select FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(time_column), INTERVAL '1' MINUTE)) \
             and GROUP BY window_start, window_end",
        )
        .into()
}
