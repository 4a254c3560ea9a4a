//! Texts to arrays and maps and back: `SPLIT`, `REGEXP_EXTRACT_ALL`, `ARRAY_JOIN`, `STR_TO_MAP`.
//!
//! NULL in, NULL out. Source: Flink's documentation, "Collection Functions" and "String Functions".

use arrow::{array::AsArray, datatypes::DataType};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::ScalarUDF,
};

use super::{
    regexp,
    row::{
        Eval,
        Kind::{Any, Text, Whole},
        Row, RowFunction, TextMap, Texts,
    },
};

pub(super) fn all() -> Vec<ScalarUDF> {
    let functions = [
        RowFunction::new(
            "split",
            &[Text, Text],
            Eval::Texts(|row| Ok(Some(split(row.text(0), row.text(1))))),
        ),
        RowFunction::new("regexp_extract_all", &[Text, Text, Whole], Eval::Texts(extract_all)).optional(1),
        RowFunction::new("array_join", &[Any, Text, Text], Eval::Text(join)).optional(1).checked(texts_first),
        RowFunction::new("str_to_map", &[Text, Text, Text], Eval::TextMap(to_map)).optional(2),
    ];
    functions.into_iter().map(ScalarUDF::from).collect()
}

/// By nothing, a text is cut into its characters.
fn split(text: &str, by: &str) -> Vec<Option<String>> {
    if by.is_empty() {
        return text.chars().map(|c| Some(c.to_string())).collect();
    }
    text.split(by).map(|part| Some(part.to_owned())).collect()
}

fn extract_all(row: &Row<'_>) -> Result<Option<Texts>> {
    regexp::extract_all(row.text(0), row.text(1), if row.has(2) { row.whole(2) } else { 1 })
}

fn texts_first(given: &[DataType]) -> std::result::Result<(), &'static str> {
    match given.first() {
        Some(DataType::List(field)) if *field.data_type() == DataType::Utf8 => Ok(()),
        Some(DataType::Null) => Ok(()),
        _ => Err("takes an array of texts. cast it to ARRAY<STRING>, if that is what you mean"),
    }
}

/// NULLs are left out, or stand as the third argument.
fn join(row: &Row<'_>) -> Result<Option<String>> {
    let Some((array, at)) = row.any(0) else { return Ok(None) };
    let Some(list) = array.as_list_opt::<i32>() else { return Ok(None) };
    let elements = list.value(at);
    let Some(elements) = elements.as_string_opt::<i32>() else {
        return exec_err!("ARRAY_JOIN takes an array of texts");
    };
    let parts: Vec<&str> =
        elements.iter().filter_map(|text| text.or_else(|| row.has(2).then(|| row.text(2)))).collect();
    Ok(Some(parts.join(row.text(1))))
}

/// Pairs between regular expressions, `,` and `=` unless given. The last one of equal keys counts.
fn to_map(row: &Row<'_>) -> Result<Option<TextMap>> {
    let text = row.text(0);
    let mut map = TextMap::new();
    if text.is_empty() {
        return Ok(Some(map));
    }
    let between = if row.has(1) { row.text(1) } else { "," };
    let equals = if row.has(2) { row.text(2) } else { "=" };
    for pair in regexp::pieces(text, between, None)? {
        let parts = regexp::pieces(pair, equals, Some(2))?;
        let value = parts.get(1).map(|value| (*value).to_owned());
        let key = parts.first().copied().unwrap_or_default();
        match map.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = value,
            None => map.push((key.to_owned(), value)),
        }
    }
    Ok(Some(map))
}
