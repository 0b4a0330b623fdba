//! Tests of the search.

use std::convert::Infallible;

use super::*;
use crate::fixtures;
use crate::measurement::causes::ReplyError;
use crate::measurement::latency::Latency;
use crate::report::Report;

fn objective() -> Objective {
    "p99=1ms".parse().expect("a good one")
}

/// A model of a queue with one server of this capacity: p99 grows near the capacity, and beyond
/// it requests stay unsent.
fn server(capacity: f64, rate: f64) -> RunOutcome {
    let load = rate / capacity;
    let p99 = if load < 1.0 { 4.6 / capacity / (1.0 - load) } else { 1.0 };
    let mut latency = Latency::default();
    latency.record(Duration::from_secs_f64(p99), 1_000);
    let answered = (rate.min(capacity) * 10.0) as u64;
    let sample = fixtures::open()
        .settings(|settings| settings.pace = Pace::Open { from: rate, to: rate })
        .total(|total| {
            (total.sent, total.correct) = (answered, answered);
            (total.from_send, total.from_schedule) = (latency.clone(), latency);
        });
    let unsent = if load > 1.0 { ((rate - capacity) * 10.0) as u64 } else { 0 };
    sample.errors(ReplyError::Unsent, unsent).done()
}

const TEN_SECONDS: Duration = Duration::from_secs(10);

fn find(start: f64, mut measure: impl FnMut(f64) -> RunOutcome) -> SearchResult {
    find_max::<Infallible>(&objective(), start, TEN_SECONDS, |trial| Ok(measure(trial.rate)))
        .expect("nothing fails")
}

/// Returns the rate at which the model's p99 is 1 ms.
fn answer(capacity: f64) -> f64 {
    capacity - 4_600.0
}

#[test]
fn the_highest_rate_is_found_within_3_percent() {
    for start in [1.0, 100.0, 40_000.0, 3_000_000.0] {
        let found = find(start, |rate| server(50_000.0, rate));
        let highest = found.search.highest_held_per_s.expect("there is one");
        assert!(highest <= answer(50_000.0) * 1.001, "from {start}: {highest}");
        assert!(highest >= answer(50_000.0) * 0.97 * 0.999, "from {start}: {highest}");
        assert!(found.search.steps.len() <= MEASUREMENTS_MAX + 1, "{}", found.search.steps.len());
    }
}

#[test]
fn the_kept_run_is_that_of_the_highest_rate() {
    let found = find(1_000.0, |rate| server(50_000.0, rate));
    let highest = found.search.highest_held_per_s.expect("there is one");
    assert_eq!(found.outcome.settings.pace, Pace::Open { from: highest, to: highest });
    let limit = found.search.limit().expect("the search found one");
    assert!(
        limit.asked_per_s > highest
            && limit.broken_by.as_deref().is_some_and(|why| why.contains("p99 was"))
    );
    assert!(found.search.curve().is_sorted_by(|a, b| a.asked_per_s <= b.asked_per_s));
}

#[test]
fn a_noisy_run_is_repeated_and_does_not_count() {
    let mut runs = 0;
    let found = find(1_000.0, |rate| {
        runs += 1;
        let noise = if runs == 2 { 1 } else { 0 };
        let mut outcome = server(50_000.0, rate);
        outcome.total.errors.add(ReplyError::Late, noise);
        outcome
    });
    assert!(
        found.search.highest_held_per_s > Some(40_000.0),
        "{:?}",
        found.search.highest_held_per_s
    );
    let broken = found.search.steps.iter().find(|step| !step.held).expect("it is shown");
    assert_eq!((broken.asked_per_s, broken.broken_by.as_deref()), (2_000.0, Some("1 error")));
}

