//! A session's key as it is kept: in place where it is short, as ids are, so that comparing it costs no second look
//! into memory and opening a session no allocation. A session is 64 bytes, one line of the cache, of which its key
//! has 41; hashes are not kept, since keys are at hand when the table grows.

/// Bytes kept in place: more than a UUID with its dashes has.
const SHORT: usize = 40;
/// In place of a length: NULL, which is a key of its own.
const NULL: u8 = u8::MAX;
/// In place of a length: the bytes are the number of a long key.
const LONG: u8 = u8::MAX - 1;

/// A key, to be read by the [`Keys`] that made it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    length: u8,
    bytes: [u8; SHORT],
}

impl Key {
    /// NULL.
    pub const NULL: Key = Key { length: NULL, bytes: [0; SHORT] };
}

/// Keeps keys.
#[derive(Debug)]
pub struct Keys {
    hasher: ahash::RandomState,
    long: Vec<Box<[u8]>>,
    free: Vec<u32>,
}

impl Default for Keys {
    fn default() -> Self {
        // Fixed seeds: what depends on the order of keys must not differ from run to run.
        Keys { hasher: ahash::RandomState::with_seeds(1, 2, 3, 4), long: Vec::new(), free: Vec::new() }
    }
}

impl Keys {
    /// Keeps a key, until it is [forgotten](Self::forget).
    #[inline]
    pub fn keep(&mut self, key: Option<&[u8]>) -> Key {
        let Some(key) = key else { return Key::NULL };
        let mut bytes = [0; SHORT];
        match (u8::try_from(key.len()), bytes.get_mut(..key.len())) {
            (Ok(length), Some(place)) => {
                place.copy_from_slice(key);
                Key { length, bytes }
            }
            _ => self.keep_long(key),
        }
    }

    #[cold]
    fn keep_long(&mut self, key: &[u8]) -> Key {
        let number = match self.free.pop() {
            Some(number) => {
                if let Some(place) = self.long.get_mut(at(number)) {
                    *place = key.into();
                }
                number
            }
            None => {
                self.long.push(key.into());
                // Not more than there are slots of sessions, which are counted so too.
                u32::try_from(self.long.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let mut bytes = [0; SHORT];
        bytes[..size_of::<u32>()].copy_from_slice(&number.to_le_bytes());
        Key { length: LONG, bytes }
    }

    /// The bytes of a key; `None` for NULL.
    #[inline]
    pub fn get<'a>(&'a self, key: &'a Key) -> Option<&'a [u8]> {
        match key.length {
            NULL => None,
            LONG => self.long.get(at(number(key))).map(|key| &**key),
            length => key.bytes.get(..usize::from(length)),
        }
    }

    /// Whether a key is this one.
    #[inline]
    pub fn is(&self, key: &Key, other: Option<&[u8]>) -> bool {
        match (self.get(key), other) {
            (None, None) => true,
            (Some(own), Some(other)) => are_equal(own, other),
            _ => false,
        }
    }

    /// The hash of a key's bytes.
    #[inline]
    pub fn hash(&self, key: Option<&[u8]>) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The hash of a key.
    #[inline]
    pub fn hash_of(&self, key: &Key) -> u64 {
        self.hash(self.get(key))
    }

    /// Keeps no key any longer; none may be read from now on.
    pub fn forget_all(&mut self) {
        self.long.clear();
        self.free.clear();
    }

    /// Keeps a key no longer; it is NULL from now on.
    #[inline]
    pub fn forget(&mut self, key: &mut Key) {
        if key.length == LONG {
            let number = number(key);
            if let Some(place) = self.long.get_mut(at(number)) {
                *place = Box::default();
                self.free.push(number);
            }
        }
        *key = Key::NULL;
    }
}

fn number(key: &Key) -> u32 {
    key.bytes.first_chunk().map_or(u32::MAX, |number| u32::from_le_bytes(*number))
}

fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
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
        let text: Vec<u8> = (0..120).chain(0..200).collect();
        let mut keys = Keys::default();
        let mut kept = vec![keys.keep(None)];
        kept.extend((0..text.len()).map(|length| keys.keep(Some(&text[..length]))));
        assert!(keys.is(&kept[0], None) && keys.get(&kept[0]).is_none());
        for (length, key) in kept.iter().skip(1).enumerate() {
            let own = &text[..length];
            assert_eq!(keys.get(key), Some(own));
            assert!(keys.is(key, Some(own)) && !keys.is(key, None) && !keys.is(&kept[0], Some(own)));
            assert!(!keys.is(key, Some(&text[..length + 1])));
            assert_eq!(keys.hash_of(key), keys.hash(Some(own)));
            for changed in 0..length {
                let mut other = own.to_vec();
                other[changed] ^= 1;
                assert!(!keys.is(key, Some(&other)), "{length} bytes, the one at {changed} differs");
            }
        }
    }

    #[test]
    fn the_place_of_a_forgotten_key_is_used_again() {
        let (one, two) = ([1; 100], [2; 300]);
        let mut keys = Keys::default();
        let mut first = keys.keep(Some(&one));
        let second = keys.keep(Some(&two));
        keys.forget(&mut first);
        assert_eq!(keys.get(&first), None);
        let third = keys.keep(Some(&one));
        assert_eq!((keys.get(&second), keys.get(&third)), (Some(&two[..]), Some(&one[..])));
        assert_eq!(keys.long.len(), 2);
    }
}
