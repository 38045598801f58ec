//! Random choices that a seed reproduces.

use std::ops::RangeInclusive;

/// The random numbers of one client (splitmix64).
pub(super) struct Random(u64);

impl Random {
    /// Returns the random of the `nth` client, independent of other clients.
    pub(super) fn of(seed: u64, nth: u64) -> Self {
        let own = Self(nth).throw();
        Self(Self(seed).throw() ^ own)
    }

    /// Returns a generator for a part of the client's life. This takes exactly one throw.
    pub(super) fn fork(&mut self) -> Self {
        Self(self.throw())
    }

    /// Returns random for the `nth` participant, independent of other participants.
    pub(super) fn for_the(&self, nth: u64) -> Self {
        Self::of(self.0, nth)
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.throw() % end as u64) as usize
    }

    pub(super) fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }

    pub(super) fn between(&mut self, range: RangeInclusive<u64>) -> u64 {
        let span = range.end() - range.start() + 1;
        range.start() + self.throw() % span
    }

    /// Returns a number from `least` to `most`: log-uniform, and `most` in one of fifty throws.
    pub(super) fn about(&mut self, least: u64, most: u64) -> u64 {
        if self.one_in(50) {
            return most;
        }
        let share = self.throw() as f64 / u64::MAX as f64;
        (least as f64 * (most as f64 / least as f64).powf(share)) as u64
    }

    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.throw() as u8).collect()
    }
}
