//! `JSON_OBJECT`, `JSON_ARRAY` and `JSON_STRING`: values to JSON.
//!
//! The first two get as texts what is to be done with NULLs, and before each value whether it is JSON already (`JSON`),
//! or a value (`VALUE`); `sql/json_forms.rs` says so. An empty JSON text is null, and one that is no JSON ends the job.
//! A timestamp of a column is refused: whether Flink writes a `Z` behind it depends on the column's declared type.

use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, TimeUnit},
    util::display::{ArrayFormatter, FormatOptions},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::ScalarUDF,
};

use super::{
    super::row::{
        Eval,
        Kind::{Any, Text},
        Row, RowFunction,
    },
    normal, parse, quote,
};

pub(super) fn all() -> Vec<ScalarUDF> {
    let functions = [
        RowFunction::new("__json_object", &[Text, Any], Eval::Text(object)).optional(1).variadic().lenient(),
        RowFunction::new("__json_array", &[Text, Any], Eval::Text(array)).optional(1).variadic().lenient(),
        RowFunction::new("json_string", &[Any], Eval::Text(string)),
    ];
    let functions = functions.map(|function| function.checked(no_column_of_time));
    functions.into_iter().map(ScalarUDF::from).collect()
}

const OF_TIME: &str = "writes no timestamp of a column. cast it to TIMESTAMP(3) or to TIMESTAMP_LTZ(3)";

fn no_column_of_time(given: &[DataType]) -> std::result::Result<(), &'static str> {
    let is_column =
        |kind: &DataType| matches!(kind, DataType::Timestamp(_, Some(zone)) if zone.as_ref() != "+00:00");
    if given.iter().any(is_column) { Err(OF_TIME) } else { Ok(()) }
}

fn string(row: &Row<'_>) -> Result<Option<String>> {
    let mut out = String::new();
    argument(row, 0, &mut out)?;
    Ok(Some(out))
}

fn argument(row: &Row<'_>, index: usize, out: &mut String) -> Result<()> {
    match row.any(index) {
        Some((array, at)) => write(array, at, out),
        None => Ok(()),
    }
}

/// The value behind the word at `index`; false for a NULL that is to be left out.
fn value(row: &Row<'_>, index: usize, out: &mut String) -> Result<bool> {
    let is_json = row.text(index) == "JSON";
    let text = row.text(index + 1).trim();
    if row.is_null(index + 1) || (is_json && text.is_empty()) {
        out.push_str("null");
        return Ok(row.text(0) != "ABSENT");
    }
    if !is_json {
        argument(row, index + 1, out)?;
    } else if parse(text).and_then(|raw| normal(raw, out)).is_none() {
        return exec_err!("JSON({text}): this is no JSON");
    }
    Ok(true)
}

fn object(row: &Row<'_>) -> Result<Option<String>> {
    // The keys in order, and the last one of equals, as Flink has them.
    let mut fields = std::collections::BTreeMap::new();
    for index in (1..row.len()).step_by(3) {
        if row.is_null(index) {
            return exec_err!("JSON_OBJECT: a key is NULL");
        }
        let mut json = String::new();
        if value(row, index + 1, &mut json)? {
            fields.insert(row.text(index), json);
        }
    }
    let mut out = String::from("{");
    for (key, json) in fields {
        separate(&mut out);
        quote(key, &mut out);
        out.push(':');
        out.push_str(&json);
    }
    out.push('}');
    Ok(Some(out))
}

fn array(row: &Row<'_>) -> Result<Option<String>> {
    let mut out = String::from("[");
    for index in (1..row.len()).step_by(2) {
        let mut json = String::new();
        if value(row, index, &mut json)? {
            separate(&mut out);
            out.push_str(&json);
        }
    }
    out.push(']');
    Ok(Some(out))
}

fn separate(out: &mut String) {
    if out.len() > 1 {
        out.push(',');
    }
}

/// The value at `at` as JSON.
fn write(array: &dyn Array, at: usize, out: &mut String) -> Result<()> {
    if array.is_null(at) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::List(_) => {
            let elements = array.as_list::<i32>().value(at);
            out.push('[');
            for index in 0..elements.len() {
                if index > 0 {
                    out.push(',');
                }
                write(&elements, index, out)?;
            }
            out.push(']');
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let mut order: Vec<usize> = (0..fields.len()).collect();
            order.sort_by_key(|index| fields[*index].name());
            write_fields(
                out,
                order.into_iter().map(|index| (fields[index].name().as_str(), columns.column(index), at)),
            )?;
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(at);
            let keys = texts(entries.column(0))?;
            let mut order: Vec<usize> = (0..keys.len()).collect();
            order.sort_by_key(|index| &keys[*index]);
            write_fields(
                out,
                order.into_iter().map(|index| (keys[index].as_str(), entries.column(1), index)),
            )?;
        }
        DataType::Utf8 => quote(array.as_string::<i32>().value(at), out),
        DataType::Utf8View => quote(array.as_string_view().value(at), out),
        DataType::Binary => quote(&STANDARD.encode(array.as_binary::<i32>().value(at)), out),
        DataType::Timestamp(_, zone) => out.push_str(&timestamp(array, at, zone.as_deref())?),
        DataType::Boolean | DataType::Decimal128(..) => out.push_str(&display(array, at)?),
        kind if kind.is_numeric() => {
            let text = display(array, at)?;
            let is_number = text.parse::<f64>().is_ok_and(f64::is_finite);
            if is_number { out.push_str(&text) } else { quote(&text, out) }
        }
        DataType::Date32 | DataType::Time64(_) => quote(&display(array, at)?, out),
        other => return exec_err!("a value of type {other} cannot be written as JSON"),
    }
    Ok(())
}

fn write_fields<'a>(
    out: &mut String,
    fields: impl Iterator<Item = (&'a str, &'a arrow::array::ArrayRef, usize)>,
) -> Result<()> {
    out.push('{');
    for (index, (name, column, at)) in fields.enumerate() {
        if index > 0 {
            out.push(',');
        }
        quote(name, out);
        out.push(':');
        write(column, at, out)?;
    }
    out.push('}');
    Ok(())
}

fn texts(keys: &dyn Array) -> Result<Vec<String>> {
    if !matches!(keys.data_type(), DataType::Utf8 | DataType::Utf8View) {
        return exec_err!("a map whose keys are no texts cannot be written as JSON");
    }
    (0..keys.len()).map(|index| display(keys, index)).collect()
}

fn display(array: &dyn Array, at: usize) -> Result<String> {
    Ok(ArrayFormatter::try_new(array, &FormatOptions::default())?.value(at).try_to_string()?)
}

fn timestamp(array: &dyn Array, at: usize, zone: Option<&str>) -> Result<String> {
    let end = match zone {
        None => "",
        Some("+00:00") => "Z",
        Some(_) => return exec_err!("JSON {OF_TIME}"),
    };
    let micros =
        arrow::compute::cast(&array.slice(at, 1), &DataType::Timestamp(TimeUnit::Microsecond, None))?;
    let time = micros
        .as_primitive_opt::<arrow::datatypes::TimestampMicrosecondType>()
        .and_then(|m| m.value_as_datetime(0));
    let Some(time) = time else { return exec_err!("a timestamp lies outside of the calendar") };
    Ok(format!("\"{}{end}\"", time.format("%Y-%m-%dT%H:%M:%S%.f")))
}
