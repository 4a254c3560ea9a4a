//! Casts to text of what Flink writes in another way than Arrow (values of several parts, intervals, times, numbers with a
//! floating point, truth): calls of the function that writes them as Flink does.

use arrow::datatypes::DataType;
use datafusion::{
    common::{
        DFSchema, Result,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        Expr, ExprSchemable, LogicalPlan,
        expr::{Cast, TryCast},
        expr_rewriter::NamePreserver,
        utils::merge_schema,
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
            let is_other = |kind: DataType| {
                kind.is_nested()
                    || matches!(
                        kind,
                        DataType::Interval(_)
                            | DataType::Timestamp(..)
                            | DataType::Float32
                            | DataType::Float64
                            | DataType::Boolean
                    )
            };
            matches!(field.data_type(), DataType::Utf8 | DataType::Utf8View)
                && expr.get_type(schema).is_ok_and(is_other)
        }
        // A row is written in any case, so that both casts are one.
        Expr::TryCast(TryCast { expr, field }) => {
            is_written(&Expr::Cast(Cast { expr: expr.clone(), field: field.clone() }), schema)
        }
        _ => false,
    }
}

fn replace(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    if !is_written(&expr, schema) {
        return Transformed::no(expr);
    }
    match expr {
        Expr::TryCast(cast) => Transformed::yes(to_text().call(vec![*cast.expr])),
        Expr::Cast(cast) => Transformed::yes(to_text().call(vec![*cast.expr])),
        other => Transformed::no(other),
    }
}
