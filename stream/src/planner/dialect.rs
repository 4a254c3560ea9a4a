//! What Flink means by an expression, as far as that depends on types.
//!
//! - Arithmetic of decimals has Flink's result type, also where that takes more than 38 digits: the scale gives
//!   way, down to 6 digits, and what still does not fit is NULL ([`decimal`]). DataFusion's own arithmetic is left
//!   alone where it has the same type, since it is faster.
//! - Unsigned numbers are signed ones in arithmetic, so that `1 - 2` is no large number.
//! - Arrays, maps and rows are written as text in Flink's form ([`text`]), and an interval moves a time of the day.
//! - Casts and comparisons that Flink refuses are refused ([`check_cast`]).
//! - Aggregates of a column and of a cast of it are two columns ([`named`]).

mod decimal;
mod named;
mod text;

use std::sync::Arc;

use arrow::datatypes::{DataType, Fields};
use datafusion::{
    common::{
        DFSchema, Result, ScalarValue,
        config::ConfigOptions,
        plan_err,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    execution::FunctionRegistry,
    logical_expr::{
        Expr, ExprSchemable, LogicalPlan, cast,
        expr::{Cast, TryCast},
        planner::{ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr},
    },
    optimizer::AnalyzerRule,
    prelude::SessionContext,
    sql::sqlparser::ast::BinaryOperator,
};

use crate::sql::functions::{clock_minus, clock_plus};

/// Teaches a session Flink's arithmetic and what Flink refuses.
pub(super) fn register(context: &mut SessionContext) -> Result<()> {
    context.register_expr_planner(Arc::new(Operators))?;
    context.register_expr_planner(Arc::new(Aggregates))?;
    context.add_analyzer_rule(Arc::new(Casts));
    Ok(())
}

/// Binary operators by the types of their sides.
#[derive(Debug)]
struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let (Ok(mut left), Ok(mut right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let calculates = matches!(
            expr.op,
            BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo
        );
        if calculates {
            for (side, data_type) in [(&mut expr.left, &mut left), (&mut expr.right, &mut right)] {
                if let Some(signed) = signed(data_type) {
                    (*side, *data_type) = (cast(side.clone(), signed.clone()), signed);
                }
            }
        }
        let is_literal = |side: &Expr| matches!(side, Expr::Literal(..));
        let compares = matches!(
            expr.op,
            BinaryOperator::Eq
                | BinaryOperator::NotEq
                | BinaryOperator::Lt
                | BinaryOperator::LtEq
                | BinaryOperator::Gt
                | BinaryOperator::GtEq
        );
        let text_and_number =
            (left.is_string() && right.is_numeric()) || (left.is_numeric() && right.is_string());
        if compares && text_and_number && !is_literal(&expr.left) && !is_literal(&expr.right) {
            return plan_err!("a text ({left}) cannot be compared with a number ({right}). cast one of them");
        }
        let divides = matches!(expr.op, BinaryOperator::Divide | BinaryOperator::Modulo);
        if divides && is_zero(&expr.right) {
            return plan_err!("this divides by zero");
        }
        if let Some(moved) = moved_clock(&expr, &left, &right) {
            return Ok(PlannerResult::Planned(moved));
        }
        match decimal::function(&expr.op, &left, &right) {
            Some(function) => Ok(PlannerResult::Planned(function.call(vec![expr.left, expr.right]))),
            None => Ok(PlannerResult::Original(expr)),
        }
    }
}

/// The signed type that holds all numbers of an unsigned one.
fn signed(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        _ => return None,
    })
}

/// Aggregates.
#[derive(Debug)]
struct Aggregates;

impl ExprPlanner for Aggregates {
    fn plan_aggregate(&self, mut expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        expr.args = expr.args.into_iter().map(named::cast).collect();
        expr.filter = expr.filter.map(|filter| Box::new(named::cast(*filter)));
        Ok(PlannerResult::Original(expr))
    }
}

/// A time of the day and an interval: the time that much later or earlier, on whatever day.
fn moved_clock(expr: &RawBinaryExpr, left: &DataType, right: &DataType) -> Option<Expr> {
    let is_clock = |kind: &DataType| matches!(kind, DataType::Time64(_));
    let is_interval = |kind: &DataType| matches!(kind, DataType::Interval(_));
    let (clock, interval) = if is_clock(left) && is_interval(right) {
        (&expr.left, &expr.right)
    } else if is_interval(left) && is_clock(right) && expr.op == BinaryOperator::Plus {
        (&expr.right, &expr.left)
    } else {
        return None;
    };
    let function = match expr.op {
        BinaryOperator::Plus => clock_plus(),
        BinaryOperator::Minus => clock_minus(),
        _ => return None,
    };
    Some(function.call(vec![clock.clone(), interval.clone()]))
}

