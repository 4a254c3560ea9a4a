//! Which expressions are conditions that can be computed ahead of their turn.

use datafusion::{
    logical_expr::Operator,
    physical_expr::expressions::{
        BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
    },
};

use crate::operator::aggregate::Expr;

/// Whether an expression is a BOOLEAN one that can be computed ahead of its turn: it cannot fail, and depends on
/// nothing but columns that `takes` accepts.
pub(super) fn is_condition(expr: &Expr, takes: &mut dyn FnMut(usize) -> bool) -> bool {
    let mut value = |expr: &Expr| match expr.downcast_ref::<Column>() {
        Some(column) => takes(column.index()),
        None => expr.downcast_ref::<Literal>().is_some(),
    };
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        return match binary.op() {
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom => value(binary.left()) && value(binary.right()),
            Operator::And | Operator::Or => {
                is_condition(binary.left(), takes) && is_condition(binary.right(), takes)
            }
            _ => false,
        };
    }
    if let Some(list) = expr.downcast_ref::<InListExpr>() {
        return value(list.expr()) && list.list().iter().all(|expr| expr.downcast_ref::<Literal>().is_some());
    }
    if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        return value(like.expr()) && value(like.pattern());
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return is_condition(not.arg(), takes);
    }
    if let Some(null) = expr.downcast_ref::<IsNullExpr>() {
        return value(null.arg());
    }
    expr.downcast_ref::<IsNotNullExpr>().is_some_and(|null| value(null.arg()))
}
