//! The schedule of an open loop: when requests are due, as a function of time that does not depend
//! on replies.
//!
//! ```text
//!   rate
//!    to |            ___/       request k is due when the area under the line is k
//!       |      ___---
//!  from |___---
//!       +-------------------> time
//! ```
//!
//! Because it is a function, due requests that cannot be sent need no queue: their times can be
//! computed later.

use std::time::Duration;

/// A rate that changes linearly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Requests per second at the start.
    from: f64,
    /// Change of the rate per second.
    slope: f64,
    /// Total number of requests.
    count: u64,
}

impl Schedule {
    /// Creates a schedule from `from` to `to` requests per second, both above zero, over
    /// `duration`.
    #[must_use]
    pub fn new(from: f64, to: f64, duration: Duration) -> Self {
        let seconds = duration.as_secs_f64();
        Self {
            from,
            slope: (to - from) / seconds,
            count: ((from + to) / 2.0 * seconds).ceil() as u64,
        }
    }

    /// Returns the total number of requests.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Returns when request `number` is due after the start. Request 0 is due at the start.
    #[must_use]
    pub fn due(&self, number: u64) -> Duration {
        let number = number as f64;
        // Of the two forms of the solution, this one holds for a slope of zero and keeps its
        // precision near it.
        let root = (self.from * self.from + 2.0 * self.slope * number).max(0.0).sqrt();
        Duration::from_secs_f64(2.0 * number / (self.from + root))
    }

    /// Returns how many requests are due by `elapsed` after the start.
    #[must_use]
    pub fn due_by(&self, elapsed: Duration) -> u64 {
        let seconds = elapsed.as_secs_f64();
        let area = self.from * seconds + self.slope * seconds * seconds / 2.0;
        (area as u64).saturating_add(1).min(self.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_even_rate_has_even_gaps() {
        let schedule = Schedule::new(1000.0, 1000.0, Duration::from_secs(2));
        assert_eq!(schedule.count(), 2000);
        assert_eq!(schedule.due(0), Duration::ZERO);
        assert_eq!(schedule.due(1500), Duration::from_millis(1500));
        assert_eq!(schedule.due_by(Duration::from_secs(9)), 2000);
    }

    #[test]
    fn a_ramp_sends_what_its_mean_rate_says() {
        let schedule = Schedule::new(100.0, 5000.0, Duration::from_secs(10));
        assert_eq!(schedule.count(), 25_500);
        assert!(schedule.due(25_499) <= Duration::from_secs(10));
        // The first second has a rate from 100 to 590, the last one from 4510 to 5000.
        assert_eq!(schedule.due_by(Duration::from_secs(1)), 346);
        assert_eq!(25_500 - schedule.due_by(Duration::from_secs(9)), 4754);
    }

    proptest! {
        #[test]
        fn a_request_is_due_exactly_from_its_time_on(
            from in 0.5f64..1e6, to in 0.5f64..1e6, seconds in 1u64..100, share in 0.0f64..1.0,
        ) {
            let schedule = Schedule::new(from, to, Duration::from_secs(seconds));
            let number = ((schedule.count() - 1) as f64 * share) as u64;
            let due = schedule.due(number);
            prop_assert!(due <= Duration::from_secs(seconds) + Duration::from_micros(1));
            // Rounding to nanoseconds may hide the last of them.
            let counted = schedule.due_by(due + Duration::from_nanos(10));
            prop_assert!(counted > number, "{counted} are due when number {number} is");
            prop_assert!(schedule.due(number + 1) >= due);
        }
    }
}
