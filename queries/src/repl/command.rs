//! What a line at the prompt asks for, apart from SQL.

/// A command of the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Quit,
    Help,
    ListTables,
    Describe {
        table: String,
    },
    /// `None` turns it over.
    Timing {
        on: Option<bool>,
    },
    Format {
        name: String,
    },
    Unknown {
        text: String,
    },
}

pub(super) const HELP: &str = r"SQL ends with ; and may span lines. The lake is read-only.
  \d                  list the tables
  \d NAME             describe a table
  \timing [on|off]    show how long each statement took
  \format NAME        table, json or csv
  \q                  leave (also Ctrl-D)
  help                this text
Ctrl-C drops what is typed, or stops the statement that runs. Tab completes names.
Also: SHOW TABLES; DESCRIBE name; SHOW FUNCTIONS; EXPLAIN SELECT ...;
";

impl Command {
    /// The command in `line`, or `None` when the line is SQL.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line = line.trim().trim_end_matches(';').trim_end();
        match line.to_ascii_lowercase().as_str() {
            "help" | "\\?" | "\\h" | "\\help" => return Some(Self::Help),
            "quit" | "exit" | "\\q" | "\\quit" => return Some(Self::Quit),
            _ => {}
        }
        if !line.starts_with('\\') {
            return None;
        }
        let mut words = line.split_whitespace();
        let command = match (words.next().unwrap_or_default(), words.next(), words.next()) {
            ("\\d" | "\\dt", None, _) => Self::ListTables,
            ("\\d", Some(table), None) => Self::Describe { table: table.to_owned() },
            ("\\timing", None, _) => Self::Timing { on: None },
            ("\\timing", Some("on"), None) => Self::Timing { on: Some(true) },
            ("\\timing", Some("off"), None) => Self::Timing { on: Some(false) },
            ("\\format", Some(name), None) => Self::Format { name: name.to_owned() },
            _ => Self::Unknown { text: line.to_owned() },
        };
        Some(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_sql() {
        assert_eq!(Command::parse("  \\q "), Some(Command::Quit));
        assert_eq!(Command::parse("Exit;"), Some(Command::Quit));
        assert_eq!(Command::parse("help"), Some(Command::Help));
        assert_eq!(Command::parse("\\d"), Some(Command::ListTables));
        assert_eq!(
            Command::parse("\\d raw.events;"),
            Some(Command::Describe { table: "raw.events".to_owned() })
        );
        assert_eq!(Command::parse("\\timing off"), Some(Command::Timing { on: Some(false) }));
        assert_eq!(Command::parse("\\copy x"), Some(Command::Unknown { text: "\\copy x".to_owned() }));
        assert_eq!(Command::parse("SELECT 1"), None);
    }
}
