//! The latencies in the percentile format of HdrHistogram, in milliseconds, as its plotter reads it
//! and wrk2 prints it.

use std::fmt::Write;

use crate::report::Report;

/// Number of rows per halving of the distance to 100 %, as is customary.
const ROWS_PER_HALVING: u32 = 5;

const NANOSECONDS_PER_MS: f64 = 1e6;

/// Returns the text of the file.
///
/// ```text
///        Value     Percentile TotalCount 1/(1-Percentile)
///
///        0.100 0.000000000000       1000           1.00
///        ...
/// ```
pub(in crate::report) fn text(report: &Report) -> String {
    let histogram = report.latency.reply().0.histogram();
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut total = 0;
    let rows = (!histogram.is_empty()).then(|| histogram.iter_quantiles(ROWS_PER_HALVING));
    for row in rows.into_iter().flatten() {
        total += row.count_since_last_iteration();
        let (value, quantile) =
            (row.value_iterated_to() as f64 / NANOSECONDS_PER_MS, row.quantile_iterated_to());
        // Writing to a string cannot fail. At 100 % the last column is `inf`.
        let _ = writeln!(
            text,
            "{value:12.3} {quantile:14.12} {total:10} {:14.2}",
            1.0 / (1.0 - quantile)
        );
    }
    let (mean, deviation) =
        (histogram.mean() / NANOSECONDS_PER_MS, histogram.stdev() / NANOSECONDS_PER_MS);
    let max = histogram.max() as f64 / NANOSECONDS_PER_MS;
    let sub_buckets = (2 * 10_u64.pow(histogram.sigfig().into())).next_power_of_two();
    let _ = write!(
        text,
        "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]\n\
         #[Max     = {max:12.3}, Total count    = {:12}]\n\
         #[Buckets = {:12}, SubBuckets     = {sub_buckets:12}]\n",
        histogram.len(),
        histogram.buckets(),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::measurement::causes::ConnectError;

    fn rows(text: &str) -> Vec<Vec<f64>> {
        let rows = text.lines().skip(2).filter(|line| !line.starts_with('#'));
        rows.map(|row| row.split_whitespace().map(|cell| cell.parse().expect(row)).collect())
            .collect()
    }

    #[test]
    fn the_rows_rise_to_the_maximum_at_100_percent() {
        let text = text(&Report::new(&fixtures::closed().done(), &[]));
        assert!(
            text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"),
            "{text}"
        );
        let rows = rows(&text);
        assert!(rows.len() > 10 && rows.iter().all(|row| row.len() == 4), "{text}");
        for column in 0..3 {
            assert!(rows.is_sorted_by(|a, b| a[column] <= b[column]), "column {column}: {text}");
        }
        let last = rows.last().expect("a row");
        assert_eq!((last[1], last[2], last[3]), (1.0, 100_000.0, f64::INFINITY));
        assert!((last[0] - 1.0).abs() < 0.001, "1 ms is the longest: {text}");
        assert!(
            text.contains("#[Max     =        1.000, Total count    =       100000]"),
            "{text}"
        );
        assert!(text.ends_with("SubBuckets     =         2048]\n"), "{text}");
    }

    #[test]
    fn without_a_reply_there_is_no_row() {
        let text = text(&Report::new(&fixtures::nothing(ConnectError::Refused).done(), &[]));
        assert_eq!(rows(&text), Vec::<Vec<f64>>::new());
        assert!(text.contains("Total count    =            0]"), "{text}");
    }
}
