//! Flink's JSON functions. Their forms, with `ON EMPTY` and `RETURNING`, are made plain calls of the functions here by
//! `sql/json_forms.rs`.
//!
//! | name | file |
//! |---|---|
//! | `JSON_EXISTS`, `JSON_VALUE`, `JSON_QUERY` | `query.rs`, paths in `path.rs` |
//! | `JSON_OBJECT`, `JSON_ARRAY`, `JSON_STRING` | `construct.rs` |
//! | `JSON_QUOTE`, `JSON_UNQUOTE`, `IS JSON` | `text.rs` |
//!
//! Numbers keep their digits, and the keys of objects that are written come in order, as Flink's do. Source: Flink's
//! documentation, "JSON Functions".

mod construct;
mod path;
mod query;
mod text;

use std::collections::BTreeMap;

use datafusion::logical_expr::ScalarUDF;
use serde_json::value::RawValue;

pub(super) fn all() -> Vec<ScalarUDF> {
    [query::all(), construct::all(), text::all()].into_iter().flatten().collect()
}

/// What a JSON text is, by its first character; the text is known to be JSON.
enum Shape<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(String),
    Array(Vec<&'a RawValue>),
    /// The last one of equal keys counts.
    Object(BTreeMap<String, &'a RawValue>),
}

impl<'a> Shape<'a> {
    fn of(raw: &'a RawValue) -> Option<Self> {
        let text = raw.get().trim();
        Some(match text.as_bytes().first()? {
            b'n' => Shape::Null,
            b't' => Shape::Bool(true),
            b'f' => Shape::Bool(false),
            b'"' => Shape::Text(serde_json::from_str(text).ok()?),
            b'[' => Shape::Array(serde_json::from_str(text).ok()?),
            b'{' => Shape::Object(serde_json::from_str(text).ok()?),
            _ => Shape::Number(text),
        })
    }

    fn is_scalar(&self) -> bool {
        !matches!(self, Shape::Array(_) | Shape::Object(_))
    }
}

fn parse(text: &str) -> Option<&RawValue> {
    serde_json::from_str(text).ok()
}

/// A JSON text as Flink writes it: without blanks, keys in order. `None` for one that is nested too deeply.
fn normal(raw: &RawValue, out: &mut String) -> Option<()> {
    /// As deep as serde_json's own limit.
    const DEEPEST: usize = 128;
    normal_within(raw, out, DEEPEST)
}

fn normal_within(raw: &RawValue, out: &mut String, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match Shape::of(raw)? {
        Shape::Null => out.push_str("null"),
        Shape::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Shape::Number(digits) => out.push_str(digits),
        Shape::Text(text) => quote(&text, out),
        Shape::Array(elements) => {
            out.push('[');
            for (index, element) in elements.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                normal_within(element, out, depth)?;
            }
            out.push(']');
        }
        Shape::Object(fields) => {
            out.push('{');
            for (index, (key, value)) in fields.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(&key, out);
                out.push(':');
                normal_within(value, out, depth)?;
            }
            out.push('}');
        }
    }
    Some(())
}

/// A text in quotes.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
