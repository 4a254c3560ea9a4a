//! The options of a table (`WITH ('name' = 'value', …)`): typed access, and an error for every name that
//! nothing asked for.
//!
//! Asking for an option marks it as known. After source or sink have asked for all they understand,
//! [`Options::finish`] reports what is left over, with the known names.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
    sync::Mutex,
    time::Duration,
};

use crate::error::StreamError;

/// A table's options, keys in lower case.
#[derive(Debug, Default)]
pub struct Options {
    table: String,
    values: BTreeMap<String, String>,
    asked: Mutex<BTreeSet<String>>,
}

impl Clone for Options {
    fn clone(&self) -> Self {
        Options { table: self.table.clone(), values: self.values.clone(), asked: Mutex::default() }
    }
}

impl Options {
    /// The options of `table`.
    pub fn new(table: impl Into<String>, values: BTreeMap<String, String>) -> Self {
        let values = values.into_iter().map(|(k, v)| (k.to_lowercase(), v)).collect();
        Options { table: table.into(), values, asked: Mutex::default() }
    }

    /// All options as they were given, without asking for any.
    pub(crate) fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    fn ask(&self, name: &str) {
        if let Ok(mut asked) = self.asked.lock() {
            asked.insert(name.to_owned());
        }
    }

    /// The option as text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.ask(name);
        self.values.get(name).map(String::as_str)
    }

    /// The option as text; an error that names it when it is absent.
    pub fn require(&self, name: &str) -> Result<&str, StreamError> {
        self.get(name)
            .ok_or_else(|| StreamError::MissingOption { table: self.table.clone(), option: name.to_owned() })
    }

    /// The option parsed, or `default`. `expected` says in words what would have been right.
    pub fn parse_or<T: FromStr>(&self, name: &str, default: T, expected: &str) -> Result<T, StreamError> {
        match self.get(name) {
            None => Ok(default),
            Some(text) => text.trim().parse().map_err(|_| self.bad(name, expected)),
        }
    }

    /// `true` or `false`.
    pub(crate) fn bool_or(&self, name: &str, default: bool) -> Result<bool, StreamError> {
        self.parse_or(name, default, "'true' or 'false'")
    }

    /// A duration such as `500 ms`, `5 s`, `1 min`, `2 hours`, `1 day`.
    pub fn duration_or(&self, name: &str, default: Duration) -> Result<Duration, StreamError> {
        match self.get(name) {
            None => Ok(default),
            Some(text) => {
                parse_duration(text).ok_or_else(|| self.bad(name, "a duration such as '500 ms' or '1 min'"))
            }
        }
    }

    /// All options whose name starts with `prefix`, the prefix taken off, for what is passed through to a
    /// client library (`properties.*`).
    pub fn with_prefix(&self, prefix: &str) -> BTreeMap<String, String> {
        self.values
            .iter()
            .filter_map(|(name, value)| {
                let rest = name.strip_prefix(prefix)?;
                self.ask(name);
                Some((rest.to_owned(), value.clone()))
            })
            .collect()
    }

    /// An error about the value of `name`.
    pub fn bad(&self, name: &str, expected: &str) -> StreamError {
        StreamError::BadOption {
            table: self.table.clone(),
            option: name.to_owned(),
            value: self.values.get(name).cloned().unwrap_or_default(),
            expected: expected.to_owned(),
        }
    }

    /// Fails if an option was given that nothing has asked for.
    pub fn finish(&self) -> Result<(), StreamError> {
        let asked = self.asked.lock().map(|asked| asked.clone()).unwrap_or_default();
        match self.values.keys().find(|name| !asked.contains(*name)) {
            None => Ok(()),
            Some(unknown) => Err(StreamError::UnknownOption {
                table: self.table.clone(),
                option: unknown.clone(),
                known: asked.into_iter().collect(),
            }),
        }
    }
}

/// Parses `500 ms`, `5s`, `1 min`, `2 hours`, `1 day`; `None` for anything else.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let micros = match unit.trim().to_lowercase().as_str() {
        "us" | "µs" | "micros" | "microseconds" => 1,
        "ms" | "millis" | "milliseconds" => 1_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000,
        "min" | "m" | "minute" | "minutes" => 60_000_000,
        "h" | "hour" | "hours" => 3_600_000_000,
        "d" | "day" | "days" => 86_400_000_000,
        _ => return None,
    };
    Some(Duration::from_micros(number.checked_mul(micros)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        Options::new("t", pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("500 ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("2 hours"), Some(Duration::from_secs(7200)));
        assert_eq!(parse_duration("1 fortnight"), None);
        assert_eq!(parse_duration(""), None);
        assert_eq!(parse_duration("99999999999999999999 s"), None);
    }

    #[test]
    fn what_nothing_asked_for_is_an_error() {
        let options = options(&[("topic", "a"), ("tpoic", "b")]);
        assert_eq!(options.get("topic"), Some("a"));
        let error = options.finish().unwrap_err();
        assert_eq!(error.to_string(), "table t: unknown option 'tpoic'; it understands: topic");
    }

    #[test]
    fn a_bad_value_says_what_would_be_right() {
        let options = options(&[("parallel", "many")]);
        let error = options.parse_or("parallel", 1_u32, "a whole number").unwrap_err();
        assert_eq!(error.to_string(), "table t: option 'parallel' = 'many' is not a whole number");
    }
}
