//! The intervals between the requests of an open loop: even ones, or those of a Poisson process.
//!
//! An interval is in units of its mean, so that the schedule stretches it by the rate at its time.

use std::sync::Arc;

use super::random;
use crate::measurement::settings::Arrivals;

/// Number of random intervals; after them, the sequence repeats.
const RANDOM_COUNT: usize = 1 << 16;

/// Where requests lie on a line on which their mean interval is 1.
#[derive(Clone, Debug)]
pub enum Intervals {
    /// Request k lies at k.
    Even,
    /// The distances are random, with an exponential distribution. The list has the places of the
    /// first requests; later ones repeat it.
    Poisson(Arc<[f64]>),
}

impl Intervals {
    /// Returns the intervals of `arrivals`; the random ones follow from `seed`.
    #[must_use]
    pub fn new(arrivals: Arrivals, seed: u32) -> Self {
        match arrivals {
            Arrivals::Even => Self::Even,
            Arrivals::Poisson => Self::Poisson(poisson(seed.into())),
        }
    }

    /// Returns the place of request `number`.
    #[must_use]
    pub fn place(&self, number: u64) -> f64 {
        match self {
            Self::Even => number as f64,
            Self::Poisson(places) => {
                let (rounds, index) =
                    (number / RANDOM_COUNT as u64, number as usize % RANDOM_COUNT);
                rounds as f64 * RANDOM_COUNT as f64 + places[index]
            }
        }
    }

    /// Returns how many requests lie at most at `place`.
    #[must_use]
    pub fn count_to(&self, place: f64) -> u64 {
        match self {
            Self::Even => (place as u64).saturating_add(1),
            Self::Poisson(places) => {
                let rounds = (place / RANDOM_COUNT as f64) as u64;
                let rest = place - rounds as f64 * RANDOM_COUNT as f64;
                let index = places.partition_point(|other| *other <= rest) as u64;
                rounds.saturating_mul(RANDOM_COUNT as u64).saturating_add(index)
            }
        }
    }

    /// Returns how many requests lie before `place`, which is not a request's place by chance.
    #[must_use]
    pub fn count_before(&self, place: f64) -> u64 {
        /// A sum of stages can exceed a whole number by a rounding error.
        const ROUNDING: f64 = 1e-6;
        match self {
            Self::Even => (place - ROUNDING).ceil() as u64,
            Self::Poisson(_) => self.count_to(place),
        }
    }
}

/// Returns the places of [`RANDOM_COUNT`] requests. Their intervals are scaled to a mean of exactly
/// 1, so that the rate of a long run is the requested one.
fn poisson(seed: u64) -> Arc<[f64]> {
    let intervals: Vec<f64> = (0..RANDOM_COUNT as u64)
        .map(|index| {
            // A number above 0 and at most 1: the upper 53 bits fit the fraction exactly.
            let share = ((random::number(seed, index) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
            -share.ln()
        })
        .collect();
    let scale = RANDOM_COUNT as f64 / intervals.iter().sum::<f64>();
    let places = intervals.iter().scan(0.0, |place, interval| {
        *place += interval * scale;
        Some(*place)
    });
    places.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_intervals_have_an_exponential_distribution() {
        let intervals = Intervals::new(Arrivals::Poisson, 7);
        let number = RANDOM_COUNT as u64;
        let gap = |index| intervals.place(index + 1) - intervals.place(index);
        // The share of intervals above x is e^-x; the deviation of the count is at most 128.
        for longer in [0.1, 0.5, 1.0, 2.0, 4.0] {
            let count = (0..number).filter(|index| gap(*index) > longer).count() as f64;
            let expected = (-longer).exp() * number as f64;
            assert!((count - expected).abs() < 600.0, "{longer}: {count} instead of {expected}");
        }
    }

    #[test]
    fn a_seed_determines_the_intervals() {
        let place = |seed| Intervals::new(Arrivals::Poisson, seed).place(1_000);
        assert_eq!(place(7).to_bits(), place(7).to_bits());
        assert_ne!(place(7).to_bits(), place(8).to_bits());
    }

    #[test]
    fn each_request_is_counted_from_its_place_on() {
        for arrivals in [Arrivals::Even, Arrivals::Poisson] {
            let intervals = Intervals::new(arrivals, 3);
            for number in (0..200_000).step_by(997).chain(65_530..65_540) {
                let place = intervals.place(number);
                assert_eq!(intervals.count_to(place + 1e-9), number + 1, "{arrivals:?}");
                assert!(intervals.place(number + 1) > place);
            }
        }
    }
}
