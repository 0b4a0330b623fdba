//! The charts of a report.

use std::time::Duration;

use super::chart::{Chart, Series};
use super::scale::{Axis, percentile_place_max, quantile_at};
use crate::judgement::objective::Objective;
use crate::judgement::search::{Search, SearchStep};
use crate::report::{Distribution, PaceKind, Report, ReportSlice};

/// Number of points of a percentile curve.
const CURVE_POINTS: u32 = 240;

const HEIGHT: f64 = 230.0;
const HEIGHT_OF_STRIP: f64 = 90.0;

/// Latency in each slice; `None` without a reply.
pub(super) fn latency_over_time(report: &Report) -> Option<Chart> {
    let figure = |figure: fn(&Distribution) -> Option<Duration>| {
        over_time(report, move |slice| figure(&slice.latency).map(|figure| figure.as_secs_f64()))
    };
    let series = vec![
        Series { name: "max", class: "max", points: figure(Distribution::max) },
        Series { name: "p99", class: "p99", points: figure(|latency| latency.quantile(0.99)) },
        Series { name: "p50", class: "p50", points: figure(|latency| latency.quantile(0.5)) },
    ];
    has_points(&series).then(|| Chart {
        description: "Latency over time: median, 99th percentile and maximum of each slice".into(),
        x: time(report),
        y: Axis::durations("latency", values(&series)),
        series,
        height: HEIGHT,
    })
}

/// Requests due, requests sent and correct replies in each slice.
pub(super) fn throughput_over_time(report: &Report) -> Option<Chart> {
    let mut series = Vec::new();
    if report.settings.pace.kind == PaceKind::Open {
        series.push(Series { name: "requests due", class: "due", points: due(report) });
    }
    let sent = over_time(report, |slice| Some(slice.per_s(slice.sent_count)));
    let right = over_time(report, |slice| Some(slice.per_s(slice.correct_count)));
    series.push(Series { name: "requests sent", class: "sent", points: sent });
    series.push(Series { name: "correct replies", class: "right", points: right });
    has_points(&series).then(|| Chart {
        description: "Throughput over time: requests sent and correct replies per second".into(),
        x: time(report),
        y: Axis::numbers("per second", values(&series)),
        series,
        height: HEIGHT,
    })
}

/// Errors in each slice; `None` without an error.
pub(super) fn errors_over_time(report: &Report) -> Option<Chart> {
    let points = over_time(report, |slice| Some(slice.per_s(slice.errors_count)));
    let occurred = report.slices.iter().any(|slice| slice.errors_count > 0);
    let series = vec![Series { name: "errors", class: "errors", points }];
    occurred.then(|| strip("Errors over time", "per second", report, series))
}

/// Open connections at the end of each slice; `None` if the number is constant.
pub(super) fn connections_over_time(report: &Report) -> Option<Chart> {
    let points = over_time(report, |slice| Some(slice.open_count as f64));
    let changed = report.slices.windows(2).any(|pair| pair[0].open_count != pair[1].open_count);
    let series = vec![Series { name: "open connections", class: "open", points }];
    changed.then(|| strip("Open connections over time", "open", report, series))
}

/// Latency by percentile, from the schedule and from the send; `None` without a reply.
pub(super) fn percentiles(report: &Report) -> Option<Chart> {
    let count = report.latency.from_send.0.count();
    let mut series = Vec::new();
    if let Some(from_schedule) = &report.latency.from_schedule {
        series.push(Series {
            name: "from the schedule",
            class: "p99",
            points: curve(from_schedule),
        });
    }
    series.push(Series {
        name: "from the send",
        class: "p50",
        points: curve(&report.latency.from_send),
    });
    has_points(&series).then(|| Chart {
        description: "Percentile curve: the latency that each share of the replies did not exceed"
            .into(),
        x: Box::new(move |marks| Axis::percentiles(count, marks)),
        y: Axis::durations("latency", values(&series)),
        series,
        height: HEIGHT,
    })
}

/// Latency at each measured rate of a search; `None` without a reply. Of a rate that was measured
/// twice, the second measurement counts.
pub(super) fn search(search: &Search) -> Option<Chart> {
    let mut curve = search.curve();
    curve.reverse();
    curve.dedup_by_key(|step| step.asked_per_s.to_bits());
    curve.reverse();
    let rates: Vec<f64> = curve.iter().map(|step| step.asked_per_s).collect();
    let figure = |figure: fn(&SearchStep) -> Option<f64>| {
        curve
            .iter()
            .map(|step| (step.asked_per_s, figure(step).map(|figure| figure / 1e6)))
            .collect()
    };
    let mut series = vec![
        Series { name: "p99.9", class: "max", points: figure(|step| step.p99_9_us) },
        Series { name: "p99", class: "p99", points: figure(|step| step.p99_us) },
        Series { name: "p50", class: "p50", points: figure(|step| step.p50_us) },
    ];
    if !has_points(&series) {
        return None;
    }
    if let (Ok(objective), Some(first), Some(last)) =
        (search.objective.parse::<Objective>(), rates.first(), rates.last())
    {
        let bound = Some(objective.bound().as_secs_f64());
        series.push(Series {
            name: "objective",
            class: "bound",
            points: vec![(*first, bound), (*last, bound)],
        });
    }
    Some(Chart {
        description: "Latency by rate: what the search measured".into(),
        y: Axis::durations("latency from the schedule", values(&series)),
        x: Box::new(move |marks| {
            Axis::rates("requests due per second", rates.iter().copied(), marks)
        }),
        series,
        height: HEIGHT,
    })
}

