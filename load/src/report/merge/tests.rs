//! Tests of merging reports.

use std::time::Duration;

use super::*;
use crate::fixtures::{self, OutcomeBuilder};
use crate::measurement::causes::{ConnectError, ReplyError};
use crate::measurement::exchange::Exchange;

/// Returns the report of a run that started `later`, with a CPU time of its own.
fn report(sample: OutcomeBuilder, later: Duration, gates: &[&str]) -> Report {
    let sample =
        sample.change(|outcome| outcome.started += later).total(|total| total.cpu += later / 1_000);
    let gates: Vec<Gate> = gates.iter().map(|gate| gate.parse().expect(gate)).collect();
    Report::new(&sample.done(), &gates)
}

fn two(a: OutcomeBuilder, b: OutcomeBuilder) -> Report {
    merge(vec![report(a, Duration::ZERO, &[]), report(b, Duration::from_millis(100), &[])], &[])
        .expect("they fit")
}

#[test]
fn counts_add_up_and_shares_are_recomputed() {
    let joined = two(
        fixtures::closed().errors(ReplyError::Late, 50),
        fixtures::closed().errors(ReplyError::Wrong, 50),
    );
    assert_eq!((joined.replies.correct_count, joined.requests.sent_bytes), (200_000, 4_600_000));
    assert_eq!(
        (joined.errors.total_count, joined.errors.by_cause.get(ReplyError::Late)),
        (100, 50)
    );
    assert!((joined.errors.ratio - 100.0 / 200_100.0).abs() < 1e-12);
    assert_eq!((joined.settings.connections_count, joined.connections.reached_count), (20, 20));
    assert_eq!((joined.ran_s, joined.throughput.replies_per_s), (10.0, 20_000.0));
    assert!((joined.generator.cpu_ratio - 0.3).abs() < 0.001, "{}", joined.generator.cpu_ratio);
}

#[test]
fn percentiles_cover_the_replies_of_all_runs() {
    let slow = fixtures::closed().total(|total| {
        total.from_send = Default::default();
        total.from_send.record(Duration::from_millis(50), 100_000);
    });
    let joined = two(fixtures::closed(), slow);
    let quantile = |quantile| {
        joined.latency.from_send.quantile(quantile).expect("there are replies").as_micros()
    };
    assert_eq!(joined.latency.from_send.0.count(), 200_000);
    assert!((990..=1_001).contains(&quantile(0.5)), "{}", quantile(0.5));
    assert!((49_900..=50_100).contains(&quantile(0.51)), "{}", quantile(0.51));
}

#[test]
fn slices_of_simultaneous_runs_are_merged() {
    let joined = two(fixtures::closed(), fixtures::closed());
    assert_eq!(joined.slices.len(), 10);
    let slice = &joined.slices[4];
    assert_eq!(
        (slice.start_s, slice.length_s, slice.correct_count, slice.open_count),
        (4.0, 1.0, 20_000, 20)
    );
    assert_eq!((slice.latency.0.count(), joined.connections.open_most_count), (20_000, 20));
}

#[test]
fn slices_of_a_later_run_are_shifted() {
    let late = report(fixtures::closed(), Duration::from_millis(3_200), &[]);
    let joined =
        merge(vec![late, report(fixtures::closed(), Duration::ZERO, &[])], &[]).expect("they fit");
    let correct: Vec<u64> =
        joined.slices.iter().map(|slice| slice.correct_count / 10_000).collect();
    assert_eq!(correct, [1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1]);
    assert!((joined.ran_s - 13.2).abs() < 1e-6, "{}", joined.ran_s);
    assert!(
        joined.notes.iter().any(|note| note.contains("up to 3.20 s apart")),
        "{:?}",
        joined.notes
    );
    assert!(joined.notes.iter().all(|note| !note.contains("overlap")), "{:?}", joined.notes);
}

#[test]
fn slices_of_different_lengths_are_combined() {
    let short = fixtures::closed().change(|outcome| {
        let halves = outcome.slices.iter().flat_map(|slice| {
            let half = |start| crate::measurement::outcome::Slice {
                start,
                length: Duration::from_millis(500),
                correct: 5_000,
                ..slice.clone()
            };
            [half(slice.start), half(slice.start + Duration::from_millis(500))]
        });
        outcome.slices = halves.collect();
    });
    let joined = two(fixtures::closed(), short);
    assert_eq!(joined.slices.len(), 10);
    assert!(joined.slices.iter().all(|slice| (
        slice.correct_count,
        slice.open_count,
        slice.length_s
    ) == (20_000, 20, 1.0)));
}

#[test]
fn runs_that_do_not_overlap_are_merged_with_a_note() {
    let late = report(fixtures::closed(), Duration::from_secs(60), &[]);
    let joined = merge(vec![report(fixtures::closed(), Duration::ZERO, &[]), late], &[])
        .expect("they can be merged");
    assert!(
        joined.notes.iter().any(|note| note.contains("did not all overlap")),
        "{:?}",
        joined.notes
    );
    assert_eq!(joined.ran_s, 70.0);
}

#[test]
fn the_worst_verdict_comes_first() {
    let busy = fixtures::closed().total(|total| total.cpu = Duration::from_secs(10));
    let refused =
        fixtures::closed().failed(ConnectError::Busy, 4).change(|outcome| outcome.reached = 6);
    let joined = two(busy, refused);
    assert_eq!(joined.verdict.kind, VerdictKind::ServerRefused);
    assert!(joined.verdict.evidence.starts_with("run 2: "), "{}", joined.verdict.evidence);
    assert_eq!(
        joined.further_verdicts.iter().map(|verdict| verdict.kind).collect::<Vec<_>>(),
        [VerdictKind::GeneratorLimited]
    );
    assert_eq!(two(fixtures::closed(), fixtures::closed()).verdict.kind, VerdictKind::Valid);
}

