//! Intervals of two fields (`INTERVAL '1-2' YEAR TO MONTH`, `INTERVAL '10 00:00:00.004' DAY TO SECOND`), in the words of
//! DataFusion, which knows those of one.

use datafusion::sql::sqlparser::ast::{DateTimeField as Field, Expr, Interval, Value};

/// Makes an interval of two fields one without; others stay, without their number of digits.
pub(super) fn plain(interval: &mut Interval) -> Result<(), String> {
    interval.leading_precision = None;
    interval.fractional_seconds_precision = None;
    let (Some(first), Some(last)) = (&interval.leading_field, &interval.last_field) else { return Ok(()) };
    let literal = match interval.value.as_ref() {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.clone(),
            other => return Err(format!("the interval {other} is no text")),
        },
        other => return Err(format!("the interval {other} is no text")),
    };
    let text = read(&literal, first, last)
        .ok_or_else(|| format!("INTERVAL '{literal}' {first} TO {last} is not understood"))?;
    *interval.value = Expr::value(Value::SingleQuotedString(text));
    interval.leading_field = None;
    interval.last_field = None;
    Ok(())
}

fn read(literal: &str, first: &Field, last: &Field) -> Option<String> {
    let (sign, digits) = match literal.trim().strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", literal.trim().trim_start_matches('+')),
    };
    let whole = |text: &str| text.parse::<u64>().ok();
    if matches!((first, last), (Field::Year, Field::Month)) {
        let (years, months) = digits.split_once('-')?;
        return Some(format!("{sign}{} months", whole(years)? * 12 + whole(months)?));
    }
    const NAMES: [&str; 4] = ["days", "hours", "minutes", "seconds"];
    let place = |field: &Field| match field {
        Field::Day => Some(0),
        Field::Hour => Some(1),
        Field::Minute => Some(2),
        Field::Second => Some(3),
        _ => None,
    };
    let (from, to) = (place(first)?, place(last)?);
    let parts: Vec<&str> = digits.split([' ', ':']).collect();
    if from >= to || parts.len() != to - from + 1 {
        return None;
    }
    let mut out = Vec::new();
    for (part, name) in parts.iter().zip(&NAMES[from..]) {
        let (number, fraction) = part.split_once('.').unwrap_or((part, "0"));
        let is_number = whole(number).is_some() && whole(fraction).is_some();
        if !is_number || (part.contains('.') && *name != "seconds") {
            return None;
        }
        out.push(format!("{sign}{part} {name}"));
    }
    Some(out.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fields_become_words() {
        let read = |text, first, last| read(text, &first, &last);
        assert_eq!(read("2-10", Field::Year, Field::Month).unwrap(), "34 months");
        assert_eq!(
            read("-1 02:03:04.5", Field::Day, Field::Second).unwrap(),
            "-1 days -02 hours -03 minutes -04.5 seconds"
        );
        assert_eq!(read("10 00:12", Field::Day, Field::Minute).unwrap(), "10 days 00 hours 12 minutes");
        assert_eq!(read("10:12", Field::Day, Field::Minute), None);
        assert_eq!(read("1.5 10", Field::Day, Field::Hour), None);
    }
}
