//! Regular expressions in Flink's meaning: all matches are replaced by a plain text,
//! and a group is asked for by its number.
//!
//! The syntax is that of the `regex` crate, which is Java's without look-around and back references; where it
//! does not understand an expression, that is an error and not an answer.

use datafusion::{
    common::{Result, exec_datafusion_err},
    logical_expr::ScalarUDF,
};
use regex::{Captures, Regex};

use super::row::{
    Eval,
    Kind::{Text, Whole},
    Row, RowFunction,
};

pub(super) fn all() -> Vec<ScalarUDF> {
    let functions = [
        RowFunction::new("regexp_replace", &[Text, Text, Text], Eval::Text(replace)),
        RowFunction::new("regexp_extract", &[Text, Text, Whole], Eval::Text(extract)).optional(1),
        RowFunction::new("regexp_count", &[Text, Text], Eval::Int(count)),
        RowFunction::new("regexp_instr", &[Text, Text], Eval::Int(instr)),
        RowFunction::new("regexp_substr", &[Text, Text], Eval::Text(substr)),
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
        let regex = compile(pattern)
            .map_err(|_| exec_datafusion_err!("the regular expression '{pattern}' is not understood"))?;
        let answer = f(&regex);
        *last = Some((pattern.to_owned(), regex));
        Ok(answer)
    })
}

/// The replacement is a plain text: `$1` in it is no group.
fn replace(row: &Row<'_>) -> Result<Option<String>> {
    let text = row.text(0);
    with(row.text(1), |regex| {
        let (mut out, mut kept) = (String::with_capacity(text.len()), 0);
        for found in (Matches { regex, text, from: 0 }).filter_map(|found| found.get(0)) {
            out.push_str(&text[kept..found.start()]);
            out.push_str(row.text(2));
            kept = found.end();
        }
        out.push_str(&text[kept..]);
        Some(out)
    })
}

fn extract(row: &Row<'_>) -> Result<Option<String>> {
    let group = usize::try_from(row.whole(2)).unwrap_or(usize::MAX);
    with(row.text(1), |regex| {
        regex.captures(row.text(0)).and_then(|found| found.get(group)).map(|group| group.as_str().to_owned())
    })
}

/// An expression as Java reads it.
pub(super) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&translated(pattern))
}

/// Java's `\d`, `\w`, `\s` and their opposites are of ASCII, the engine's of Unicode; Java's `.` stops at more ends of
/// lines.
fn translated(pattern: &str) -> std::borrow::Cow<'_, str> {
    if !pattern.contains(['\\', '.']) {
        return pattern.into();
    }
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars();
    let mut depth = 0_usize;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => out.push_str(r"[ \t\n\x0B\f\r]"),
                Some('S') => out.push_str(r"[^ \t\n\x0B\f\r]"),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '.' if depth == 0 => out.push_str(r"[^\n\r\x{85}\x{2028}\x{2029}]"),
            _ => {
                match c {
                    '[' => depth += 1,
                    ']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                out.push(c);
            }
        }
    }
    out.into()
}

/// All matches, one after another as Java finds them: a match of nothing may stand right behind another match, where
/// the engine's own iteration leaves it out.
struct Matches<'r, 't> {
    regex: &'r Regex,
    text: &'t str,
    from: usize,
}

impl<'t> Iterator for Matches<'_, 't> {
    type Item = Captures<'t>;

    fn next(&mut self) -> Option<Captures<'t>> {
        if self.from > self.text.len() {
            return None;
        }
        let found = self.regex.captures_at(self.text, self.from)?;
        let whole = found.get(0)?;
        let behind = self.text[whole.end()..].chars().next().map_or(1, char::len_utf8);
        self.from = whole.end() + if whole.is_empty() { behind } else { 0 };
        Some(found)
    }
}

/// As [`with`], but NULL for an expression that is none in Java either. What only the engine lacks is an error.
fn with_valid<T>(pattern: &str, f: impl FnOnce(&Regex) -> Option<T>) -> Result<Option<T>> {
    const NONE_ANYWHERE: [&str; 4] = [
        "unclosed group",
        "unopened group",
        "unclosed character class",
        "repetition operator missing expression",
    ];
    match with(pattern, f) {
        Ok(answer) => Ok(answer),
        Err(error) => match compile(pattern) {
            Err(reason) if NONE_ANYWHERE.iter().any(|text| reason.to_string().contains(text)) => Ok(None),
            _ => Err(error),
        },
    }
}

fn count(row: &Row<'_>) -> Result<Option<i32>> {
    with_valid(row.text(1), |regex| i32::try_from(Matches { regex, text: row.text(0), from: 0 }.count()).ok())
}

/// Where the first match starts, counted from 1; 0 where there is none.
fn instr(row: &Row<'_>) -> Result<Option<i32>> {
    let text = row.text(0);
    with_valid(row.text(1), |regex| match regex.find(text) {
        Some(found) => i32::try_from(text[..found.start()].chars().count() + 1).ok(),
        None => Some(0),
    })
}

fn substr(row: &Row<'_>) -> Result<Option<String>> {
    with_valid(row.text(1), |regex| regex.find(row.text(0)).map(|found| found.as_str().to_owned()))
}

/// The given group, or the first one, of all matches; NULL for a group that the expression has not.
pub(super) fn extract_all(text: &str, pattern: &str, group: i64) -> Result<Option<Vec<Option<String>>>> {
    let Ok(group) = usize::try_from(group) else { return Ok(None) };
    with_valid(pattern, |regex| {
        (group < regex.captures_len()).then(|| {
            Matches { regex, text, from: 0 }
                .map(|found| found.get(group).map(|part| part.as_str().to_owned()))
                .collect()
        })
    })
}

/// The pieces between matches; up to `most` of them.
pub(super) fn pieces<'a>(text: &'a str, pattern: &str, most: Option<usize>) -> Result<Vec<&'a str>> {
    with(pattern, |regex| {
        let (mut pieces, mut start) = (Vec::new(), 0);
        for found in (Matches { regex, text, from: 0 }).filter_map(|found| found.get(0)) {
            // Nothing stands before a match of nothing at the start.
            if found.end() == 0 {
                continue;
            }
            if most.is_some_and(|most| pieces.len() + 1 >= most) {
                break;
            }
            pieces.push(&text[start..found.start()]);
            start = found.end();
        }
        pieces.push(&text[start..]);
        pieces
    })
}
