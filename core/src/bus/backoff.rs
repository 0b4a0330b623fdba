//! Exponential backoff with jitter: how long to wait before the next attempt to connect.

use std::time::Duration;

/// The first wait.
pub const WAIT_MIN: Duration = Duration::from_millis(100);

/// The longest wait.
pub const WAIT_MAX: Duration = Duration::from_secs(5);

/// The waits between attempts. Each is random, between half of a bound and the bound. The bound
/// doubles with each wait, up to [`WAIT_MAX`]. So the servers that lost a broker do not all return
/// at the same moment.
#[derive(Debug)]
pub struct Backoff {
    bound: Duration,
    random: u64,
}

impl Backoff {
    /// The waits that follow from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { bound: WAIT_MIN, random: seed }
    }

    /// Returns the next wait.
    pub fn next_wait(&mut self) -> Duration {
        let bound = self.bound;
        self.bound = (bound * 2).min(WAIT_MAX);
        let thousandths = u32::try_from(self.random() % 501).unwrap_or(0);
        bound * (500 + thousandths) / 1000
    }

    /// Begins with the first wait again.
    pub const fn reset(&mut self) {
        self.bound = WAIT_MIN;
    }

    /// The generator splitmix64.
    const fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_5_s_and_differ_between_servers() {
        let bounds = [100, 200, 400, 800, 1600, 3200, 5000, 5000];
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            bounds.map(|_| backoff.next_wait())
        };
        for seed in 0..100 {
            for (wait, bound) in waits(seed).iter().zip(bounds) {
                let bound = Duration::from_millis(bound);
                assert!((bound / 2..=bound).contains(wait), "{wait:?} of {bound:?}");
            }
            assert_ne!(waits(seed), waits(seed + 1));
        }
    }

    #[test]
    fn a_reset_begins_with_the_first_wait_again() {
        let mut backoff = Backoff::new(7);
        let _ = (backoff.next_wait(), backoff.next_wait());
        backoff.reset();
        assert!(backoff.next_wait() <= WAIT_MIN);
    }
}
