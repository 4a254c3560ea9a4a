//! What the program says at the end: ledgers and errors.

use std::fmt::Write;

use stream::ledger::Ledger;

use crate::cli::SummaryFormat;

/// Prints an error with its causes; messages do not repeat their causes.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            // Writing to a string does not fail.
            let _infallible = write!(text, "\n  caused by: {cause}");
            said.push_str(&cause);
        }
    }
    eprintln!("{text}");
}

/// Prints text that ends its last line or not.
pub(crate) fn line(text: &str) {
    println!("{}", text.trim_end());
}

/// Prints a job's ledger.
pub(crate) fn ledger(ledger: &Ledger, format: SummaryFormat) -> anyhow::Result<()> {
    match format {
        SummaryFormat::None => {}
        SummaryFormat::Json => println!("{}", serde_json::to_string(&json(ledger))?),
        SummaryFormat::Text => print!("{}", text(ledger)),
    }
    Ok(())
}

/// The ledger with its balance, as JSON.
pub(crate) fn json(ledger: &Ledger) -> serde_json::Value {
    serde_json::json!({ "sources": ledger.sources, "sinks": ledger.sinks, "balanced": ledger.is_balanced() })
}

/// The ledger as a table.
pub(crate) fn text(ledger: &Ledger) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!(
        "{:<24} {:>12} {:>12} {:>9} {:>9} {:>10} {:>11}",
        "source", "read", "on time", "late", "dropped", "duplicate", "dead letter"
    ));
    for (name, source) in &ledger.sources {
        line(format!(
            "{name:<24} {:>12} {:>12} {:>9} {:>9} {:>10} {:>11}   {}",
            source.read,
            source.on_time,
            source.late_accepted,
            source.late_dropped,
            source.duplicate,
            source.dead_letter,
            if source.is_balanced() { "balanced" } else { "NOT BALANCED" },
        ));
    }
    line(format!("{:<24} {:>12} {:>12}", "sink", "provisional", "final"));
    for (name, sink) in &ledger.sinks {
        line(format!("{name:<24} {:>12} {:>12}", sink.provisional, sink.finals));
    }
    out
}
