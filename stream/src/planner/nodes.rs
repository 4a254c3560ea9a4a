//! The streaming nodes in a logical plan.
//!
//! To DataFusion's optimiser each is an extension with expressions and inputs. To the planner it is a
//! [`StreamingNode`], which says what it makes of its inputs' time and how it becomes operators. A new node is a file
//! here, a line in the list below, and a rule that puts it into plans ([`rules`](super::rules)).

pub(crate) mod first_rows;
pub(crate) mod interval_join;
pub(crate) mod rank;
pub(crate) mod time_order;
pub(crate) mod unnest;
pub(crate) mod whole;
pub(crate) mod window_aggregate;
pub(crate) mod window_assign;

use std::{cmp::Ordering, sync::Arc};

use datafusion::{
    common::DFSchema,
    logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore},
};

use self::{
    first_rows::FirstRowsNode, interval_join::IntervalJoinNode, rank::RankNode, time_order::TimeOrderNode,
    unnest::UnnestNode, whole::WholeNode, window_aggregate::WindowAggregateNode,
    window_assign::WindowAssignNode,
};
use super::node::StreamingNode;

/// A plan that is one of the nodes.
pub(crate) fn extension(node: impl UserDefinedLogicalNodeCore) -> LogicalPlan {
    LogicalPlan::Extension(Extension { node: Arc::new(node) })
}

macro_rules! nodes {
    ($($node:ty),* $(,)?) => {
        /// The streaming node that an extension is.
        pub(crate) fn streaming(node: &dyn UserDefinedLogicalNode) -> Option<&dyn StreamingNode> {
            $(if let Some(node) = node.as_any().downcast_ref::<$node>() {
                return Some(node);
            })*
            None
        }

        $(
            // The nodes have no order among themselves; DataFusion asks for one that is consistent with equality.
            impl PartialOrd for $node {
                fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                    (self == other).then_some(Ordering::Equal)
                }
            }
        )*
    };
}

nodes!(
    WindowAssignNode,
    WindowAggregateNode,
    RankNode,
    UnnestNode,
    WholeNode,
    IntervalJoinNode,
    TimeOrderNode,
    FirstRowsNode,
);

/// The columns that a node needs of its only input: those that its expressions look at, and those of `passed` that it
/// hands on, which stand first in its schema as they stand in the input's.
fn needed_of(input: &DFSchema, exprs: &[Expr], passed: &[usize]) -> Vec<usize> {
    let own = exprs.iter().flat_map(Expr::column_refs);
    let mut needed: Vec<usize> = own.filter_map(|column| input.maybe_index_of_column(column)).collect();
    needed.extend(passed.iter().copied().filter(|column| *column < input.fields().len()));
    needed.sort_unstable();
    needed.dedup();
    needed
}
