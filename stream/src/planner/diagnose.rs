//! DataFusion's errors with their place in the script.

use datafusion::{common::diagnostic::Diagnostic, error::DataFusionError};

use crate::{
    error::{Place, SqlError, StreamError},
    sql::tokens::lower_first,
};

/// Gives a planning error its place, where DataFusion knows it, and a remedy, where it has one.
pub(crate) fn diagnose(script: &str, tables: &[String], error: DataFusionError) -> StreamError {
    let diagnostic = error.diagnostic().cloned();
    let root = error.find_root();
    if matches!(root, DataFusionError::Internal(_)) {
        return StreamError::DataFusion(error);
    }
    let mut message = root.strip_backtrace();
    for prefix in
        ["Error during planning: ", "Schema error: ", "SQL error: ", "This feature is not implemented: "]
    {
        if let Some(rest) = message.strip_prefix(prefix) {
            message = rest.to_owned();
        }
    }
    let (message, mut help) = split_help(&message, tables);
    let place = diagnostic.as_ref().and_then(place);
    if help.is_none()
        && let Some(diagnostic) = &diagnostic
    {
        let words =
            diagnostic.notes.iter().map(|n| &n.message).chain(diagnostic.helps.iter().map(|h| &h.message));
        let text = words.map(|w| lower_first(w)).collect::<Vec<_>>().join("; ");
        help = (!text.is_empty()).then_some(text);
    }
    let error = SqlError::at(script, place, lower_first(&message));
    match help {
        Some(help) => error.with_help(help).into(),
        None => error.into(),
    }
}

fn place(diagnostic: &Diagnostic) -> Option<Place> {
    let start = diagnostic.span?.start;
    (start.line > 0).then_some(Place { line: start.line, column: start.column })
}

/// What DataFusion says in one sentence too many goes into the help.
fn split_help(message: &str, tables: &[String]) -> (String, Option<String>) {
    if message.starts_with("table '") && message.ends_with("not found") {
        let name = message.trim_start_matches("table '").split('\'').next().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or(name);
        return (format!("there is no table '{name}'"), Some(tables_help(name, tables)));
    }
    if let Some((what, fields)) = message.split_once(". Valid fields are ") {
        return (what.to_owned(), Some(format!("the columns are {}", fields.trim_end_matches('.'))));
    }
    match message.split_once(". ") {
        Some((what, rest)) if !rest.trim().is_empty() => {
            (what.to_owned(), Some(lower_first(rest.trim().trim_end_matches('.'))))
        }
        _ => (message.trim_end_matches('.').to_owned(), None),
    }
}

/// Names what exists, the nearest name first.
pub(crate) fn tables_help(name: &str, tables: &[String]) -> String {
    let nearest =
        tables.iter().min_by_key(|table| distance(name, table)).filter(|table| distance(name, table) <= 3);
    match nearest {
        Some(table) => format!("did you mean '{table}'?"),
        None if tables.is_empty() => "declare it with CREATE TABLE before it is used".to_owned(),
        None => format!("the script's tables and views are {}", tables.join(", ")),
    }
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    datafusion::common::utils::datafusion_strsim::levenshtein(a, b)
}
