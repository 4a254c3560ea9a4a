//! The interactive prompt, and scripts from standard input.
//!
//! [`run`] looks at standard input: a terminal gets the prompt, anything else is read to its end
//! and run as a script. Statements may span lines and end with `;`. Ctrl-C drops the statement
//! being typed, or stops the one that runs; Ctrl-D or `\q` leaves.

mod command;
mod shell;
mod terminal;

use std::io::{IsTerminal as _, Read as _, Write};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::execute::{Options, Session, Summary};

/// Rows shown at the prompt unless the caller asks otherwise.
pub const DEFAULT_ROW_LIMIT: usize = 1_000;

/// How the prompt behaves.
#[derive(Debug, Clone, Default)]
pub struct ReplOptions {
    pub run: Options,
    /// Where typed statements are kept between runs; `None` keeps none.
    pub history: Option<PathBuf>,
}

/// Runs standard input: the prompt on a terminal, else the whole input as a script.
///
/// The prompt shows errors and goes on; a script stops at its first error, which is returned.
///
/// # Errors
/// A script's first failure; [`Error::Input`] or [`Error::Terminal`] when input cannot be read.
pub async fn run<W: Write>(session: &Session, options: ReplOptions, out: &mut W) -> Result<Summary> {
    if std::io::stdin().is_terminal() {
        return prompt(session, options, out).await;
    }
    let read = tokio::task::spawn_blocking(|| {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = read
        .await
        .map_err(|error| Error::Input { source: std::io::Error::other(error) })?
        .map_err(|source| Error::Input { source })?;
    let script = String::from_utf8(bytes).map_err(|error| Error::Input {
        source: std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            format!("not UTF-8 after byte {}", error.utf8_error().valid_up_to()),
        ),
    })?;
    session.run(&script, &options.run, out).await
}

/// The prompt, whatever standard input is.
///
/// # Errors
/// [`Error::Terminal`] when the terminal fails, [`Error::Write`] when `out` does.
pub async fn prompt<W: Write>(session: &Session, options: ReplOptions, out: &mut W) -> Result<Summary> {
    let words = session.lake().tables().await?.iter().map(|table| table.sql_name()).collect();
    let mut terminal = terminal::Readline::open(options.history, words)?;
    let result = shell::Shell::new(session, options.run, out).run(&mut terminal).await;
    terminal.close();
    result
}
