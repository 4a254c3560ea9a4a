//! What can go wrong, who can mend it, and the words for it.

use std::{fmt, sync::Arc};

use datafusion::error::DataFusionError;
use diagnostics::Place;

/// Who has to act on an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The script, its options or its data: change them.
    User,
    /// A service, a disk or the network: mend it and start again.
    External,
    /// A defect of the engine: report it.
    Internal,
}

/// Any failure of the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The script is wrong, at a place that can be shown.
    #[error("{0}")]
    Sql(SqlError),

    /// A required option is absent.
    #[error("table {table}: option '{option}' is missing; add '{option}' = '…' to its WITH (…)")]
    MissingOption {
        /// The table.
        table: String,
        /// The option's name.
        option: String,
    },

    /// An option has a value that cannot be used.
    #[error("table {table}: option '{option}' = '{value}' is not {expected}")]
    BadOption {
        /// The table.
        table: String,
        /// The option's name.
        option: String,
        /// What was given.
        value: String,
        /// What would be right.
        expected: String,
    },

    /// An option that the connector does not understand.
    #[error("table {table}: unknown option '{option}'; it understands: {}", known.join(", "))]
    UnknownOption {
        /// The table.
        table: String,
        /// The option's name.
        option: String,
        /// The names that were understood.
        known: Vec<String>,
    },

    /// A source or sink cannot do its work.
    #[error("table {table}: {problem}")]
    Connector {
        /// The table.
        table: String,
        /// What happened, with what to look at.
        problem: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },

    /// DataFusion refused or failed; planning errors are turned into [`StreamError::Sql`] where their place
    /// is known.
    #[error("{0}")]
    DataFusion(#[from] DataFusionError),

    /// A state file cannot be written or read.
    #[error("state in {path}: {problem}")]
    State {
        /// The file or folder.
        path: String,
        /// What happened, with what to do.
        problem: String,
    },

    /// The engine contradicts itself.
    #[error("internal error: {problem}; please report it with the script")]
    Internal {
        /// What was found.
        problem: String,
    },
}

impl StreamError {
    /// A connector's failure without a deeper cause.
    pub fn connector(table: impl Into<String>, problem: impl Into<String>) -> Self {
        StreamError::Connector { table: table.into(), problem: problem.into(), source: None }
    }

    /// A connector's failure with its cause; the message should not repeat the cause.
    pub fn connector_caused(
        table: impl Into<String>,
        problem: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        StreamError::Connector {
            table: table.into(),
            problem: problem.into(),
            source: Some(Arc::new(source)),
        }
    }

    /// A contradiction within the engine.
    pub fn internal(problem: impl Into<String>) -> Self {
        StreamError::Internal { problem: problem.into() }
    }

    /// Who has to act.
    pub fn fault(&self) -> Fault {
        match self {
            StreamError::Sql(_)
            | StreamError::MissingOption { .. }
            | StreamError::BadOption { .. }
            | StreamError::UnknownOption { .. } => Fault::User,
            StreamError::Connector { .. } | StreamError::State { .. } => Fault::External,
            StreamError::DataFusion(error) => match error.find_root() {
                DataFusionError::Internal(_) => Fault::Internal,
                DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) => Fault::External,
                _ => Fault::User,
            },
            StreamError::Internal { .. } => Fault::Internal,
        }
    }
}

impl From<arrow::error::ArrowError> for StreamError {
    fn from(error: arrow::error::ArrowError) -> Self {
        StreamError::DataFusion(error.into())
    }
}

/// An error in a script, with its place and a remedy.
///
/// Displayed as compilers do:
///
/// ```text
/// no column 'pirce' in table events
///   at line 3, column 12
///   3 | SELECT SUM(pirce) FROM events
///     |            ^
///   help: did you mean 'price'?
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// What is wrong, lower case, no final stop.
    pub message: String,
    /// Line and column, from 1, where known.
    pub(crate) place: Option<Place>,
    /// The text of that line.
    pub(crate) line_text: Option<String>,
    /// What would work.
    pub(crate) help: Option<String>,
}

impl SqlError {
    /// An error at `place` in `script`.
    pub fn at(script: &str, place: Option<Place>, message: impl Into<String>) -> Self {
        let line_text = place.and_then(|place| place.line_in(script)).map(str::to_owned);
        SqlError { message: message.into(), place, line_text, help: None }
    }

    /// The same error with a remedy.
    #[must_use]
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<SqlError> for StreamError {
    fn from(error: SqlError) -> Self {
        StreamError::Sql(error)
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(place) = self.place {
            write!(f, "\n  at line {}, column {}", place.line, place.column)?;
            if let Some(text) = &self.line_text {
                place.show(f, "  ", text, 1)?;
            }
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}
