//! Numbers that look random.

/// A small generator of numbers that look random, for what two processes must agree on.
#[derive(Clone)]
pub struct Numbers(pub u64);

impl Numbers {
    /// One that differs from run to run.
    pub fn any() -> Numbers {
        use std::hash::{BuildHasher, RandomState};
        Numbers(RandomState::new().hash_one(0))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
