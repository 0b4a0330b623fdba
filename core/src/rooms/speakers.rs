//! How many messages each connection may say per second: a token bucket for each one that speaks.

use std::collections::HashMap;

use crate::os::moment::Moment;
use crate::token_bucket::{Rate, TokenBucket};

/// The number of buckets below which full ones are not searched for.
const SWEEP_MIN: usize = 64;

/// The token buckets of the connections that have spoken. A full bucket equals a new one, so it is
/// removed when there are many.
#[derive(Debug, Default)]
pub(super) struct Speakers {
    buckets: HashMap<u64, TokenBucket>,
    /// The number of buckets at which full ones are removed.
    sweep_at: usize,
}

impl Speakers {
    /// Counts a message of the connection `number`. Returns false, and counts nothing, if the rate
    /// does not allow it.
    pub fn may_say(&mut self, number: u64, rate_max: Option<u32>, now: Moment) -> bool {
        let Some(rate) = rate_max.map(Rate::new) else { return true };
        if self.buckets.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            self.buckets.shrink_to(2 * self.buckets.len());
            self.sweep_at = 2 * self.buckets.len();
        }
        let bucket = self.buckets.entry(number).or_default();
        let may_say = bucket.has_token(rate, now);
        if may_say {
            bucket.take(1, rate, now);
        }
        may_say
    }

    /// Forgets the connection `number`.
    pub fn forget(&mut self, number: u64) {
        if !self.buckets.is_empty() {
            self.buckets.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::START.after(Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_connection_may_say_the_messages_of_one_second_at_once() {
        let mut speakers = Speakers::default();
        let said = [(); 4].map(|()| speakers.may_say(1, Some(2), at(0)));
        assert_eq!(said, [true, true, false, false]);
        assert!(speakers.may_say(2, Some(2), at(0)), "another connection has its own rate");
        assert!(speakers.may_say(1, Some(2), at(500)));
        assert!(!speakers.may_say(1, Some(2), at(500)));
    }

    #[test]
    fn without_a_rate_nothing_is_counted() {
        let mut speakers = Speakers::default();
        assert!((0..1000).all(|_| speakers.may_say(1, None, at(0))));
        assert!(speakers.buckets.is_empty());
    }

    #[test]
    fn full_buckets_make_room_for_other_connections() {
        let mut speakers = Speakers::default();
        for number in 0..10_000 {
            assert!(speakers.may_say(number, Some(1000), at(number)));
            assert!(speakers.buckets.len() <= SWEEP_MIN, "{number}");
        }
    }
}
