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

use diagnostics::Place;

/// A statement's error with its place and what would work.
#[derive(Debug)]
pub struct StatementError {
    /// One sentence, lower case, no final stop.
    pub message: String,
    /// Where, when that is known.
    pub excerpt: Option<Excerpt>,
    /// What would work, best first.
    pub hints: Vec<String>,
    /// Whether the statement has to change; else the lake or the system failed.
    pub(crate) user: bool,
}

/// A place in the script, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// Where it begins.
    pub place: Place,
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
        if let Some(Excerpt { place, width, source }) = &self.excerpt {
            gutter = place.number_width();
            write!(f, "\n{:gutter$}--> line {}, column {}", " ", place.line, place.column)?;
            write!(f, "\n{:gutter$} |", " ")?;
            place.show(f, "", source, *width)?;
        }
        for hint in &self.hints {
            write!(f, "\n{:gutter$} = {hint}", " ")?;
        }
        Ok(())
    }
}

impl std::error::Error for StatementError {}
