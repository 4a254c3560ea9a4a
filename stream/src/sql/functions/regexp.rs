//! Regular expressions in Flink's meaning: all matches are replaced by a plain text,
//! and a group is asked for by its number.
//!
//! The syntax is that of the `regex` crate, which is Java's without look-around and back references; where it
//! does not understand an expression, that is an error and not an answer.

use datafusion::{
    common::{Result, exec_datafusion_err},
    logical_expr::ScalarUDF,
};
use regex::{NoExpand, Regex};

use super::row::{
    Eval,
    Kind::{Text, Whole},
    Row, RowFunction,
};

pub(super) fn all() -> Vec<ScalarUDF> {
    let functions = [
        RowFunction::new("regexp_replace", &[Text, Text, Text], Eval::Text(replace)),
        RowFunction::new("regexp_extract", &[Text, Text, Whole], Eval::Text(extract)).optional(1),
        RowFunction::new(
            "regexp",
            &[Text, Text],
            Eval::Bool(|row| with(row.text(1), |regex| Some(regex.is_match(row.text(0))))),
        ),
    ];
    functions.into_iter().map(ScalarUDF::from).collect()
}

thread_local! {
    /// The last expression: it is the same for all rows, nearly always.
    static LAST: std::cell::RefCell<Option<(String, Regex)>> = const { std::cell::RefCell::new(None) };
}

fn with<T>(pattern: &str, f: impl FnOnce(&Regex) -> T) -> Result<T> {
    LAST.with_borrow_mut(|last| {
        if let Some((known, regex)) = last
            && known == pattern
        {
            return Ok(f(regex));
        }
        let regex = Regex::new(pattern)
            .map_err(|_| exec_datafusion_err!("the regular expression '{pattern}' is not understood"))?;
        let answer = f(&regex);
        *last = Some((pattern.to_owned(), regex));
        Ok(answer)
    })
}

/// The replacement is a plain text: `$1` in it is no group.
fn replace(row: &Row<'_>) -> Result<Option<String>> {
    with(row.text(1), |regex| Some(regex.replace_all(row.text(0), NoExpand(row.text(2))).into_owned()))
}

fn extract(row: &Row<'_>) -> Result<Option<String>> {
    let group = usize::try_from(row.whole(2)).unwrap_or(usize::MAX);
    with(row.text(1), |regex| {
        regex.captures(row.text(0)).and_then(|found| found.get(group)).map(|group| group.as_str().to_owned())
    })
}
