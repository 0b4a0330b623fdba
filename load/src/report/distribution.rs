//! Durations in a file: summary statistics, and the complete histogram, so that files can be merged
//! exactly.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

use crate::error::LoadError;
use crate::measurement::latency::{Latency, microseconds};

/// A distribution of durations in a report.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(into = "DistributionFields", try_from = "DistributionFields")]
pub struct Distribution(pub Latency);

/// The keys of a distribution in a file. Every value except the histogram is `None` if nothing
/// occurred.
#[derive(Serialize, Deserialize)]
struct DistributionFields {
    count: u64,
    min_us: Option<f64>,
    mean_us: Option<f64>,
    stdev_us: Option<f64>,
    p50_us: Option<f64>,
    p90_us: Option<f64>,
    p99_us: Option<f64>,
    p99_9_us: Option<f64>,
    p99_99_us: Option<f64>,
    max_us: Option<f64>,
    hdr_v2_deflate_base64: String,
}

impl Distribution {
    /// Returns the duration that the share `quantile` does not exceed; `None` if nothing occurred.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        (self.0.count() > 0).then(|| self.0.quantile(quantile))
    }

    /// Returns the longest duration; `None` if nothing occurred.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        (self.0.count() > 0).then(|| self.0.max())
    }
}

impl From<Distribution> for DistributionFields {
    fn from(Distribution(latency): Distribution) -> Self {
        let figure = |duration| (latency.count() > 0).then(|| microseconds(duration));
        let quantile = |quantile| figure(latency.quantile(quantile));
        let mut histogram = Vec::new();
        // Writing to a vector cannot fail, and a histogram of three digits is far below the size
        // limit of the format.
        let _ = V2DeflateSerializer::new().serialize(latency.histogram(), &mut histogram);
        Self {
            count: latency.count(),
            min_us: figure(Duration::from_nanos(latency.histogram().min())),
            mean_us: figure(latency.mean()),
            stdev_us: figure(latency.deviation()),
            p50_us: quantile(0.5),
            p90_us: quantile(0.9),
            p99_us: quantile(0.99),
            p99_9_us: quantile(0.999),
            p99_99_us: quantile(0.9999),
            max_us: figure(latency.max()),
            hdr_v2_deflate_base64: BASE64_STANDARD.encode(&histogram),
        }
    }
}

impl TryFrom<DistributionFields> for Distribution {
    type Error = LoadError;

    fn try_from(fields: DistributionFields) -> Result<Self, LoadError> {
        let bytes = BASE64_STANDARD.decode(&fields.hdr_v2_deflate_base64).map_err(|error| {
            LoadError::Report(format!("a histogram is not valid base64: {error}"))
        })?;
        let histogram = Deserializer::new()
            .deserialize::<u64, _>(&mut bytes.as_slice())
            .map_err(|error| LoadError::Report(format!("a histogram cannot be read: {error}")))?;
        if histogram.len() != fields.count {
            return Err(LoadError::Report(format!(
                "a histogram has {} durations, but its count is {}",
                histogram.len(),
                fields.count
            )));
        }
        // Merged into a new histogram, because one that was read does not resize.
        let mut latency = Latency::default();
        latency.merge(&histogram.into());
        Ok(Self(latency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(counts: impl IntoIterator<Item = u64>) -> Distribution {
        let mut latency = Latency::default();
        counts.into_iter().for_each(|count| latency.record(Duration::from_millis(count), 1));
        Distribution(latency)
    }

    fn text(distribution: &Distribution) -> String {
        serde_json::to_string(distribution).expect("it has a form in JSON")
    }

    #[test]
    fn a_file_has_its_statistics_in_microseconds() {
        let value: serde_json::Value =
            serde_json::from_str(&text(&milliseconds(1..=100))).expect("it is JSON");
        for (key, expected) in [
            ("min_us", 1e3),
            ("mean_us", 50.5e3),
            ("p50_us", 50e3),
            ("p99_us", 99e3),
            ("max_us", 100e3),
        ] {
            let figure = value[key].as_f64().expect(key);
            assert!((figure / expected - 1.0).abs() < 0.001, "{key}: {figure}");
        }
        assert_eq!(value["count"], 100);
    }

    #[test]
    fn a_histogram_is_read_back_exactly_and_can_grow() {
        let written = milliseconds([1, 2, 2, 3]);
        let mut read: Distribution = serde_json::from_str(&text(&written)).expect("our own");
        assert_eq!(read.0.histogram(), written.0.histogram());
        read.0.merge(&milliseconds([3_600_000]).0);
        assert_eq!(read.0.count(), 5);
        assert!(read.max() > Some(Duration::from_secs(3_590)), "{:?}", read.max());
    }

    #[test]
    fn an_empty_distribution_has_no_values() {
        let nothing = milliseconds([]);
        let value: serde_json::Value = serde_json::from_str(&text(&nothing)).expect("it is JSON");
        assert_eq!(
            (&value["count"], &value["p50_us"], &value["max_us"]),
            (&0.into(), &().into(), &().into())
        );
        assert_eq!(nothing.quantile(0.5), None);
        let read: Distribution = serde_json::from_str(&text(&nothing)).expect("our own");
        assert_eq!(read.0.count(), 0);
    }

    #[test]
    fn an_invalid_histogram_is_an_error() {
        let good = text(&milliseconds([1, 2, 3]));
        for broken in [
            good.replace("\"count\":3", "\"count\":4"),
            good.replace("base64\":\"", "base64\":\"!"),
            good.replace("base64\":\"H", "base64\":\"I"),
            good.replace("base64\":\"", "base64\":\"AAAA"),
        ] {
            assert_ne!(broken, good);
            assert!(serde_json::from_str::<Distribution>(&broken).is_err(), "{broken}");
        }
    }
}
