//! The error type of the crate.
//!
//! [`Error::Statement`] carries a [`StatementError`], whose `Display` is the whole rendering with
//! the source line and a caret; the other variants are one line each.

use std::path::PathBuf;
use std::time::Duration;

use datafusion::error::DataFusionError;

use crate::statement_error::StatementError;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between an analyst and the lake.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lake's address is not a path or URL that can be read.
    #[error("lake {uri:?} cannot be opened: {reason}")]
    OpenLake { uri: String, reason: String },

    /// The lake's folder could not be listed.
    #[error("lake {uri} cannot be listed: {source}; check that it exists and is readable")]
    ListLake {
        uri: String,
        #[source]
        source: object_store::Error,
    },

    /// One table cannot be read; the others still can.
    #[error("table {table:?} cannot be read: {reason}; {remedy}")]
    OpenTable { table: String, reason: String, remedy: String },

    /// A statement failed; displays with line, column, source line, caret and hints.
    #[error("{0}")]
    Statement(Box<StatementError>),

    /// A statement ran longer than [`crate::Options::timeout`].
    #[error(
        "statement at line {line} was stopped after {}: raise the timeout or read less (a filter on window_start skips files)",
        seconds(.after)
    )]
    Timeout { line: u64, after: Duration },

    /// The result could not be written.
    #[error("result cannot be written: {source}")]
    Write {
        #[source]
        source: std::io::Error,
    },

    /// A result column has a type that the output format cannot hold.
    #[error("result cannot be written as {format}: {reason}")]
    Encode { format: &'static str, reason: String },

    /// Standard input or the terminal failed.
    #[error("input cannot be read: {source}")]
    Input {
        #[source]
        source: std::io::Error,
    },

    /// The prompt's terminal failed.
    #[error("terminal failed: {reason}; pipe the SQL through standard input instead")]
    Terminal { reason: String },

    /// The prompt's history could not be kept.
    #[error("history file {} cannot be written: {reason}", path.display())]
    History { path: PathBuf, reason: String },

    /// No report of that name.
    #[error("report {name:?} does not exist; reports: {known}")]
    UnknownReport { name: String, known: String },

    /// A report's time zone is not a plain zone name.
    #[error("time zone {zone:?} is not a zone name; use one such as 'UTC' or 'Europe/Paris'")]
    Zone { zone: String },
}

impl Error {
    /// True when the reader of the result went away (`plamatio sql ... | head`): not worth a message.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write { source } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// True when the fault is in the SQL text or an argument rather than in the lake or the system.
    pub fn is_user_error(&self) -> bool {
        match self {
            Self::Statement(error) => error.is_user_error(),
            Self::OpenLake { .. } | Self::UnknownReport { .. } | Self::Zone { .. } => true,
            _ => false,
        }
    }
}

/// Lets a table error travel through DataFusion and be found again by the renderer.
impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

fn seconds(duration: &Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
