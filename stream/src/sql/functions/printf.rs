//! `PRINTF(format, a, …)`: Java's formats of texts, whole numbers, fractions and truth values.
//!
//! Understood are `%s`, `%d`, `%x`, `%o`, `%f`, `%b`, `%n` and `%%`, with a width, a precision and the flags `-`, `0`, `+`,
//! `,` and a blank; another format ends the job. A format that is wrong in Java too, or a value missing for it, gives
//! NULL, and so does a format that is NULL; another NULL is written `null`. Dates and times are refused, since Flink
//! writes what it keeps them as. Source: Flink's documentation, "String Functions".

use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::{DataType, Float64Type, Int64Type},
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::ScalarUDF,
};

use super::row::{
    Eval,
    Kind::{Any, Text},
    Row, RowFunction,
};

pub(super) fn all() -> Vec<ScalarUDF> {
    let function =
        RowFunction::new("printf", &[Text, Any], Eval::Text(printf)).optional(1).variadic().lenient();
    vec![ScalarUDF::from(function.checked(|given| {
        let is_plain = |kind: &DataType| {
            kind.is_null() || kind.is_numeric() || matches!(kind, DataType::Utf8 | DataType::Boolean)
        };
        if given.iter().all(is_plain) {
            Ok(())
        } else {
            Err("writes texts, numbers and truth values. cast others")
        }
    }))]
}

fn number(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut digits = String::new();
    while let Some(c) = chars.next_if(char::is_ascii_digit) {
        digits.push(c);
    }
    digits
}

/// A format: `%[flags][width][.precision]conversion`.
struct Format {
    flags: String,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

impl Format {
    fn parse(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Format> {
        let mut flags = String::new();
        while let Some(c) = chars.next_if(|c| "-0+, #(".contains(*c)) {
            flags.push(c);
        }
        let width = number(chars);
        let width = if width.is_empty() { 0 } else { usize::from(width.parse::<u16>().ok()?) };
        let precision = if chars.next_if_eq(&'.').is_some() {
            Some(usize::from(number(chars).parse::<u16>().ok()?))
        } else {
            None
        };
        Some(Format { flags, width, precision, conversion: chars.next()? })
    }

    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    fn padded(&self, text: &str) -> String {
        let width = self.width;
        if self.has('-') { format!("{text:<width$}") } else { format!("{text:>width$}") }
    }

    /// A number with its sign, its zeros and its commas.
    fn number(&self, is_negative: bool, digits: &str) -> String {
        let sign = match (is_negative, self.has('+'), self.has(' ')) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
        let whole = if self.has(',') { with_commas(whole) } else { whole.to_owned() };
        let length = sign.len() + whole.len() + fraction.len();
        let zeros = if self.has('0') { self.width.saturating_sub(length) } else { 0 };
        self.padded(&format!("{sign}{}{whole}{fraction}", "0".repeat(zeros)))
    }
}

fn with_commas(digits: &str) -> String {
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn printf(row: &Row<'_>) -> Result<Option<String>> {
    if row.is_null(0) {
        return Ok(None);
    }
    let mut out = String::new();
    let mut chars = row.text(0).chars().peekable();
    let mut next = 1;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let Some(format) = Format::parse(&mut chars) else { return Ok(None) };
        match format.conversion {
            '%' => out.push_str(&format.padded("%")),
            'n' => out.push('\n'),
            _ => {
                let Some((array, at)) = row.any(next) else { return Ok(None) };
                next += 1;
                match written(&format, array, at)? {
                    Some(text) => out.push_str(&text),
                    None => return Ok(None),
                }
            }
        }
    }
    Ok(Some(out))
}

/// A decimal number with so many digits behind the point. Halves of what is written round up, as in Java.
fn half_up(number: &str, precision: usize) -> String {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let kept: String = fraction.chars().chain(std::iter::repeat('0')).take(precision).collect();
    let mut digits: Vec<u8> = whole.bytes().chain(kept.bytes()).collect();
    if fraction.as_bytes().get(precision).is_some_and(|digit| *digit >= b'5') {
        let nines = digits.iter().rev().take_while(|digit| **digit == b'9').count();
        let at = digits.len() - nines;
        digits[at..].fill(b'0');
        match at.checked_sub(1) {
            Some(last) => digits[last] += 1,
            None => digits.insert(0, b'1'),
        }
    }
    let mut text = String::from_utf8_lossy(&digits).into_owned();
    if precision > 0 {
        text.insert(text.len() - precision, '.');
    }
    text
}

/// A value in its format; `None` where it is of another kind.
fn written(format: &Format, array: &dyn Array, at: usize) -> Result<Option<String>> {
    let kind = array.data_type();
    let shortened = |text: &str| {
        format.padded(&text.chars().take(format.precision.unwrap_or(usize::MAX)).collect::<String>())
    };
    let whole = || -> Result<i64> {
        let array = cast(&array.slice(at, 1), &DataType::Int64)?;
        Ok(array.as_primitive::<Int64Type>().value(0))
    };
    if format.has('#') || format.has('(') {
        return exec_err!("PRINTF: the flags # and ( are not understood");
    }
    Ok(match format.conversion {
        'b' if *kind == DataType::Boolean && array.is_valid(at) => {
            Some(shortened(if array.as_boolean().value(at) { "true" } else { "false" }))
        }
        'b' => Some(shortened(if array.is_null(at) { "false" } else { "true" })),
        's' | 'd' | 'x' | 'o' | 'f' if array.is_null(at) => Some(shortened("null")),
        's' => Some(shortened(
            &ArrayFormatter::try_new(array, &FormatOptions::default())?.value(at).try_to_string()?,
        )),
        'd' if kind.is_integer() => {
            let value = whole()?;
            Some(format.number(value < 0, &value.unsigned_abs().to_string()))
        }
        'x' if *kind == DataType::Int64 => Some(format.number(false, &format!("{:x}", whole()?))),
        'o' if *kind == DataType::Int64 => Some(format.number(false, &format!("{:o}", whole()?))),
        'f' if kind.is_floating() => {
            let array = cast(&array.slice(at, 1), &DataType::Float64)?;
            let value = array.as_primitive::<Float64Type>().value(0);
            if !value.is_finite() {
                return exec_err!("PRINTF: {value} is not written as %f");
            }
            let digits = half_up(&value.abs().to_string(), format.precision.unwrap_or(6));
            Some(format.number(value.is_sign_negative(), &digits))
        }
        'f' if matches!(kind, DataType::Decimal128(..)) => {
            let text =
                ArrayFormatter::try_new(array, &FormatOptions::default())?.value(at).try_to_string()?;
            let digits = half_up(text.trim_start_matches('-'), format.precision.unwrap_or(6));
            Some(format.number(text.starts_with('-'), &digits))
        }
        'd' | 'f' => None,
        other => return exec_err!("PRINTF: the format %{other} of a value of type {kind} is not understood"),
    })
}

#[cfg(test)]
mod tests {
    use super::half_up;

    #[test]
    fn halves_round_up() {
        assert_eq!(half_up("0.25", 1), "0.3");
        assert_eq!(half_up("9.996", 2), "10.00");
        assert_eq!(half_up("3", 2), "3.00");
        assert_eq!(half_up("2.5", 0), "3");
    }
}
