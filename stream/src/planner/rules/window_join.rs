//! Joins of two windowed relations on equal windows: both are gathered whole, and DataFusion joins them.
//!
//! The condition must hold an equality of two columns of windows, one of each side, of one kind (start with start, end
//! with end). Then no pair of rows of two windows meets, and a row without a partner is known to be one once both sides
//! have passed its window.

use std::sync::Arc;

use datafusion::{
    common::JoinType,
    logical_expr::{Expr, ExprSchemable, Join, LogicalPlan},
};

use super::{
    context::{Context, Outcome},
    whole::{bound_of, column_of, preference},
};
use crate::{
    error::StreamError,
    operator::TimeBound,
    planner::{
        attributes::Attributes,
        nodes::{
            extension,
            whole::{WholeInput, WholeNode, gathered, placeholder},
        },
    },
};

pub(super) fn apply(context: &Context<'_>, plan: LogicalPlan) -> Outcome {
    match plan {
        LogicalPlan::Join(join) => rewrite(context, join),
        other => Ok(Err(other)),
    }
}

/// A column of a window and its bound, one of each side.
type Sides = [(usize, TimeBound); 2];

fn rewrite(context: &Context<'_>, join: Join) -> Outcome {
    let (left, right) = (context.attributes(&join.left), context.attributes(&join.right));
    let Some([(of_left, left_bound), (of_right, right_bound)]) = sides(&join, &left, &right) else {
        return Ok(Err(LogicalPlan::Join(join)));
    };
    let join = without_null_awareness(context, join, &left, &right)?;
    let (left, right) = (gathered(&left, of_left), gathered(&right, of_right));
    let width = left.len();
    // The rows of a side that may be without a partner have NULLs on the other.
    let nothing = |side: Attributes| vec![None; side.len()];
    let (attributes, window_column) = match join.join_type {
        JoinType::Inner => ([left, right].concat(), Some(of_left)),
        JoinType::Left => ([left, nothing(right)].concat(), Some(of_left)),
        JoinType::Right => ([nothing(left), right].concat(), Some(width + of_right)),
        JoinType::LeftSemi | JoinType::LeftAnti => (left, Some(of_left)),
        JoinType::RightSemi | JoinType::RightAnti => (right, Some(of_right)),
        JoinType::LeftMark => {
            let mut marked = left;
            marked.push(None);
            (marked, Some(of_left))
        }
        _ => (vec![None; join.schema.fields().len()], None),
    };
    let sides =
        [Arc::new(placeholder(0, join.left.schema())?), Arc::new(placeholder(1, join.right.schema())?)];
    let [left, right] = sides;
    let computation = LogicalPlan::Join(Join { left, right, ..join.clone() });
    let input = |plan: Arc<LogicalPlan>, column, bound| WholeInput {
        plan: Arc::unwrap_or_clone(plan),
        column,
        bound,
    };
    Ok(Ok(extension(WholeNode {
        name: format!("{} join on equal windows", join.join_type.to_string().to_lowercase()),
        computation,
        attributes,
        window_column,
        schema: join.schema,
        inputs: vec![input(join.left, of_left, left_bound), input(join.right, of_right, right_bound)],
    })))
}

/// `x NOT IN (SELECT y … WHERE a = b)` is an anti join that must take a NULL of `x` or `y` for a possible partner.
/// DataFusion has that for a join on one pair of columns alone; here the windows are pairs as well. They are never NULL,
/// so the pair that may be is the one of `NOT IN`, and becomes a condition that a NULL fulfils.
fn without_null_awareness(
    context: &Context<'_>,
    mut join: Join,
    left: &Attributes,
    right: &Attributes,
) -> Result<Join, StreamError> {
    if !join.null_aware || join.on.len() < 2 {
        return Ok(join);
    }
    let is_time = |side: &Attributes, column: Option<usize>| {
        column.is_some_and(|column| side.get(column).copied().flatten().is_some())
    };
    let is_nullable = |(a, b): &(Expr, Expr)| -> Result<bool, StreamError> {
        let (of_a, of_b) = (column_of(a, &join.left), column_of(b, &join.right));
        Ok((a.nullable(join.left.schema())? && !is_time(left, of_a))
            || (b.nullable(join.right.schema())? && !is_time(right, of_b)))
    };
    let mut may_be_null = Vec::new();
    for (index, pair) in join.on.iter().enumerate() {
        if is_nullable(pair)? {
            may_be_null.push(index);
        }
    }
    match may_be_null.as_slice() {
        [] => {}
        [index] => {
            let (a, b) = join.on.remove(*index);
            let condition = a.eq(b).is_not_false();
            join.filter = Some(match join.filter.take() {
                Some(filter) => filter.and(condition),
                None => condition,
            });
        }
        [first, ..] => {
            let pair = [join.on[*first].0.clone()];
            return Err(context
                .error(&pair, "this NOT IN compares several columns that may be NULL")
                .with_help("write NOT EXISTS (SELECT … WHERE …) with the same conditions")
                .into());
        }
    }
    join.null_aware = false;
    Ok(join)
}

/// The best equality of two columns of windows in the condition.
fn sides(join: &Join, left: &Attributes, right: &Attributes) -> Option<Sides> {
    let pairs = join.on.iter().filter_map(|(a, b)| {
        let (a, b) = (column_of(a, &join.left)?, column_of(b, &join.right)?);
        let (of_a, of_b) = (left.get(a).copied().flatten()?, right.get(b).copied().flatten()?);
        let is_same = of_a.role == of_b.role;
        let bounds = bound_of(of_a).zip(bound_of(of_b)).filter(|_| is_same)?;
        Some((preference(of_a.role), [(a, bounds.0), (b, bounds.1)]))
    });
    pairs.min_by_key(|(preference, _)| *preference).map(|(_, sides)| sides)
}
