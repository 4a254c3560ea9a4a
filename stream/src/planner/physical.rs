//! Logical expressions and plans to physical ones.

use std::sync::Arc;

use arrow::{compute::SortOptions, datatypes::DataType};
use datafusion::{
    common::DFSchema,
    execution::context::ExecutionProps,
    logical_expr::{
        Expr, ExprSchemable, LogicalPlan, SortExpr, physical_planning_context::PhysicalPlanningContext,
    },
    physical_expr::{
        PhysicalExpr, PhysicalSortExpr,
        aggregate::{AggregateFunctionExpr, LoweredAggregateBuilder},
    },
    physical_plan::ExecutionPlan,
    sql::sqlparser::tokenizer::Span,
};

use super::catalog::Catalog;
use crate::{error::StreamError, operator::step::Step};

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

    /// An expression that rows are told apart by. Maps have no order of their keys, so two of them are not compared.
    pub(crate) fn key(&self, expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, StreamError> {
        let data_type = expr.get_type(schema)?;
        if has_map(&data_type) {
            let help = "group by a value of the map, such as params['k']";
            return Err(self.unsupported("a MAP as a key", Some(help)));
        }
        self.expr(expr, schema)
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

    pub(crate) fn order_by(
        &self,
        order_by: &[SortExpr],
        input: &DFSchema,
    ) -> Result<Vec<PhysicalSortExpr>, StreamError> {
        let sort = |sort: &SortExpr| {
            if sort.expr.get_type(input)?.is_nested() {
                let help = "order by the fields of a row";
                return Err(self.unsupported("ORDER BY an array, a row or a map", Some(help)));
            }
            let options = SortOptions { descending: !sort.asc, nulls_first: sort.nulls_first };
            Ok(PhysicalSortExpr { expr: self.expr(&sort.expr, input)?, options })
        };
        order_by.iter().map(sort).collect()
    }

    pub(crate) fn unsupported(&self, what: &str, help: Option<&str>) -> StreamError {
        let error = self.catalog.error(self.span, format!("{what} is not supported in a streaming query"));
        match help {
            Some(help) => error.with_help(help).into(),
            None => error.into(),
        }
    }
}

fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::List(item) => has_map(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        _ => false,
    }
}
