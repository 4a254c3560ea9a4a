//! Random numbers that are the same on every machine: splitmix64
//! (Steele, Lea, Flood, 2014), five operations a number.

/// A sequence of random numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed` for one `stream` of many.
    pub const fn new(seed: u64, stream: u64) -> Self {
        // Streams start far apart: consecutive states would be the same sequence, shifted by one.
        Random(mix(seed) ^ mix(!stream))
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Some of a random number's bits, from the lowest up: cheaper than a number for each choice.
#[derive(Clone, Copy, Debug)]
pub struct Bits(pub u64);

impl Bits {
    /// The next `count` bits, up to 32, as a number.
    pub const fn take(&mut self, count: u32) -> u32 {
        let taken = self.0 & ((1 << count) - 1);
        self.0 >>= count;
        // At most 32 bits are left of it.
        taken as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence() {
        // The first numbers of splitmix64 from state 1234567.
        let mut random = Random(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
        assert_eq!(random.next(), 9_817_491_932_198_370_423);
    }

    #[test]
    fn bits_are_taken_from_below() {
        let mut bits = Bits(0xabc);
        assert_eq!([bits.take(4), bits.take(4), bits.take(4), bits.take(4)], [0xc, 0xb, 0xa, 0]);
    }
}
