//! Live values in Redis: key names and the fields of a window's hash. Shared by the sink that writes them
//! and by the API that reads them; no Redis client here.
//!
//! | key | type | content |
//! |---|---|---|
//! | `plm:{shop}:live:<metric>:<window_end>` | hash | one [`LiveWindow`] |
//! | `plm:{shop}:live:<metric>:windows` | sorted set | score and member are the window end |
//! | `plm:{shop}:live:<metric>:current` | string | end of the current window |
//! | `plm:{shop}:live:<metric>` | Pub/Sub channel | message is a window end; only to notify |
//!
//! Window ends in keys, members and messages are milliseconds since the Unix epoch, in decimal. The shop
//! stands in literal braces: a Redis hash tag, so that all of a shop's keys share a cluster slot and one
//! script may touch several of them.
//!
//! Hash fields: `metric`, `window_start`, `window_end`, `updated_at` (RFC 3339, UTC, milliseconds), `epoch`,
//! `revision` (decimal), `is_final` (`true`, `false`), `rows` (a JSON array of objects, all rows of the window).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, wire_time};

/// The metrics that are shipped, by the names used in keys and in URLs.
pub const METRICS: [&str; 3] = ["conversion", "cart_abandonment", "top_products"];

/// Key of one window's hash.
///
/// ```
/// use events::{live, wire_time};
/// let end = wire_time::parse("2026-01-01T00:01:00Z").unwrap();
/// assert_eq!(live::window_key("demo", "conversion", end), "plm:{demo}:live:conversion:1767225660000");
/// ```
pub fn window_key(shop: &str, metric: &str, window_end: DateTime<Utc>) -> String {
    format!("{}:{}", channel(shop, metric), window_end.timestamp_millis())
}

/// Key of the sorted set of a metric's window ends.
pub fn windows_key(shop: &str, metric: &str) -> String {
    format!("{}:windows", channel(shop, metric))
}

/// Key of the pointer to a metric's current window.
pub fn current_key(shop: &str, metric: &str) -> String {
    format!("{}:current", channel(shop, metric))
}

/// Name of a metric's Pub/Sub channel.
pub fn channel(shop: &str, metric: &str) -> String {
    format!("plm:{{{shop}}}:live:{metric}")
}

/// All rows of one metric's window, at one version. The window is `[window_start, window_end)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveWindow {
    /// Name of the metric.
    pub metric: String,
    /// Start of the window, inclusive.
    #[serde(with = "wire_time::required")]
    pub window_start: DateTime<Utc>,
    /// End of the window, exclusive.
    #[serde(with = "wire_time::required")]
    pub window_end: DateTime<Utc>,
    /// Number of the consistent cut during which the value was written.
    pub epoch: u64,
    /// Counts the writes of this window within the epoch.
    pub revision: u64,
    /// False while the window may still change.
    pub is_final: bool,
    /// When the value was written, by the writer's clock.
    #[serde(with = "wire_time::required")]
    pub updated_at: DateTime<Utc>,
    /// Column name to value, one object per row.
    pub rows: Vec<Map<String, Value>>,
}

impl LiveWindow {
    /// The hash fields, in a fixed order.
    ///
    /// ```
    /// # use events::{LiveWindow, wire_time};
    /// # let at = |t| wire_time::parse(t).unwrap();
    /// let window = LiveWindow {
    ///     metric: "conversion".into(),
    ///     window_start: at("2026-01-01T00:00:00Z"),
    ///     window_end: at("2026-01-01T00:01:00Z"),
    ///     epoch: 3,
    ///     revision: 14,
    ///     is_final: false,
    ///     updated_at: at("2026-01-01T00:00:30.5Z"),
    ///     rows: vec![],
    /// };
    /// let fields = window.to_fields();
    /// assert_eq!(fields[1], ("window_start", "2026-01-01T00:00:00.000Z".to_owned()));
    /// assert_eq!(LiveWindow::from_fields(fields)?, window);
    /// # Ok::<(), events::Error>(())
    /// ```
    pub fn to_fields(&self) -> Vec<(&'static str, String)> {
        let rows = Value::Array(self.rows.iter().cloned().map(Value::Object).collect());
        vec![
            ("metric", self.metric.clone()),
            ("window_start", wire_time::format(self.window_start)),
            ("window_end", wire_time::format(self.window_end)),
            ("epoch", self.epoch.to_string()),
            ("revision", self.revision.to_string()),
            ("is_final", self.is_final.to_string()),
            ("updated_at", wire_time::format(self.updated_at)),
            ("rows", rows.to_string()),
        ]
    }

