//! Malformed records: what a consumer must set aside without stopping.

use rand_chacha::rand_core::RngCore;
use serde::Serialize;

use super::random::below;

/// What is wrong with a malformed record. None of them reads as an [`crate::Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// A JSON object cut off somewhere.
    Truncated,
    /// Bytes in `id` and `time` that are no UTF-8.
    NotUtf8,
    /// `time` is a boolean.
    WrongTimeType,
    /// `time` is absent.
    NoTime,
    /// No bytes at all. In a JSON-lines file this is an empty line.
    Empty,
    /// An array around the object.
    Array,
}

impl Flaw {
    /// All flaws, in a fixed order.
    pub const ALL: [Flaw; 6] =
        [Flaw::Truncated, Flaw::NotUtf8, Flaw::WrongTimeType, Flaw::NoTime, Flaw::Empty, Flaw::Array];

    pub(crate) fn draw(rng: &mut impl RngCore) -> Self {
        Flaw::ALL[below(rng, Flaw::ALL.len() as u64) as usize]
    }

    /// Makes a well-formed payload of the [`super::writer`] malformed.
    pub(crate) fn apply(self, mut payload: Vec<u8>, rng: &mut impl RngCore) -> Vec<u8> {
        match self {
            Flaw::Truncated => {
                // At least one byte stays and at least the closing brace goes.
                let keep = 1 + below(rng, payload.len().saturating_sub(1) as u64) as usize;
                payload.truncate(keep);
            }
            Flaw::NotUtf8 => {
                for name in [&b"\"id\":\""[..], b"\"time\":\""] {
                    if let Some(at) = find(&payload, name) {
                        payload[at + name.len()..][..2].copy_from_slice(&[0xff, 0xfe]);
                    }
                }
            }
            Flaw::WrongTimeType => replace_time(&mut payload, b"\"time\":false,"),
            Flaw::NoTime => replace_time(&mut payload, b""),
            Flaw::Empty => payload.clear(),
            Flaw::Array => {
                payload.insert(0, b'[');
                payload.push(b']');
            }
        }
        payload
    }
}

/// `"time":"2026-01-05T00:00:00.000Z",`
const TIME_FIELD_BYTES: usize = 34;

fn replace_time(payload: &mut Vec<u8>, with: &[u8]) {
    if let Some(at) = find(payload, b"\"time\":\"") {
        payload.splice(at..at + TIME_FIELD_BYTES, with.iter().copied());
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::Event;

    #[test]
    fn each_flaw_is_what_it_says_and_no_event() {
        let good = br#"{"id":"abcd","source":"web","type":"view_cart","time":"2026-01-05T00:00:00.000Z","session_id":"s","anonymous_id":"a"}"#;
        assert!(serde_json::from_slice::<Event>(good).is_ok());
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for flaw in Flaw::ALL {
            for _ in 0..300 {
                let bad = flaw.apply(good.to_vec(), &mut rng);
                assert!(serde_json::from_slice::<Event>(&bad).is_err(), "{flaw:?}");
                let json = serde_json::from_slice::<serde_json::Value>(&bad);
                match flaw {
                    Flaw::Truncated => assert!(json.is_err() && !bad.is_empty()),
                    Flaw::NotUtf8 => assert!(std::str::from_utf8(&bad).is_err()),
                    Flaw::WrongTimeType => assert!(json.unwrap()["time"].is_boolean()),
                    Flaw::NoTime => assert!(json.unwrap().get("time").is_none()),
                    Flaw::Empty => assert!(bad.is_empty()),
                    Flaw::Array => assert!(json.unwrap().is_array()),
                }
            }
        }
    }
}
