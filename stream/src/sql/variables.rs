//! `${name}` and `${name:-default}` in a script, filled from `--set name=value`.
//!
//! A default may hold variables itself. Substitution is textual and happens before anything else, as in a shell; a name without value and default
//! is an error, and so is a value that no place asks for (it is nearly always a misspelling).

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::Place;

use crate::error::SqlError;

/// Fills the variables of `script`.
pub(crate) fn substitute(script: &str, values: &BTreeMap<String, String>) -> Result<String, SqlError> {
    let mut used = BTreeSet::new();
    let out = fill(script, script, values, &mut used)?;
    match values.keys().find(|name| !used.contains(*name)) {
        None => Ok(out),
        Some(unused) => {
            let known = if used.is_empty() {
                "the script has no variables".to_owned()
            } else {
                format!("the script's variables: {}", used.into_iter().collect::<Vec<_>>().join(", "))
            };
            Err(SqlError::at(script, None, format!("--set {unused}: the script does not use '{unused}'"))
                .with_help(known))
        }
    }
}

/// The names of a script's variables, those in defaults of others too.
pub fn names(script: &str) -> BTreeSet<String> {
    let starts = script.match_indices("${").map(|(index, _)| &script[index + 2..]);
    let name = |rest: &str| rest.split(['}', ':']).next().unwrap_or_default().to_owned();
    starts.map(name).collect()
}

/// Fills the variables of `text`, a part of `script`; the default of a variable may hold variables.
fn fill(
    script: &str,
    text: &str,
    values: &BTreeMap<String, String>,
    used: &mut BTreeSet<String>,
) -> Result<String, SqlError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, tail) = rest.split_at(start);
        out.push_str(before);
        let place = place_of(script, tail);
        let Some(end) = closing_brace(tail) else {
            return Err(SqlError::at(script, place, "a variable is not closed")
                .with_help("write ${name} or ${name:-default}"));
        };
        let inside = &tail[2..end];
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.') {
            return Err(SqlError::at(script, place, format!("'{name}' is not a variable name"))
                .with_help("write ${name} or ${name:-default}"));
        }
        used.insert(name.to_owned());
        match (values.get(name), default) {
            (Some(value), _) => out.push_str(value),
            (None, Some(default)) => out.push_str(&fill(script, default, values, used)?),
            (None, None) => {
                return Err(SqlError::at(script, place, format!("variable '{name}' has no value"))
                    .with_help(format!("run with --set {name}=VALUE")));
            }
        }
        rest = &tail[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The brace that closes the variable at the start of `text`.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((index, byte)) = bytes.next() {
        if byte == b'$' && bytes.peek().is_some_and(|(_, next)| *next == b'{') {
            bytes.next();
            depth += 1;
        } else if byte == b'}' {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(index);
            }
        }
    }
    None
}

/// Line and column at which `part`, a slice of `text`, begins.
fn place_of(text: &str, part: &str) -> Option<Place> {
    let index = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let before = text.get(..index)?;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Some(Place { line: u64::try_from(line).ok()?, column: u64::try_from(column).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn values_and_defaults() {
        let script = "a = ${a}, b = ${b:-two}";
        assert_eq!(substitute(script, &values(&[("a", "1")])).unwrap(), "a = 1, b = two");
        assert_eq!(substitute(script, &values(&[("a", "1"), ("b", "2")])).unwrap(), "a = 1, b = 2");
        let nested = "${all:-x = ${one:-1}, y = ${two:-2}};";
        assert_eq!(substitute(nested, &values(&[("two", "3")])).unwrap(), "x = 1, y = 3;");
        assert_eq!(substitute(nested, &values(&[("all", "z")])).unwrap(), "z;");
    }

    #[test]
    fn a_missing_value_names_its_place() {
        let error = substitute("SELECT 1;\n  SELECT ${x}", &values(&[])).unwrap_err();
        insta::assert_snapshot!(error, @r"
        variable 'x' has no value
          at line 2, column 10
          2 |   SELECT ${x}
            |          ^
          help: run with --set x=VALUE
        ");
    }

    #[test]
    fn a_value_that_nothing_uses_is_an_error() {
        let error = substitute("SELECT ${a:-1}", &values(&[("aa", "1")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--set aa: the script does not use 'aa'\n  help: the script's variables: a"
        );
    }
}
