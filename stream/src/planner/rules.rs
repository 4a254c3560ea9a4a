//! The rules that put streaming nodes into a plan.
//!
//! They run over a plan from its leaves up, after types are coerced and before DataFusion's optimiser, which then
//! pushes filters and projections through the result. Each rule has one concern and a file; the first that knows what
//! to do with a node does it. What no rule knows stays as it is, and is refused when the graph is built, unless it is
//! stateless.
//!
//! | rule | from | to |
//! |---|---|---|
//! | [`window_assign`] | a window table function | rows with the columns of their windows |
//! | [`window_aggregate`] | `GROUP BY` with a window, `SELECT DISTINCT` within one | an aggregate over panes, sessions, or windows that the rows carry; one a set of [`grouping_sets`] |
//! | [`over`] | a function `OVER` a window | a ranking, or a computation over whole windows |
//! | [`window_join`] | a join on equal windows | a computation over whole windows |
//! | [`interval_join`] | a join on keys and an interval of time | an operator that keeps the rows of both sides for so long |
//! | [`time_order`] | `ORDER BY` the event time; `ROW_NUMBER()` by it without a window | rows that wait until they are in order |
//! | [`first_rows`] | `LIMIT` | a count |
//!
//! Before, [`interval_join::conditions`] puts conditions over a join into it.

mod context;
mod first_rows;
mod function_window;
mod grouping_sets;
mod interval_join;
mod ordered_aggregate;
mod over;
mod time_order;
mod whole;
mod window_aggregate;
mod window_assign;
mod window_join;

use datafusion::{
    common::tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    logical_expr::{Expr, LogicalPlan},
    sql::sqlparser::tokenizer::Span,
};

use self::context::{Context, Outcome, place_of};
use super::catalog::Catalog;
use crate::{error::StreamError, sql::functions::window::marker};

/// In the order in which they are tried.
const RULES: [fn(&Context<'_>, LogicalPlan) -> Outcome; 7] = [
    window_assign::apply,
    window_aggregate::apply,
    over::apply,
    window_join::apply,
    interval_join::apply,
    time_order::apply,
    first_rows::apply,
];

/// Rewrites a plan; `statement` is where it stands, for errors that have no better place. `by_window`: who takes the
/// rows wants those of a window together.
pub(crate) fn to_streaming(
    catalog: &Catalog,
    plan: LogicalPlan,
    statement: Span,
    by_window: bool,
) -> Result<LogicalPlan, StreamError> {
    let context = Context { catalog, statement };
    let plan = interval_join::conditions(plan)?;
    let mut failed = None;
    let rewritten = plan.transform_up(|mut plan| {
        for rule in RULES {
            match rule(&context, plan) {
                Ok(Ok(rewritten)) => return Ok(Transformed::yes(rewritten)),
                Ok(Err(unknown)) => plan = unknown,
                Err(error) => {
                    failed = Some(error);
                    return datafusion::common::plan_err!("rewriting stopped");
                }
            }
        }
        Ok(Transformed::no(plan))
    });
    match (rewritten, failed) {
        (_, Some(error)) => Err(error),
        (Err(error), None) => Err(catalog.diagnose(error)),
        (Ok(plan), None) if by_window => Ok(whole::for_updates(&context, plan.data)?),
        (Ok(plan), None) => Ok(plan.data),
    }
}

/// Fails where a window function is left that nothing groups by: it has no value that a row could be given.
pub(crate) fn refuse_markers(
    catalog: &Catalog,
    plan: &LogicalPlan,
    statement: Span,
) -> Result<(), StreamError> {
    let is_marker =
        |expr: &Expr| Ok(matches!(expr, Expr::ScalarFunction(function) if marker(&function.func).is_some()));
    let mut left = None;
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            if expr.exists(is_marker)? {
                left = Some(place_of(std::slice::from_ref(expr)).unwrap_or(statement));
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    match left {
        None => Ok(()),
        Some(place) => Err(catalog
            .error(place, "a window function can only be grouped by")
            .with_help("GROUP BY tumble(…), hop(…) or session(…), or select FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(time_column), …))")
            .into()),
    }
}
