//! Durations by how often they occurred.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Three significant digits: a figure is at most 0.1 % off, and a histogram of all that can occur
/// takes some 200 KB.
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
    /// Counts `count` occurrences of `duration`.
    pub fn record(&mut self, duration: Duration, count: u64) {
        // It grows by itself, and 584 years fit: the only error is one that cannot occur.
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let _ = self.0.record_n(nanoseconds, count);
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        // It grows by itself: the only error is one that cannot occur.
        let _ = self.0.add(&other.0);
    }

    /// The number of occurrences.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The duration which the share `quantile` (0.99 for p99) of the occurrences does not exceed;
    /// zero when there are none.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(quantile))
    }

    /// The longest duration; zero when there is none.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    /// The arithmetic mean; zero when there is none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.0.mean() as u64)
    }

    /// The standard deviation; zero when there is none.
    #[must_use]
    pub fn deviation(&self) -> Duration {
        Duration::from_nanos(self.0.stdev() as u64)
    }

    /// The histogram itself, in nanoseconds: for files and charts.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }
}

/// `duration` in microseconds, to the nanosecond: the unit of latencies in files.
#[must_use]
pub fn microseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

impl From<Histogram<u64>> for Latency {
    fn from(histogram: Histogram<u64>) -> Self {
        Self(histogram)
    }
}
