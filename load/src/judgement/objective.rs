//! The objective of a search: `p99=1ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tinytcp_cli::units;

use super::gates;
use crate::error::UsageError;
use crate::measurement::latency::Latency;

const EXAMPLE: &str = "an objective looks like p99=1ms or p99.9=5ms";

/// A bound of a percentile of the latency from the schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    text: String,
    quantile: f64,
    bound: Duration,
}

impl Objective {
    /// Returns the percentile of the objective in `latency`.
    #[must_use]
    pub fn of(&self, latency: &Latency) -> Duration {
        latency.quantile(self.quantile)
    }

    /// Returns the minimum number of replies for a decision: ten of them lie beyond the percentile.
    #[must_use]
    pub const fn samples_min(&self) -> f64 {
        const BEYOND: f64 = 10.0;
        // For p100, no number is sufficient.
        const MAX: f64 = 100_000.0;
        (BEYOND / (1.0 - self.quantile)).round().min(MAX)
    }

    /// Returns the longest duration that meets it.
    #[must_use]
    pub const fn bound(&self) -> Duration {
        self.bound
    }

    /// Returns the name of the percentile: `p99`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.split('=').next().unwrap_or_default()
    }
}

impl FromStr for Objective {
    type Err = UsageError;

    fn from_str(text: &str) -> Result<Self, UsageError> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (name, bound) = text.split_once('=').ok_or(EXAMPLE)?;
        let quantile = gates::quantile(name).map_err(|error| format!("{error}; {EXAMPLE}"))?;
        let bound = units::duration_with_unit(bound).map_err(UsageError::new)?;
        Ok(Self { quantile, bound, text })
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_and_a_duration_make_an_objective() {
        let objective: Objective = "p99.9 = 5ms".parse().expect("a good one");
        assert_eq!((objective.name(), objective.bound()), ("p99.9", Duration::from_millis(5)));
        assert_eq!(objective.to_string(), "p99.9=5ms");
        let mut latency = Latency::default();
        latency.record(Duration::from_nanos(100), 998);
        latency.record(Duration::from_nanos(900), 2);
        assert_eq!(objective.of(&latency), Duration::from_nanos(900));
        assert_eq!(objective.samples_min(), 10_000.0);
    }

    #[test]
    fn a_wrong_objective_is_refused_with_an_example() {
        let error = "p99=5".parse::<Objective>().expect_err("no unit").to_string();
        assert!(error.contains("write 5ms or 5s"), "{error}");
        for text in ["", "p99", "p99>1ms", "99=1ms", "max=1ms", "p99=", "p99=0s", "p99=1 day"] {
            let error = text.parse::<Objective>().expect_err(text).to_string();
            assert!(error.contains("p99=1ms") || error.contains("20ms"), "{text}: {error}");
        }
    }
}
