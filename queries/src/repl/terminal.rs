//! Where the prompt's lines come from.

use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};
use tracing::warn;

use crate::error::{Error, Result};

/// A line, or the key that ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Text(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the end of the input.
    End,
}

/// Gives lines and interrupts to the shell.
pub(super) trait Terminal {
    /// The next line; called again only after the one before was handled.
    async fn read_line(&mut self, prompt: &'static str) -> Result<Line>;

    /// Keeps a whole statement for the arrow keys.
    fn remember(&mut self, entry: &str);

    /// Ends when the user wants the running statement stopped; must be safe to drop.
    async fn interrupted(&mut self);
}

/// The real terminal, with history and completion.
pub(super) struct Readline {
    /// Taken while a line is read on a blocking thread.
    editor: Option<Editor<Words, DefaultHistory>>,
    history: Option<PathBuf>,
}

impl Readline {
    pub(super) fn open(history: Option<PathBuf>, tables: Vec<String>) -> Result<Self> {
        let config = Config::builder()
            .history_ignore_space(true)
            .history_ignore_dups(true)
            .map_err(terminal_error)?
            .max_history_size(10_000)
            .map_err(terminal_error)?
            .build();
        let mut editor = Editor::with_config(config).map_err(terminal_error)?;
        editor.set_helper(Some(Words { tables }));
        if let Some(path) = &history {
            match editor.load_history(path) {
                Ok(()) => {}
                Err(ReadlineError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => warn!(path = %path.display(), %error, "history cannot be read"),
            }
        }
        Ok(Self { editor: Some(editor), history })
    }

    /// Writes the history. A failure is a warning: the session's work is done.
    pub(super) fn close(&mut self) {
        let (Some(path), Some(editor)) = (&self.history, &mut self.editor) else { return };
        let kept = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .map_err(|error| error.to_string())
            .and_then(|()| editor.save_history(path).map_err(|error| error.to_string()));
        if let Err(reason) = kept {
            let error = Error::History { path: path.clone(), reason };
            warn!(%error, "history is lost");
        }
    }
}

impl Terminal for Readline {
    async fn read_line(&mut self, prompt: &'static str) -> Result<Line> {
        let Some(mut editor) = self.editor.take() else {
            return Err(Error::Terminal { reason: "a line is already being read".to_owned() });
        };
        let read = tokio::task::spawn_blocking(move || {
            let line = editor.readline(prompt);
            (editor, line)
        });
        let (editor, line) = read.await.map_err(|error| Error::Terminal { reason: error.to_string() })?;
        self.editor = Some(editor);
        match line {
            Ok(text) => Ok(Line::Text(text)),
            Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(error) => Err(terminal_error(error)),
        }
    }

    fn remember(&mut self, entry: &str) {
        if let Some(editor) = &mut self.editor
            && let Err(error) = editor.add_history_entry(entry)
        {
            warn!(%error, "statement is not kept in the history");
        }
    }

    async fn interrupted(&mut self) {
        if let Err(error) = tokio::signal::ctrl_c().await {
            warn!(%error, "Ctrl-C cannot stop a statement");
            std::future::pending::<()>().await;
        }
    }
}

fn terminal_error(error: ReadlineError) -> Error {
    Error::Terminal { reason: error.to_string() }
}

/// Completes table names and the words that start most queries.
struct Words {
    tables: Vec<String>,
}

const KEYWORDS: [&str; 14] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "HAVING",
    "COUNT(*)",
    "SUM(",
    "DESCRIBE",
    "EXPLAIN",
    "SHOW TABLES",
    "window_start",
    "window_end",
];

impl Helper for Words {}
impl Highlighter for Words {}
impl Validator for Words {}
impl Hinter for Words {
    type Hint = String;
}

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let (start, words) = complete(&line[..pos], &self.tables);
        Ok((start, words))
    }
}

fn complete(typed: &str, tables: &[String]) -> (usize, Vec<String>) {
    let start = typed
        .char_indices()
        .rev()
        .find(|(_, c)| !(c.is_alphanumeric() || matches!(c, '_' | '.')))
        .map_or(0, |(at, c)| at + c.len_utf8());
    let word = typed[start..].to_lowercase();
    if word.is_empty() {
        return (start, tables.to_vec());
    }
    let keywords = KEYWORDS.iter().map(|keyword| (*keyword).to_owned());
    let words = tables.iter().cloned().chain(keywords).filter(|name| name.to_lowercase().starts_with(&word));
    (start, words.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tab_completes_tables_and_keywords() {
        let tables = ["conversion".to_owned(), "raw.events".to_owned()];
        assert_eq!(complete("SELECT * FROM con", &tables), (14, vec!["conversion".to_owned()]));
        assert_eq!(complete("sel", &tables), (0, vec!["SELECT".to_owned()]));
        assert_eq!(complete("SELECT * FROM raw.", &tables), (14, vec!["raw.events".to_owned()]));
        assert_eq!(complete("SELECT * FROM ", &tables), (14, tables.to_vec()));
    }
}
