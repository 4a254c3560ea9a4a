//! `JSON_EXISTS`, `JSON_VALUE` and `JSON_QUERY`: the document, a path, and as texts what is to be done where there is
//! nothing, or an error.
//!
//! A document or a path that is NULL gives NULL. A document that is no JSON is an error, which `ON ERROR` answers; so
//! is, for a strict path, that nothing is there.

use datafusion::{
    common::{Result, exec_err},
    logical_expr::ScalarUDF,
};
use serde_json::value::RawValue;

use super::{
    super::row::{Eval, Kind::Text, Row, RowFunction},
    Shape, normal, parse,
    path::{Found, Path},
};

pub(super) fn all() -> Vec<ScalarUDF> {
    const VALUE: &[super::super::row::Kind] = &[Text, Text, Text, Text, Text, Text];
    let functions = [
        RowFunction::new("__json_exists", &[Text, Text, Text], Eval::Bool(exists)),
        // Document, path, on empty, default, on error, default: a default may be NULL.
        RowFunction::new("__json_value", VALUE, Eval::Text(value_as_text)).lenient(),
        RowFunction::new("__json_value_boolean", VALUE, Eval::Bool(value_as_boolean)).lenient(),
        RowFunction::new("__json_value_integer", VALUE, Eval::Int(value_as_integer)).lenient(),
        RowFunction::new("__json_value_double", VALUE, Eval::TryDouble(value_as_double)).lenient(),
        // Document, path, wrapper, on empty, on error.
        RowFunction::new("__json_query", &[Text, Text, Text, Text, Text], Eval::Text(query)),
        RowFunction::new("__json_query_array", &[Text, Text, Text, Text, Text], Eval::Texts(query_array)),
    ];
    functions.into_iter().map(ScalarUDF::from).collect()
}

/// What a path found in a document.
enum Outcome<'a> {
    Found(Found<'a>),
    /// Why it is an error.
    Failed(&'static str),
}

fn look<'a>(document: &'a str, path: &Path) -> Outcome<'a> {
    let Some(root) = parse(document) else { return Outcome::Failed("the document is no JSON") };
    match path.follow(root) {
        Found::Nothing if !path.is_lax => Outcome::Failed("a strict path leads to nothing"),
        found => Outcome::Found(found),
    }
}

/// A value that is there and is not JSON's null.
fn present(raw: &RawValue) -> bool {
    !matches!(Shape::of(raw), None | Some(Shape::Null))
}

fn exists(row: &Row<'_>) -> Result<Option<bool>> {
    match look(row.text(0), &Path::parse(row.text(1))?) {
        Outcome::Found(Found::One(raw)) => Ok(Some(present(raw))),
        Outcome::Found(Found::Many(_)) => Ok(Some(true)),
        Outcome::Found(Found::Nothing) => Ok(Some(false)),
        Outcome::Failed(reason) => match row.text(2) {
            "TRUE" => Ok(Some(true)),
            "FALSE" => Ok(Some(false)),
            "UNKNOWN" => Ok(None),
            _ => exec_err!("JSON_EXISTS: {reason}"),
        },
    }
}

/// A scalar, or the default that stands for it.
enum Scalar {
    Json(String, bool),
    Default(String),
}

fn scalar(row: &Row<'_>) -> Result<Option<Scalar>> {
    if row.is_null(0) || row.is_null(1) {
        return Ok(None);
    }
    let path = Path::parse(row.text(1))?;
    let (what, default, reason) = match look(row.text(0), &path) {
        Outcome::Found(Found::One(raw)) if present(raw) => match Shape::of(raw) {
            Some(Shape::Text(text)) => return Ok(Some(Scalar::Json(text, true))),
            Some(shape) if shape.is_scalar() => {
                return Ok(Some(Scalar::Json(raw.get().trim().to_owned(), false)));
            }
            _ if path.is_lax => (2, 3, "there is no scalar"),
            _ => (4, 5, "a strict path does not lead to a scalar"),
        },
        Outcome::Found(Found::Many(_)) if !path.is_lax => (4, 5, "a strict path does not lead to a scalar"),
        Outcome::Found(_) => (2, 3, "there is no value"),
        Outcome::Failed(reason) => (4, 5, reason),
    };
    match row.text(what) {
        "NULL" => Ok(None),
        "DEFAULT" => Ok((!row.is_null(default)).then(|| Scalar::Default(row.text(default).to_owned()))),
        _ => exec_err!("JSON_VALUE: {reason}"),
    }
}

