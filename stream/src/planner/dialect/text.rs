//! Casts of values of several parts, and of intervals, to text: calls of the function that writes them as Flink does.

use arrow::datatypes::DataType;
use datafusion::{
    common::{
        DFSchema, Result,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        Expr, ExprSchemable, LogicalPlan, expr::Cast, expr_rewriter::NamePreserver, utils::merge_schema,
    },
};

use crate::sql::functions::to_text;

/// The plan with such casts replaced; columns keep their names.
pub(super) fn written(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let mut found = false;
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found |= is_written(expr, &schema);
                Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })?;
        if !found {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        let replaced = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let replaced = expr.transform_up(|expr| Ok(replace(expr, &schema)))?;
            Ok(replaced.update_data(|expr| name.restore(expr)))
        })?;
        replaced.map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(plan.data)
}

fn is_written(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Cast(Cast { expr, field }) => {
            matches!(field.data_type(), DataType::Utf8 | DataType::Utf8View)
                && expr
                    .get_type(schema)
                    .is_ok_and(|kind| kind.is_nested() || matches!(kind, DataType::Interval(_)))
        }
        _ => false,
    }
}

fn replace(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    if !is_written(&expr, schema) {
        return Transformed::no(expr);
    }
    match expr {
        Expr::Cast(cast) => Transformed::yes(to_text().call(vec![*cast.expr])),
        other => Transformed::no(other),
    }
}
