//! The streaming nodes in a logical plan.
//!
//! To DataFusion's optimiser each is an extension with expressions and inputs. To the planner it is a
//! [`StreamingNode`], which says what it makes of its inputs' time and how it becomes operators. A new node is a file
//! here, a line in [`streaming`], and a rule that puts it into plans ([`rules`](super::rules)).

pub(crate) mod first_rows;
pub(crate) mod interval_join;
pub(crate) mod rank;
pub(crate) mod time_order;
pub(crate) mod unnest;
pub(crate) mod whole;
pub(crate) mod window_aggregate;
pub(crate) mod window_assign;

use std::sync::Arc;

use datafusion::logical_expr::{Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};

use self::{
    first_rows::FirstRowsNode, interval_join::IntervalJoinNode, rank::RankNode, time_order::TimeOrderNode,
    unnest::UnnestNode, whole::WholeNode, window_aggregate::WindowAggregateNode,
    window_assign::WindowAssignNode,
};
use super::node::StreamingNode;

/// The streaming node that an extension is.
pub(crate) fn streaming(node: &dyn UserDefinedLogicalNode) -> Option<&dyn StreamingNode> {
    fn as_node<N: StreamingNode + 'static>(node: &dyn UserDefinedLogicalNode) -> Option<&dyn StreamingNode> {
        node.as_any().downcast_ref::<N>().map(|node| node as &dyn StreamingNode)
    }
    let known = [
        as_node::<WindowAssignNode>,
        as_node::<WindowAggregateNode>,
        as_node::<RankNode>,
        as_node::<UnnestNode>,
        as_node::<WholeNode>,
        as_node::<IntervalJoinNode>,
        as_node::<TimeOrderNode>,
        as_node::<FirstRowsNode>,
    ];
    known.iter().find_map(|as_node| as_node(node))
}

/// A plan that is one of the nodes.
pub(crate) fn extension(node: impl UserDefinedLogicalNodeCore) -> LogicalPlan {
    LogicalPlan::Extension(Extension { node: Arc::new(node) })
}