fn value_as_text(row: &Row<'_>) -> Result<Option<String>> {
    Ok(scalar(row)?.map(|found| match found {
        Scalar::Json(text, _) | Scalar::Default(text) => text,
    }))
}

/// A number or a boolean that is to be returned as such; another scalar of JSON is an error, as in Flink.
fn typed<T: std::str::FromStr>(row: &Row<'_>, name: &str) -> Result<Option<T>> {
    let (text, is_text) = match scalar(row)? {
        None => return Ok(None),
        Some(Scalar::Json(text, is_text)) => (text, is_text),
        Some(Scalar::Default(text)) => (text, false),
    };
    match text.parse() {
        Ok(value) if !is_text => Ok(Some(value)),
        _ => exec_err!("JSON_VALUE: {text} is no {name}"),
    }
}

fn value_as_boolean(row: &Row<'_>) -> Result<Option<bool>> {
    typed(row, "BOOLEAN")
}

fn value_as_integer(row: &Row<'_>) -> Result<Option<i32>> {
    typed(row, "INTEGER")
}

fn value_as_double(row: &Row<'_>) -> Result<Option<f64>> {
    typed(row, "DOUBLE")
}

fn query(row: &Row<'_>) -> Result<Option<String>> {
    query_as(row, |json| Some(json.to_owned()))
}

/// The elements of an array: texts as they are, null as NULL, others as JSON.
fn query_array(row: &Row<'_>) -> Result<Option<Vec<Option<String>>>> {
    query_as(row, |json| {
        let Some(Shape::Array(elements)) = Shape::of(parse(json)?) else { return None };
        let element = |raw: &RawValue| match Shape::of(raw)? {
            Shape::Null => Some(None),
            Shape::Text(text) => Some(Some(text)),
            _ => {
                let mut json = String::new();
                normal(raw, &mut json)?;
                Some(Some(json))
            }
        };
        elements.into_iter().map(element).collect()
    })
}

/// `read` says what JSON is as the result; nothing is an error.
fn query_as<T>(row: &Row<'_>, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
    let path = Path::parse(row.text(1))?;
    let outcome = look(row.text(0), &path);
    let (what, reason) = match &outcome {
        Outcome::Found(found) => match wrapped(found, row.text(2)) {
            Wrapped::Json(json) => match read(&json) {
                Some(value) => return Ok(Some(value)),
                None => (4, "what is there is no array"),
            },
            Wrapped::Scalar if !path.is_lax => (4, "a strict path does not lead to an array or an object"),
            Wrapped::Scalar | Wrapped::Nothing => (3, "there is no array or object"),
        },
        Outcome::Failed(reason) => (4, *reason),
    };
    match row.text(what) {
        "NULL" => Ok(None),
        "EMPTY ARRAY" => Ok(read("[]")),
        "EMPTY OBJECT" => Ok(read("{}")),
        _ => exec_err!("JSON_QUERY: {reason}"),
    }
}

enum Wrapped {
    Json(String),
    Scalar,
    Nothing,
}

fn wrapped(found: &Found<'_>, wrapper: &str) -> Wrapped {
    let mut json = String::new();
    let (is_list, is_scalar) = match found {
        Found::Nothing => return Wrapped::Nothing,
        Found::One(raw) if !present(raw) => return Wrapped::Nothing,
        Found::One(raw) => {
            if normal(raw, &mut json).is_none() {
                return Wrapped::Nothing;
            }
            let shape = Shape::of(raw);
            (matches!(shape, Some(Shape::Array(_))), shape.is_some_and(|shape| shape.is_scalar()))
        }
        Found::Many(values) => {
            json.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                if normal(value, &mut json).is_none() {
                    return Wrapped::Nothing;
                }
            }
            json.push(']');
            (true, false)
        }
    };
    match wrapper {
        "UNCONDITIONAL" => Wrapped::Json(format!("[{json}]")),
        "CONDITIONAL" if !is_list => Wrapped::Json(format!("[{json}]")),
        _ if is_scalar => Wrapped::Scalar,
        _ => Wrapped::Json(json),
    }
}
