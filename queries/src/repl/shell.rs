//! The prompt's loop, over any [`Terminal`].

use std::io::Write;

use super::command::{Command, HELP};
use super::terminal::{Line, Terminal};
use crate::error::{Error, Result};
use crate::execute::{Options, Session, Summary};
use crate::script::{Ending, split};

const PROMPT: &str = "plamatio> ";
const CONTINUED: &str = "      ... ";
const IN_QUOTE: &str = "    quote> ";

pub(super) struct Shell<'a, W> {
    session: &'a Session,
    options: Options,
    out: &'a mut W,
    /// Lines of the statement being typed.
    typed: String,
    summary: Summary,
}

impl<'a, W: Write> Shell<'a, W> {
    pub(super) fn new(session: &'a Session, options: Options, out: &'a mut W) -> Self {
        Self { session, options, out, typed: String::new(), summary: Summary::default() }
    }

    pub(super) async fn run<T: Terminal>(mut self, terminal: &mut T) -> Result<Summary> {
        let tables = self.session.lake().tables().await?.len();
        let noun = if tables == 1 { "table" } else { "tables" };
        let url = self.session.lake().url().clone();
        self.say(&format!("{tables} {noun} in {url}\nhelp for help, \\d for the tables, \\q to leave\n"))?;
        loop {
            let prompt = match split(&self.typed).1 {
                Ending::Closed => PROMPT,
                Ending::Open => CONTINUED,
                Ending::Unterminated => IN_QUOTE,
            };
            match terminal.read_line(prompt).await? {
                Line::Text(line) => {
                    if self.typed.is_empty()
                        && let Some(command) = Command::parse(&line)
                    {
                        terminal.remember(line.trim());
                        if command == Command::Quit {
                            return Ok(self.summary);
                        }
                        self.command(command, terminal).await?;
                    } else {
                        self.line(&line, terminal).await?;
                    }
                }
                Line::Interrupted => self.typed.clear(),
                Line::End => {
                    self.say("\n")?;
                    return Ok(self.summary);
                }
            }
        }
    }

    async fn line<T: Terminal>(&mut self, line: &str, terminal: &mut T) -> Result<()> {
        if self.typed.is_empty() && line.trim().is_empty() {
            return Ok(());
        }
        self.typed.push_str(line);
        self.typed.push('\n');
        let (statements, ending) = split(&self.typed);
        if ending != Ending::Closed {
            return Ok(());
        }
        let nothing = statements.is_empty();
        let script = std::mem::take(&mut self.typed);
        if nothing {
            return Ok(());
        }
        terminal.remember(script.trim());
        self.execute(&script, terminal).await
    }

    async fn execute<T: Terminal>(&mut self, script: &str, terminal: &mut T) -> Result<()> {
        let result = tokio::select! {
            result = self.session.run(script, &self.options, self.out) => Some(result),
            () = terminal.interrupted() => None,
        };
        match result {
            Some(Ok(done)) => {
                self.summary.statements += done.statements;
                self.summary.rows += done.rows;
                Ok(())
            }
            // The terminal is gone; nothing more can be shown.
            Some(Err(error @ Error::Write { .. })) => Err(error),
            Some(Err(error)) => self.say(&format!("error: {error}\n\n")),
            None => self.say("\nstopped\n\n"),
        }
    }

    async fn command<T: Terminal>(&mut self, command: Command, terminal: &mut T) -> Result<()> {
        match command {
            Command::Quit => Ok(()),
            Command::Help => self.say(HELP),
            Command::ListTables => self.list_tables().await,
            // The name goes into the statement as typed: quotes and schemas work, and anything
            // else is refused by the parser.
            Command::Describe { table } => self.execute(&format!("DESCRIBE {table};"), terminal).await,
            Command::Timing { on } => {
                self.options.timing = on.unwrap_or(!self.options.timing);
                let state = if self.options.timing { "on" } else { "off" };
                self.say(&format!("timing is {state}\n"))
            }
            Command::Format { name } => match name.parse() {
                Ok(format) => {
                    self.options.format = format;
                    self.say(&format!("format is {format}\n"))
                }
                Err(reason) => self.say(&format!("error: {reason}\n")),
            },
            Command::Unknown { text } => {
                self.say(&format!("error: {text:?} is no command; help lists them\n"))
            }
        }
    }

    async fn list_tables(&mut self) -> Result<()> {
        let tables = self.session.lake().tables().await?;
        if tables.is_empty() {
            let url = self.session.lake().url().clone();
            return self
                .say(&format!("no tables in {url} yet; fill it with `plamatio demo` or `plamatio run`\n"));
        }
        let widest = tables.iter().map(|table| table.sql_name().chars().count()).max().unwrap_or(0);
        let lines: String =
            tables.iter().map(|table| format!(" {:widest$}  {}\n", table.sql_name(), table.kind)).collect();
        self.say(&lines)
    }

    fn say(&mut self, text: &str) -> Result<()> {
        self.out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush())
            .map_err(|source| Error::Write { source })
    }
}

#[cfg(test)]
mod tests;
