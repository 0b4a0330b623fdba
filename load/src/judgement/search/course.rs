//! The order of a search: the next rate to measure, its duration, and when a lower rate cannot
//! help.
//!
//! ```text
//!   up:   double until a rate fails     down:  halve until a rate meets the objective
//!                       \               /
//!                                             bisect down to 3 percent
//! ```

use std::time::Duration;

use crate::judgement::objective::Objective;

/// The search ends when the lowest rate that failed is at most this far above the highest that met
/// the objective.
const PRECISION: f64 = 0.03;

/// Lowest rate of a search, in requests per second.
const RATE_MIN: f64 = 1.0;

/// A lower rate is not measured if its minimum number of samples takes this many times the
/// requested duration.
const LONGER_MAX: u32 = 10;

/// A lower rate is compared with one that is higher by this factor.
const FLAT_FACTOR: f64 = 4.0;

/// If the higher rate has less than this many times the latency of the lower one, a still lower
/// rate does not help: the latency is nearly that of an idle server.
const FLAT_GAIN: f64 = 2.0;

/// One measurement of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Its number, starting at 1.
    pub number: usize,
    /// Requests per second.
    pub rate: f64,
    /// Its duration, long enough for the minimum number of samples.
    pub duration: Duration,
    /// Expected time from its start to the end of the search, if no rate is measured twice.
    pub left: Duration,
    /// True if a rate that met the objective and one that failed are known. Until then, `left` is a
    /// lower bound.
    pub is_bracketed: bool,
}

/// The reason why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchEnd {
    /// The highest rate is known to within 3 %.
    Found,
    /// A lower rate does not reduce the latency.
    Flat,
    /// A lower rate would take too long for its samples, or there is none.
    Low,
}

/// The state of a search.
#[derive(Debug)]
pub struct SearchCourse {
    /// Requested duration of each measurement.
    duration: Duration,
    /// Minimum number of samples of a measurement.
    samples: f64,
    held: Option<f64>,
    broken: Option<f64>,
    /// The rates that failed by their latency alone, with that latency.
    late: Vec<(f64, Duration)>,
    number: usize,
}

impl SearchCourse {
    /// Starts a search for the highest rate that meets `objective`.
    #[must_use]
    pub const fn new(objective: &Objective, duration: Duration) -> Self {
        let samples = objective.samples_min();
        Self { duration, samples, held: None, broken: None, late: Vec::new(), number: 0 }
    }

    /// Returns the next measurement, at `rate`.
    pub fn trial(&mut self, rate: f64) -> Trial {
        self.number += 1;
        let duration = self.duration_at(rate);
        let (is_bracketed, ratio) = match (self.held, self.broken) {
            (Some(held), Some(broken)) => (true, broken / held),
            _ => (false, 2.0),
        };
        // Each bisection halves the distance of the ratio from one.
        let halvings = ((ratio - 1.0) / PRECISION).log2().ceil().max(1.0) as u32;
        let runs = if is_bracketed { halvings } else { halvings + 1 };
        Trial { number: self.number, rate, duration, left: duration * runs, is_bracketed }
    }

    /// Records that `rate` met the objective.
    pub const fn held(&mut self, rate: f64) {
        self.held = Some(rate);
    }

    /// Records that `rate` failed; `late` is its latency if nothing else was wrong.
    pub fn broke(&mut self, rate: f64, late: Option<Duration>) {
        self.broken = Some(rate);
        self.late.extend(late.map(|late| (rate, late)));
    }

    /// Returns the rate to measure next.
    ///
    /// # Errors
    /// Returns why the search is over.
    pub fn next(&self) -> Result<f64, SearchEnd> {
        match (self.held, self.broken) {
            (Some(held), Some(broken)) if broken / held > 1.0 + PRECISION => {
                Ok(held.midpoint(broken))
            }
            (Some(_), Some(_)) | (None, None) => Err(SearchEnd::Found),
            (Some(held), None) => Ok(held * 2.0),
            (None, Some(_)) if self.is_flat(FLAT_FACTOR) => Err(SearchEnd::Flat),
            (None, Some(broken)) => {
                let lower = broken / 2.0;
                let is_low =
                    lower < RATE_MIN || self.duration_at(lower) > self.duration * LONGER_MAX;
                match is_low {
                    // There is no lower rate to compare with, so the one above has to do.
                    true if self.is_flat(FLAT_FACTOR / 2.0) => Err(SearchEnd::Flat),
                    true => Err(SearchEnd::Low),
                    false => Ok(lower),
                }
            }
        }
    }

    /// Returns true if a rate that was higher by `factor` had a similar latency.
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

    fn course(objective: &str) -> SearchCourse {
        SearchCourse::new(&objective.parse().expect("a good one"), 3 * SECOND)
    }

    #[test]
    fn a_rate_is_measured_until_it_has_its_samples() {
        let mut course = course("p99=1ms");
        assert_eq!(course.trial(1_000.0).duration, 3 * SECOND);
        assert_eq!(course.trial(100.0).duration, 10 * SECOND, "1000 samples, 10 of them above p99");
    }

    #[test]
    fn the_search_stops_if_a_lower_rate_does_not_help() {
        let ends = |latencies: [u64; 3]| {
            let mut course = course("p50=1ms");
            for (rate, late) in [400.0, 200.0, 100.0].into_iter().zip(latencies) {
                assert_eq!(
                    course.next().err(),
                    Some(SearchEnd::Found).filter(|_| course.broken.is_none())
                );
                course.broke(rate, Some(Duration::from_millis(late)));
            }
            course.next()
        };
        assert_eq!(ends([5, 4, 4]), Err(SearchEnd::Flat));
        assert_eq!(ends([50, 12, 4]), Ok(50.0));
    }

    #[test]
    fn only_rates_that_failed_by_latency_alone_are_compared() {
        let mut course = course("p50=1ms");
        [400.0, 200.0].into_iter().for_each(|rate| course.broke(rate, None));
        course.broke(100.0, Some(SECOND));
        assert_eq!(course.next(), Ok(50.0));
    }

    #[test]
    fn no_rate_takes_over_ten_times_the_requested_duration() {
        let mut course = course("p99=1ms");
        course.broke(80.0, None);
        assert_eq!(course.next(), Ok(40.0), "25 s of at most 30 s");
        course.broke(40.0, None);
        assert_eq!(course.next(), Err(SearchEnd::Low));
        let late = Some(Duration::from_millis(5));
        [80.0, 40.0].into_iter().for_each(|rate| course.broke(rate, late));
        assert_eq!(course.next(), Err(SearchEnd::Flat), "half of the rate has the same latency");
    }

    #[test]
    fn the_remaining_time_is_that_of_the_remaining_bisections() {
        let mut course = course("p99=1ms");
        let first = course.trial(1_000.0);
        assert_eq!((first.number, first.left, first.is_bracketed), (1, 7 * 3 * SECOND, false));
        course.held(1_000.0);
        course.broke(2_000.0, None);
        let second = course.trial(1_500.0);
        assert_eq!((second.number, second.left, second.is_bracketed), (2, 6 * 3 * SECOND, true));
    }
}
