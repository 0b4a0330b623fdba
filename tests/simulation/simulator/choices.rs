//! The source of all decisions of a run: a seed, or the bytes of a fuzzer.
//!
//! In each decision 0 is the simplest choice: a fuzzer whose bytes have run out chooses a network
//! without faults.

use std::time::Duration;

/// A source of decisions. Equal sources make equal decisions, on each machine and in each version.
#[derive(Clone, Debug)]
pub struct Choices(Source);

#[derive(Clone, Debug)]
enum Source {
    /// The state of a SplitMix64 generator. It is written here so that no update of a library can
    /// change its stream.
    Seed(u64),
    /// Bytes in reverse order.
    Bytes(Vec<u8>),
}

impl Choices {
    /// Returns the decisions of `seed`.
    pub fn of_seed(seed: u64) -> Self {
        Self(Source::Seed(seed))
    }

    /// Returns the decisions of `bytes`; after their end each choice is 0.
    #[allow(dead_code, reason = "for a fuzzer, which includes this module")]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Source::Bytes(bytes.iter().rev().copied().collect()))
    }

    /// Chooses a number below `bound`, or 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound <= 1 {
            return 0;
        }
        match &mut self.0 {
            Source::Seed(state) => (split_mix(state) % bound as u64) as usize,
            Source::Bytes(bytes) => {
                let width = bound.ilog2() / 8 + 1;
                (0..width).fold(0, |number, _| number << 8 | usize::from(bytes.pop().unwrap_or(0)))
                    % bound
            }
        }
    }

    /// True in `per_mille` of a thousand cases.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.below(1000) >= 1000 - per_mille as usize
    }

    /// Chooses one of `items`.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Chooses a length of at most `max`: mostly a small one, because bugs are near the marks, and
    /// sometimes a large one.
    pub fn len(&mut self, max: usize) -> usize {
        let magnitude = self.pick(&[8, 40, 40, 400, 5000, usize::MAX]);
        self.below(magnitude.min(max) + 1)
    }

    /// Chooses a time of at most `max`.
    pub fn duration(&mut self, max: Duration) -> Duration {
        Duration::from_micros(self.below(max.as_micros() as usize + 1) as u64)
    }

    /// Shuffles `items`.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, index - self.below(index + 1));
        }
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
