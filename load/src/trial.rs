//! The course of a search: which rate comes next, how long it is measured, and when another one
//! tells nothing.
//!
//! ```text
//!   up:   double until one breaks       down:  halve until one holds, while that changes anything
//!                       \               /
//!                        halve the distance until it is a few percent
//! ```

use std::time::Duration;

use super::objective::Objective;

/// The search ends when the lowest rate that broke is at most this much above the highest that
/// held.
const PRECISION: f64 = 0.03;

/// Below one request a second there is nothing to search.
const RATE_MIN: f64 = 1.0;

/// A lower rate is not tried when its fewest samples take so many times as long as was asked for.
const LONGER_MAX: u32 = 10;

/// When a rate that is lower by this factor...
const FLAT_FACTOR: f64 = 4.0;

/// ...has a latency that is not lower by this one, lowering the rate changes nothing: with no load
/// at all, it would be about as long.
const FLAT_GAIN: f64 = 2.0;

/// A measurement that is to be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Its number, from 1 on.
    pub number: usize,
    /// Requests a second.
    pub rate: f64,
    /// How long they are sent: long enough for the fewest samples that tell.
    pub duration: Duration,
    /// How long the search takes from its start on, if nothing is measured twice.
    pub left: Duration,
    /// True exactly when a rate that holds and one that breaks are known: without both, it may
    /// take longer.
    pub is_bracketed: bool,
}

/// Why no other rate is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The highest rate is known to a few percent.
    Found,
    /// Lowering the rate changes nothing.
    Flat,
    /// At a lower rate the fewest samples would take too long, or there is no lower one.
    Low,
}

/// Where a search stands.
#[derive(Debug)]
pub struct Course {
    /// How long each rate is measured, if it has the samples by then.
    duration: Duration,
    /// The fewest samples that tell.
    samples: f64,
    held: Option<f64>,
    broken: Option<f64>,
    /// The rates that broke the objective by their latencies alone, with these.
    late: Vec<(f64, Duration)>,
    number: usize,
}

impl Course {
    /// The start of a search for the highest rate that holds `objective`.
    #[must_use]
    pub const fn new(objective: &Objective, duration: Duration) -> Self {
        let samples = objective.samples_min();
        Self { duration, samples, held: None, broken: None, late: Vec::new(), number: 0 }
    }

    /// The next measurement, at `rate`.
    pub fn trial(&mut self, rate: f64) -> Trial {
        self.number += 1;
        let duration = self.duration_at(rate);
        let (is_bracketed, ratio) = match (self.held, self.broken) {
            (Some(held), Some(broken)) => (true, broken / held),
            _ => (false, 2.0),
        };
        // Each halving of the distance halves what the ratio is above one.
        let halvings = ((ratio - 1.0) / PRECISION).log2().ceil().max(1.0) as u32;
        let runs = if is_bracketed { halvings } else { halvings + 1 };
        Trial { number: self.number, rate, duration, left: duration * runs, is_bracketed }
    }

    /// The rate `rate` held.
    pub const fn held(&mut self, rate: f64) {
        self.held = Some(rate);
    }

    /// The rate `rate` broke; `late` is its latency if nothing else was wrong.
    pub fn broke(&mut self, rate: f64, late: Option<Duration>) {
        self.broken = Some(rate);
        self.late.extend(late.map(|late| (rate, late)));
    }

    /// The rate to measure next.
    ///
    /// # Errors
    /// When the search is over, with the reason.
    pub fn next(&self) -> Result<f64, End> {
        match (self.held, self.broken) {
            (Some(held), Some(broken)) if broken / held > 1.0 + PRECISION => {
                Ok(held.midpoint(broken))
            }
            (Some(_), Some(_)) | (None, None) => Err(End::Found),
            (Some(held), None) => Ok(held * 2.0),
            (None, Some(_)) if self.is_flat(FLAT_FACTOR) => Err(End::Flat),
            (None, Some(broken)) => {
                let lower = broken / 2.0;
                let is_low =
                    lower < RATE_MIN || self.duration_at(lower) > self.duration * LONGER_MAX;
                match is_low {
                    // There is no lower rate to compare with: the one above has to do.
                    true if self.is_flat(FLAT_FACTOR / 2.0) => Err(End::Flat),
                    true => Err(End::Low),
                    false => Ok(lower),
                }
            }
        }
    }

    /// True exactly when a rate that was higher by `factor` had a latency that was not much longer.
    fn is_flat(&self, factor: f64) -> bool {
        let Some((rate, late)) = self.late.last() else { return false };
        let is_same = |higher: &&(f64, Duration)| higher.0 >= factor * rate;
        self.late.iter().rfind(is_same).is_some_and(|higher| late.mul_f64(FLAT_GAIN) > higher.1)
    }

    fn duration_at(&self, rate: f64) -> Duration {
        self.duration.max(Duration::from_secs_f64(self.samples / rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn course(objective: &str) -> Course {
        Course::new(&objective.parse().expect("a good one"), 3 * SECOND)
    }

    #[test]
    fn a_rate_is_measured_for_as_long_as_its_samples_take() {
        let mut course = course("p99=1ms");
        assert_eq!(course.trial(1_000.0).duration, 3 * SECOND);
        assert_eq!(
            course.trial(100.0).duration,
            10 * SECOND,
            "a thousand samples, ten of them above p99"
        );
    }

    #[test]
    fn lowering_the_rate_ends_where_it_changes_nothing() {
        let ends = |latencies: [u64; 3]| {
            let mut course = course("p50=1ms");
            for (rate, late) in [400.0, 200.0, 100.0].into_iter().zip(latencies) {
                assert_eq!(
                    course.next().err(),
                    Some(End::Found).filter(|_| course.broken.is_none())
                );
                course.broke(rate, Some(Duration::from_millis(late)));
            }
            course.next()
        };
        assert_eq!(ends([5, 4, 4]), Err(End::Flat));
        assert_eq!(ends([50, 12, 4]), Ok(50.0));
    }

    #[test]
    fn a_rate_that_breaks_by_more_than_its_latency_is_no_measure_of_the_lowest_latency() {
        let mut course = course("p50=1ms");
        [400.0, 200.0].into_iter().for_each(|rate| course.broke(rate, None));
        course.broke(100.0, Some(SECOND));
        assert_eq!(course.next(), Ok(50.0));
    }

    #[test]
    fn no_rate_is_tried_whose_samples_take_ten_times_as_long_as_was_asked_for() {
        let mut course = course("p99=1ms");
        course.broke(80.0, None);
        assert_eq!(course.next(), Ok(40.0), "25 s of at most 30 s");
        course.broke(40.0, None);
        assert_eq!(course.next(), Err(End::Low));
        let late = Some(Duration::from_millis(5));
        [80.0, 40.0].into_iter().for_each(|rate| course.broke(rate, late));
        assert_eq!(course.next(), Err(End::Flat), "at half of the rate the latency is the same");
    }

    #[test]
    fn the_time_left_is_that_of_the_halvings_that_are_left() {
        let mut course = course("p99=1ms");
        let first = course.trial(1_000.0);
        assert_eq!((first.number, first.left, first.is_bracketed), (1, 7 * 3 * SECOND, false));
        course.held(1_000.0);
        course.broke(2_000.0, None);
        let second = course.trial(1_500.0);
        assert_eq!((second.number, second.left, second.is_bracketed), (2, 6 * 3 * SECOND, true));
    }
}
