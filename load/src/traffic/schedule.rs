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
//! A schedule has one such line per stage. With Poisson arrivals, request k is due when the area is
//! the sum of k random intervals.
//!
//! Because it is a function, due requests that cannot be sent need no queue: their times can be
//! computed later.

use std::time::Duration;

use super::intervals::Intervals;
use crate::measurement::settings::Stage;

/// A rate over time, and the requests that are due at it.
#[derive(Clone, Debug)]
pub struct Schedule {
    segments: Vec<Segment>,
    intervals: Intervals,
    /// Total number of requests.
    count: u64,
}

/// A part of the schedule in which the rate changes linearly.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Its start, in seconds.
    start: f64,
    /// The area under the line before it.
    before: f64,
    /// Requests per second at its start.
    from: f64,
    /// Change of the rate per second.
    slope: f64,
}

impl Schedule {
    /// Creates the schedule of `stages`, of which there is at least one; all rates are above zero.
    #[must_use]
    pub fn new(stages: &[Stage], intervals: Intervals) -> Self {
        let (mut start, mut before) = (Duration::ZERO, 0.0);
        let segments = stages.iter().map(|stage| {
            let length = stage.length.as_secs_f64();
            let slope = (stage.to - stage.from) / length;
            let segment = Segment { start: start.as_secs_f64(), before, from: stage.from, slope };
            start += stage.length;
            before += f64::midpoint(stage.from, stage.to) * length;
            segment
        });
        let segments = segments.collect();
        let count = intervals.count_before(before);
        Self { segments, intervals, count }
    }

    /// Returns the schedule with its first `count` requests only.
    #[must_use]
    pub fn limited(self, count: u64) -> Self {
        Self { count: self.count.min(count), ..self }
    }

    /// Returns the total number of requests.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Returns when request `number` is due after the start. At even intervals, request 0 is due at
    /// the start.
    #[must_use]
    pub fn due(&self, number: u64) -> Duration {
        let place = self.intervals.place(number);
        let segment = self.last_segment(|segment| segment.before <= place);
        let inside = place - segment.before;
        // Of the two forms of the solution, this one holds for a slope of zero and keeps its
        // precision near it.
        let root = (segment.from * segment.from + 2.0 * segment.slope * inside).max(0.0).sqrt();
        Duration::from_secs_f64(segment.start + 2.0 * inside / (segment.from + root))
    }

    /// Returns how many requests are due by `elapsed` after the start.
    #[must_use]
    pub fn due_by(&self, elapsed: Duration) -> u64 {
        let elapsed = elapsed.as_secs_f64();
        let segment = self.last_segment(|segment| segment.start <= elapsed);
        let seconds = elapsed - segment.start;
        let inside = segment.from * seconds + segment.slope * seconds * seconds / 2.0;
        self.intervals.count_to(segment.before + inside).min(self.count)
    }

    /// Returns the last segment for which `is_begun` returns true.
    fn last_segment(&self, is_begun: impl Fn(&Segment) -> bool) -> Segment {
        let begun = self.segments.partition_point(is_begun);
        self.segments[begun.saturating_sub(1)]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stage(seconds: u64, from: f64, to: f64) -> Stage {
        Stage { length: Duration::from_secs(seconds), from, to }
    }

    fn even(from: f64, to: f64, seconds: u64) -> Schedule {
        Schedule::new(&[stage(seconds, from, to)], Intervals::Even)
    }

    #[test]
    fn an_even_rate_has_even_gaps() {
        let schedule = even(1000.0, 1000.0, 2);
        assert_eq!(schedule.count(), 2000);
        assert_eq!(schedule.due(0), Duration::ZERO);
        assert_eq!(schedule.due(1500), Duration::from_millis(1500));
        assert_eq!(schedule.due_by(Duration::from_secs(9)), 2000);
    }

    #[test]
    fn a_ramp_sends_what_its_mean_rate_says() {
        let schedule = even(100.0, 5000.0, 10);
        assert_eq!(schedule.count(), 25_500);
        assert!(schedule.due(25_499) <= Duration::from_secs(10));
        // The first second has a rate from 100 to 590, the last one from 4510 to 5000.
        assert_eq!(schedule.due_by(Duration::from_secs(1)), 346);
        assert_eq!(25_500 - schedule.due_by(Duration::from_secs(9)), 4754);
    }

    #[test]
    fn stages_follow_each_other_with_their_own_rates() {
        let stages = [stage(2, 10.0, 10.0), stage(3, 100.0, 100.0), stage(2, 100.0, 300.0)];
        let schedule = Schedule::new(&stages, Intervals::Even);
        assert_eq!(schedule.count(), 20 + 300 + 400);
        let seconds = Duration::from_secs;
        assert_eq!([2, 5, 7].map(|end| schedule.due_by(seconds(end))), [21, 321, 720]);
        assert_eq!([0, 20, 120, 320].map(|number| schedule.due(number)), [0, 2, 3, 5].map(seconds));
    }

    #[test]
    fn a_rate_below_one_per_second_has_long_gaps() {
        let schedule = even(0.5, 0.5, 9);
        assert_eq!(schedule.count(), 5);
        assert_eq!(schedule.due(4), Duration::from_secs(8));
    }

    #[test]
    fn a_limited_schedule_has_its_first_requests_only() {
        let schedule = even(10.0, 10.0, 9).limited(7);
        assert_eq!((schedule.count(), schedule.due_by(Duration::from_secs(9))), (7, 7));
    }

    #[test]
    fn poisson_arrivals_keep_the_rate_of_each_stage() {
        let intervals = Intervals::new(crate::measurement::settings::Arrivals::Poisson, 1);
        let stages = [stage(10, 1000.0, 1000.0), stage(10, 4000.0, 4000.0)];
        let schedule = Schedule::new(&stages, intervals);
        let first = schedule.due_by(Duration::from_secs(10));
        // The deviations of the counts are 100 and 200.
        assert!(first.abs_diff(10_000) < 500, "{first}");
        assert!(schedule.count().abs_diff(50_000) < 1_100, "{}", schedule.count());
        assert!((0..schedule.count()).is_sorted_by_key(|number| schedule.due(number)));
    }

    proptest! {
        #[test]
        fn a_request_is_due_exactly_from_its_time_on(
            from in 0.5f64..1e6, to in 0.5f64..1e6, seconds in 1u64..100, share in 0.0f64..1.0,
        ) {
            let schedule = even(from, to, seconds);
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
