//! DataFusion's errors with their place in the script.

use datafusion::error::DataFusionError;
use diagnostics::{Place, lower_first};

use crate::error::{SqlError, StreamError};

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
    let span = diagnostic.as_ref().and_then(|diagnostic| diagnostic.span);
    let place = span.and_then(|span| Place::known(span.start.line, span.start.column));
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

/// What DataFusion says in one sentence too many goes into the help.
fn split_help(message: &str, tables: &[String]) -> (String, Option<String>) {
    if message.starts_with("table '") && message.ends_with("not found") {
        let name = message.trim_start_matches("table '").split('\'').next().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or(name);
        return (format!("there is no table '{name}'"), Some(tables_help(name, tables)));
    }
    if let Some(name) = message.strip_prefix("No field named ") {
        let split = name.split_once(". ").or_else(|| name.split_once(".\n"));
        let (name, rest) = split.unwrap_or((name.trim_end_matches('.'), ""));
        let (guess, fields) = match rest.split_once("Valid fields are ") {
            Some((guess, fields)) => (guess.trim(), Some(fields.trim_end_matches('.'))),
            None => (rest.trim().trim_end_matches('.'), None),
        };
        let mut help: Vec<String> = Vec::new();
        help.extend((!guess.is_empty()).then(|| lower_first(guess)));
        help.extend(fields.map(|fields| format!("the columns are {fields}")));
        return (format!("there is no column '{name}'"), (!help.is_empty()).then(|| help.join(" ")));
    }
    if message.starts_with("Schema contains qualified field name")
        && let Some(name) =
            ["window_start", "window_end", "window_time"].iter().find(|name| message.contains(*name))
    {
        let help = format!("give it another name below: SELECT {name} AS inner_{name}, …");
        return (format!("the rows of this window function have a column '{name}' already"), Some(help));
    }
    if let Some((what, guess)) = message.split_once(".\nDid you mean ") {
        return (what.to_owned(), Some(format!("did you mean {guess}")));
    }
    if let Some((_, rest)) = message.split_once("No function matches the given name and argument types '")
        && let Some((call, rest)) = rest.split_once('\'')
    {
        let (_, candidates) = rest.split_once("Candidate functions:").unwrap_or_default();
        let candidates =
            candidates.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
        let help = (!candidates.is_empty()).then(|| format!("there are {}", candidates.join(", ")));
        return (format!("there is no function {call}"), help);
    }
    if let Some((_, rest)) = message.split_once("While expanding wildcard, column \"")
        && let Some((name, _)) = rest.split_once("\" must appear in the GROUP BY clause")
    {
        return (format!("column '{name}' is neither grouped by nor aggregated"), None);
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
