//! Functions of dates and timestamps in Flink's meaning. All are in UTC, as the engine's timestamps are.
//!
//! `EXTRACT`, `TIMESTAMPADD` and their kind name a unit as a word; `sql/dialect.rs` turns it into the text
//! that is the first argument here.

use chrono::{DateTime, Datelike, Duration, Months, NaiveDate, NaiveDateTime, Timelike};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::ScalarUDF,
};

use super::{
    pattern,
    row::{
        Eval,
        Kind::{Date, Stamp, Text, Time, TimeOrText, Whole},
        Row, RowFunction,
    },
};

/// How Flink writes a timestamp where no pattern is given.
const PLAIN: &str = "yyyy-MM-dd HH:mm:ss";

pub(super) fn all() -> Vec<ScalarUDF> {
    let functions = [
        RowFunction::new("__extract", &[Text, Time], Eval::Long(|row| extract(row.text(0), row.micros(1)))),
        // A date has no part of a second.
        RowFunction::new(
            "__extract_fraction",
            &[Text, Stamp],
            Eval::Long(|row| extract(row.text(0), row.micros(1))),
        ),
        RowFunction::new("__floor", &[Text, Time], Eval::Time(|row| floor(row.text(0), row.micros(1)))),
        // Flink's CEIL of a date to a day, and of a timestamp to a month or longer, is not the next day or month
        // in a way that could be relied on, so these two are refused.
        RowFunction::new("__ceil", &[Text, Stamp], Eval::Time(|row| ceil(row.text(0), row.micros(1)))),
        RowFunction::new("__floor_day", &[Text, Time], Eval::Date(|row| floor(row.text(0), row.micros(1)))),
        RowFunction::new("__ceil_month", &[Text, Date], Eval::Date(|row| ceil(row.text(0), row.micros(1)))),
        RowFunction::new("timestampadd", &[Text, Whole, Time], Eval::Time(add)),
        RowFunction::new("__add_day", &[Text, Whole, Time], Eval::Date(add)),
        RowFunction::new("timestampdiff", &[Text, Time, Time], Eval::Int(difference)),
        RowFunction::new("date_format", &[TimeOrText, Text], Eval::Text(date_format)),
        RowFunction::new("from_unixtime", &[Whole, Text], Eval::Text(from_unixtime)).optional(1),
        RowFunction::new("unix_timestamp", &[Text, Text], Eval::Long(unix_timestamp)).optional(1),
        RowFunction::new("to_timestamp", &[Text, Text], Eval::Time(to_timestamp)).optional(1),
        RowFunction::new("to_timestamp_ltz", &[Whole, Whole], Eval::Time(to_timestamp_ltz)).optional(1),
    ];
    functions.into_iter().map(ScalarUDF::from).collect()
}

fn at(micros: i64) -> Result<NaiveDateTime> {
    match DateTime::from_timestamp_micros(micros) {
        Some(time) => Ok(time.naive_utc()),
        None => exec_err!("a timestamp lies outside of the calendar"),
    }
}

fn micros(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp_micros()
}

fn extract(unit: &str, time_us: i64) -> Result<Option<i64>> {
    let time = at(time_us)?;
    let fraction = i64::from(time.nanosecond());
    let year = i64::from(time.year());
    Ok(Some(match unit {
        "YEAR" => year,
        "QUARTER" => i64::from(time.month0() / 3 + 1),
        "MONTH" => i64::from(time.month()),
        "WEEK" => i64::from(time.iso_week().week()),
        "ISOYEAR" => i64::from(time.iso_week().year()),
        "DAY" => i64::from(time.day()),
        "DOY" => i64::from(time.ordinal()),
        "DOW" => i64::from(time.weekday().number_from_sunday()),
        "ISODOW" => i64::from(time.weekday().number_from_monday()),
        "HOUR" => i64::from(time.hour()),
        "MINUTE" => i64::from(time.minute()),
        "SECOND" => i64::from(time.second()),
        "MILLISECOND" => fraction / 1_000_000,
        "MICROSECOND" => fraction / 1_000,
        "NANOSECOND" => fraction,
        "EPOCH" => time_us.div_euclid(1_000_000),
        "DECADE" => year.div_euclid(10),
        "CENTURY" if year > 0 => (year + 99) / 100,
        "MILLENNIUM" if year > 0 => (year + 999) / 1000,
        _ => return exec_err!("EXTRACT has no field {unit} here"),
    }))
}

/// Microseconds of a unit of fixed length.
fn fixed(unit: &str) -> Option<i64> {
    Some(match unit {
        "MICROSECOND" => 1,
        "MILLISECOND" => 1_000,
        "SECOND" => 1_000_000,
        "MINUTE" => 60_000_000,
        "HOUR" => 3_600_000_000,
        "DAY" => 86_400_000_000,
        "WEEK" => 7 * 86_400_000_000,
        _ => return None,
    })
}

/// Months of a unit of the calendar.
fn months(unit: &str) -> Option<i64> {
    Some(match unit {
        "MONTH" => 1,
        "QUARTER" => 3,
        "YEAR" => 12,
        "DECADE" => 120,
        _ => return None,
    })
}

