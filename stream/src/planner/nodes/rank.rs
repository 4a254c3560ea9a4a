//! `ROW_NUMBER()` within a window.

use std::{fmt, sync::Arc};

use datafusion::{
    common::{DFSchemaRef, Result, internal_err},
    logical_expr::{Expr, LogicalPlan, SortExpr, UserDefinedLogicalNodeCore},
};

use crate::{
    error::StreamError,
    operator::rank::RankSpec,
    planner::{
        OperatorPlan,
        attributes::Attributes,
        canonical::{Canonical, Columns, Words},
        node::{Lowering, Stream, StreamingNode, WholeBy, schema_of},
        physical::Physical,
    },
};

/// `ROW_NUMBER()` within a window. Its schema is the input's and the number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RankNode {
    /// The rows that are numbered.
    pub(crate) input: LogicalPlan,
    /// `PARTITION BY`.
    pub(crate) partition_by: Vec<Expr>,
    /// `ORDER BY`.
    pub(crate) order_by: Vec<SortExpr>,
    /// The input's columns, then the number.
    pub(crate) schema: DFSchemaRef,
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

impl RankNode {
    fn spec(&self, physical: &Physical<'_>) -> std::result::Result<RankSpec, StreamError> {
        let input = self.input.schema();
        let order_by = physical.order_by(&self.order_by, input)?;
        let partition_by = self.partition_by.iter().map(|expr| physical.key(expr, input));
        Ok(RankSpec {
            partition_by: partition_by.collect::<std::result::Result<_, _>>()?,
            order_by,
            schema: Arc::clone(self.schema.inner()),
            limit: None,
        })
    }
}

impl StreamingNode for RankNode {
    fn attributes(&self, inputs: &[Attributes]) -> Attributes {
        let mut attributes = inputs.first().cloned().unwrap_or_default();
        attributes.push(None);
        attributes
    }

    fn whole_by(&self, column: usize) -> WholeBy {
        let is_of_input = column < self.input.schema().fields().len();
        if is_of_input { WholeBy::Input(column) } else { WholeBy::Never }
    }

    fn canonical(&self, words: &Words<'_>) -> std::result::Result<Canonical, StreamError> {
        let input = words.of(&self.input)?;
        let columns = Columns::new(self.input.schema(), &input.columns);
        let partition = columns.list(&self.partition_by)?;
        let order = self.order_by.iter().map(|sort| {
            let direction = if sort.asc { "ascending" } else { "descending" };
            let nulls = if sort.nulls_first { "nulls first" } else { "nulls last" };
            Ok(format!("{} {direction}, {nulls}", columns.text(&sort.expr)?))
        });
        let order = order.collect::<Result<Vec<_>>>()?.join(", ");
        let rows = format!("{} numbered within ({partition}) by ({order})", input.relation());
        Ok(input.made_into(rows, ["number".to_owned()]))
    }

    fn lower(
        &self,
        graph: &mut dyn Lowering,
        physical: &Physical<'_>,
        knows_starts: bool,
    ) -> std::result::Result<Stream, StreamError> {
        let input = graph.stream(physical, &self.input, knows_starts)?;
        let input = graph.node_of(input, schema_of(&self.input));
        Ok(Stream::of(graph.add(OperatorPlan::Rank(self.spec(physical)?), &[input])))
    }
}
