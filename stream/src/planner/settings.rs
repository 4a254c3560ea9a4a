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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often provisional rows are written.
    pub emit_interval: Duration,
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
            "checkpoint.interval" => settings.checkpoint_interval = duration()?,
            "parallelism" => {
                let threads = value.parse().ok().filter(|threads| (1..=1024).contains(threads));
                settings.parallelism =
                    Some(threads.ok_or_else(|| bad("a number of threads from 1 to 1024"))?);
            }
            _ => {
                return Err(SqlError::at(
                    &script.text,
                    tokens::place(span.start),
                    format!("unknown setting '{name}'"),
                )
                .with_help("the settings are emit.interval, checkpoint.interval and parallelism"));
            }
        }
    }
    Ok(settings)
}
