//! What a script sets for the job as a whole.

use std::time::Duration;

use crate::{
    error::SqlError,
    options::parse_duration,
    sql::{script::Script, tokens},
};

/// `SET 'name' = 'value'` in a script.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | `emit.interval` | how often provisional rows are written | 250 ms |
/// | `checkpoint.interval` | how often sinks commit and positions are recorded | 10 s |
/// | `parallelism` | compute threads | one a core |
///
/// Flink's names for the last two, `execution.checkpointing.interval` and `parallelism.default`, mean the same; its
/// `execution.runtime-mode` and `table.local-time-zone` may be set to what they always are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often provisional rows are written.
    pub(crate) emit_interval: Duration,
    /// How often sinks commit and positions are recorded.
    pub checkpoint_interval: Duration,
    /// Compute threads; `None` for one a core.
    pub parallelism: Option<usize>,
}

/// The settings of a script: the defaults, and what its `SET`s say.
pub(super) fn settings(script: &Script) -> Result<Settings, SqlError> {
    let mut settings = Settings {
        emit_interval: Duration::from_millis(250),
        checkpoint_interval: Duration::from_secs(10),
        parallelism: None,
    };
    for (name, (value, span)) in &script.settings {
        let bad = |expected: &str| {
            SqlError::at(
                &script.text,
                tokens::place(span.start),
                format!("setting '{name}' = '{value}' is not {expected}"),
            )
        };
        let duration = || {
            parse_duration(value).filter(|d| !d.is_zero()).ok_or_else(|| bad("a duration such as '250 ms'"))
        };
        match name.as_str() {
            "emit.interval" => settings.emit_interval = duration()?,
            "checkpoint.interval" | "execution.checkpointing.interval" => {
                settings.checkpoint_interval = duration()?;
            }
            "parallelism" | "parallelism.default" => {
                let threads = value.parse().ok().filter(|threads| (1..=1024).contains(threads));
                settings.parallelism =
                    Some(threads.ok_or_else(|| bad("a number of threads from 1 to 1024"))?);
            }
            "execution.runtime-mode" if value == "streaming" => {}
            "execution.runtime-mode" => {
                return Err(bad("'streaming': a script is a streaming job, on bounded sources too"));
            }
            "table.local-time-zone" if is_utc(value) => {}
            "table.local-time-zone" => {
                return Err(bad("'UTC': all times of a script are in UTC")
                    .with_help("in reports over the lake, plamatio sql takes a --zone"));
            }
            _ => {
                let message = format!("unknown setting '{name}'");
                return Err(SqlError::at(&script.text, tokens::place(span.start), message).with_help(
                    "the settings are emit.interval, checkpoint.interval, parallelism and table.local-time-zone",
                ));
            }
        }
    }
    Ok(settings)
}

/// Whether a zone is UTC, under any of its names.
fn is_utc(zone: &str) -> bool {
    const NAMES: [&str; 11] = [
        "UTC",
        "Etc/UTC",
        "GMT",
        "Etc/GMT",
        "UT",
        "Z",
        "Zulu",
        "Universal",
        "+00:00",
        "UTC+00:00",
        "GMT+00:00",
    ];
    NAMES.iter().any(|name| name.eq_ignore_ascii_case(zone))
}
