//! Functions `OVER` a window of the stream: `ROW_NUMBER()` by the ranking operator, all others by DataFusion over
//! windows gathered whole.
//!
//! `PARTITION BY` must hold a column of a window, so that the function is final once that window is; or rows are numbered
//! by their event time ([`time_order`]).

use std::sync::Arc;

use datafusion::logical_expr::{Expr, LogicalPlan, Window, WindowFunctionDefinition, expr::WindowFunction};

use super::{
    context::{Context, Outcome, unaliased},
    time_order,
    whole::{bounding, column_of, whole_by},
};
use crate::{
    error::StreamError,
    planner::nodes::{
        extension,
        rank::RankNode,
        whole::{WholeInput, WholeNode, gathered, placeholder},
    },
};

pub(super) fn apply(context: &Context<'_>, plan: LogicalPlan) -> Outcome {
    match plan {
        LogicalPlan::Window(window) => rewrite(context, window).map(Ok),
        other => Ok(Err(other)),
    }
}

fn rewrite(context: &Context<'_>, window: Window) -> Result<LogicalPlan, StreamError> {
    let functions = window.window_expr.iter().map(|expr| match unaliased(expr) {
        Expr::WindowFunction(function) => Ok(function.as_ref()),
        _ => Err(StreamError::internal("a window node without a window function")),
    });
    let functions = functions.collect::<Result<Vec<&WindowFunction>, _>>()?;
    // A column by which all of them are partitioned tells their windows apart.
    let common = |column: &usize| {
        functions.iter().all(|function| {
            let partition_by = &function.params.partition_by;
            partition_by.iter().any(|expr| column_of(expr, &window.input) == Some(*column))
        })
    };
    let attributes = context.attributes(&window.input);
    let Some((column, bound)) = bounding(&attributes, (0..attributes.len()).filter(common)) else {
        if let [function] = functions.as_slice()
            && name(function) == "row_number"
            && let Some(numbered) = time_order::numbered(context, &window, function)?
        {
            return Ok(numbered);
        }
        let name = functions.first().map(|function| name(function).to_uppercase()).unwrap_or_default();
        return Err(context
            .error(
                &window.window_expr,
                format!("{name}() must be within a window, or it would never be final"),
            )
            .with_help(format!(
                "write {name}() OVER (PARTITION BY window_start, window_end ORDER BY …) over a windowed query"
            ))
            .into());
    };
    if let [function] = functions.as_slice()
        && name(function) == "row_number"
    {
        let (partition_by, order_by) =
            (function.params.partition_by.clone(), function.params.order_by.clone());
        return Ok(extension(RankNode {
            partition_by,
            order_by,
            schema: Arc::clone(&window.schema),
            input: whole_by(context, Arc::unwrap_or_clone(window.input), column, bound)?,
        }));
    }
    let names: Vec<&str> = functions.iter().map(|function| name(function)).collect();
    let name = format!("{} over a window", names.join(", "));
    let mut attributes = gathered(&attributes, column);
    attributes.resize(window.schema.fields().len(), None);
    let over = placeholder(0, window.input.schema())?;
    let computation = LogicalPlan::Window(Window::try_new(window.window_expr.clone(), Arc::new(over))?);
    Ok(extension(WholeNode {
        name,
        inputs: vec![WholeInput { plan: Arc::unwrap_or_clone(window.input), column, bound }],
        computation,
        attributes,
        window_column: Some(column),
        schema: window.schema,
    }))
}

fn name(function: &WindowFunction) -> &str {
    match &function.fun {
        WindowFunctionDefinition::WindowUDF(udf) => udf.name(),
        WindowFunctionDefinition::AggregateUDF(udf) => udf.name(),
    }
}
