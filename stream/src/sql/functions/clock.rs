//! Casts to `TIME`, and to texts of a length: what `sql/dialect.rs` makes of `CAST(a AS TIME(3))`, `CHAR(3)` and
//! `VARCHAR(3)`.
//!
//! A time of the day has up to three digits after the second, and a cast cuts off what its type has no room for. A text
//! that is no time fails, or is NULL with `TRY_CAST`. Source: Flink's documentation, "Data Types".

use arrow::{
    array::AsArray,
    datatypes::{IntervalDayTimeType, IntervalMonthDayNanoType},
};
use chrono::{NaiveTime, Timelike};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::ScalarUDF,
};

use super::row::{
    Eval,
    Kind::{Any, ClockStampOrText, Text, TimeOrClock, Whole},
    Row, RowFunction,
};

pub(super) fn all() -> Vec<ScalarUDF> {
    let functions = [
        RowFunction::new("__time", &[ClockStampOrText, Whole], Eval::Clock(|row| time(row, false))),
        RowFunction::new("__try_time", &[ClockStampOrText, Whole], Eval::Clock(|row| time(row, true))),
        RowFunction::new("__varchar", &[Text, Whole], Eval::Text(|row| Ok(Some(cut(row))))),
        RowFunction::new("__char", &[Text, Whole], Eval::Text(|row| Ok(Some(padded(row))))),
    ];
    functions.into_iter().map(ScalarUDF::from).collect()
}

/// A time of the day and an interval: that much later.
pub(crate) fn plus() -> ScalarUDF {
    ScalarUDF::from(RowFunction::new("__clock_plus", &[TimeOrClock, Any], Eval::Clock(|row| moved(row, 1))))
}

/// That much earlier.
pub(crate) fn minus() -> ScalarUDF {
    ScalarUDF::from(RowFunction::new("__clock_minus", &[TimeOrClock, Any], Eval::Clock(|row| moved(row, -1))))
}

/// Days and months lead to the same time of another day.
fn moved(row: &Row<'_>, sign: i64) -> Result<Option<i64>> {
    let Some((array, at)) = row.any(1) else { return Ok(None) };
    let nanos = if let Some(array) = array.as_primitive_opt::<IntervalMonthDayNanoType>() {
        array.value(at).nanoseconds
    } else if let Some(array) = array.as_primitive_opt::<IntervalDayTimeType>() {
        i64::from(array.value(at).milliseconds) * 1_000_000
    } else {
        0
    };
    Ok((nanos / 1_000).checked_mul(sign).and_then(|by| row.micros(0).checked_add(by)))
}

fn time(row: &Row<'_>, is_tried: bool) -> Result<Option<i64>> {
    let micros = if row.is_text(0) {
        match of_text(row.text(0)) {
            Some(micros) => micros,
            None if is_tried => return Ok(None),
            None => return exec_err!("'{}' is no time of the day", row.text(0)),
        }
    } else {
        row.micros(0)
    };
    let unit = 10_i64.pow(u32::try_from(6 - row.whole(1).clamp(0, 6)).unwrap_or(0));
    Ok(Some(micros.div_euclid(unit) * unit))
}

/// `12`, `12:34`, `12:34:56` and `12:34:56.789`, alone or behind a date.
fn of_text(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = match text.split_once([' ', 'T']) {
        Some((date, time)) => {
            chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
            time.trim()
        }
        None => text,
    };
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = [0; 3];
    for (index, part) in clock.split(':').enumerate() {
        let digits = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        *parts.get_mut(index)? = if digits { part.parse().ok()? } else { return None };
    }
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let time = NaiveTime::from_hms_nano_opt(parts[0], parts[1], parts[2], nanos)?;
    Some(i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1_000))
}

fn cut(row: &Row<'_>) -> String {
    row.text(0).chars().take(usize::try_from(row.whole(1)).unwrap_or(0)).collect()
}

/// A `CHAR(n)` has n characters, the last ones of which are blanks where a text has fewer.
fn padded(row: &Row<'_>) -> String {
    let width = usize::try_from(row.whole(1)).unwrap_or(0);
    format!("{:<width$}", cut(row))
}