#[test]
fn an_unmet_objective_ends_the_search_with_the_last_run() {
    let found = find(1_000.0, |rate| server(0.5, rate));
    assert_eq!(found.search.highest_held_per_s, None);
    assert!(found.search.steps.len() <= MEASUREMENTS_MAX + 1);
    assert!(matches!(found.outcome.settings.pace, Pace::Open { from, .. } if from < 16.0));
    let verdict = found.search.verdict().expect("there is no rate");
    assert!(
        verdict.evidence.ends_with("A lower rate needs a longer -d to measure its percentiles."),
        "{verdict:?}"
    );
}

/// A model of a server with a constant median and p99.
fn constant(p50: Duration, p99: Duration, rate: f64) -> RunOutcome {
    let mut outcome = server(f64::MAX, rate);
    let mut latency = Latency::default();
    latency.record(p50, 900);
    latency.record(p99, 100);
    (outcome.total.from_send, outcome.total.from_schedule) = (latency.clone(), latency);
    outcome
}

#[test]
fn a_search_stops_and_explains_if_a_lower_rate_does_not_help() {
    let microseconds = Duration::from_micros;
    for (p50, p99, text) in [
        (
            100,
            5_000,
            "No rate met p99=1ms: even at 250/s p99 is 5.00 ms: this machine cannot resolve 1 \
             ms.",
        ),
        (
            200_000,
            200_000,
            "No rate met p99=1ms: even at 250/s p99 is 200 ms: the server takes longer than 1 \
             ms at any rate.",
        ),
    ] {
        let found = find(1_000.0, |rate| constant(microseconds(p50), microseconds(p99), rate));
        assert_eq!((found.search.conclusion.as_str(), found.search.steps.len()), (text, 6));
    }
}

#[test]
fn a_search_without_a_result_is_never_valid() {
    let found =
        find(1_000.0, |rate| constant(Duration::from_secs(1), Duration::from_secs(1), rate));
    let report = Report::new(&found.outcome, &[]);
    assert_eq!(report.verdict.kind, VerdictKind::Valid, "the run itself had no flaw");
    let report = report.with_search(found.search);
    assert_eq!((report.verdict.kind, report.exit_code()), (VerdictKind::NoRateHeld, 1));
    assert_eq!(report.further_verdicts, []);
}

#[test]
fn a_rate_limited_by_the_generator_is_reported_as_such() {
    let found = find(1_000.0, |rate| {
        let mut outcome = server(50_000.0, rate);
        if rate >= 16_000.0 {
            outcome.total.from_schedule.record(Duration::from_millis(9), 5_000);
            outcome.total.lag.record(Duration::from_millis(8), 5_000);
        }
        outcome
    });
    let limit = found.search.limit().expect("the generator");
    assert!(
        limit.generator_limited
            && limit.broken_by.as_deref().is_some_and(|why| why.contains("generator-limited ("))
    );
    assert!(found.search.steps.iter().all(|step| step.held != step.generator_limited));
    let report = Report::new(&found.outcome, &[]).with_search(found.search);
    assert_eq!((report.verdict.kind, report.exit_code()), (VerdictKind::GeneratorLimited, 0));
}

#[test]
fn a_search_of_a_server_without_a_limit_ends() {
    let found = find(1_000.0, |rate| server(f64::MAX, rate));
    assert_eq!(found.search.steps.len(), MEASUREMENTS_MAX);
    assert!(found.search.limit().is_none());
}

#[test]
fn an_interruption_ends_the_search_with_the_best_run_so_far() {
    let mut runs = 0;
    let found = find(1_000.0, |rate| {
        runs += 1;
        let mut outcome = server(50_000.0, rate);
        outcome.interrupted_by = (runs == 3).then_some(2);
        outcome
    });
    assert_eq!((found.search.steps.len(), found.search.highest_held_per_s), (2, Some(2_000.0)));
    assert_eq!(found.outcome.settings.pace, Pace::Open { from: 2_000.0, to: 2_000.0 });
    assert_eq!(found.outcome.interrupted_by, Some(2));
}

#[test]
fn an_error_of_a_measurement_is_returned() {
    assert_eq!(
        find_max(&objective(), 1.0, TEN_SECONDS, |_| Err("no ports")).map(|found| found.search),
        Err("no ports")
    );
}
