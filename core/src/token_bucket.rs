//! Token buckets in integer arithmetic.
//!
//! A bucket gets tokens at a steady rate, up to one second's worth, and each event takes one.
//! Instead of its tokens a bucket stores the moment at which it will be full: taking a token moves
//! that moment ahead by the time of one token. (This is the virtual scheduling algorithm of ITU-T
//! I.371, also known as GCRA.) So time passes without work, and nothing is rounded.

use std::time::Duration;

use crate::os::moment::Moment;

/// A rate at which buckets are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_second: u32,
}

/// The tokens of an address or a connection. A bucket starts full, and may be overdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    full_at: Moment,
}

impl Rate {
    /// Creates the rate of `per_second` tokens, at least 1 and at most a billion.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self { per_second: per_second.clamp(1, 1_000_000_000) }
    }

    /// Returns how many tokens are added per second. A full bucket holds the same number.
    #[must_use]
    pub const fn per_second(self) -> u32 {
        self.per_second
    }

    /// The time of one token.
    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second
    }

    /// How long an empty bucket takes to hold all but `tokens` of what it can hold.
    fn time_to_all_but(self, tokens: u32) -> Duration {
        self.interval() * self.per_second.saturating_sub(tokens)
    }
}

impl Default for TokenBucket {
    fn default() -> Self {
        Self { full_at: Moment::START }
    }
}

impl TokenBucket {
    /// True if the bucket is full, as a new one is.
    #[must_use]
    pub fn is_full(&self, now: Moment) -> bool {
        self.full_at <= now
    }

    /// True if the bucket holds a token.
    #[must_use]
    pub fn has_token(&self, rate: Rate, now: Moment) -> bool {
        self.full_at.since(now) <= rate.time_to_all_but(1)
    }

    /// Takes `count` tokens, even if the bucket holds fewer.
    pub fn take(&mut self, count: u32, rate: Rate, now: Moment) {
        self.full_at = self.full_at.max(now).after(rate.interval().saturating_mul(count));
    }

    /// Returns when the bucket holds `count` tokens, or is full if it cannot hold that number;
    /// not earlier than `now`.
    #[must_use]
    pub fn holds_at(&self, count: u32, rate: Rate, now: Moment) -> Moment {
        now.after(self.full_at.since(now).saturating_sub(rate.time_to_all_but(count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(nanoseconds: u64) -> Moment {
        Moment::START.after(Duration::from_nanos(nanoseconds))
    }

    #[test]
    fn a_new_bucket_holds_the_tokens_of_one_second() {
        let (rate, mut bucket) = (Rate::new(3), TokenBucket::default());
        let taken = [(); 5].map(|()| {
            let has_token = bucket.has_token(rate, Moment::START);
            bucket.take(u32::from(has_token), rate, Moment::START);
            has_token
        });
        assert_eq!(taken, [true, true, true, false, false]);
        assert!(!bucket.has_token(rate, at(333_333_332)));
        assert!(bucket.has_token(rate, at(333_333_333)));
    }

    #[test]
    fn an_overdrawn_bucket_first_repays_its_debt() {
        let (rate, mut bucket) = (Rate::new(10), TokenBucket::default());
        bucket.take(60, rate, Moment::START);
        let seconds = |seconds: f64| Moment::START.after(Duration::from_secs_f64(seconds));
        assert_eq!(bucket.holds_at(1, rate, Moment::START), seconds(5.1));
        assert_eq!(bucket.holds_at(10, rate, Moment::START), seconds(6.0));
        assert_eq!(bucket.holds_at(11, rate, Moment::START), seconds(6.0));
        assert!(!bucket.is_full(seconds(5.9)));
        assert!(bucket.is_full(seconds(6.0)));
    }

    #[test]
    fn rates_beyond_the_range_are_clamped() {
        assert_eq!(
            (Rate::new(0).per_second(), Rate::new(u32::MAX).per_second()),
            (1, 1_000_000_000)
        );
        let mut bucket = TokenBucket::default();
        bucket.take(u32::MAX, Rate::new(0), Moment::START);
        assert!(!bucket.has_token(Rate::new(0), at(u64::from(u32::MAX))));
    }

    proptest! {
        /// The model counts tokens by the nanoseconds in which they are added, so it rounds
        /// nothing.
        #[test]
        fn a_bucket_agrees_with_a_count_of_tokens(
            per_second in 1u32..2000,
            steps in proptest::collection::vec((0u64..3_000_000_000, 0u32..50), 1..100),
        ) {
            let (rate, mut bucket) = (Rate::new(per_second), TokenBucket::default());
            let interval = i128::from(1_000_000_000 / per_second);
            let capacity = interval * i128::from(per_second);
            let (mut now, mut held) = (0, capacity);
            for (pause, count) in steps {
                now += pause;
                held = capacity.min(held + i128::from(pause));
                prop_assert_eq!(bucket.is_full(at(now)), held == capacity);
                prop_assert_eq!(bucket.has_token(rate, at(now)), held >= interval);
                bucket.take(count, rate, at(now));
                held -= interval * i128::from(count);
                let missing = |tokens: u32| {
                    let wanted = interval * i128::from(tokens.min(per_second));
                    u64::try_from((wanted - held).max(0)).expect("less than a year")
                };
                prop_assert_eq!(bucket.holds_at(1, rate, at(now)), at(now + missing(1)));
                prop_assert_eq!(bucket.holds_at(count, rate, at(now)), at(now + missing(count)));
            }
        }

        #[test]
        fn no_second_admits_more_than_twice_the_rate(
            per_second in 1u32..50,
            pauses in proptest::collection::vec(0u64..100_000_000, 1..400),
        ) {
            let (rate, mut bucket) = (Rate::new(per_second), TokenBucket::default());
            let (mut now, mut admitted) = (0, Vec::new());
            for pause in pauses {
                now += pause;
                if bucket.has_token(rate, at(now)) {
                    bucket.take(1, rate, at(now));
                    admitted.push(now);
                }
            }
            for (first, start) in admitted.iter().enumerate() {
                let within = admitted[first..].iter().take_while(|at| **at < start + 1_000_000_000);
                prop_assert!(within.count() <= 2 * per_second as usize);
            }
        }
    }
}
