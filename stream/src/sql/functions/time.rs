//! Functions of dates and timestamps in Flink's meaning. All are in UTC, as the engine's timestamps are.
//!
//! `EXTRACT`, `TIMESTAMPADD` and their kind name a unit as a word; `sql/dialect.rs` turns it into the text
//! that is the first argument here.

use arrow::datatypes::DataType;
use chrono::{
    DateTime, Datelike, Days, Duration, LocalResult, Months, NaiveDate, NaiveDateTime, Offset, TimeZone,
    Timelike,
};
use chrono_tz::Tz;
use datafusion::{
    common::{Result, exec_err},
    logical_expr::ScalarUDF,
};

use super::{
    number, pattern,
    row::{
        Eval,
        Kind::{StampOrClock, Text, TextOrNumber, TextOrWhole, TimeOrClock, TimeOrText, Whole},
        Row, RowFunction,
    },
};

/// How Flink writes a timestamp where no pattern is given.
const PLAIN: &str = "yyyy-MM-dd HH:mm:ss";

pub(super) fn all() -> Vec<ScalarUDF> {
    let functions = [
        RowFunction::new("__extract", &[Text, TimeOrClock], Eval::Long(extract)),
        // A date has no part of a second.
        RowFunction::new("__extract_fraction", &[Text, StampOrClock], Eval::Long(extract)),
        RowFunction::new(
            "__floor",
            &[Text, TimeOrClock],
            Eval::Date(|row| of_clock(row, 1, "FLOOR").and_then(|()| floor(row.text(0), row.micros(1)))),
        ),
        RowFunction::new("__ceil", &[Text, TimeOrClock], Eval::Date(ceil)),
        RowFunction::new("timestampadd", &[Text, Whole, TimeOrClock], Eval::Time(add)),
        RowFunction::new("__add_day", &[Text, Whole, TimeOrClock], Eval::Date(add)),
        RowFunction::new("timestampdiff", &[Text, TimeOrClock, TimeOrClock], Eval::Int(difference))
            .checked(same_zone),
        RowFunction::new("convert_tz", &[Text, Text, Text], Eval::Text(convert_tz)),
        RowFunction::new("date_format", &[TimeOrText, Text], Eval::Text(date_format)),
        RowFunction::new("from_unixtime", &[Whole, Text], Eval::Text(from_unixtime)).optional(1),
        RowFunction::new("unix_timestamp", &[Text, Text], Eval::Long(unix_timestamp)).optional(1),
        RowFunction::new("to_timestamp", &[Text, Text], Eval::Time(to_timestamp)).optional(1),
        RowFunction::new(
            "to_timestamp_ltz",
            &[TextOrNumber, TextOrWhole, Text],
            Eval::Time(to_timestamp_ltz),
        )
        .optional(2)
        .checked(number_or_text),
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

const DAY_US: i64 = 86_400_000_000;

/// A time of the day has units up to the hour.
fn of_clock(row: &Row<'_>, argument: usize, name: &str) -> Result<()> {
    let unit = row.text(0);
    let short = matches!(unit, "HOUR" | "MINUTE" | "SECOND" | "MILLISECOND" | "MICROSECOND" | "NANOSECOND");
    if row.is_clock(argument) && !short {
        return exec_err!("{name}: a time of the day has no {unit}");
    }
    Ok(())
}

fn extract(row: &Row<'_>) -> Result<Option<i64>> {
    of_clock(row, 1, "EXTRACT")?;
    let (unit, time_us) = (row.text(0), row.micros(1));
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
        "DAY" => DAY_US,
        "WEEK" => 7 * DAY_US,
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
    if let Some(length) = fixed(unit).filter(|length| *length < DAY_US) {
        return Ok(Some(time_us.div_euclid(length) * length));
    }
    Ok(floor_date(unit, at(time_us)?.date())?.and_then(midnight))
}

/// Centuries and millennia start with their first year: 2001 begins both.
fn floor_date(unit: &str, date: NaiveDate) -> Result<Option<NaiveDate>> {
    let (year, month) = (date.year(), date.month());
    let start = |year| NaiveDate::from_ymd_opt(year, 1, 1);
    Ok(match unit {
        "DAY" => Some(date),
        "WEEK" => date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_sunday()))),
        "MONTH" => date.with_day(1),
        "QUARTER" => NaiveDate::from_ymd_opt(year, (month - 1) / 3 * 3 + 1, 1),
        "YEAR" => start(year),
        "DECADE" => start(year / 10 * 10),
        "CENTURY" => start((year + 99) / 100 * 100 - 99),
        "MILLENNIUM" => start((year + 999) / 1000 * 1000 - 999),
        _ => return exec_err!("FLOOR and CEIL know no unit {unit} here"),
    })
}

fn midnight(date: NaiveDate) -> Option<i64> {
    Some(micros(date.and_hms_opt(0, 0, 0)?))
}