#[test]
fn gates_are_checked_against_the_merged_results() {
    let gates = ["rate<15k", "errors>0"];
    let parts: Vec<Report> = [0, 100]
        .map(|later| report(fixtures::closed(), Duration::from_millis(later), &gates))
        .into();
    assert!(parts.iter().all(|part| part.gates[0].crossed && part.exit_code() == 3));
    let joined = merge(parts, &[]).expect("they fit");
    assert_eq!(joined.gates.len(), 2);
    assert!(joined.gates.iter().all(|gate| !gate.crossed), "{:?}", joined.gates);
    assert_eq!((joined.verdict.kind, joined.exit_code()), (VerdictKind::Valid, 0));
}

#[test]
fn gates_of_the_merge_are_checked_besides_those_of_the_runs() {
    let parts = [0, 100]
        .map(|later| report(fixtures::closed(), Duration::from_millis(later), &["errors>0"]));
    let gates = ["rate<30k", "errors>0"].map(|gate| gate.parse().expect(gate));
    let joined = merge(parts.into(), &gates).expect("they fit");
    let crossed: Vec<(&str, bool)> =
        joined.gates.iter().map(|gate| (gate.gate.as_str(), gate.crossed)).collect();
    assert_eq!(crossed, [("errors>0", false), ("rate<30k", true)]);
    assert_eq!((joined.verdict.kind, joined.exit_code()), (VerdictKind::GateCrossed, 3));
}

#[test]
fn rates_of_schedules_add_up() {
    let pace = two(fixtures::open(), fixtures::open()).settings.pace;
    assert_eq!(
        (pace.kind, pace.from_per_s, pace.to_per_s),
        (PaceKind::Open, Some(20_000.0), Some(20_000.0))
    );
}

#[test]
fn different_targets_are_noted_and_different_paces_refused() {
    let other = fixtures::closed()
        .settings(|settings| settings.target.name = "text://127.0.0.2:40000".into());
    let joined = two(fixtures::closed(), other);
    assert_eq!(joined.settings.target, "text://127.0.0.1:40000 and text://127.0.0.2:40000");
    assert!(joined.notes.iter().any(|note| note.contains("their targets")), "{:?}", joined.notes);
    let parts = vec![
        report(fixtures::closed(), Duration::ZERO, &[]),
        report(fixtures::open(), Duration::ZERO, &[]),
    ];
    let error = merge(parts, &[]).expect_err("one is closed").to_string();
    assert!(error.contains("a closed loop") && error.contains("a schedule"), "{error}");
}

#[test]
fn schedules_seeds_and_numbers_of_requests_add_up() {
    use crate::measurement::settings::{Arrivals, Stage};
    let stages = |lengths: [u64; 2]| {
        fixtures::open().settings(|settings| {
            let stage = |length| Stage { length: Duration::from_secs(length), from: 1.0, to: 5.0 };
            settings.stages = lengths.map(stage).to_vec();
            settings.arrivals = Arrivals::Poisson;
            (settings.requests, settings.seed) = (Some(500), Some(7));
        })
    };
    let joined = two(stages([2, 3]), stages([2, 3])).settings;
    let rates: Vec<[f64; 3]> = joined
        .pace
        .stages
        .iter()
        .map(|stage| [stage.length_s, stage.from_per_s, stage.to_per_s])
        .collect();
    assert_eq!(rates, [[2.0, 2.0, 10.0], [3.0, 2.0, 10.0]]);
    assert_eq!((joined.requests_count, joined.seed_number), (Some(1_000), Some(7)));
    let other = fixtures::open().settings(|settings| settings.seed = Some(8));
    let joined = two(stages([2, 3]), other);
    assert_eq!((joined.settings.pace.stages.len(), joined.settings.seed_number), (0, None));
    let has_note = joined.notes.iter().any(|note| note.contains("their arrivals or pauses"));
    assert!(has_note, "{:?}", joined.notes);
}

#[test]
fn the_earliest_exchanges_of_all_runs_are_kept() {
    let failed = |times: [u64; 2]| {
        fixtures::closed().total(|total| {
            for at in times {
                let mut log = total.exchanges.log(Duration::from_secs(at), 0);
                log.keep(ReplyError::Wrong, || Exchange::unrequested(b"no"));
            }
        })
    };
    let joined = two(failed([1, 4]), failed([2, 3]));
    let times: Vec<f64> = joined.exchanges.iter().map(|exchange| exchange.at_s).collect();
    assert_eq!(times, [1.0, 2.0, 3.0]);
}

#[test]
fn the_same_run_twice_and_no_run_are_refused() {
    let one = report(fixtures::closed(), Duration::ZERO, &[]);
    assert!(
        merge(vec![one.clone(), one.clone()], &[])
            .expect_err("the same")
            .to_string()
            .contains("listed twice")
    );
    assert!(merge(Vec::new(), &[]).expect_err("none").to_string().contains("nothing to merge"));
    assert_eq!(merge(vec![one], &[]).expect("one is enough").replies.correct_count, 100_000);
}

#[test]
fn an_invalid_start_time_is_refused() {
    let mut broken = report(fixtures::closed(), Duration::ZERO, &[]);
    broken.started = "noon".into();
    assert!(
        merge(vec![broken], &[])
            .expect_err("no time")
            .to_string()
            .contains("`noon` is not a start time")
    );
}
