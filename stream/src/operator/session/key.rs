//! A session's key as it is kept: in place where it is short, as ids are, so that comparing it costs no second look
//! into memory and opening a session no allocation.

/// Bytes kept in place: room for a UUID with its dashes.
const SHORT: usize = 38;

/// The bytes of a key, or NULL.
#[derive(Clone, Debug, Default)]
pub enum Key {
    /// NULL, which is a key of its own.
    #[default]
    Null,
    /// Kept in place.
    Short {
        /// How many of `bytes` count.
        length: u8,
        /// The key, then zeros.
        bytes: [u8; SHORT],
    },
    /// Kept elsewhere.
    Long(Box<[u8]>),
}

impl Key {
    /// Keeps a key.
    #[inline]
    pub fn new(key: Option<&[u8]>) -> Self {
        let Some(key) = key else { return Key::Null };
        match u8::try_from(key.len()) {
            Ok(length) if key.len() <= SHORT => {
                let mut bytes = [0; SHORT];
                bytes[..key.len()].copy_from_slice(key);
                Key::Short { length, bytes }
            }
            _ => Key::Long(key.into()),
        }
    }

    /// The key.
    #[inline]
    pub fn get(&self) -> Option<&[u8]> {
        match self {
            Key::Null => None,
            Key::Short { length, bytes } => bytes.get(..usize::from(*length)),
            Key::Long(key) => Some(key),
        }
    }

    /// Whether it is this key.
    #[inline]
    pub fn is(&self, key: Option<&[u8]>) -> bool {
        match (self.get(), key) {
            (None, None) => true,
            (Some(own), Some(key)) => are_equal(own, key),
            _ => false,
        }
    }
}

/// As `==`, without a call for texts of the usual lengths of ids: both ends of 16 bytes each are looked at first.
#[inline]
fn are_equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let ends = |text: &[u8]| -> Option<(u128, u128)> {
        let (first, last) = (text.first_chunk()?, text.last_chunk()?);
        Some((u128::from_le_bytes(*first), u128::from_le_bytes(*last)))
    };
    match (ends(a), ends(b)) {
        (Some(ends_a), Some(ends_b)) => ends_a == ends_b && (a.len() <= 32 || a == b),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_length_are_kept_and_told_apart() {
        let text: Vec<u8> = (0..120).collect();
        for length in 0..text.len() {
            let key = Key::new(Some(&text[..length]));
            assert_eq!(key.get(), Some(&text[..length]));
            assert!(key.is(Some(&text[..length])) && !key.is(None) && !Key::Null.is(Some(&text[..length])));
            assert!(!key.is(Some(&text[..length + 1])));
            for changed in 0..length {
                let mut other = text[..length].to_vec();
                other[changed] ^= 1;
                assert!(!key.is(Some(&other)), "{length} bytes, the one at {changed} differs");
            }
        }
        assert!(Key::new(None).is(None) && Key::new(None).get().is_none());
    }
}