/// The end of the unit that holds the time, as Flink has it: by dates from the week on, so that the first day of a month
/// is its own end at any time of that day. A date is never its own end by days, decades, centuries and millennia, and the
/// start of a quarter is only in January.
fn ceil(row: &Row<'_>) -> Result<Option<i64>> {
    of_clock(row, 1, "CEIL")?;
    let (unit, time_us) = (row.text(0), row.micros(1));
    let round_up = |length: i64| time_us.checked_add(length - 1).map(|t| t.div_euclid(length) * length);
    if let Some(length) = fixed(unit).filter(|length| *length < DAY_US) {
        return Ok(round_up(length));
    }
    if unit == "DAY" {
        return Ok(if row.is_date(1) { time_us.checked_add(DAY_US) } else { round_up(DAY_US) });
    }
    let date = at(time_us)?.date();
    let Some(start) = floor_date(unit, date)? else { return Ok(None) };
    let is_start = match unit {
        "WEEK" | "MONTH" | "YEAR" => start == date,
        "QUARTER" => date.ordinal() == 1,
        _ => false,
    };
    let end = match unit {
        _ if is_start => Some(date),
        "WEEK" => start.checked_add_days(Days::new(7)),
        "MONTH" => start.checked_add_months(Months::new(1)),
        "QUARTER" => start.checked_add_months(Months::new(3)),
        "YEAR" => start.checked_add_months(Months::new(12)),
        "DECADE" => start.checked_add_months(Months::new(120)),
        "CENTURY" => start.checked_add_months(Months::new(1_200)),
        _ => start.checked_add_months(Months::new(12_000)),
    };
    Ok(end.and_then(midnight))
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

/// NULL for a text that is no timestamp.
fn date_format(row: &Row<'_>) -> Result<Option<String>> {
    let time = if row.is_text(0) {
        match pattern::parse_plain(row.text(0)) {
            Some(time) => time,
            None => return Ok(None),
        }
    } else {
        at(row.micros(0))?
    };
    pattern::format(row.text(1), time).map(Some)
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

/// A number of seconds (precision 0) or milliseconds (precision 3, the default) since the epoch; or a text, its format,
/// and the zone it is in.
fn to_timestamp_ltz(row: &Row<'_>) -> Result<Option<i64>> {
    if row.is_text(0) {
        return ltz_of_text(row);
    }
    let precision = if row.has(1) { row.whole(1) } else { 3 };
    let millis = match (precision, row.is_whole(0)) {
        (0, true) => row.whole(0).checked_mul(1_000),
        (3, true) => Some(row.whole(0)),
        (0, false) => number::to_whole(row.double(0) * 1_000.0),
        (3, false) => number::to_whole(row.double(0)),
        _ => {
            return exec_err!(
                "TO_TIMESTAMP_LTZ takes 0 (seconds) or 3 (milliseconds) as precision, not {precision}"
            );
        }
    };
    let Some(us) = millis.and_then(|millis| millis.checked_mul(1_000)) else { return Ok(None) };
    /// The years 0 to 9999.
    const YEARS_US: std::ops::Range<i64> = -62_167_219_200_000_000..253_402_300_800_000_000;
    Ok(YEARS_US.contains(&us).then_some(us))
}

/// The fraction has as many digits as the format, and three where there are fewer.
fn ltz_of_text(row: &Row<'_>) -> Result<Option<i64>> {
    let format = row.has(1).then(|| row.text(1));
    let digits = format.map_or(0, |format| format.matches('S').count());
    if digits > 6 {
        return exec_err!("timestamps have at most six digits after the second, and the format has {digits}");
    }
    let read = match format {
        Some(format) => pattern::parse(format, row.text(0))?,
        None => pattern::parse_plain(row.text(0)),
    };
    let zone = if row.has(2) { zone(row.text(2))? } else { Tz::UTC };
    let unit = 10_i64.pow(u32::try_from(6_usize.saturating_sub(digits.max(3))).unwrap_or(3));
    Ok(read.map(|local| micros(instant(zone, local, false)).div_euclid(unit) * unit))
}

fn number_or_text(given: &[DataType]) -> std::result::Result<(), &'static str> {
    let is_text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match given {
        [first, second, ..] if first.is_numeric() && is_text(second) => {
            Err("takes a precision, 0 or 3, with a number")
        }
        [first, second, ..] if is_text(first) && second.is_numeric() => Err("takes a format with a text"),
        [first, _, _] if first.is_numeric() => Err("takes a zone only with a text"),
        _ => Ok(()),
    }
}

/// What was cast to `TIMESTAMP_LTZ` is not compared with what has no zone.
fn same_zone(given: &[DataType]) -> std::result::Result<(), &'static str> {
    let zoned =
        |kind: &DataType| matches!(kind, DataType::Timestamp(_, Some(zone)) if zone.as_ref() == "+00:00");
    let bare = |kind: &DataType| {
        matches!(kind, DataType::Timestamp(_, None) | DataType::Date32 | DataType::Time64(_))
    };
    if given.iter().any(zoned) && given.iter().any(bare) {
        return Err("takes two times with a zone, or two without. cast one of them");
    }
    Ok(())
}

fn zone(name: &str) -> Result<Tz> {
    name.parse().or_else(|_| exec_err!("there is no time zone '{name}'. write one such as 'Europe/Paris'"))
}

/// The time in UTC at which it is `local` in a zone. In an hour that comes twice it is the first or the last time; one
/// that is left out is counted on from the hour before.
fn instant(zone: Tz, local: NaiveDateTime, is_last: bool) -> NaiveDateTime {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) => time.naive_utc(),
        LocalResult::Ambiguous(first, last) => if is_last { last } else { first }.naive_utc(),
        LocalResult::None => {
            let before = local - Duration::days(1);
            let offset = zone.offset_from_utc_datetime(&before).fix();
            local - Duration::seconds(i64::from(offset.local_minus_utc()))
        }
    }
}

/// A text `yyyy-MM-dd HH:mm:ss` from one zone to another.
fn convert_tz(row: &Row<'_>) -> Result<Option<String>> {
    let (from, to) = (zone(row.text(1))?, zone(row.text(2))?);
    let Some(local) = pattern::parse(PLAIN, row.text(0))? else { return Ok(None) };
    let there = to.from_utc_datetime(&instant(from, local, true)).naive_local();
    pattern::format(PLAIN, there).map(Some)
}
