//! The report as CSV: a row for each slice of the run.

use std::fmt::Write;
use std::time::Duration;

use crate::measurement::latency::microseconds;
use crate::report::{Distribution, Report};

const HEADER: &str = "start_s,length_s,sent_count,correct_count,errors_count,open_count,\
                      sent_per_s,replies_per_s,mean_us,p50_us,p90_us,p99_us,p99_9_us,max_us,\
                      handshakes_count,handshake_p50_us,handshake_p99_us,handshake_max_us\n";

/// Returns the text of the file. The latencies of a slice without a reply are empty, and so are
/// those of handshakes without TLS.
pub(in crate::report) fn text(report: &Report) -> String {
    let mut text = HEADER.to_owned();
    for slice in &report.slices {
        let latency = &slice.latency;
        let mean = (latency.0.count() > 0).then(|| latency.0.mean());
        let quantiles = [0.5, 0.9, 0.99, 0.999].map(|quantile| latency.quantile(quantile));
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{:.3},{:.3},{},{},{},{},{:.1},{:.1}",
            slice.start_s,
            slice.length_s,
            slice.sent_count,
            slice.correct_count,
            slice.errors_count,
            slice.open_count,
            slice.per_s(slice.sent_count),
            slice.per_s(slice.correct_count),
        );
        let cell = |figure: Option<Duration>| match figure {
            Some(figure) => format!(",{:.3}", microseconds(figure)),
            None => ",".into(),
        };
        text.extend([mean].into_iter().chain(quantiles).chain([latency.max()]).map(cell));
        let handshake = slice.tls_handshake.as_ref();
        let quantiles = [0.5, 0.99].map(|quantile| handshake?.quantile(quantile));
        let _ = write!(text, ",{}", slice.handshakes_count);
        text.extend(quantiles.into_iter().chain([handshake.and_then(Distribution::max)]).map(cell));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::measurement::causes::ConnectError;

    #[test]
    fn every_slice_is_a_row_with_as_many_cells_as_the_header() {
        let text = text(&Report::new(&fixtures::closed().done(), &[]));
        let rows: Vec<Vec<&str>> = text.lines().map(|row| row.split(',').collect()).collect();
        assert_eq!(rows.len(), 11);
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{text}");
        let cell = |name: &str| rows[3][rows[0].iter().position(|head| *head == name).expect(name)];
        assert_eq!(
            (cell("start_s"), cell("correct_count"), cell("replies_per_s")),
            ("2.000", "10000", "10000.0")
        );
        assert!(
            cell("p50_us").parse::<f64>().is_ok_and(|figure| (499.0..502.0).contains(&figure)),
            "{text}"
        );
    }

    #[test]
    fn a_slice_without_a_reply_has_empty_latencies() {
        let text = text(&Report::new(&fixtures::nothing(ConnectError::Refused).done(), &[]));
        assert!(
            text.lines().nth(1).is_some_and(|row| row.ends_with("0,0,0,0,0.0,0.0,,,,,,,0,,,")),
            "{text}"
        );
    }
}
