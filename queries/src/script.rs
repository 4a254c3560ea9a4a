//! Splits SQL text into statements.
//!
//! The SQL tokenizer decides where a statement ends, so a `;` in a string, a quoted name or a
//! comment does not. Each [`Statement`] keeps its place in the text, for error messages.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// One statement of a script, without its `;` and without comments around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    pub text: &'a str,
    /// Line of the script in which the statement starts, from 1.
    pub line: u64,
    /// Column in that line, in characters, from 1.
    pub column: u64,
}

/// How a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Empty, or the last statement is closed by `;`.
    Closed,
    /// The last statement has no `;` yet.
    Open,
    /// A quote or a comment is not closed.
    Unterminated,
}

/// The statements of `text` in order, and how it ends.
///
/// Text that the tokenizer refuses (an unclosed quote) goes to the last statement as it is, so that
/// parsing it reports the place.
pub fn split(text: &str) -> (Vec<Statement<'_>>, Ending) {
    let mut tokens = Vec::new();
    let refused =
        Tokenizer::new(&GenericDialect {}, text).tokenize_with_location_into_buf(&mut tokens).is_err();

    let places = Places::new(text);
    let mut statements = Vec::new();
    let mut current: Option<(Location, usize)> = None;
    let mut closed = true;
    for TokenWithSpan { token, span } in tokens {
        match token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => {
                statements.extend(current.take().map(|(start, end)| places.statement(start, end)));
                closed = true;
            }
            _ => {
                let start = current.map_or(span.start, |(start, _)| start);
                current = Some((start, places.offset(span.end)));
                closed = false;
            }
        }
    }
    if refused {
        let start = current.map(|(start, _)| start).or_else(|| places.first_after(statements.last()));
        statements.extend(start.map(|start| places.statement(start, text.len())));
        return (statements, Ending::Unterminated);
    }
    statements.extend(current.map(|(start, end)| places.statement(start, end)));
    (statements, if closed { Ending::Closed } else { Ending::Open })
}

/// Turns the tokenizer's lines and columns into byte offsets.
struct Places<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, line_starts: std::iter::once(0).chain(breaks).collect() }
    }

    fn offset(&self, place: Location) -> usize {
        let line = usize::try_from(place.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let column = usize::try_from(place.column.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(start) = self.line_starts.get(line) else { return self.text.len() };
        let rest = &self.text[*start..];
        rest.char_indices().nth(column).map_or(self.text.len(), |(at, _)| start + at)
    }

    fn statement(&self, start: Location, end: usize) -> Statement<'a> {
        Statement {
            text: self.text[self.offset(start)..end].trim_end(),
            line: start.line,
            column: start.column,
        }
    }

    /// Where the text after the last statement's `;` begins.
    fn first_after(&self, last: Option<&Statement<'a>>) -> Option<Location> {
        let from = match last {
            Some(last) => {
                let end = last.text.as_ptr() as usize - self.text.as_ptr() as usize + last.text.len();
                end + self.text[end..].find(';')? + 1
            }
            None => 0,
        };
        let at = from + self.text[from..].find(|c: char| !c.is_whitespace())?;
        let line = self.line_starts.partition_point(|start| *start <= at);
        let column = self.text[self.line_starts[line - 1]..at].chars().count() + 1;
        Some(Location::new(line as u64, column as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> (Vec<&str>, Ending) {
        let (statements, ending) = split(text);
        (statements.iter().map(|statement| statement.text).collect(), ending)
    }

    #[test]
    fn semicolons_inside_quotes_and_comments_do_not_split() {
        let script = "SELECT ';', \";\" -- one; two\n FROM t; /* a; b */ SELECT 2;";
        assert_eq!(
            texts(script),
            (vec!["SELECT ';', \";\" -- one; two\n FROM t", "SELECT 2"], Ending::Closed)
        );
    }

    #[test]
    fn places_count_characters() {
        let (statements, _) = split("SELECT 'é'; SELECT\n 2;\n\n  SELECT 3");
        let places: Vec<_> =
            statements.iter().map(|statement| (statement.text, statement.line, statement.column)).collect();
        assert_eq!(places, [("SELECT 'é'", 1, 1), ("SELECT\n 2", 1, 13), ("SELECT 3", 4, 3)]);
    }

    #[test]
    fn empty_statements_vanish() {
        assert_eq!(texts(";; -- nothing\n ;"), (vec![], Ending::Closed));
        assert_eq!(texts(""), (vec![], Ending::Closed));
    }

    #[test]
    fn endings_are_told_apart() {
        assert_eq!(texts("SELECT 1").1, Ending::Open);
        assert_eq!(texts("SELECT 1; SELECT 'a"), (vec!["SELECT 1", "SELECT 'a"], Ending::Unterminated));
        assert_eq!(texts("SELECT 1; 'a"), (vec!["SELECT 1", "'a"], Ending::Unterminated));
        assert_eq!(texts("SELECT /* a").1, Ending::Unterminated);
        assert_eq!(texts("SELECT 1 -- ;").1, Ending::Open);
    }
}
