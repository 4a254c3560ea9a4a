//! Paths into JSON: `lax $.a.b[0]`, `strict $['a b'][*]`.
//!
//! Without a word in front a path is strict. Understood are fields (`.name`, `['name']`, `["name"]`), places in an array
//! counted from 0, and `*` for all of them; filters, slices, functions and `..` are refused.

use datafusion::common::{Result, exec_err};
use serde_json::value::RawValue;

use super::Shape;

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Place(i64),
    All,
}

#[derive(Debug)]
pub(super) struct Path {
    pub(super) is_lax: bool,
    steps: Vec<Step>,
}

/// What a path leads to.
pub(super) enum Found<'a> {
    One(&'a RawValue),
    /// A path with a `*` leads to a list.
    Many(Vec<&'a RawValue>),
    /// Nothing is there.
    Nothing,
}

impl Path {
    pub(super) fn parse(text: &str) -> Result<Path> {
        let trimmed = text.trim();
        let mode = |word: &str| {
            let (first, rest) = trimmed.split_at_checked(word.len())?;
            (first.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace))
                .then(|| rest.trim_start())
        };
        let (is_lax, path) = match (mode("lax"), mode("strict")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => (false, trimmed),
        };
        match path.strip_prefix('$').and_then(steps) {
            Some(steps) => Ok(Path { is_lax, steps }),
            None => exec_err!(
                "the JSON path '{text}' is not understood. it has fields, places in arrays and *, as in 'lax $.a.b[0]'"
            ),
        }
    }

    fn is_definite(&self) -> bool {
        !self.steps.contains(&Step::All)
    }

    /// Follows the path. A lax path with a `*` that leads nowhere leads to an empty list.
    pub(super) fn follow<'a>(&self, root: &'a RawValue) -> Found<'a> {
        let mut here = vec![root];
        let mut behind_all = false;
        for step in &self.steps {
            let mut next = Vec::new();
            for value in here {
                match (step, Shape::of(value)) {
                    (Step::Field(name), Some(Shape::Object(mut fields))) => next.extend(fields.remove(name)),
                    (Step::Place(place), Some(Shape::Array(elements))) => {
                        let from_end = i64::try_from(elements.len()).unwrap_or(i64::MAX);
                        let place = if *place < 0 { from_end + place } else { *place };
                        next.extend(
                            usize::try_from(place).ok().and_then(|place| elements.get(place).copied()),
                        );
                    }
                    (Step::All, Some(Shape::Array(elements))) => next.extend(elements),
                    (Step::All, Some(Shape::Object(fields))) => next.extend(fields.into_values()),
                    _ => {}
                }
            }
            // Behind a `*` some values may lack what is asked for; before it that is nothing at all.
            if next.is_empty() && !behind_all && *step != Step::All {
                return if self.is_lax && !self.is_definite() {
                    Found::Many(Vec::new())
                } else {
                    Found::Nothing
                };
            }
            behind_all |= *step == Step::All;
            here = next;
        }
        match here.as_slice() {
            [one] if self.is_definite() => Found::One(one),
            _ => Found::Many(here),
        }
    }
}

fn steps(mut rest: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let dotted = rest.strip_prefix('.');
        let after = dotted.unwrap_or(rest);
        if let Some(inner) = after.strip_prefix('[') {
            let (step, after) = bracket(inner.trim_start())?;
            steps.push(step);
            rest = after;
        } else {
            let name = dotted?;
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, after) = name.split_at(end);
            let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '@' | ':' | '/');
            steps.push(match name {
                "*" => Step::All,
                "" => return None,
                name if name.chars().all(is_plain) => Step::Field(name.to_owned()),
                _ => return None,
            });
            rest = after;
        }
    }
    Some(steps)
}

/// What stands in brackets, and what stands behind them.
fn bracket(inner: &str) -> Option<(Step, &str)> {
    let quote = inner.chars().next().filter(|c| matches!(c, '\'' | '"'));
    if let Some(quote) = quote {
        let mut name = String::new();
        let mut chars = inner.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            if c == quote {
                let after = inner[at + 1..].trim_start().strip_prefix(']')?;
                return Some((Step::Field(name), after));
            }
            name.push(if c == '\\' { chars.next()?.1 } else { c });
        }
        return None;
    }
    let (word, after) = inner.split_once(']')?;
    let word = word.trim();
    let step = if word == "*" { Step::All } else { Step::Place(word.parse().ok()?) };
    Some((step, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_made_of_fields_and_places() {
        let field = |name: &str| Step::Field(name.to_owned());
        let path = Path::parse("LAX $.a['b c'][2].*[*].[\"d\"]").unwrap();
        assert!(path.is_lax);
        assert_eq!(path.steps, [field("a"), field("b c"), Step::Place(2), Step::All, Step::All, field("d")]);
        assert!(!Path::parse("$").unwrap().is_lax);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for path in ["", "a.b", "$..a", "$.a[?(@.b)]", "$[1:2]", "$.a.length()", "$['a"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}
