//! Histograms of durations.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Three significant digits: a value is at most 0.1 % off, and a histogram of the full range takes
/// about 200 KB.
const SIGNIFICANT_DIGITS: u8 = 3;

/// A histogram of durations, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Self(
            Histogram::new(SIGNIFICANT_DIGITS)
                .expect("three digits are in the range that the histogram supports"),
        )
    }
}

impl Latency {
    /// Records `count` occurrences of `duration`.
    pub fn record(&mut self, duration: Duration, count: u64) {
        // It resizes automatically, and 584 years fit, so no error can occur.
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let _ = self.0.record_n(nanoseconds, count);
    }

    /// Adds all occurrences of `other`.
    pub fn merge(&mut self, other: &Self) {
        // It resizes automatically, so no error can occur.
        let _ = self.0.add(&other.0);
    }

    /// Returns the number of occurrences.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Returns the duration that the share `quantile` of the occurrences (0.99 for p99) does not
    /// exceed; zero if there are none.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(quantile))
    }

    /// Returns the longest duration; zero if there are none.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    /// Returns the arithmetic mean; zero if there are none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.0.mean() as u64)
    }

    /// Returns the standard deviation; zero if there are none.
    #[must_use]
    pub fn deviation(&self) -> Duration {
        Duration::from_nanos(self.0.stdev() as u64)
    }

    /// Returns the histogram, in nanoseconds.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }
}

/// Returns `duration` in microseconds with fractions, the unit of latencies in files.
#[must_use]
pub fn microseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

impl From<Histogram<u64>> for Latency {
    fn from(histogram: Histogram<u64>) -> Self {
        Self(histogram)
    }
}
