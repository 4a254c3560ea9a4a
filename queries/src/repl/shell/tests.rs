use std::collections::VecDeque;

use super::*;
use crate::Lake;

/// Types prepared lines; the running statement is interrupted when `interrupt` says so.
struct Typed {
    lines: VecDeque<Line>,
    prompts: Vec<&'static str>,
    remembered: Vec<String>,
    interrupt: bool,
}

impl Typed {
    fn new(lines: &[&str]) -> Self {
        Self {
            lines: lines.iter().map(|line| Line::Text((*line).to_owned())).collect(),
            prompts: Vec::new(),
            remembered: Vec::new(),
            interrupt: false,
        }
    }
}

impl Terminal for Typed {
    async fn read_line(&mut self, prompt: &'static str) -> Result<Line> {
        self.prompts.push(prompt);
        Ok(self.lines.pop_front().unwrap_or(Line::End))
    }

    fn remember(&mut self, entry: &str) {
        self.remembered.push(entry.to_owned());
    }

    async fn interrupted(&mut self) {
        if !self.interrupt {
            std::future::pending::<()>().await;
        }
    }
}

async fn shown(terminal: &mut Typed) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("events.jsonl"), "{\"id\":\"a\",\"n\":1}\n").unwrap();
    let session = Session::new(Lake::open(folder.path().to_str().unwrap()).unwrap());
    let mut out = Vec::new();
    Shell::new(&session, Options::default(), &mut out).run(terminal).await.unwrap();
    let url = session.lake().url().to_string();
    String::from_utf8(out).unwrap().replace(&url, "LAKE")
}

#[tokio::test]
async fn statements_span_lines() {
    let mut terminal =
        Typed::new(&["SELECT ';' AS a,", "'x", "y' AS b", ";", "", "-- nothing;", "\\q", "SELECT 2;"]);
    let shown = shown(&mut terminal).await;
    assert!(shown.contains("(1 row)"), "{shown}");
    assert_eq!(terminal.prompts, [PROMPT, CONTINUED, IN_QUOTE, CONTINUED, PROMPT, PROMPT, PROMPT], "{shown}");
    assert_eq!(terminal.remembered, ["SELECT ';' AS a,\n'x\ny' AS b\n;", "\\q"]);
}

#[tokio::test]
async fn ctrl_c_drops_what_is_typed() {
    let mut terminal = Typed::new(&["SELECT 'open"]);
    terminal.lines.push_back(Line::Interrupted);
    terminal.lines.push_back(Line::Text("SELECT 41 + 1 AS answer;".to_owned()));
    let shown = shown(&mut terminal).await;
    assert!(shown.contains("42"), "{shown}");
    assert_eq!(terminal.prompts, [PROMPT, IN_QUOTE, PROMPT, PROMPT]);
}

#[tokio::test]
async fn ctrl_c_stops_the_statement_that_runs() {
    let endless = "SELECT COUNT(*) FROM generate_series(1, 100000000000);";
    let mut terminal = Typed::new(&[endless, "\\d"]);
    terminal.interrupt = true;
    let shown = shown(&mut terminal).await;
    assert!(shown.contains("\nstopped\n"), "{shown}");
    assert!(shown.contains("events  json lines"), "the prompt goes on: {shown}");
}

#[tokio::test]
async fn commands_and_errors_keep_the_prompt() {
    let mut terminal = Typed::new(&[
        "\\d",
        "\\d events",
        "\\d evens",
        "\\format csv",
        "SELECT n FROM events;",
        "\\x",
        "help",
    ]);
    insta::assert_snapshot!(shown(&mut terminal).await);
}
