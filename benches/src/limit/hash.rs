//! Hashing: good enough for ids and numbers, and as cheap as it gets.

use std::hash::{BuildHasher, Hasher};

/// Folds the 128 bits of a product.
const fn mix(bits: u64) -> u64 {
    let product = bits as u128 * 0x9e37_79b9_7f4a_7c15_u128;
    (product >> 64) as u64 ^ product as u64
}

/// A number for these bytes.
pub fn of_bytes(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let mut hash = bytes.len() as u64;
    for word in words.by_ref() {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        hash = mix(hash.rotate_left(29) ^ u64::from_le_bytes(eight));
    }
    let mut rest = [0; 8];
    let left = words.remainder();
    rest[..left.len()].copy_from_slice(left);
    mix(hash.rotate_left(29) ^ u64::from_le_bytes(rest))
}

/// For maps whose keys are numbers, or know their hash.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mixing;

impl BuildHasher for Mixing {
    type Hasher = MixingHasher;

    fn build_hasher(&self) -> MixingHasher {
        MixingHasher(0)
    }
}

/// See [`Mixing`].
#[derive(Debug)]
pub struct MixingHasher(u64);

impl Hasher for MixingHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = mix(self.0 ^ of_bytes(bytes));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = mix(self.0 ^ number);
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number.cast_unsigned());
    }
}