    /// Reads the fields of a hash, in any order; unknown fields are passed over.
    ///
    /// # Errors
    /// [`Error::LiveField`] when a field is missing or does not read. An empty set of fields (the key does
    /// not exist) is such an error too: test for it first.
    pub fn from_fields<K, V>(fields: impl IntoIterator<Item = (K, V)>) -> Result<Self, Error>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let fields: HashMap<String, String> = fields.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Ok(LiveWindow {
            metric: field(&fields, "metric")?.to_owned(),
            window_start: read(&fields, "window_start", wire_time::parse)?,
            window_end: read(&fields, "window_end", wire_time::parse)?,
            epoch: read(&fields, "epoch", str::parse)?,
            revision: read(&fields, "revision", str::parse)?,
            is_final: read(&fields, "is_final", str::parse)?,
            updated_at: read(&fields, "updated_at", wire_time::parse)?,
            rows: read(&fields, "rows", |t| serde_json::from_str(t))?,
        })
    }

    /// Whether this value may replace `stored`: not when `stored` has a newer `(epoch, revision)`, and not
    /// when `stored` is final and this is provisional. The same version may be written again.
    pub fn may_replace(&self, stored: &LiveWindow) -> bool {
        (self.epoch, self.revision) >= (stored.epoch, stored.revision) && (self.is_final || !stored.is_final)
    }
}

fn field<'a>(fields: &'a HashMap<String, String>, name: &'static str) -> Result<&'a str, Error> {
    match fields.get(name) {
        Some(text) => Ok(text),
        None => Err(Error::LiveField { field: name, problem: "is missing".to_owned() }),
    }
}

fn read<T, E: std::fmt::Display>(
    fields: &HashMap<String, String>,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Error> {
    parse(field(fields, name)?).map_err(|e| Error::LiveField { field: name, problem: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> LiveWindow {
        let row = serde_json::json!({"product_id": 7, "units": 3, "rate": null, "name": "\"x\" – ü"});
        LiveWindow {
            metric: "top_products".into(),
            window_start: wire_time::parse("2026-01-01T00:00:00Z").unwrap(),
            window_end: wire_time::parse("2026-01-01T01:00:00Z").unwrap(),
            epoch: 2,
            revision: 9,
            is_final: false,
            updated_at: wire_time::parse("2026-01-01T00:30:00.123Z").unwrap(),
            rows: vec![row.as_object().unwrap().clone(), Map::new()],
        }
    }

    #[test]
    fn fields_and_json_read_back() {
        let window = window();
        let mut fields = window.to_fields();
        fields.reverse();
        fields.push(("later_addition", "1".into()));
        assert_eq!(LiveWindow::from_fields(fields).unwrap(), window);
        let json = serde_json::to_string(&window).unwrap();
        assert_eq!(serde_json::from_str::<LiveWindow>(&json).unwrap(), window);
    }

    #[test]
    fn a_bad_field_is_named() {
        for (name, _) in window().to_fields() {
            let missing = window().to_fields().into_iter().filter(|(k, _)| *k != name);
            let error = LiveWindow::from_fields(missing).unwrap_err();
            assert!(matches!(error, Error::LiveField { field, .. } if field == name), "{error}");
            if name != "metric" {
                let bad = window()
                    .to_fields()
                    .into_iter()
                    .map(|(k, v)| (k, if k == name { "?".into() } else { v }));
                assert!(LiveWindow::from_fields(bad).unwrap_err().to_string().contains(name));
            }
        }
    }

    #[test]
    fn older_and_provisional_are_refused() {
        let stored = window();
        let with = |epoch, revision, is_final| LiveWindow { epoch, revision, is_final, ..window() };
        assert!(with(2, 9, false).may_replace(&stored));
        assert!(with(2, 10, false).may_replace(&stored));
        assert!(with(3, 0, false).may_replace(&stored));
        assert!(!with(2, 8, false).may_replace(&stored));
        assert!(!with(1, 99, true).may_replace(&stored));
        assert!(with(2, 9, true).may_replace(&stored));
        assert!(!with(9, 9, false).may_replace(&with(2, 9, true)));
    }

    #[test]
    fn keys() {
        assert_eq!(windows_key("demo", "conversion"), "plm:{demo}:live:conversion:windows");
        assert_eq!(current_key("demo", "conversion"), "plm:{demo}:live:conversion:current");
        assert_eq!(channel("demo", "conversion"), "plm:{demo}:live:conversion");
    }
}
