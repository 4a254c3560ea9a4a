//! Joins on keys and an interval of time: `a.k = b.k AND b.t BETWEEN a.t - INTERVAL … AND a.t + INTERVAL …`.
//!
//! The condition must hold an equality, and bound the difference of two columns of times, one of each side, from below
//! and from above, in any spelling of `<`, `<=`, `=`, `>=`, `>` and `BETWEEN`. Then a row meets none but those within a
//! known length of it, and is forgotten once the other side has passed that.

use std::sync::Arc;

use datafusion::{
    common::{
        DFSchema, JoinType, Result, ScalarValue,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        Between, Expr, Filter, Join, LogicalPlan, Operator, Projection, lit,
        utils::{conjunction, split_conjunction_owned},
    },
};

use super::context::{Context, Outcome, unaliased};
use crate::{
    error::StreamError,
    operator::interval_join::JoinKind,
    planner::{
        attributes::{TimeAttribute, index_of, of_expr},
        interval::interval_micros,
        nodes::{extension, interval_join::IntervalJoinNode},
    },
    table::timestamp_type,
};

/// Puts conditions over a join of rows into it: those on both sides become conditions of an inner join, and those on one
/// side go below it. `FROM a, b WHERE …` then says the same as `FROM a JOIN b ON …`.
pub(super) fn conditions(plan: LogicalPlan) -> Result<LogicalPlan> {
    let moved = plan.transform_down(|plan| match plan {
        LogicalPlan::Filter(filter) if matches!(filter.input.as_ref(), LogicalPlan::Join(_)) => {
            match Arc::unwrap_or_clone(filter.input) {
                LogicalPlan::Join(join) => into_join(filter.predicate, join).map(Transformed::yes),
                other => filtered(other, vec![filter.predicate]).map(Transformed::no),
            }
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(moved.data)
}

fn into_join(predicate: Expr, mut join: Join) -> Result<LogicalPlan> {
    let (left_stays, right_stays) = match join.join_type {
        JoinType::Inner => (true, true),
        JoinType::Left => (true, false),
        JoinType::Right => (false, true),
        _ => (false, false),
    };
    let is_of = |expr: &Expr, side: &LogicalPlan| {
        expr.column_refs().iter().all(|column| side.schema().has_column(column))
    };
    let (mut of_left, mut of_right, mut of_both, mut above) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for condition in split_conjunction_owned(predicate) {
        match (is_of(&condition, &join.left), is_of(&condition, &join.right)) {
            (false, false) if join.join_type == JoinType::Inner => of_both.push(condition),
            (true, false) if left_stays => of_left.push(condition),
            (false, true) if right_stays => of_right.push(condition),
            _ => above.push(condition),
        }
    }
    join.filter = conjunction(join.filter.into_iter().chain(of_both));
    if join.filter.is_some() {
        join.left = below(join.left, of_left)?;
        join.right = below(join.right, of_right)?;
    } else {
        // A join on equal keys alone: DataFusion's optimiser does the same.
        above.extend(of_left.into_iter().chain(of_right));
    }
    filtered(LogicalPlan::Join(join), above)
}

fn below(input: Arc<LogicalPlan>, conditions: Vec<Expr>) -> Result<Arc<LogicalPlan>> {
    if conditions.is_empty() {
        Ok(input)
    } else {
        filtered(Arc::unwrap_or_clone(input), conditions).map(Arc::new)
    }
}

fn filtered(plan: LogicalPlan, conditions: Vec<Expr>) -> Result<LogicalPlan> {
    match conjunction(conditions) {
        Some(condition) => Ok(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?)),
        None => Ok(plan),
    }
}

pub(super) fn apply(context: &Context<'_>, plan: LogicalPlan) -> Outcome {
    match plan {
        LogicalPlan::Join(join) => rewrite(context, join).map(Ok),
        other => Ok(Err(other)),
    }
}

fn rewrite(context: &Context<'_>, join: Join) -> Result<LogicalPlan, StreamError> {
    let kind = match join.join_type {
        JoinType::Inner => Some(JoinKind::Inner),
        JoinType::Left => Some(JoinKind::Left),
        JoinType::Right => Some(JoinKind::Right),
        JoinType::Full => Some(JoinKind::Full),
        JoinType::LeftSemi => Some(JoinKind::Semi),
        // NOT IN asks for a NULL anywhere in the other stream.
        JoinType::LeftAnti if !join.null_aware => Some(JoinKind::Anti),
        _ => None,
    };
    let sides = Sides::of(context, &join);
    let mut interval = Interval::default();
    let (mut on, mut others) = (Vec::new(), Vec::new());
    for (left, right) in join.on.clone() {
        // Equal times are an interval of no length, and as good a key as any.
        interval.take(&sides, &left.clone().eq(right.clone()));
        on.push((left, right));
    }
    for condition in join.filter.clone().into_iter().flat_map(split_conjunction_owned) {
        if !interval.take(&sides, &condition) {
            others.push(condition);
        }
    }
    let found = interval.columns.zip(interval.lower_us.zip(interval.upper_us));
    let (Some(kind), Some((columns, interval_us)), false) = (kind, found, on.is_empty()) else {
        return Err(unbounded(context, &join, interval.columns.is_some() && on.is_empty()));
    };
    if interval_us.0 > interval_us.1 {
        return without_partners(context, join);
    }
    let [left, right] = columns;
    let bounds = [sides.closing(0, left), sides.closing(1, right)];
    let [Some(left_bound), Some(right_bound)] = bounds else {
        return Err(StreamError::internal("a time of an interval join lost its bound"));
    };
    let column =
        |input: &LogicalPlan, index: usize| Expr::Column(input.schema().qualified_field(index).into());
    Ok(extension(IntervalJoinNode {
        times: [column(&join.left, left), column(&join.right, right)],
        bounds: [left_bound, right_bound],
        are_events: [sides.is_event(0, left), sides.is_event(1, right)],
        interval_us,
        on,
        filter: conjunction(others),
        kind,
        inputs: [Arc::unwrap_or_clone(join.left), Arc::unwrap_or_clone(join.right)],
        schema: join.schema,
    }))
}

/// A join on an interval of time that ends before it begins: an outer join of it is its one side.
fn without_partners(context: &Context<'_>, join: Join) -> Result<LogicalPlan, StreamError> {
    let (side, first) = match join.join_type {
        JoinType::LeftAnti => return Ok(Arc::unwrap_or_clone(join.left)),
        JoinType::Left => (join.left, 0),
        JoinType::Right => (join.right, join.left.schema().fields().len()),
        _ => {
            return Err(context
                .error(&all_exprs(&join), "no two rows are within the interval of time that this JOIN is on")
                .with_help("write a.t BETWEEN b.t - INTERVAL '5' MINUTE AND b.t + INTERVAL '5' MINUTE, the earlier bound first")
                .into());
        }
    };
    let columns = join.schema.iter().enumerate().map(|(index, (qualifier, field))| {
        let of_side = index.checked_sub(first).filter(|index| *index < side.schema().fields().len());
        let expr = match of_side {
            Some(index) => Expr::Column(side.schema().qualified_field(index).into()),
            None => lit(ScalarValue::try_from(field.data_type())?),
        };
        Ok(expr.alias_qualified(qualifier.cloned(), field.name()))
    });
    let columns = columns.collect::<Result<Vec<Expr>>>()?;
    Ok(LogicalPlan::Projection(Projection::try_new(columns, side)?))
}

fn all_exprs(join: &Join) -> Vec<Expr> {
    let mut exprs: Vec<_> = join.on.iter().flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    exprs.extend(join.filter.clone());
    exprs
}

/// A join that would have to keep all its rows.
fn unbounded(context: &Context<'_>, join: &Join, lacks_key: bool) -> StreamError {
    let message = if lacks_key {
        "this JOIN has no equal keys, so every row would be held against every other"
    } else if join.null_aware {
        "this NOT IN is not on equal windows, so it would never be final"
    } else {
        "this JOIN is neither on equal windows nor on an interval of time, so its state would grow for ever"
    };
    context
        .error(&all_exprs(join), message)
        .with_help(
            "join two streams ON a.k = b.k AND a.t BETWEEN b.t - INTERVAL '5' MINUTE AND b.t + INTERVAL '5' MINUTE, or \
             two windowed queries ON a.window_start = b.window_start AND a.window_end = b.window_end",
        )
        .into()
}

/// What is known of the columns of left and right.
struct Sides<'a> {
    schemas: [&'a DFSchema; 2],
    attributes: [Vec<Option<TimeAttribute>>; 2],
}

impl<'a> Sides<'a> {
    fn of(context: &Context<'_>, join: &'a Join) -> Self {
        Sides {
            schemas: [join.left.schema(), join.right.schema()],
            attributes: [context.attributes(&join.left), context.attributes(&join.right)],
        }
    }

    fn is_event(&self, side: usize, column: usize) -> bool {
        let attribute = self.attributes[side].get(column).copied().flatten();
        attribute.is_some_and(|attribute| !attribute.is_of_window())
    }

    fn closing(&self, side: usize, column: usize) -> Option<crate::operator::TimeBound> {
        self.attributes[side].get(column).copied().flatten()?.closing()
    }

    /// A time of a side, and what is added to it: the side, its column, microseconds.
    fn time(&self, expr: &Expr) -> Option<(usize, usize, i64)> {
        match unaliased(expr) {
            Expr::Column(column) => {
                let side = self.schemas.iter().position(|schema| schema.has_column(column))?;
                of_expr(expr, self.schemas[side], &self.attributes[side])?.closing()?;
                Some((side, index_of(self.schemas[side], column)?, 0))
            }
            Expr::Cast(cast) if *cast.field.data_type() == timestamp_type() => self.time(&cast.expr),
            Expr::BinaryExpr(binary) => {
                let (time, interval) = match (binary.op, interval_micros(&binary.left)) {
                    (Operator::Plus, Some(micros)) => (&binary.right, micros),
                    (Operator::Plus, None) => (&binary.left, interval_micros(&binary.right)?),
                    (Operator::Minus, None) => (&binary.left, interval_micros(&binary.right)?.checked_neg()?),
                    _ => return None,
                };
                let (side, column, micros) = self.time(time)?;
                Some((side, column, micros.checked_add(interval)?))
            }
            _ => None,
        }
    }
}

/// What is known of the right time less the left one.
#[derive(Default)]
struct Interval {
    /// The columns of the two times.
    columns: Option<[usize; 2]>,
    lower_us: Option<i64>,
    upper_us: Option<i64>,
}

impl Interval {
    /// Takes a condition that bounds the difference of the two times; whether it is one.
    fn take(&mut self, sides: &Sides<'_>, condition: &Expr) -> bool {
        match unaliased(condition) {
            Expr::Between(Between { expr, negated: false, low, high }) => {
                // Both or neither: what is left over would be a condition on its own.
                let mut both = Interval { ..*self };
                let is_one = both.compare(sides, expr, Operator::GtEq, low)
                    && both.compare(sides, expr, Operator::LtEq, high);
                if is_one {
                    *self = both;
                }
                is_one
            }
            Expr::BinaryExpr(binary) => self.compare(sides, &binary.left, binary.op, &binary.right),
            _ => false,
        }
    }

    fn compare(&mut self, sides: &Sides<'_>, a: &Expr, op: Operator, b: &Expr) -> bool {
        let (Some(a), Some(b)) = (sides.time(a), sides.time(b)) else { return false };
        // right + r <op> left + l, that is right - left <op> l - r.
        let (right, op, left) = match (a.0, b.0) {
            (1, 0) => (a, op, b),
            (0, 1) => match op.swap() {
                Some(op) => (b, op, a),
                None => return false,
            },
            _ => return false,
        };
        let columns = [left.1, right.1];
        if self.columns.is_some_and(|known| known != columns) {
            return false;
        }
        let Some(difference) = left.2.checked_sub(right.2) else { return false };
        let (lower, upper) = match op {
            Operator::Eq => (Some(difference), Some(difference)),
            Operator::GtEq => (Some(difference), None),
            Operator::Gt => (difference.checked_add(1), None),
            Operator::LtEq => (None, Some(difference)),
            Operator::Lt => (None, difference.checked_sub(1)),
            _ => return false,
        };
        self.columns = Some(columns);
        self.lower_us = self.lower_us.max(lower);
        self.upper_us = [self.upper_us, upper].into_iter().flatten().min();
        true
    }
}