fn strip(description: &str, unit: &str, report: &Report, series: Vec<Series>) -> Chart {
    let y = Axis::numbers(unit, values(&series));
    Chart { description: description.into(), x: time(report), y, series, height: HEIGHT_OF_STRIP }
}

/// The time axis, from the start of the measurement window to the end of the last slice.
fn time(report: &Report) -> Box<dyn Fn(usize) -> Axis> {
    let end = report.slices.iter().map(|slice| slice.start_s + slice.length_s).fold(0.0, f64::max);
    Box::new(move |marks| Axis::time(end, marks))
}

/// Returns a point in the middle of each slice.
fn over_time(
    report: &Report,
    value: impl Fn(&ReportSlice) -> Option<f64>,
) -> Vec<(f64, Option<f64>)> {
    report.slices.iter().map(|slice| (slice.start_s + slice.length_s / 2.0, value(slice))).collect()
}

/// Returns the scheduled rate in each slice, in requests per second; `None` after its end.
fn due(report: &Report) -> Vec<(f64, Option<f64>)> {
    let at = |start: f64| {
        let mut left = report.settings.warmup_s + start;
        let stages = &report.settings.pace.stages;
        let stage = stages.iter().find(|stage| {
            let is_inside = left < stage.length_s;
            left -= if is_inside { 0.0 } else { stage.length_s };
            is_inside
        })?;
        Some(stage.from_per_s + (stage.to_per_s - stage.from_per_s) * left / stage.length_s)
    };
    over_time(report, |slice| at(slice.start_s + slice.length_s / 2.0))
}

fn curve(latency: &Distribution) -> Vec<(f64, Option<f64>)> {
    let end = percentile_place_max(latency.0.count());
    let point = |step| {
        let place = end * f64::from(step) / f64::from(CURVE_POINTS);
        (place, latency.quantile(quantile_at(place)).map(|figure| figure.as_secs_f64()))
    };
    (0..=CURVE_POINTS).map(point).collect()
}

fn values(series: &[Series]) -> impl Iterator<Item = f64> + Clone {
    series.iter().flat_map(|series| series.points.iter().filter_map(|(_, value)| *value))
}

fn has_points(series: &[Series]) -> bool {
    values(series).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, OutcomeBuilder};
    use crate::measurement::causes::{ConnectError, ReplyError};
    use crate::measurement::settings::Pace;

    fn report(sample: OutcomeBuilder) -> Report {
        Report::new(&sample.done(), &[])
    }

    #[test]
    fn a_run_without_a_reply_has_no_latencies_to_draw() {
        let report = report(fixtures::nothing(ConnectError::Refused));
        assert!(latency_over_time(&report).is_none() && percentiles(&report).is_none());
        assert!(throughput_over_time(&report).is_some());
    }

    #[test]
    fn errors_and_connections_are_drawn_only_if_they_change() {
        let calm = report(fixtures::closed());
        assert!(errors_over_time(&calm).is_none() && connections_over_time(&calm).is_none());
        let eventful = fixtures::closed()
            .errors(ReplyError::Late, 1)
            .change(|outcome| outcome.slices[3].open = 9);
        let eventful = report(eventful);
        assert!(
            errors_over_time(&eventful).is_some() && connections_over_time(&eventful).is_some()
        );
    }

    #[test]
    fn both_latencies_are_drawn_if_both_exist() {
        let lines = |sample| percentiles(&report(sample)).map(|chart| chart.series.len());
        assert_eq!((lines(fixtures::closed()), lines(fixtures::open())), (Some(1), Some(2)));
    }

    #[test]
    fn a_percentile_curve_never_falls_and_ends_at_the_last_reply() {
        let points = curve(&report(fixtures::closed()).latency.from_send);
        assert!(points.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1), "{points:?}");
        let (place, value) = points[points.len() - 1];
        assert!(
            (place - 5.0).abs() < 1e-9 && value.is_some_and(|value| (value - 1e-3).abs() < 1e-5),
            "{place} {value:?}"
        );
    }

    #[test]
    fn the_scheduled_rate_follows_the_ramp() {
        let ramp = fixtures::open().settings(|settings| {
            (settings.warmup, settings.duration) = (Duration::ZERO, Duration::from_secs(8));
            settings.pace = Pace::Open { from: 0.0, to: 80.0 };
        });
        let points = due(&report(ramp));
        assert_eq!(
            (points[0], points[7], points[8]),
            ((0.5, Some(5.0)), (7.5, Some(75.0)), (8.5, None))
        );
    }

    #[test]
    fn a_search_is_drawn_by_rate_with_its_objective() {
        let step = |asked_per_s, p99_us| SearchStep {
            asked_per_s,
            reached_per_s: asked_per_s,
            p50_us: Some(100.0),
            p99_us,
            p99_9_us: None,
            held: true,
            generator_limited: false,
            broken_by: None,
        };
        let mut found = Search {
            objective: "p99=1ms".into(),
            highest_held_per_s: None,
            conclusion: String::new(),
            steps: Vec::new(),
        };
        assert!(search(&found).is_none());
        found.steps =
            vec![step(4_000.0, Some(900.0)), step(4_000.0, None), step(1_000.0, Some(500.0))];
        let chart = search(&found).expect("there are replies");
        assert_eq!(chart.series[1].points, [(1_000.0, Some(500.0 / 1e6)), (4_000.0, None)]);
        assert_eq!(chart.series[3].points, [(1_000.0, Some(0.001)), (4_000.0, Some(0.001))]);
    }
}
