//! Errors of a statement, rendered for the person who wrote it.
//!
//! [`StatementError`] displays as
//!
//! ```text
//! table "conversions" does not exist
//!  --> line 1, column 15
//!   |
//! 1 | SELECT * FROM conversions
//!   |               ^^^^^^^^^^^
//!   = did you mean "conversion"?
//!   = tables: cart_abandonment, conversion, top_products
//! ```
//!
//! Where it comes from: [`diagnose`](crate::diagnose).

use std::fmt;

/// A statement's error with its place and what would work.
#[derive(Debug)]
pub struct StatementError {
    /// One sentence, lower case, no final stop.
    pub message: String,
    /// Where, when that is known.
    pub place: Option<Place>,
    /// What would work, best first.
    pub hints: Vec<String>,
    /// Whether the statement has to change; else the lake or the system failed.
    pub(crate) user: bool,
}

/// A place in the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// Length in characters, at least 1.
    pub width: u64,
    /// The text of that line.
    pub source: String,
}

impl StatementError {
    /// True when the statement has to change; false when the lake or the system failed.
    pub fn is_user_error(&self) -> bool {
        self.user
    }
}

impl fmt::Display for StatementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        let mut gutter = 1;
        if let Some(Place { line, column, width, source }) = &self.place {
            let number = line.to_string();
            gutter = number.len();
            // The caret line repeats tabs, so that it lines up whatever their width.
            let before = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
            let indent: String =
                source.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let rest = source.chars().count().saturating_sub(before).max(1);
            let carets = "^".repeat(usize::try_from(*width).unwrap_or(1).clamp(1, rest));
            write!(f, "\n{:gutter$}--> line {line}, column {column}", " ")?;
            write!(f, "\n{:gutter$} |", " ")?;
            write!(f, "\n{number} | {}", source.trim_end())?;
            write!(f, "\n{:gutter$} | {indent}{carets}", " ")?;
        }
        for hint in &self.hints {
            write!(f, "\n{:gutter$} = {hint}", " ")?;
        }
        Ok(())
    }
}

impl std::error::Error for StatementError {}
