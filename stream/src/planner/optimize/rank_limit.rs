//! How many rows of a ranking are wanted: `ROW_NUMBER() … AS n` with `n <= 10` further on needs no more than ten
//! rows of each window to be sorted and handed on. The filter stays where it is.

use datafusion::{
    common::ScalarValue,
    logical_expr::Operator,
    physical_expr::{
        PhysicalExpr,
        expressions::{BinaryExpr, CastExpr, Column, Literal},
    },
};

use crate::{
    operator::{assign::AssignColumn, step::Step, unnest::UnnestColumn},
    planner::{NodePlan, OperatorPlan, Target},
};

/// Gives every ranking the limit that all its readers put on it.
pub(super) fn limit(nodes: &mut [NodePlan]) {
    for index in 0..nodes.len() {
        let OperatorPlan::Rank(rank) = &nodes[index].operator else { continue };
        let number = rank.schema.fields().len() - 1;
        let limit = limit_behind(nodes, index, number);
        if let OperatorPlan::Rank(rank) = &mut nodes[index].operator {
            rank.limit = limit;
        }
    }
}

/// The highest value of a column of `node`'s output that any reader lets through, if all of them have one.
fn limit_behind(nodes: &[NodePlan], node: usize, column: usize) -> Option<usize> {
    let limits = nodes[node].outputs.iter().map(|target| match target {
        Target::Node { node: next, .. } => match &nodes[*next].operator {
            OperatorPlan::Steps { steps, .. } => limit_in(nodes, *next, steps, column),
            OperatorPlan::Window(_)
            | OperatorPlan::Rank(_)
            | OperatorPlan::Whole(_)
            | OperatorPlan::IntervalJoin(_)
            | OperatorPlan::TimeOrder(_)
            | OperatorPlan::FirstRows(_) => None,
        },
        Target::Sink(_) => None,
    });
    limits.collect::<Option<Vec<usize>>>()?.into_iter().max()
}

fn limit_in(nodes: &[NodePlan], node: usize, steps: &[Step], mut column: usize) -> Option<usize> {
    for step in steps {
        match step {
            Step::Select { indexes } => column = indexes.iter().position(|index| *index == column)?,
            Step::Project { exprs, .. } => {
                column = exprs.iter().position(|expr| column_of(expr.as_ref()) == Some(column))?;
            }
            Step::Assign(assign) => {
                column = assign.columns.iter().position(|of| *of == AssignColumn::Input(column))?;
            }
            Step::OnTime { .. } => {}
            Step::Unnest(unnest) => {
                column = unnest.columns.iter().position(|of| *of == UnnestColumn::Input(column))?;
            }
            Step::Filter { predicate } => {
                if let Some(limit) = bound(predicate.as_ref(), column) {
                    return Some(limit);
                }
            }
        }
    }
    limit_behind(nodes, node, column)
}

/// The column that an expression is, or is a cast of.
fn column_of(expr: &dyn PhysicalExpr) -> Option<usize> {
    match expr.downcast_ref::<CastExpr>() {
        Some(cast) => column_of(cast.expr().as_ref()),
        None => expr.downcast_ref::<Column>().map(Column::index),
    }
}

/// The highest value of a column for which a predicate can be true.
fn bound(predicate: &dyn PhysicalExpr, column: usize) -> Option<usize> {
    let binary = predicate.downcast_ref::<BinaryExpr>()?;
    if *binary.op() == Operator::And {
        let bounds = [bound(binary.left().as_ref(), column), bound(binary.right().as_ref(), column)];
        return bounds.into_iter().flatten().min();
    }
    let (expr, op, value) = match binary.right().downcast_ref::<Literal>() {
        Some(literal) => (binary.left(), *binary.op(), literal.value()),
        None => (binary.right(), binary.op().swap()?, binary.left().downcast_ref::<Literal>()?.value()),
    };
    if column_of(expr.as_ref()) != Some(column) {
        return None;
    }
    let value = match value {
        ScalarValue::Int64(Some(value)) => usize::try_from(*value).unwrap_or_default(),
        ScalarValue::UInt64(Some(value)) => usize::try_from(*value).ok()?,
        ScalarValue::Int32(Some(value)) => usize::try_from(*value).unwrap_or_default(),
        _ => return None,
    };
    match op {
        Operator::LtEq | Operator::Eq => Some(value),
        Operator::Lt => Some(value.saturating_sub(1)),
        _ => None,
    }
}
