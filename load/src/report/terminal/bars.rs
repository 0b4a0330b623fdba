//! A text histogram: logarithmic buckets with round bounds, and bars of eighths of a character.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The bounds within a decade, from coarse to fine.
const SERIES: [&[f64]; 3] = [
    &[1.0, 2.0, 5.0],
    &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
    &[1.0, 1.2, 1.5, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
];

/// Minimum number of buckets; with fewer, finer bounds are used.
const BUCKETS_ENOUGH: usize = 8;

/// Durations from `from` to `to`, excluding `to`.
#[derive(Debug, PartialEq)]
pub(super) struct Bucket {
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) count: u64,
}

/// Returns the buckets of `histogram` (in nanoseconds), from the first with a count to the last;
/// none if it is empty.
pub(super) fn buckets(histogram: &Histogram<u64>) -> Vec<Bucket> {
    if histogram.is_empty() {
        return Vec::new();
    }
    let all = || SERIES.iter().map(|series| fill(histogram, series));
    all()
        .find(|buckets| buckets.len() >= BUCKETS_ENOUGH)
        .or_else(|| all().next_back())
        .unwrap_or_default()
}

fn fill(histogram: &Histogram<u64>, series: &[f64]) -> Vec<Bucket> {
    // One decade more than 64 bits of nanoseconds need.
    let bounds = (0..=20)
        .flat_map(|decade| series.iter().map(move |step| (step * 10_f64.powi(decade)) as u64));
    let mut bounds: Vec<u64> = std::iter::once(0).chain(bounds).collect();
    bounds.dedup();
    let mut buckets: Vec<Bucket> = bounds
        .windows(2)
        .map(|pair| Bucket {
            from: Duration::from_nanos(pair[0]),
            to: Duration::from_nanos(pair[1]),
            count: 0,
        })
        .collect();
    for step in histogram.iter_recorded() {
        // The longest of the values that the histogram does not distinguish, so that a round
        // duration starts its bucket.
        let value = Duration::from_nanos(step.value_iterated_to());
        let place = buckets.partition_point(|bucket| bucket.to <= value);
        if let Some(bucket) = buckets.get_mut(place) {
            bucket.count += step.count_at_value();
        }
    }
    let first = buckets.iter().position(|bucket| bucket.count > 0).unwrap_or(0);
    let last = buckets.iter().rposition(|bucket| bucket.count > 0).unwrap_or(0);
    buckets.drain(first..=last).collect()
}

/// Returns a bar for the share `ratio` of `room` characters; any share above zero is visible.
pub(super) fn bar(ratio: f64, room: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (ratio.clamp(0.0, 1.0) * room as f64 * 8.0).round() as usize;
    let eighths = if ratio > 0.0 { eighths.max(1) } else { 0 };
    "█".repeat(eighths / 8) + PARTS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::latency::Latency;

    fn of(counts: &[(u64, u64)]) -> Vec<Bucket> {
        let mut latency = Latency::default();
        counts.iter().for_each(|(microseconds, count)| {
            latency.record(Duration::from_micros(*microseconds), *count)
        });
        buckets(latency.histogram())
    }

    #[test]
    fn every_duration_is_in_exactly_one_bucket() {
        let counts: Vec<(u64, u64)> = (0..200).map(|step| (1 << (step / 10), step + 1)).collect();
        let buckets = of(&counts);
        let recorded: u64 = counts.iter().map(|(_, count)| count).sum();
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), recorded);
        assert!(buckets.windows(2).all(|pair| pair[0].to == pair[1].from));
        assert!(buckets[0].count > 0 && buckets.last().is_some_and(|last| last.count > 0));
    }

    #[test]
    fn a_round_duration_starts_its_bucket() {
        let buckets = of(&[(1_000, 3), (100_000, 1)]);
        assert_eq!((buckets[0].from, buckets[0].count), (Duration::from_millis(1), 3));
    }

    #[test]
    fn a_narrow_range_has_finer_buckets_than_a_wide_one() {
        assert!(of(&[(100, 1), (190, 1)]).len() >= 4);
        let wide = of(&[(1, 1), (10_000_000, 1)]);
        assert!(wide.len() <= 24, "{}", wide.len());
        assert_eq!(of(&[]), []);
    }

    #[test]
    fn a_bar_has_the_length_of_its_share_and_is_never_empty() {
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(bar(0.5, 3), "█▌");
        assert_eq!(bar(1e-9, 10), "▏");
        assert_eq!(bar(0.0, 10), "");
    }
}