fn is_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(cast) => is_zero(&cast.expr),
        Expr::Literal(value, _) => {
            value.data_type().is_numeric()
                && matches!(value.cast_to(&DataType::Float64), Ok(ScalarValue::Float64(Some(number))) if number == 0.0)
        }
        _ => false,
    }
}

/// Refuses what [`check_cast`] refuses, in a whole plan, also casts that nobody wrote.
#[derive(Debug)]
struct Casts;

impl AnalyzerRule for Casts {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = text::written(plan)?;
        plan.apply_with_subqueries(|node| {
            let schemas: Vec<_> = node.inputs().into_iter().map(|input| input.schema()).collect();
            node.apply_expressions(|expr| {
                for schema in &schemas {
                    check(expr, schema)?;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(plan)
    }

    fn name(&self) -> &str {
        "casts_of_flink"
    }
}

/// Refuses an expression with a cast that Flink refuses.
pub(super) fn check(expr: &Expr, schema: &DFSchema) -> Result<()> {
    expr.apply(|expr| {
        let (inner, to, may_fail) = match expr {
            Expr::Cast(Cast { expr, field }) => (expr, field.data_type(), false),
            Expr::TryCast(TryCast { expr, field }) => (expr, field.data_type(), true),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        let Ok(from) = inner.get_type(schema) else { return Ok(TreeNodeRecursion::Continue) };
        check_cast(&from, to)?;
        // Where one element fails, Flink's answer is NULL for all of them, and DataFusion's for that one.
        if may_fail && from.is_nested() && from != *to {
            return plan_err!("TRY_CAST of a value of several parts ({from}) is not supported. write CAST");
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Refuses a cast of one row to another, unless field goes to field.
fn check_fields(from: &DataType, to: &DataType, by_name: bool) -> Result<()> {
    let (DataType::Struct(from), DataType::Struct(to)) = (from, to) else { return Ok(()) };
    let names = |fields: &Fields| fields.iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let (of, into) = (names(from), names(to));
    if of.len() != into.len() || (by_name && of != into) {
        return plan_err!(
            "a row of the fields {} does not go into one of {}. make it anew with the fields in their order",
            of.join(", "),
            into.join(", ")
        );
    }
    from.iter().zip(to).try_for_each(|(from, to)| check_cast(from.data_type(), to.data_type()))
}

fn check_cast(from: &DataType, to: &DataType) -> Result<()> {
    let time =
        |kind: &DataType| matches!(kind, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64);
    if from.is_numeric() && time(to) {
        return plan_err!(
            "a number ({from}) cannot be cast to a date or a timestamp. write TO_TIMESTAMP_LTZ(number, 3) for \
             milliseconds since 1970, TO_TIMESTAMP_LTZ(number, 0) for seconds"
        );
    }
    if time(from) && to.is_numeric() {
        return plan_err!(
            "a date or a timestamp cannot be cast to a number ({to}). write EXTRACT(EPOCH FROM time) for seconds \
             since 1970, or TIMESTAMPDIFF(SECOND, one, other)"
        );
    }
    if from.is_nested() && to.is_string() {
        return plan_err!(
            "a value of several parts ({from}) cannot be cast to a text. write ARRAY_JOIN(array, ',')"
        );
    }
    match (from, to) {
        (DataType::List(from), DataType::List(to)) => check_cast(from.data_type(), to.data_type())?,
        (DataType::Map(from, _), DataType::Map(to, _)) => {
            check_fields(from.data_type(), to.data_type(), false)?
        }
        // DataFusion goes by names, Flink by places: where both are alike there is one answer.
        (DataType::Struct(_), DataType::Struct(_)) => check_fields(from, to, true)?,
        (DataType::Null, _) => {}
        (from, to) if from.is_nested() || to.is_nested() => {
            return plan_err!("{from} cannot be cast to {to}");
        }
        _ => {}
    }
    if matches!(from, DataType::Interval(_)) && to.is_string() {
        return plan_err!("an interval cannot be written as a text. write TIMESTAMPDIFF(SECOND, one, other)");
    }
    Ok(())
}
