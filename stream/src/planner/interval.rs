//! Intervals of a fixed length.

use datafusion::{common::ScalarValue, logical_expr::Expr};

/// A literal interval in microseconds; `None` for anything else, and for months, which have no fixed length.
pub(crate) fn interval_micros(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) if interval.months == 0 => {
            i64::from(interval.days).checked_mul(86_400_000_000)?.checked_add(interval.nanoseconds / 1_000)
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(interval)), _) => i64::from(interval.days)
            .checked_mul(86_400_000_000)?
            .checked_add(i64::from(interval.milliseconds).checked_mul(1_000)?),
        Expr::Cast(cast) => interval_micros(&cast.expr),
        Expr::Alias(alias) => interval_micros(&alias.expr),
        _ => None,
    }
}
