//! The streaming nodes in a logical plan, as DataFusion's optimiser sees them.

use std::{cmp::Ordering, fmt, sync::Arc};

use datafusion::{
    common::{DFSchemaRef, Result, internal_err},
    logical_expr::{Expr, Extension, LogicalPlan, SortExpr, UserDefinedLogicalNodeCore},
};

use crate::{
    operator::window_aggregate::{GroupColumn, TimeKind},
    window::WindowSpec,
};

/// `GROUP BY` a window and keys. Its schema is that of the aggregate that it replaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowAggregateNode {
    /// The rows that are aggregated.
    pub input: LogicalPlan,
    /// The window.
    pub window: WindowSpec,
    /// See [`crate::operator::window_aggregate::WindowAggregateSpec`].
    pub lateness_us: i64,
    /// Event time of a row.
    pub time: Expr,
    /// What it is measured by.
    pub time_kind: TimeKind,
    /// Columns in front of the aggregates.
    pub group_columns: Vec<GroupColumn>,
    /// Group keys.
    pub keys: Vec<Expr>,
    /// Aggregates.
    pub aggregates: Vec<Expr>,
    /// Group columns, then aggregates.
    pub schema: DFSchemaRef,
}

/// `ROW_NUMBER()` within a window. Its schema is the input's and the number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RankNode {
    /// The rows that are numbered.
    pub input: LogicalPlan,
    /// `PARTITION BY`.
    pub partition_by: Vec<Expr>,
    /// `ORDER BY`.
    pub order_by: Vec<SortExpr>,
    /// The input's columns, then the number.
    pub schema: DFSchemaRef,
}

/// A plan that is one of the nodes.
pub(crate) fn extension(node: impl UserDefinedLogicalNodeCore) -> LogicalPlan {
    LogicalPlan::Extension(Extension { node: Arc::new(node) })
}

// The nodes have no order among themselves; DataFusion asks only for consistency with equality.
impl PartialOrd for WindowAggregateNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl PartialOrd for RankNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for WindowAggregateNode {
    fn name(&self) -> &str {
        "WindowAggregate"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let time = std::iter::once(self.time.clone());
        time.chain(self.keys.iter().cloned()).chain(self.aggregates.iter().cloned()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |exprs: &[Expr]| exprs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "WindowAggregate: {:?}, time=[{}]", self.window, self.time)?;
        write!(f, ", keys=[{}], aggregates=[{}]", list(&self.keys), list(&self.aggregates))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (mut exprs, input) = (exprs.into_iter(), inputs.pop());
        let (Some(time), Some(input)) = (exprs.next(), input) else {
            return internal_err!("a window aggregate lost its time or its input");
        };
        let keys: Vec<Expr> = exprs.by_ref().take(self.keys.len()).collect();
        Ok(WindowAggregateNode { input, time, keys, aggregates: exprs.collect(), ..self.clone() })
    }

    fn necessary_children_exprs(&self, _: &[usize]) -> Option<Vec<Vec<usize>>> {
        let schema = self.input.schema();
        let exprs = self.expressions();
        let columns = exprs.iter().flat_map(Expr::column_refs);
        let mut needed: Vec<usize> =
            columns.filter_map(|column| schema.maybe_index_of_column(column)).collect();
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

impl UserDefinedLogicalNodeCore for RankNode {
    fn name(&self) -> &str {
        "Rank"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.partition_by.iter().cloned().chain(self.order_by.iter().map(|sort| sort.expr.clone())).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partition: Vec<String> = self.partition_by.iter().map(ToString::to_string).collect();
        let order: Vec<String> = self.order_by.iter().map(ToString::to_string).collect();
        write!(f, "Rank: partition_by=[{}], order_by=[{}]", partition.join(", "), order.join(", "))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Some(input) = inputs.pop() else { return internal_err!("a ranking lost its input") };
        let mut exprs = exprs.into_iter();
        let partition_by = exprs.by_ref().take(self.partition_by.len()).collect();
        let order_by = self.order_by.iter().zip(exprs).map(|(sort, expr)| sort.with_expr(expr)).collect();
        Ok(RankNode { input, partition_by, order_by, schema: Arc::clone(&self.schema) })
    }
}
