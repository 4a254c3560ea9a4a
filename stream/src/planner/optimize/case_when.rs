//! `CASE WHEN condition THEN whole number ELSE constant END`, the usual argument of a SUM, without detours.
//!
//! DataFusion's CASE computes each branch over the rows that take it, since a branch may fail for the others, and
//! puts the results together again. Where the branch is plain arithmetic on whole numbers, which wraps and so cannot
//! fail, it costs less to compute it for every row and to choose.

use std::{
    fmt::{self, Display, Formatter},
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array, AsArray, Int64Array},
    buffer::NullBuffer,
    datatypes::{DataType, Int64Type, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use datafusion::{
    common::{
        Result, ScalarValue,
        cast::as_boolean_array,
        internal_err,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{ColumnarValue, Operator},
    physical_expr::{
        PhysicalExpr,
        expressions::{BinaryExpr, CaseExpr, Column, Literal},
    },
};

use super::condition::is_condition;
use crate::{
    operator::{aggregate::Expr, step::Step},
    planner::{LocalPlan, Terminal},
};

/// Replaces what can be replaced in a local chain.
pub(super) fn replace_all(local: &mut LocalPlan, source: &SchemaRef) -> Result<()> {
    let mut schema = Arc::clone(source);
    for step in &mut local.steps {
        match step {
            Step::Select { indexes } => schema = Arc::new(schema.project(indexes)?),
            Step::Filter { predicate } => *predicate = choose(predicate, &schema)?,
            Step::OnTime { .. } => {}
            Step::Project { exprs, schema: projected } => {
                for expr in exprs {
                    *expr = choose(expr, &schema)?;
                }
                schema = Arc::clone(projected);
            }
            Step::Assign(assign) => schema = Arc::clone(&assign.schema),
            Step::Unnest(unnest) => schema = Arc::clone(&unnest.schema),
        }
    }
    if let Terminal::Window(spec) = &mut local.terminal {
        let mut own = spec.as_ref().clone();
        own.aggregation = own.aggregation.map_exprs(&mut |expr| choose(expr, &schema))?;
        *spec = Arc::new(own);
    }
    Ok(())
}

/// Replaces what can be replaced in an expression over rows of `schema`.
fn choose(expr: &Expr, schema: &Schema) -> Result<Expr> {
    let replaced = Arc::clone(expr).transform_down(|expr| {
        Ok(match Choose::of(&expr, schema) {
            Some(choose) => Transformed::yes(Arc::new(choose) as Expr),
            None => Transformed::no(expr),
        })
    })?;
    Ok(replaced.data)
}

/// One of two BIGINT values a row.
#[derive(Debug, Eq)]
struct Choose {
    /// BOOLEAN; NULL counts as false.
    when: Expr,
    /// BIGINT.
    then: Expr,
    otherwise: i64,
}

impl Choose {
    fn of(expr: &Expr, schema: &Schema) -> Option<Self> {
        let case = expr.downcast_ref::<CaseExpr>().filter(|case| case.expr().is_none())?;
        let [(when, then)] = case.when_then_expr() else { return None };
        let otherwise = case.else_expr()?.downcast_ref::<Literal>()?;
        let ScalarValue::Int64(Some(otherwise)) = otherwise.value() else { return None };
        let is_condition = is_condition(when, &mut |_| true) || is_boolean_column(when, schema);
        (is_condition && is_whole(then, schema)).then(|| Choose {
            when: Arc::clone(when),
            then: Arc::clone(then),
            otherwise: *otherwise,
        })
    }
}

fn is_boolean_column(expr: &Expr, schema: &Schema) -> bool {
    expr.downcast_ref::<Column>().is_some()
        && expr.data_type(schema).is_ok_and(|data_type| data_type == DataType::Boolean)
}

/// Whether an expression is a whole number for every row.
fn is_whole(expr: &Expr, schema: &Schema) -> bool {
    let is_int64 = |expr: &Expr| expr.data_type(schema).is_ok_and(|data_type| data_type == DataType::Int64);
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        let is_total = matches!(binary.op(), Operator::Plus | Operator::Minus | Operator::Multiply);
        return is_total && is_whole(binary.left(), schema) && is_whole(binary.right(), schema);
    }
    let is_plain = expr.downcast_ref::<Column>().is_some() || expr.downcast_ref::<Literal>().is_some();
    is_plain && is_int64(expr)
}

// Not derived: that would move trait objects, see rust-lang/rust#78808.
impl PartialEq for Choose {
    fn eq(&self, other: &Self) -> bool {
        self.when.eq(&other.when) && self.then.eq(&other.then) && self.otherwise == other.otherwise
    }
}

impl Hash for Choose {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.when.hash(state);
        self.then.hash(state);
        self.otherwise.hash(state);
    }
}

