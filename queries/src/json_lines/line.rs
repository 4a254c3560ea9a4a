//! One line of a JSON-lines file: its keys, and its values as written.

use std::borrow::Cow;
use std::fmt;

use arrow::array::timezone::Tz;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// What a JSON value looks like, before a column's type is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Int,
    Float,
    /// RFC 3339 text with a zone.
    Time,
    Text,
    Nested,
}

/// A value as written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    pub(super) fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            None | Some(b'n') => Kind::Null,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'{' | b'[') => Kind::Nested,
            Some(b'"') if self.micros().is_some() => Kind::Time,
            Some(b'"') => Kind::Text,
            Some(_) if self.int().is_some() => Kind::Int,
            Some(_) => Kind::Float,
        }
    }

    pub(super) fn bool(self) -> Option<bool> {
        self.0.parse().ok()
    }

    pub(super) fn int(self) -> Option<i64> {
        self.0.parse().ok()
    }

    pub(super) fn float(self) -> Option<f64> {
        self.0.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Microseconds since the Unix epoch, for RFC 3339 text with a zone.
    pub(super) fn micros(self) -> Option<i64> {
        let text = self.0.strip_prefix('"')?.strip_suffix('"')?;
        let bytes = text.as_bytes();
        // The parser behind also takes dates and local times, which are not instants.
        let zoned =
            bytes.ends_with(b"Z") || matches!(bytes.get(bytes.len().wrapping_sub(6)), Some(b'+' | b'-'));
        let shaped = bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && bytes[13] == b':';
        if !(zoned && shaped) {
            return None;
        }
        let utc: Tz = "+00:00".parse().ok()?;
        Some(string_to_datetime(&utc, text).ok()?.timestamp_micros())
    }

    /// The text of a string; any other value as it is written. `None` for null.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self.0.as_bytes().first() {
            None | Some(b'n') => None,
            Some(b'"') if self.0.contains('\\') => serde_json::from_str(self.0).ok().map(Cow::Owned),
            Some(b'"') => Some(Cow::Borrowed(self.0.strip_prefix('"')?.strip_suffix('"')?)),
            Some(_) => Some(Cow::Borrowed(self.0)),
        }
    }
}

/// Calls `field` for each key of the object in `line`. Returns false when the line is no single
/// JSON object in UTF-8; `field` may have been called by then.
pub(super) fn read_line<'a>(line: &'a [u8], field: impl FnMut(&str, Value<'a>)) -> bool {
    let Ok(text) = std::str::from_utf8(line) else { return false };
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(Fields { field }).is_ok() && json.end().is_ok()
}

struct Fields<F> {
    field: F,
}

impl<'de, F: FnMut(&str, Value<'de>)> Visitor<'de> for Fields<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        // A key with an escape cannot be borrowed, so keys are read as raw text as well.
        while let Some(key) = map.next_key::<&RawValue>()? {
            let value = Value(map.next_value::<&RawValue>()?.get());
            if let Some(key) = Value(key.get()).text() {
                (self.field)(&key, value);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(line: &str) -> Option<Vec<(String, Kind)>> {
        let mut found = Vec::new();
        read_line(line.as_bytes(), |key, value| found.push((key.to_owned(), value.kind()))).then_some(found)
    }

    #[test]
    fn values_are_told_apart() {
        let line = r#"{"a":1,"b":1.5,"c":true,"d":null,"e":"x","f":"2026-01-05T00:00:00.123Z","g":{"h":[1]},"i":18446744073709551615,"j\u0041":"2026-01-05"}"#;
        let expected = [
            ("a", Kind::Int),
            ("b", Kind::Float),
            ("c", Kind::Bool),
            ("d", Kind::Null),
            ("e", Kind::Text),
            ("f", Kind::Time),
            ("g", Kind::Nested),
            ("i", Kind::Float),
            ("jA", Kind::Text),
        ]
        .map(|(key, kind)| (key.to_owned(), kind));
        assert_eq!(kinds(line), Some(expected.to_vec()));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for line in ["[1]", "1", "", "{\"a\":1", "{\"a\":}", "{\"a\":1} x", "{\"a\":1}{\"b\":2}", "\"x\""] {
            assert_eq!(kinds(line), None, "{line}");
        }
        assert!(!read_line(b"{\"a\":\"\xff\"}", |_, _| {}));
    }

    #[test]
    fn times_are_instants() {
        assert_eq!(Value("\"1970-01-01T00:00:01.5Z\"").micros(), Some(1_500_000));
        assert_eq!(Value("\"1970-01-01T01:00:00+01:00\"").micros(), Some(0));
        for text in
            ["\"2026-13-01T00:00:00Z\"", "\"2026-01-01T00:00:00\"", "\"2026-01-01 00:00:00Z\"", "\"-\"", "5"]
        {
            assert_eq!(Value(text).micros(), None, "{text}");
        }
    }

    #[test]
    fn text_is_unescaped_and_other_values_stay_as_written() {
        assert_eq!(Value(r#""a\"b""#).text().as_deref(), Some("a\"b"));
        assert_eq!(Value("{\"a\": 1}").text().as_deref(), Some("{\"a\": 1}"));
        assert_eq!(Value("null").text(), None);
    }
}
