//! What is wrong in a SQL text, and where: what the engine's scripts and the lake's statements have in common.
//!
//! Both show a sentence, the line that it is about with a mark under the place, and what would work. What the sentence and
//! the help say is theirs; here is how a place is found in what the parser says, and how it is shown.

use std::fmt;

use datafusion::sql::sqlparser::parser::ParserError;

/// A place in a SQL text, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

impl Place {
    /// A place as parser and planner write it: zeros where they know none.
    pub fn known(line: u64, column: u64) -> Option<Self> {
        (line > 0).then_some(Place { line, column })
    }

    /// The line that it is in.
    pub fn line_in(self, text: &str) -> Option<&str> {
        text.lines().nth(usize::try_from(self.line).ok()?.checked_sub(1)?)
    }

    /// How wide its line's number is, which stands at the left of the line.
    pub fn number_width(self) -> usize {
        self.line.to_string().len()
    }

    /// Shows its line, and under it a mark below `width` characters from the place on. Both lines are preceded by a
    /// line break and the `margin`.
    ///
    /// ```text
    /// 3 | SELECT SUM(pirce) FROM events
    ///   |            ^^^^^
    /// ```
    pub fn show(self, f: &mut fmt::Formatter<'_>, margin: &str, line: &str, width: u64) -> fmt::Result {
        let before = usize::try_from(self.column.saturating_sub(1)).unwrap_or(0);
        // Tabs are repeated, so that the marks line up whatever the width of a tab.
        let space = |c: char| if c == '\t' { '\t' } else { ' ' };
        let indent: String = line.chars().map(space).chain(std::iter::repeat(' ')).take(before).collect();
        let rest = line.chars().count().saturating_sub(before).max(1);
        let marks = "^".repeat(usize::try_from(width).unwrap_or(1).clamp(1, rest));
        write!(f, "\n{margin}{} | {}", self.line, line.trim_end())?;
        write!(f, "\n{margin}{:number$} | {indent}{marks}", "", number = self.number_width())
    }
}

/// What the parser says, and the place, which it writes into its message: `… at Line: 3, Column: 7`.
pub fn parser_message(error: &ParserError) -> (&str, Option<Place>) {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => return ("the statement is nested too deeply", None),
    };
    let Some((message, at)) = text.rsplit_once(" at Line: ") else { return (text, None) };
    let parse = |number: &str| number.trim().parse().ok();
    let place = at.split_once(", Column: ").and_then(|(line, column)| Some((parse(line)?, parse(column)?)));
    match place {
        Some((line, column)) => (message, Place::known(line, column)),
        None => (text, None),
    }
}

/// Messages start in lower case; names in capitals keep theirs.
pub fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shown<'a>(Place, &'a str, u64);

    impl fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.show(f, "  ", self.1, self.2)
        }
    }

    fn show(line: u64, column: u64, text: &str, width: u64) -> String {
        Shown(Place { line, column }, text, width).to_string()
    }

    #[test]
    fn marks_stand_below_what_they_mark() {
        assert_eq!(show(3, 8, "SELECT pirce", 5), "\n  3 | SELECT pirce\n    |        ^^^^^");
        assert_eq!(show(12, 3, "\tx\u{fc}y", 1), "\n  12 | \tx\u{fc}y\n     | \t ^");
    }

    #[test]
    fn marks_end_with_the_line() {
        assert_eq!(show(1, 3, "ab", 9), "\n  1 | ab\n    |   ^");
        assert_eq!(show(1, 5, "ab", 0), "\n  1 | ab\n    |     ^");
    }

    #[test]
    fn the_parser_writes_places_into_its_messages() {
        let of = |text: &str| ParserError::ParserError(text.to_owned());
        let place = Some(Place { line: 3, column: 7 });
        assert_eq!(parser_message(&of("Expected: x at Line: 3, Column: 7")), ("Expected: x", place));
        assert_eq!(parser_message(&of("Expected: x at Line: 0, Column: 0")), ("Expected: x", None));
        assert_eq!(parser_message(&of("x at Line: y")), ("x at Line: y", None));
    }

    #[test]
    fn names_in_capitals_keep_them() {
        assert_eq!(lower_first("No column"), "no column");
        assert_eq!(lower_first("SUM of text"), "SUM of text");
        assert_eq!(lower_first("x"), "x");
    }
}