impl Display for Choose {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CASE WHEN {} THEN {} ELSE {} END", self.when, self.then, self.otherwise)
    }
}

impl PhysicalExpr for Choose {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.then.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let when = self.when.evaluate(batch)?.into_array(rows)?;
        let when = as_boolean_array(&when)?;
        let chosen = match when.nulls() {
            None => when.values().clone(),
            Some(nulls) => when.values() & nulls.inner(),
        };
        let then = self.then.evaluate(batch)?.into_array(rows)?;
        let Some(then) = then.as_primitive_opt::<Int64Type>() else {
            return internal_err!("a branch of type {} among BIGINT ones", then.data_type());
        };
        let choose = |(chosen, then): (bool, &i64)| if chosen { *then } else { self.otherwise };
        let values: Vec<i64> = chosen.iter().zip(then.values()).map(choose).collect();
        let nulls = then.nulls().map(|nulls| NullBuffer::new(nulls.inner() | &!&chosen));
        Ok(ColumnarValue::Array(Arc::new(Int64Array::try_new(values.into(), nulls)?)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.when, &self.then]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let [when, then] = children.try_into().or_else(|_| internal_err!("a choice has two children"))?;
        Ok(Arc::new(Choose { when, then, otherwise: self.otherwise }))
    }

    fn fmt_sql(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::{ArrayRef, BooleanArray},
        datatypes::Field,
    };
    use datafusion::physical_expr::expressions::{case, lit};
    use proptest::prelude::*;

    use super::*;

    fn schema() -> Schema {
        let field = |name: &str, data_type| Field::new(name, data_type, true);
        Schema::new(vec![
            field("c", DataType::Boolean),
            field("a", DataType::Int64),
            field("b", DataType::Int64),
            field("f", DataType::Float64),
        ])
    }

    fn column(name: &str) -> Expr {
        Arc::new(Column::new(name, schema().index_of(name).unwrap()))
    }

    fn binary(left: &str, operator: Operator, right: &str) -> Expr {
        Arc::new(BinaryExpr::new(column(left), operator, column(right)))
    }

    fn case_of(then: Expr, otherwise: Option<Expr>) -> Expr {
        case(None, vec![(column("c"), then)], otherwise).unwrap()
    }

    proptest! {
        #[test]
        fn it_is_what_datafusion_makes_of_it(
            rows in prop::collection::vec((any::<Option<bool>>(), any::<Option<i64>>(), any::<Option<i64>>()), 1..80),
            otherwise in any::<i64>(),
            operator in prop::sample::select(&[Operator::Plus, Operator::Minus, Operator::Multiply][..]),
        ) {
            let conditions: BooleanArray = rows.iter().map(|row| row.0).collect();
            let [a, b] = [rows.iter().map(|row| row.1).collect(), rows.iter().map(|row| row.2).collect()]
                .map(|numbers: Int64Array| Arc::new(numbers) as ArrayRef);
            let floats = arrow::array::new_null_array(&DataType::Float64, rows.len());
            let columns = vec![Arc::new(conditions) as ArrayRef, a, b, floats];
            let batch = RecordBatch::try_new(Arc::new(schema()), columns).unwrap();
            let plain = case_of(binary("a", operator, "b"), Some(lit(otherwise)));
            let chosen = choose(&plain, &schema()).unwrap();
            prop_assert!(chosen.downcast_ref::<Choose>().is_some());
            prop_assert_eq!(chosen.to_string(), plain.to_string());
            let [plain, chosen] =
                [plain, chosen].map(|expr| expr.evaluate(&batch).unwrap().into_array(rows.len()).unwrap());
            prop_assert_eq!(&plain, &chosen);
        }
    }

    #[test]
    fn what_may_fail_or_is_something_else_is_left_alone() {
        let zero = || Some(lit(0_i64));
        let left_alone = [
            case_of(binary("a", Operator::Divide, "b"), zero()),
            case_of(column("f"), Some(lit(0.0))),
            case_of(column("a"), None),
            case_of(column("a"), Some(column("b"))),
            case(Some(column("a")), vec![(lit(1_i64), column("b"))], zero()).unwrap(),
            case(None, vec![(column("c"), column("a")), (column("c"), column("b"))], zero()).unwrap(),
        ];
        for expr in left_alone {
            assert_eq!(choose(&expr, &schema()).unwrap().to_string(), expr.to_string());
            assert!(choose(&expr, &schema()).unwrap().downcast_ref::<Choose>().is_none(), "{expr}");
        }
    }
}
