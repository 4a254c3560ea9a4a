//! Logical expressions to physical ones, and the specifications of operators that are made of them.

use std::sync::Arc;

use datafusion::{
    common::DFSchema,
    execution::context::ExecutionProps,
    logical_expr::{Expr, LogicalPlan, physical_planning_context::PhysicalPlanningContext},
    physical_expr::{
        PhysicalExpr, PhysicalSortExpr,
        aggregate::{AggregateFunctionExpr, LoweredAggregateBuilder},
    },
    physical_plan::ExecutionPlan,
    sql::sqlparser::tokenizer::Span,
};

use super::{
    catalog::Catalog,
    nodes::{rank::RankNode, window_aggregate::WindowAggregateNode},
};
use crate::{
    error::StreamError,
    operator::{
        aggregate::Aggregation,
        rank::RankSpec,
        step::Step,
        window_aggregate::{GroupColumn, WindowAggregateSpec},
    },
};

/// An aggregate and its filter.
type Lowered = (Arc<AggregateFunctionExpr>, Option<Arc<dyn PhysicalExpr>>);

/// Makes physical what belongs to one statement.
pub(crate) struct Physical<'a> {
    pub(crate) catalog: &'a Catalog,
    /// Where the statement stands.
    pub(crate) span: Span,
}

impl Physical<'_> {
    pub(crate) fn expr(&self, expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, StreamError> {
        let expr = match expr {
            Expr::Alias(alias) => alias.expr.as_ref(),
            other => other,
        };
        self.catalog
            .state()
            .create_physical_expr(expr.clone(), schema)
            .map_err(|error| self.catalog.diagnose(error))
    }

    /// A plan of DataFusion's, to be executed on one thread.
    pub(crate) fn plan(&self, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>, StreamError> {
        let state = self.catalog.state();
        // Planning waits for nothing; on a thread of its own it meets no other executor.
        let planned = std::thread::scope(|scope| {
            scope.spawn(|| futures::executor::block_on(state.create_physical_plan(plan))).join()
        });
        let planned = planned.map_err(|_| StreamError::internal("planning a computation panicked"))?;
        planned.map_err(|error| self.catalog.diagnose(error))
    }

    pub(crate) fn filter(&self, predicate: &Expr, schema: &DFSchema) -> Result<Step, StreamError> {
        Ok(Step::Filter { predicate: self.expr(predicate, schema)? })
    }

    /// An aggregate and its filter.
    pub(crate) fn aggregate(
        &self,
        expr: &Expr,
        input: &DFSchema,
        name: &str,
    ) -> Result<Lowered, StreamError> {
        let (props, context) = (ExecutionProps::new(), PhysicalPlanningContext::default());
        let lowered = LoweredAggregateBuilder::new(expr, input, input.as_arrow(), &props, &context)
            .with_name(name)
            .build()
            .map_err(|error| self.catalog.diagnose(error))?;
        Ok((lowered.aggregate, lowered.filter))
    }

    pub(crate) fn window(
        &self,
        node: &WindowAggregateNode,
        emit_all: bool,
    ) -> Result<WindowAggregateSpec, StreamError> {
        let input = node.input.schema();
        let fields = node.schema.fields();
        let mut keys = Vec::new();
        for (column, field) in node.group_columns.iter().zip(fields) {
            if let GroupColumn::Key(index) = column {
                keys.push((self.expr(&node.keys[*index], input)?, Arc::clone(field)));
            }
        }
        let mut aggregates = Vec::new();
        for (expr, field) in node.aggregates.iter().zip(fields.iter().skip(node.group_columns.len())) {
            aggregates.push(self.aggregate(expr, input, field.name())?);
        }
        Ok(WindowAggregateSpec {
            window: node.window,
            lateness_us: node.lateness_us,
            time: self.expr(&node.time, input)?,
            bound: node.bound,
            aggregation: Aggregation::new(keys, aggregates, input.as_arrow())?,
            group_columns: node.group_columns.clone(),
            schema: Arc::clone(node.schema.inner()),
            emit_all,
        })
    }

    pub(crate) fn rank(&self, node: &RankNode) -> Result<RankSpec, StreamError> {
        let input = node.input.schema();
        let mut order_by = Vec::new();
        for sort in &node.order_by {
            let options =
                arrow::compute::SortOptions { descending: !sort.asc, nulls_first: sort.nulls_first };
            order_by.push(PhysicalSortExpr { expr: self.expr(&sort.expr, input)?, options });
        }
        Ok(RankSpec {
            partition_by: node.partition_by.iter().map(|e| self.expr(e, input)).collect::<Result<_, _>>()?,
            order_by,
            schema: Arc::clone(node.schema.inner()),
            limit: None,
        })
    }

    pub(crate) fn unsupported(&self, what: &str, help: Option<&str>) -> StreamError {
        let error = self.catalog.error(self.span, format!("{what} is not supported in a streaming query"));
        match help {
            Some(help) => error.with_help(help).into(),
            None => error.into(),
        }
    }
}
