//! Windows gathered whole, where they must be: the helpers of the rules that compute with them.

use datafusion::{
    common::Result,
    logical_expr::{Expr, LogicalPlan},
};

use super::context::{Context, unaliased};
use crate::{
    operator::TimeBound,
    planner::{
        attributes::{Attributes, Role, TimeAttribute, index_of},
        node::WholeBy,
        nodes::{
            self, extension,
            whole::{WholeInput, WholeNode, gathered, placeholder},
        },
    },
};

/// How well a column tells the window: the end is passed first.
pub(super) fn preference(role: Role) -> u8 {
    match role {
        Role::End => 0,
        Role::Time => 1,
        Role::Start => 2,
        Role::Event | Role::Window => 3,
    }
}

/// The bound that a column gives to its window's completeness.
pub(super) fn bound_of(attribute: TimeAttribute) -> Option<TimeBound> {
    attribute.closing().filter(|_| preference(attribute.role) < 3)
}

/// The column, among some, that tells the window of a row and when it is complete.
pub(super) fn bounding(
    attributes: &Attributes,
    columns: impl IntoIterator<Item = usize>,
) -> Option<(usize, TimeBound)> {
    let usable = columns.into_iter().filter_map(|column| {
        let attribute = attributes.get(column).copied().flatten()?;
        Some((column, bound_of(attribute)?, preference(attribute.role)))
    });
    usable
        .min_by_key(|(column, _, preference)| (*preference, *column))
        .map(|(column, bound, _)| (column, bound))
}

/// The column that an expression is.
pub(super) fn column_of(expr: &Expr, plan: &LogicalPlan) -> Option<usize> {
    match unaliased(expr) {
        Expr::Column(column) => index_of(plan.schema(), column),
        _ => None,
    }
}

/// Whether all rows with one value of a column come in one batch.
fn is_whole_by(plan: &LogicalPlan, column: usize) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            let below = projection.expr.get(column).and_then(|expr| column_of(expr, &projection.input));
            below.is_some_and(|column| is_whole_by(&projection.input, column))
        }
        LogicalPlan::Filter(filter) => is_whole_by(&filter.input, column),
        LogicalPlan::SubqueryAlias(alias) => is_whole_by(&alias.input, column),
        LogicalPlan::Extension(extension) => {
            match nodes::streaming(extension.node.as_ref()).map(|node| node.whole_by(column)) {
                Some(WholeBy::Always) => true,
                Some(WholeBy::Input(column)) => {
                    extension.node.inputs().first().is_some_and(|input| is_whole_by(input, column))
                }
                Some(WholeBy::Never) | None => false,
            }
        }
        _ => false,
    }
}

/// The plan with windows whole by a column, gathered if they do not come so.
pub(super) fn whole_by(
    context: &Context<'_>,
    plan: LogicalPlan,
    column: usize,
    bound: TimeBound,
) -> Result<LogicalPlan> {
    if is_whole_by(&plan, column) {
        return Ok(plan);
    }
    let computation = placeholder(0, plan.schema())?;
    let attributes = gathered(&context.attributes(&plan), column);
    let schema = std::sync::Arc::clone(plan.schema());
    Ok(extension(WholeNode {
        name: "gather".to_owned(),
        inputs: vec![WholeInput { plan, column, bound }],
        computation,
        attributes,
        window_column: Some(column),
        schema,
    }))
}

/// The windows of a statement's rows whole, for a sink that takes each window's rows at once: where several branches
/// make them.
pub(super) fn for_updates(context: &Context<'_>, plan: LogicalPlan) -> Result<LogicalPlan> {
    let attributes = context.attributes(&plan);
    match bounding(&attributes, 0..attributes.len()) {
        Some((column, bound)) if has_branches(&plan) => whole_by(context, plan, column, bound),
        _ => Ok(plan),
    }
}

/// Whether rows of a plan come from several branches.
fn has_branches(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Union(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().into_iter().any(has_branches)
        }
        _ => false,
    }
}
