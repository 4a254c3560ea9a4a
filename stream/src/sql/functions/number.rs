//! Functions of numbers that Flink computes in double precision.
//!
//! DataFusion computes them in the precision of their argument, so that the logarithm of a FLOAT has 7 digits.

use datafusion::logical_expr::ScalarUDF;

use super::row::{Eval, Kind::Double, Row, RowFunction};

pub(super) fn all() -> Vec<ScalarUDF> {
    let one = |name, f: fn(&Row<'_>) -> Option<f64>| RowFunction::new(name, &[Double], Eval::Double(f));
    let two =
        |name, f: fn(&Row<'_>) -> Option<f64>| RowFunction::new(name, &[Double, Double], Eval::Double(f));
    let functions = [
        one("ln", |row| Some(row.double(0).ln())),
        one("log10", |row| Some(row.double(0).log10())),
        one("log2", |row| Some(row.double(0).log2())),
        one("exp", |row| Some(row.double(0).exp())),
        one("sqrt", |row| Some(row.double(0).sqrt())),
        one("sin", |row| Some(row.double(0).sin())),
        one("cos", |row| Some(row.double(0).cos())),
        one("tan", |row| Some(row.double(0).tan())),
        one("cot", |row| Some(1.0 / row.double(0).tan())),
        one("sinh", |row| Some(row.double(0).sinh())),
        one("cosh", |row| Some(row.double(0).cosh())),
        one("tanh", |row| Some(row.double(0).tanh())),
        one("asin", |row| Some(row.double(0).asin())),
        one("acos", |row| Some(row.double(0).acos())),
        one("atan", |row| Some(row.double(0).atan())),
        one("degrees", |row| Some(row.double(0).to_degrees())),
        one("radians", |row| Some(row.double(0).to_radians())),
        two("atan2", |row| Some(row.double(0).atan2(row.double(1)))),
        two("power", |row| Some(row.double(0).powf(row.double(1)))),
        // One argument: the natural logarithm. Two: the base comes first.
        two("log", |row| {
            Some(if row.has(1) { row.double(1).ln() / row.double(0).ln() } else { row.double(0).ln() })
        })
        .optional(1),
        RowFunction::new("e", &[], Eval::Double(|_| Some(std::f64::consts::E))),
    ];
    functions.into_iter().map(ScalarUDF::from).collect()
}

/// The whole part of a number; `None` where it is none, or does not fit.
pub(super) fn to_whole(number: f64) -> Option<i64> {
    /// 2^63: the next double below fits.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    #[allow(clippy::as_conversions, reason = "the number lies within the range")]
    (-LIMIT..LIMIT).contains(&number).then(|| number.trunc() as i64)
}