/// The start of the unit that holds the time; weeks start on Sunday, as in Flink.
fn floor(unit: &str, time_us: i64) -> Result<Option<i64>> {
    // 1970-01-01 was a Thursday, four days after a Sunday.
    let shift = if unit == "WEEK" { 4 * 86_400_000_000 } else { 0 };
    if let Some(length) = fixed(unit) {
        return Ok(time_us.checked_add(shift).map(|t| t.div_euclid(length) * length - shift));
    }
    let Some(length) = months(unit) else { return exec_err!("FLOOR and CEIL know no unit {unit} here") };
    let time = at(time_us)?;
    let month = i64::from(time.year()) * 12 + i64::from(time.month0());
    Ok(start_of_month(month.div_euclid(length) * length))
}

fn start_of_month(month: i64) -> Option<i64> {
    let year = i32::try_from(month.div_euclid(12)).ok()?;
    let in_year = u32::try_from(month.rem_euclid(12)).ok()?;
    Some(micros(NaiveDate::from_ymd_opt(year, in_year + 1, 1)?.and_hms_opt(0, 0, 0)?))
}

fn ceil(unit: &str, time_us: i64) -> Result<Option<i64>> {
    let Some(start) = floor(unit, time_us)? else { return Ok(None) };
    if start == time_us { Ok(Some(start)) } else { step(unit, 1, start) }
}

fn step(unit: &str, count: i64, time_us: i64) -> Result<Option<i64>> {
    if let Some(length) = fixed(unit) {
        return Ok(length.checked_mul(count).and_then(|by| time_us.checked_add(by)));
    }
    let Some(length) = months(unit) else { return exec_err!("TIMESTAMPADD knows no unit {unit} here") };
    let time = at(time_us)?;
    let Some(by) = count.checked_mul(length) else { return Ok(None) };
    let Ok(size) = u32::try_from(by.unsigned_abs()) else { return Ok(None) };
    let moved = if by < 0 {
        time.checked_sub_months(Months::new(size))
    } else {
        time.checked_add_months(Months::new(size))
    };
    Ok(moved.map(micros))
}

fn add(row: &Row<'_>) -> Result<Option<i64>> {
    step(row.text(0), row.whole(1), row.micros(2))
}

/// Whole units from the first time to the second.
fn difference(row: &Row<'_>) -> Result<Option<i32>> {
    let (unit, from, to) = (row.text(0), row.micros(1), row.micros(2));
    let whole = if let Some(length) = fixed(unit) {
        to.saturating_sub(from) / length
    } else if let Some(length) = months(unit) {
        let (a, b) = (at(from)?, at(to)?);
        let month = |t: NaiveDateTime| i64::from(t.year()) * 12 + i64::from(t.month0());
        // Into the month: a month is whole once its day and time are reached.
        let rest =
            |t: NaiveDateTime| Duration::days(i64::from(t.day())) + (t.time() - chrono::NaiveTime::MIN);
        let mut count = month(b) - month(a);
        if count > 0 && rest(b) < rest(a) {
            count -= 1;
        } else if count < 0 && rest(b) > rest(a) {
            count += 1;
        }
        count / length
    } else {
        return exec_err!("TIMESTAMPDIFF knows no unit {unit} here");
    };
    match i32::try_from(whole) {
        Ok(whole) => Ok(Some(whole)),
        Err(_) => exec_err!("TIMESTAMPDIFF counts {whole} units of {unit}, more than INT holds"),
    }
}

fn date_format(row: &Row<'_>) -> Result<Option<String>> {
    pattern::format(row.text(1), at(row.micros(0))?).map(Some)
}

fn from_unixtime(row: &Row<'_>) -> Result<Option<String>> {
    let Some(us) = row.whole(0).checked_mul(1_000_000) else { return Ok(None) };
    pattern::format(if row.has(1) { row.text(1) } else { PLAIN }, at(us)?).map(Some)
}

fn parsed(row: &Row<'_>) -> Result<Option<i64>> {
    if row.has(1) {
        return Ok(pattern::parse(row.text(1), row.text(0))?.map(micros));
    }
    Ok(pattern::parse_plain(row.text(0)).map(micros))
}

/// A text that is no timestamp is the smallest number, as in Flink.
fn unix_timestamp(row: &Row<'_>) -> Result<Option<i64>> {
    Ok(Some(parsed(row)?.map_or(i64::MIN, |us| us.div_euclid(1_000_000))))
}

/// A text that is no timestamp is NULL; fractions end at milliseconds.
fn to_timestamp(row: &Row<'_>) -> Result<Option<i64>> {
    Ok(parsed(row)?.map(|us| us.div_euclid(1_000) * 1_000))
}

/// Seconds (precision 0) or milliseconds (precision 3, the default) since the epoch.
fn to_timestamp_ltz(row: &Row<'_>) -> Result<Option<i64>> {
    let precision = if row.has(1) { row.whole(1) } else { 3 };
    let unit = match precision {
        0 => 1_000_000,
        3 => 1_000,
        _ => {
            return exec_err!(
                "TO_TIMESTAMP_LTZ takes 0 (seconds) or 3 (milliseconds) as precision, not {precision}"
            );
        }
    };
    let Some(us) = row.whole(0).checked_mul(unit) else { return Ok(None) };
    /// The years 0 to 9999.
    const YEARS_US: std::ops::Range<i64> = -62_167_219_200_000_000..253_402_300_800_000_000;
    Ok(YEARS_US.contains(&us).then_some(us))
}
