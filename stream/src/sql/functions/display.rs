//! Values as text: what a cast to `STRING` is, where Flink writes another one than Arrow.
//!
//! As Flink writes them: `[1, NULL]`, `{a=1, b=2}`, `(abc, TRUE)`; but times without the zeros at the end of their
//! seconds, since a value does not know its type's digits.

use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::{DataType, Float32Type, Float64Type, IntervalMonthDayNanoType, IntervalUnit},
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::ScalarUDF,
};

use super::row::{Eval, Kind::Any, Row, RowFunction};

/// The function that such a cast becomes.
pub(crate) fn to_text() -> ScalarUDF {
    ScalarUDF::from(RowFunction::new("__to_text", &[Any], Eval::Text(text)))
}

pub(super) fn all() -> Vec<ScalarUDF> {
    vec![to_text()]
}

fn text(row: &Row<'_>) -> Result<Option<String>> {
    let mut out = String::new();
    if let Some((array, at)) = row.any(0) {
        write(array, at, &mut out)?;
    }
    Ok(Some(out))
}

fn write(array: &dyn Array, at: usize, out: &mut String) -> Result<()> {
    if array.is_null(at) {
        out.push_str("NULL");
        return Ok(());
    }
    match array.data_type() {
        DataType::List(_) => {
            let elements = array.as_list::<i32>().value(at);
            out.push('[');
            for index in 0..elements.len() {
                separate(index, out);
                write(&elements, index, out)?;
            }
            out.push(']');
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(at);
            out.push('{');
            for index in 0..entries.len() {
                separate(index, out);
                write(entries.column(0), index, out)?;
                out.push('=');
                write(entries.column(1), index, out)?;
            }
            out.push('}');
        }
        DataType::Struct(_) => {
            out.push('(');
            for (index, column) in array.as_struct().columns().iter().enumerate() {
                separate(index, out);
                write(column, at, out)?;
            }
            out.push(')');
        }
        DataType::Boolean => out.push_str(if array.as_boolean().value(at) { "TRUE" } else { "FALSE" }),
        DataType::Interval(_) => out.push_str(&interval(array, at)?),
        DataType::Float32 => {
            out.push_str(&java(&format!("{:E}", array.as_primitive::<Float32Type>().value(at))))
        }
        DataType::Float64 => {
            out.push_str(&java(&format!("{:E}", array.as_primitive::<Float64Type>().value(at))))
        }
        DataType::Timestamp(..) => {
            let options = FormatOptions::default()
                .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
                .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f"));
            out.push_str(&ArrayFormatter::try_new(array, &options)?.value(at).try_to_string()?);
        }
        _ => out
            .push_str(&ArrayFormatter::try_new(array, &FormatOptions::default())?.value(at).try_to_string()?),
    }
    Ok(())
}

/// A floating-point number as Java's `Double.toString` has it, from `1.25E1`: plain from a thousandth to ten millions, else
/// with an exponent, and never without a digit behind the point.
fn java(scientific: &str) -> String {
    let (sign, unsigned) = scientific.strip_prefix('-').map_or(("", scientific), |rest| ("-", rest));
    let (digits, exponent) = match unsigned.split_once('E') {
        Some((digits, exponent)) => (digits.replace('.', ""), exponent.parse::<i32>().unwrap_or_default()),
        None if unsigned == "inf" => return format!("{sign}Infinity"),
        None => return "NaN".to_owned(),
    };
    let point = usize::try_from(exponent + 1).unwrap_or_default();
    let behind = |rest: &str| if rest.is_empty() { "0".to_owned() } else { rest.to_owned() };
    match exponent {
        0..=6 if digits.len() > point => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
        0..=6 => format!("{sign}{digits:0<point$}.0"),
        -3..=-1 => {
            let zeros = usize::try_from(-exponent - 1).unwrap_or_default();
            format!("{sign}0.{}{digits}", "0".repeat(zeros))
        }
        _ => format!("{sign}{}.{}E{exponent}", &digits[..1], behind(&digits[1..])),
    }
}

/// `+1-02` for years and months, `+1 02:03:04.005` for the others. Nothing at all could be either, and is refused.
fn interval(array: &dyn Array, at: usize) -> Result<String> {
    let value = cast(&array.slice(at, 1), &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let value = value.as_primitive::<IntervalMonthDayNanoType>().value(0);
    let millis = i64::from(value.days) * 86_400_000 + value.nanoseconds / 1_000_000;
    match (value.months, millis) {
        (0, 0) => exec_err!("an interval of nothing is not written as a text"),
        (months, 0) => {
            let (sign, months) = (if months < 0 { '-' } else { '+' }, months.unsigned_abs());
            Ok(format!("{sign}{}-{:02}", months / 12, months % 12))
        }
        (0, millis) => {
            let (sign, millis) = (if millis < 0 { '-' } else { '+' }, millis.unsigned_abs());
            let (seconds, rest) = (millis / 1_000, millis % 1_000);
            let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
            Ok(format!("{sign}{days} {hours:02}:{minutes:02}:{:02}.{rest:03}", seconds % 60))
        }
        _ => exec_err!("an interval of months and of days is not written as a text"),
    }
}

fn separate(index: usize, out: &mut String) {
    if index > 0 {
        out.push_str(", ");
    }
}
