//! `ORDER BY` the event time, and `ROW_NUMBER()` by it over a whole stream: rows wait until none to come lies before them,
//! and are then final.

use std::sync::Arc;

use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr, Window, expr::WindowFunction};

use super::{
    context::{Context, Outcome},
    whole::column_of,
};
use crate::{
    error::StreamError,
    operator::TimeBound,
    planner::nodes::{extension, time_order::TimeOrderNode},
};

/// `ORDER BY t`. Other orders of a stream are never known.
pub(super) fn apply(context: &Context<'_>, plan: LogicalPlan) -> Outcome {
    let LogicalPlan::Sort(sort) = plan else { return Ok(Err(plan)) };
    let Some((time, bound, is_event)) = time_of(context, &sort.expr, &sort.input) else {
        let exprs: Vec<Expr> = sort.expr.iter().map(|sort| sort.expr.clone()).collect();
        return Err(context
            .error(&exprs, "a stream has no end, and so its rows have no order but that of their event time")
            .with_help(
                "ORDER BY the event time first, ascending; or rank within a window: ROW_NUMBER() OVER (PARTITION BY \
                 window_start, window_end ORDER BY …)",
            )
            .into());
    };
    let schema = Arc::clone(sort.input.schema());
    Ok(Ok(extension(TimeOrderNode {
        input: Arc::unwrap_or_clone(sort.input),
        time,
        bound,
        is_event,
        order_by: sort.expr,
        number_by: None,
        schema,
    })))
}

/// `ROW_NUMBER() OVER (PARTITION BY k ORDER BY t)` without a window: the first row of each key is its earliest.
pub(super) fn numbered(
    context: &Context<'_>,
    window: &Window,
    function: &WindowFunction,
) -> Result<Option<LogicalPlan>, StreamError> {
    let order_by = &function.params.order_by;
    let Some((time, bound, is_event)) = time_of(context, order_by, &window.input) else { return Ok(None) };
    Ok(Some(extension(TimeOrderNode {
        input: window.input.as_ref().clone(),
        time,
        bound,
        is_event,
        order_by: order_by.clone(),
        number_by: Some(function.params.partition_by.clone()),
        schema: Arc::clone(&window.schema),
    })))
}

/// The time that an order goes by first, from the earliest on.
fn time_of(
    context: &Context<'_>,
    order_by: &[SortExpr],
    input: &LogicalPlan,
) -> Option<(usize, TimeBound, bool)> {
    let first = order_by.first().filter(|sort| sort.asc)?;
    let column = column_of(&first.expr, input)?;
    let attribute = context.attributes(input).get(column).copied().flatten()?;
    Some((column, attribute.closing()?, !attribute.is_of_window()))
}
