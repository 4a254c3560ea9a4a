//! One script in both worlds: equal, refused, or wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};

use plamatio_stream::StreamError;
use tokio::runtime::Runtime;

use super::{batch, script::Script, streaming};

/// What became of a script.
pub(crate) enum Outcome {
    /// So many rows, in both.
    Equal(usize),
    /// The planner's message, without what differs from script to script.
    Refused(String),
    /// DataFusion cannot plan the batch query, for a defect of its own.
    Unjudged(String),
    /// What is wrong, and both row sets where there are two.
    Wrong(String),
}

/// Runs a script in both worlds. A panic of either is an outcome too.
pub(crate) fn check(runtime: &Runtime, script: &Script) -> Outcome {
    let checked = catch_unwind(AssertUnwindSafe(|| runtime.block_on(Box::pin(compare(script)))));
    checked.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome::Wrong(format!("panicked: {}", text.unwrap_or_default()))
    })
}

async fn compare(script: &Script) -> Outcome {
    let planned = match streaming::plan(script).await {
        Ok(planned) => planned,
        Err(error) => return refused(script, &error).await,
    };
    let schemas = planned.schemas();
    let expected = match batch::run(script, &schemas).await {
        Ok(expected) => expected,
        // The engine must get through what it has planned all the same.
        Err(error) => match planned.run(script).await {
            Ok(_) => return Outcome::Unjudged(format!("run by the engine alone: {error}")),
            Err(failed) => return Outcome::Wrong(failed),
        },
    };
    let got = match planned.run(script).await {
        Ok(got) => got,
        Err(error) => return Outcome::Wrong(error),
    };
    for ((sink, got), expected) in script.sinks.iter().zip(&got).zip(&expected) {
        if !got.equals(expected) {
            return Outcome::Wrong(format!(
                "sink {} differs\n-- got\n{}\n-- expected\n{}",
                sink.name,
                got.text(40),
                expected.text(40)
            ));
        }
    }
    Outcome::Equal(expected.iter().map(super::rows::Rows::len).sum())
}

/// A refusal is proper if it is the script's fault and says so, and if the script could be run at all.
async fn refused(script: &Script, error: &StreamError) -> Outcome {
    let StreamError::Sql(refusal) = error else {
        return Outcome::Wrong(format!("not refused as a script's mistake: {error}"));
    };
    if let Err(error) = batch::plan(script).await {
        return Outcome::Unjudged(format!("refused by both: {error}"));
    }
    Outcome::Refused(kind(&refusal.message))
}

/// A message without names, numbers and lists of them.
fn kind(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let mut words = Vec::new();
    for word in first.split_whitespace() {
        let plain = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_');
        let is_name = plain.chars().any(|c| c.is_ascii_digit()) || (plain.len() < 2 && plain != "a");
        words.push(if is_name { "…" } else { word });
    }
    words.dedup();
    words.join(" ").chars().take(110).collect()
}

/// A script as a report shows it.
pub(crate) fn shown(script: &Script) -> String {
    let mut text = script.streaming(|table| format!("'connector' = 'test', 'files' = '{}'", table.files));
    for sink in &script.sinks {
        text += &format!("-- in batch, {}:\n{};\n", sink.name, script.batch(sink));
    }
    for table in &script.tables {
        text += &format!("-- rows of {}\n", table.name);
        for (file, lines) in table.lines().iter().enumerate() {
            for line in lines {
                text += &format!("{file}: {}\n", String::from_utf8_lossy(line));
            }
        }
    }
    text + &format!("-- {:?}\n", script.run)
}
