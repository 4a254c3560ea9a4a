//! `LIMIT` and `OFFSET`: the first rows that come, or the earliest below an `ORDER BY` of the event time.

use std::sync::Arc;

use datafusion::logical_expr::{FetchType, LogicalPlan, SkipType};

use super::context::{Context, Outcome};
use crate::planner::nodes::{extension, first_rows::FirstRowsNode};

pub(super) fn apply(context: &Context<'_>, plan: LogicalPlan) -> Outcome {
    let LogicalPlan::Limit(limit) = plan else { return Ok(Err(plan)) };
    let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
        (limit.get_skip_type()?, limit.get_fetch_type()?)
    else {
        return Err(context.error(&[], "LIMIT and OFFSET take a number").into());
    };
    Ok(Ok(extension(FirstRowsNode { input: Arc::unwrap_or_clone(limit.input), skip, fetch })))
}
