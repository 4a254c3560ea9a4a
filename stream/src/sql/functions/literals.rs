//! Patterns and regular expressions that stand in a script as they are: what is wrong with one is said when the script
//! is planned, and not by the first row.

use super::{pattern, regexp};

/// What is wrong with a literal argument, counted from 0, of a function; `None` where nothing is, or where it may be any.
pub(crate) fn mistake(function: &str, argument: usize, literal: &str) -> Option<String> {
    match (function, argument) {
        ("DATE_FORMAT" | "FROM_UNIXTIME", 1) => pattern::mistake(literal, false),
        ("TO_TIMESTAMP" | "TO_DATE" | "UNIX_TIMESTAMP", 1) => pattern::mistake(literal, true),
        ("REGEXP" | "REGEXP_REPLACE" | "REGEXP_EXTRACT", 1) => regexp::compile(literal).err().map(|error| {
            // The last line says what it is; those before draw an arrow.
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("the regular expression '{literal}' is not understood. {reason}")
        }),
        _ => None,
    }
}
