//! Times on the wire: RFC 3339, UTC, milliseconds, `Z`. Reading takes any RFC 3339 offset and any number of
//! fraction digits; writing is always the one form, so that equal times are equal bytes.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};

/// `2026-01-05T00:00:01.250Z`. Digits below a millisecond are cut.
pub fn format(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Reads an RFC 3339 time with any offset.
///
/// # Errors
/// When the text is not RFC 3339, or its time in UTC cannot be written so: the years are 0 to 9999, and an offset may
/// lead out of them.
pub fn parse(text: &str) -> Result<DateTime<Utc>, chrono::ParseError> {
    let time = DateTime::parse_from_rfc3339(text)?.with_timezone(&Utc);
    if (0..=9_999).contains(&time.year()) {
        return Ok(time);
    }
    DateTime::parse_from_rfc3339(&format(time)).map(|time| time.with_timezone(&Utc))
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
        for text in ["0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-00:01"] {
            assert!(super::parse(text).is_err(), "{text} is in no year that can be written");
        }
        for text in ["0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"] {
            assert_eq!(super::format(super::parse(text).unwrap()), text);
        }
    }
}
