//! `JSON_QUOTE`, `JSON_UNQUOTE` and `IS JSON`.
//!
//! What is not a JSON text in quotes passes `JSON_UNQUOTE` as it is. `IS JSON` is never NULL.

use datafusion::{common::Result, logical_expr::ScalarUDF};

use super::{
    super::row::{Eval, Kind::Text, Row, RowFunction},
    Shape, parse,
};

pub(super) fn all() -> Vec<ScalarUDF> {
    let functions = [
        RowFunction::new("json_quote", &[Text], Eval::Text(|row| Ok(Some(quoted(row.text(0)))))),
        RowFunction::new("json_unquote", &[Text], Eval::Text(|row| Ok(Some(unquoted(row.text(0)))))),
        RowFunction::new("__is_json", &[Text, Text], Eval::Bool(is_json)).lenient(),
    ];
    functions.into_iter().map(ScalarUDF::from).collect()
}

/// In ASCII: other characters are escaped, and so is the slash.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
    out
}

fn unquoted(text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.and_then(unescaped).unwrap_or_else(|| text.to_owned())
}

/// Without escapes; `None` for one that there is not. Quotes inside need none.
fn unescaped(inner: &str) -> Option<String> {
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    let mut high = None;
    while let Some(c) = chars.next() {
        if c != '\\' {
            // Half of a character alone is none.
            if high.is_some() {
                return None;
            }
            out.push(c);
            continue;
        }
        out.push(match chars.next()? {
            c @ ('"' | '\\' | '/') => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let digits = chars.as_str().get(..4)?;
                if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return None;
                }
                chars = chars.as_str()[4..].chars();
                let unit = u16::from_str_radix(digits, 16).ok()?;
                match (high.take(), unit) {
                    (None, 0xd800..=0xdbff) => {
                        high = Some(unit);
                        continue;
                    }
                    (Some(first), low) => char::decode_utf16([first, low]).next()?.ok()?,
                    (None, unit) => char::from_u32(u32::from(unit))?,
                }
            }
            _ => return None,
        });
    }
    high.is_none().then_some(out)
}

fn is_json(row: &Row<'_>) -> Result<Option<bool>> {
    if row.is_null(0) {
        return Ok(Some(false));
    }
    let shape = parse(row.text(0)).and_then(Shape::of);
    Ok(Some(shape.is_some_and(|shape| match row.text(1) {
        "SCALAR" => shape.is_scalar(),
        "ARRAY" => matches!(shape, Shape::Array(_)),
        "OBJECT" => matches!(shape, Shape::Object(_)),
        _ => true,
    })))
}
