//! Sum, difference, product and quotient of decimals with Flink's result type.
//!
//! With operands of `(p1, s1)` and `(p2, s2)`:
//!
//! | operator | scale | digits before the point |
//! |---|---|---|
//! | `+`, `-` | max(s1, s2) | max(p1 - s1, p2 - s2) + 1 |
//! | `*` | s1 + s2 | p1 + p2 - s1 - s2 |
//! | `/` | max(6, s1 + p2 + 1) | p1 - s1 + s2 |
//!
//! Where both together are more than 38, the scale gives way, but not below 6. Halves round away from zero, and
//! a value that has no room is NULL.

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray, Decimal128Array},
    datatypes::{DataType, Decimal128Type, i256},
};
use datafusion::{
    common::{Result, exec_err, plan_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
    scalar::ScalarValue,
    sql::sqlparser::ast::BinaryOperator,
};

const MOST_DIGITS: u8 = 38;
const LEAST_SCALE: u8 = 6;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Op {
    Plus,
    Minus,
    Times,
    Divide,
}

/// Digits and scale.
type Form = (u8, u8);

/// The function for an operator, where DataFusion's has another result type.
pub(super) fn function(op: &BinaryOperator, left: &DataType, right: &DataType) -> Option<ScalarUDF> {
    let op = match op {
        BinaryOperator::Plus => Op::Plus,
        BinaryOperator::Minus => Op::Minus,
        BinaryOperator::Multiply => Op::Times,
        BinaryOperator::Divide => Op::Divide,
        _ => return None,
    };
    let is_decimal = |side: &DataType| matches!(side, DataType::Decimal128(..));
    if !is_decimal(left) && !is_decimal(right) {
        return None;
    }
    let (left, right) = (form(left)?, form(right)?);
    let (scale, before) = exact(op, left, right);
    let fits = scale.saturating_add(before) <= MOST_DIGITS;
    (op == Op::Divide || !fits).then(|| {
        ScalarUDF::from(Arithmetic { op, signature: Signature::user_defined(Volatility::Immutable) })
    })
}

/// A number's digits and scale as a decimal.
fn form(kind: &DataType) -> Option<Form> {
    Some(match kind {
        DataType::Decimal128(precision, scale) => (*precision, u8::try_from(*scale).ok()?),
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        _ => return None,
    })
}

/// The scale, and the digits before the point, that hold every exact result.
fn exact(op: Op, (p1, s1): Form, (p2, s2): Form) -> (u8, u8) {
    match op {
        Op::Plus | Op::Minus => (s1.max(s2), (p1 - s1).max(p2 - s2).saturating_add(1)),
        Op::Times => (s1.saturating_add(s2), (p1 - s1).saturating_add(p2 - s2)),
        Op::Divide => {
            (LEAST_SCALE.max(s1.saturating_add(p2).saturating_add(1)), (p1 - s1).saturating_add(s2))
        }
    }
}

fn result(op: Op, left: Form, right: Form) -> Form {
    let (scale, before) = exact(op, left, right);
    if scale.saturating_add(before) <= MOST_DIGITS {
        return (scale + before, scale);
    }
    (MOST_DIGITS, MOST_DIGITS.saturating_sub(before).max(scale.min(LEAST_SCALE)))
}

#[derive(PartialEq, Eq, Hash, Debug)]
struct Arithmetic {
    op: Op,
    signature: Signature,
}

impl Arithmetic {
    fn forms(&self, types: &[DataType]) -> Result<(Form, Form)> {
        match types {
            [left, right] => match (form(left), form(right)) {
                (Some(left), Some(right)) => Ok((left, right)),
                _ => plan_err!("decimals cannot be computed with {left} and {right}"),
            },
            _ => plan_err!("decimal arithmetic has two sides"),
        }
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        match self.op {
            Op::Plus => "__decimal_plus",
            Op::Minus => "__decimal_minus",
            Op::Times => "__decimal_times",
            Op::Divide => "__decimal_divide",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let (left, right) = self.forms(types)?;
        let (precision, scale) = result(self.op, left, right);
        Ok(decimal_type((precision, scale)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (left, right) = self.forms(types)?;
        Ok(vec![decimal_type(left), decimal_type(right)])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let count = if all_scalar { 1 } else { args.number_rows };
        let [left, right] = args.args.as_slice() else {
            return exec_err!("decimal arithmetic has two sides");
        };
        let (left, right) = (left.to_array(count)?, right.to_array(count)?);
        let (Some((_, s1)), Some((_, s2))) = (form(left.data_type()), form(right.data_type())) else {
            return exec_err!("decimal arithmetic is of decimals");
        };
        let DataType::Decimal128(precision, scale) = *args.return_field.data_type() else {
            return exec_err!("decimal arithmetic results in a decimal");
        };
        let (Some(left), Some(right)) =
            (left.as_primitive_opt::<Decimal128Type>(), right.as_primitive_opt::<Decimal128Type>())
        else {
            return exec_err!("decimal arithmetic is of decimals");
        };
        let to = u8::try_from(scale).unwrap_or(0);
        let mut values = Vec::with_capacity(count);
        for row in 0..count {
            if left.is_null(row) || right.is_null(row) {
                values.push(None);
                continue;
            }
            let (a, b) = (i256::from_i128(left.value(row)), i256::from_i128(right.value(row)));
            if self.op == Op::Divide && b == i256::ZERO {
                return exec_err!("division by zero");
            }
            let value = compute(self.op, (a, s1), (b, s2), to);
            values.push(value.and_then(|value| value.to_i128()).filter(|v| fits(*v, precision)));
        }
        let array =
            values.into_iter().collect::<Decimal128Array>().with_precision_and_scale(precision, scale)?;
        if all_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(array)))
    }
}

fn decimal_type((precision, scale): Form) -> DataType {
    // A scale is at most the precision, which is at most 38.
    DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(0))
}

fn fits(value: i128, precision: u8) -> bool {
    10_i128.checked_pow(u32::from(precision)).is_none_or(|limit| value.unsigned_abs() < limit.unsigned_abs())
}

fn power(digits: u8) -> Option<i256> {
    i256::from_i128(10).checked_pow(u32::from(digits))
}

/// The result at scale `to`; `None` where it has no room.
fn compute(op: Op, (a, s1): (i256, u8), (b, s2): (i256, u8), to: u8) -> Option<i256> {
    match op {
        Op::Plus | Op::Minus => {
            let scale = s1.max(s2);
            let (a, b) = (a.checked_mul(power(scale - s1)?)?, b.checked_mul(power(scale - s2)?)?);
            let sum = if op == Op::Plus { a.checked_add(b)? } else { a.checked_sub(b)? };
            rescale(sum, scale, to)
        }
        Op::Times => rescale(a.checked_mul(b)?, s1.saturating_add(s2), to),
        Op::Divide => {
            // a / 10^s1 / (b / 10^s2) · 10^to
            let (up, down) = (to.saturating_add(s2), s1);
            let (a, b) = if up >= down {
                (a.checked_mul(power(up - down)?)?, b)
            } else {
                (a, b.checked_mul(power(down - up)?)?)
            };
            rounded(a, b)
        }
    }
}

fn rescale(value: i256, from: u8, to: u8) -> Option<i256> {
    if from <= to { value.checked_mul(power(to - from)?) } else { rounded(value, power(from - to)?) }
}

/// The quotient, halves away from zero.
fn rounded(a: i256, b: i256) -> Option<i256> {
    let quotient = a.checked_div(b)?;
    let rest = a.checked_sub(quotient.checked_mul(b)?)?.checked_abs()?;
    let half_up = rest.checked_mul(i256::from_i128(2))? >= b.checked_abs()?;
    let one = if (a < i256::ZERO) == (b < i256::ZERO) { i256::ONE } else { i256::MINUS_ONE };
    if half_up { quotient.checked_add(one) } else { Some(quotient) }
}
