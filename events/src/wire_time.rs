//! Times on the wire: RFC 3339, UTC, milliseconds, `Z`. Reading takes any RFC 3339 offset and any number of
//! fraction digits; writing is always the one form, so that equal times are equal bytes.

use chrono::{DateTime, SecondsFormat, Utc};

/// `2026-01-05T00:00:01.250Z`. Digits below a millisecond are cut.
pub fn format(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Reads an RFC 3339 time with any offset.
///
/// # Errors
/// When the text is not RFC 3339.
pub fn parse(text: &str) -> Result<DateTime<Utc>, chrono::ParseError> {
    DateTime::parse_from_rfc3339(text).map(|time| time.with_timezone(&Utc))
}

/// For `#[serde(with = "wire_time::required")]`.
pub mod required {
    use chrono::{DateTime, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the one form.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format(*time))
    }

    /// Reads any RFC 3339 time.
    ///
    /// # Errors
    /// When the value is not a text in RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        super::parse(&text).map_err(|e| D::Error::custom(format!("not an RFC 3339 time: {e}")))
    }
}

/// For `#[serde(with = "wire_time::optional", default, skip_serializing_if = "Option::is_none")]`.
pub mod optional {
    use chrono::{DateTime, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the one form, or null.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::required::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads any RFC 3339 time, or null.
    ///
    /// # Errors
    /// When the value is neither null nor a text in RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<DateTime<Utc>>, D::Error> {
        let Some(text) = Option::<std::borrow::Cow<str>>::deserialize(d)? else { return Ok(None) };
        super::parse(&text).map(Some).map_err(|e| D::Error::custom(format!("not an RFC 3339 time: {e}")))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_form_out_any_offset_in() {
        let time = super::parse("2026-01-05T01:30:00.2504+01:30").unwrap();
        assert_eq!(super::format(time), "2026-01-05T00:00:00.250Z");
        assert!(super::parse("2026-01-05").is_err());
    }
}
