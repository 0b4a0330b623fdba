//! Merging reports of several machines: sums, exact histograms, and the worst of the verdicts.

use std::collections::BTreeMap;

use super::averages::share;
use super::causes::Cause;
use super::figures::{plural, seconds};
use super::gates::{Gate, Judgement};
use super::origin::Origin;
use super::report::{Asked, PaceFacts, PaceKind, Report, words};
use super::tally::Counts;
use super::verdict::{self, Kind, Verdict};

mod timeline;

use timeline::Timeline;

/// Merges reports of simultaneous runs.
///
/// The gates of the runs, and `gates`, are checked against the merged results. A note names each
/// way in which the runs differ.
///
/// # Errors
/// Fails with one line if there is no report, one is listed twice, or their latencies are not
/// comparable.
pub fn merge(reports: Vec<Report>, gates: &[Gate]) -> Result<Report, String> {
    let timeline = Timeline::new(&reports)?;
    refuse_what_differs(&reports)?;
    let notes = notes(&reports, &timeline);
    let slices = timeline.slices(&reports);
    let judged =
        reports.iter().flat_map(|report| &report.gates).map(|judgement| judgement.gate.clone());
    let gates = judged.chain(gates.iter().map(Gate::to_string)).collect();
    let flaws = flaws(&reports);
    let number = reports.len();
    // A rate times the duration of its run is its count, which can include fractions of replies.
    let in_all = |of: &dyn Fn(&Report) -> f64| {
        reports.iter().map(|report| of(report) * report.ran_s).sum::<f64>()
    };
    let replies = in_all(&|report| report.throughput.replies_per_s);
    let sent_bytes = in_all(&|report| report.throughput.sent_bytes_per_s);
    let received_bytes = in_all(&|report| report.throughput.received_bytes_per_s);
    let threads = in_all(&|report| report.generator.threads_count as f64);
    let busy = in_all(&|report| report.generator.threads_count as f64 * report.generator.cpu_ratio);

    let first = timeline.first;
    let mut joined = reports[first].clone();
    for (index, report) in reports.iter().enumerate() {
        if index != first {
            add(&mut joined, report);
        }
    }
    joined.ran_s = timeline.ran_s;
    joined.notes = notes;
    joined.search = None;
    joined.connections.open_most_count =
        slices.iter().map(|slice| slice.open_count).max().unwrap_or(0);
    joined.slices = slices;
    joined.errors.ratio = share(
        joined.errors.total_count as f64,
        (joined.replies.correct_count + joined.errors.total_count) as f64,
    );
    joined.generator.cpu_ratio = share(busy, threads);
    let throughput = &mut joined.throughput;
    throughput.replies_per_s = share(replies, joined.ran_s);
    throughput.sent_bytes_per_s = share(sent_bytes, joined.ran_s);
    throughput.received_bytes_per_s = share(received_bytes, joined.ran_s);
    joined.gates = judge_again(&joined, gates)?;
    judge(&mut joined, flaws, number);
    Ok(joined)
}

fn refuse_what_differs(reports: &[Report]) -> Result<(), String> {
    let kind = |report: &Report| match report.asked.pace.kind {
        PaceKind::Closed => "a closed loop",
        PaceKind::Hold => "held connections",
        PaceKind::Open => "a schedule",
    };
    for (index, report) in reports.iter().enumerate() {
        let other = kind(&reports[0]);
        if kind(report) != other {
            let why = "their latencies are not comparable; merge reports of one kind";
            return Err(format!("one report is of {other} and another of {}: {why}", kind(report)));
        }
        if reports[..index].iter().any(|earlier| is_same_run(earlier, report)) {
            return Err(format!(
                "the run that started at {} is listed twice; name each report once",
                report.started
            ));
        }
    }
    Ok(())
}

/// Different runs never use the same CPU time to the nanosecond from the same millisecond.
fn is_same_run(a: &Report, b: &Report) -> bool {
    a.started == b.started
        && a.requests.sent_bytes == b.requests.sent_bytes
        && a.generator.cpu_s.to_bits() == b.generator.cpu_s.to_bits()
        && a.generator.lag.0.histogram() == b.generator.lag.0.histogram()
}

/// Returns notes on how the runs differ.
fn notes(reports: &[Report], timeline: &Timeline) -> Vec<String> {
    let mut notes: Vec<String> = reports.iter().flat_map(|report| report.notes.clone()).collect();
    let files: Vec<&str> =
        reports.iter().map(|report| &report.file[..]).filter(|file| !file.is_empty()).collect();
    let files = if files.is_empty() { String::new() } else { format!(": {}", files.join(", ")) };
    notes.push(format!("Merged from {}{files}.", plural(reports.len() as u64, "report")));
    let apart_s = timeline.offsets_s.iter().copied().fold(0.0, f64::max);
    if apart_s > 0.0 {
        let apart = seconds(apart_s);
        notes.push(format!(
            "The runs started up to {apart} apart; their settings are added up anyway."
        ));
    }
    if !timeline.is_common {
        notes.push(
            "The runs did not all overlap: throughput is the average from the first start to the \
             last end."
                .into(),
        );
    }
    let mut differs = |what: &str, value: &dyn Fn(&Report) -> String| {
        let values = distinct(reports.iter().map(value));
        if values.contains(JOINT) {
            notes.push(format!("The runs differ in {what}: {values}."));
        }
    };
    differs("their targets", &|report| report.asked.target.clone());
    differs("what they send", &|report| report.asked.messages.clone());
    differs("their duration in seconds", &|report| report.asked.duration_s.to_string());
    differs("their warm-up in seconds", &|report| report.asked.warmup_s.to_string());
    differs("their requests in flight on a connection", &|report| {
        report.asked.depth_count.to_string()
    });
    differs("how connections are opened", &|report| words::opening(&report.asked));
    differs("the version of the program", &|report| report.version.clone());
    if reports.iter().any(|report| report.search.is_some()) {
        notes.push("One run is the best run of a search; the search is left out.".into());
    }
    distinct_in_order(notes)
}

const JOINT: &str = " and ";

fn distinct(values: impl IntoIterator<Item = String>) -> String {
    distinct_in_order(values).join(JOINT)
}

fn distinct_in_order(values: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

/// Adds all counts. The caller recomputes averages and shares.
fn add(joined: &mut Report, report: &Report) {
    joined.asked = add_asked(&joined.asked, &report.asked);
    joined.origin = add_origin(&joined.origin, &report.origin);
    joined.interrupted_by_signal = joined.interrupted_by_signal.or(report.interrupted_by_signal);

    let connections = &report.connections;
    joined.connections.asked_count += connections.asked_count;
    joined.connections.reached_count += connections.reached_count;
    joined.connections.open_last_count += connections.open_last_count;
    joined.connections.server_gone_after_s =
        joined.connections.server_gone_after_s.or(connections.server_gone_after_s);
    joined.connections.begun_count += connections.begun_count;
    joined.connections.opened_count += connections.opened_count;
    add_counts(&mut joined.connections.failed, &connections.failed);
    add_counts(&mut joined.connections.ended, &connections.ended);

    joined.requests.sent_count += report.requests.sent_count;
    joined.requests.sent_bytes += report.requests.sent_bytes;
    joined.replies.correct_count += report.replies.correct_count;
    joined.replies.received_bytes += report.replies.received_bytes;
    add_counts(&mut joined.errors.by_cause, &report.errors.by_cause);
    joined.errors.total_count += report.errors.total_count;
    for exchange in &report.exchanges {
        if joined.exchanges.iter().all(|kept| kept.cause != exchange.cause) {
            joined.exchanges.push(exchange.clone());
        }
    }

    joined.latency.connect.0.merge(&report.latency.connect.0);
    joined.latency.first_byte.0.merge(&report.latency.first_byte.0);
    joined.latency.from_send.0.merge(&report.latency.from_send.0);
    if let (Some(all), Some(more)) =
        (&mut joined.latency.from_schedule, &report.latency.from_schedule)
    {
        all.0.merge(&more.0);
    }

    joined.generator.threads_count += report.generator.threads_count;
    joined.generator.cpu_s += report.generator.cpu_s;
    joined.generator.starved_s += report.generator.starved_s;
    joined.generator.lag.0.merge(&report.generator.lag.0);
}

fn add_origin(joined: &Origin, origin: &Origin) -> Origin {
    let both = |a: &String, b: &String| distinct([a.clone(), b.clone()]);
    let cores_count =
        joined.cores_count + if joined.host == origin.host { 0 } else { origin.cores_count };
    Origin {
        host: both(&joined.host, &origin.host),
        processor: both(&joined.processor, &origin.processor),
        cores_count,
        command: both(&joined.command, &origin.command),
    }
}

fn add_asked(joined: &Asked, asked: &Asked) -> Asked {
    // A merged target is not split again; it may be named twice.
    let both = |a: &String, b: &String| distinct([a.clone(), b.clone()]);
    let sum = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a + b);
    Asked {
        target: both(&joined.target, &asked.target),
        protocol: both(&joined.protocol, &asked.protocol),
        messages: both(&joined.messages, &asked.messages),
        connections_count: joined.connections_count + asked.connections_count,
        depth_count: joined.depth_count.max(asked.depth_count),
        threads_count: joined.threads_count + asked.threads_count,
        duration_s: joined.duration_s.max(asked.duration_s),
        warmup_s: joined.warmup_s.max(asked.warmup_s),
        timeout_s: joined.timeout_s.max(asked.timeout_s),
        pace: PaceFacts {
            kind: joined.pace.kind,
            interval_s: joined.pace.interval_s,
            from_per_s: sum(joined.pace.from_per_s, asked.pace.from_per_s),
            to_per_s: sum(joined.pace.to_per_s, asked.pace.to_per_s),
        },
        request_bytes: joined.request_bytes.min(asked.request_bytes),
        opening_per_s: sum(joined.opening_per_s, asked.opening_per_s),
        lifetime_count: joined
            .lifetime_count
            .filter(|_| joined.lifetime_count == asked.lifetime_count),
        lifetime_s: joined.lifetime_s.filter(|_| joined.lifetime_s == asked.lifetime_s),
    }
}

fn add_counts<C: Cause>(joined: &mut Counts<C>, counts: &Counts<C>) {
    counts.iter().for_each(|(cause, count)| joined.add(cause, count));
}

fn judge_again(joined: &Report, gates: Vec<String>) -> Result<Vec<Judgement>, String> {
    let judge = |text: String| {
        let gate: Gate =
            text.parse().map_err(|error| format!("a report has the gate `{text}`: {error}"))?;
        Ok(gate.judge(&joined.measured()))
    };
    distinct_in_order(gates).into_iter().map(judge).collect()
}

/// Returns the flaws of all runs, worst first and one per kind. Gates are left out, because they
/// are checked again.
fn flaws(reports: &[Report]) -> Vec<Verdict> {
    let mut flaws: BTreeMap<Kind, Verdict> = BTreeMap::new();
    for (index, report) in reports.iter().enumerate() {
        for verdict in report
            .verdicts()
            .filter(|verdict| !matches!(verdict.kind, Kind::Valid | Kind::GateCrossed))
        {
            let run = if report.file.is_empty() {
                format!("run {}", index + 1)
            } else {
                report.file.clone()
            };
            let evidence = format!("{run}: {}", verdict.evidence);
            flaws
                .entry(verdict.kind)
                .and_modify(|there| there.evidence = format!("{}; {evidence}", there.evidence))
                .or_insert_with(|| Verdict { evidence: evidence.clone(), ..verdict.clone() });
        }
    }
    flaws.into_values().collect()
}

fn judge(joined: &mut Report, flaws: Vec<Verdict>, number: usize) {
    joined.verdict = Verdict {
        kind: Kind::Valid,
        evidence: if number == 1 {
            "the run was valid".into()
        } else {
            format!("all {number} runs were valid")
        },
        advice: verdict::FIGURES_OF_THE_SERVER.into(),
    };
    joined.further_verdicts.clear();
    let crossed = verdict::gate_crossed(&joined.gates);
    joined.set_verdicts(flaws.into_iter().chain(crossed).collect());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::causes::{ConnectError, ReplyError};
    use crate::samples::{self, Sample};

    /// Returns the report of a run that started `later`, with a CPU time of its own.
    fn report(sample: Sample, later: Duration, gates: &[&str]) -> Report {
        let sample = sample
            .change(|outcome| outcome.started += later)
            .total(|total| total.cpu += later / 1_000);
        let gates: Vec<Gate> = gates.iter().map(|gate| gate.parse().expect(gate)).collect();
        Report::new(&sample.done(), &gates)
    }

    fn two(a: Sample, b: Sample) -> Report {
        merge(vec![report(a, Duration::ZERO, &[]), report(b, Duration::from_millis(100), &[])], &[])
            .expect("they fit")
    }

    #[test]
    fn counts_add_up_and_shares_are_recomputed() {
        let joined = two(
            samples::closed().errors(ReplyError::Late, 50),
            samples::closed().errors(ReplyError::Wrong, 50),
        );
        assert_eq!(
            (joined.replies.correct_count, joined.requests.sent_bytes),
            (200_000, 4_600_000)
        );
        assert_eq!(
            (joined.errors.total_count, joined.errors.by_cause.get(ReplyError::Late)),
            (100, 50)
        );
        assert!((joined.errors.ratio - 100.0 / 200_100.0).abs() < 1e-12);
        assert_eq!((joined.asked.connections_count, joined.connections.reached_count), (20, 20));
        assert_eq!((joined.ran_s, joined.throughput.replies_per_s), (10.0, 20_000.0));
        assert!((joined.generator.cpu_ratio - 0.3).abs() < 0.001, "{}", joined.generator.cpu_ratio);
    }

    #[test]
    fn percentiles_cover_the_replies_of_all_runs() {
        let slow = samples::closed().total(|total| {
            total.from_send = Default::default();
            total.from_send.record(Duration::from_millis(50), 100_000);
        });
        let joined = two(samples::closed(), slow);
        let quantile = |quantile| {
            joined.latency.from_send.quantile(quantile).expect("there are replies").as_micros()
        };
        assert_eq!(joined.latency.from_send.0.count(), 200_000);
        assert!((990..=1_001).contains(&quantile(0.5)), "{}", quantile(0.5));
        assert!((49_900..=50_100).contains(&quantile(0.51)), "{}", quantile(0.51));
    }

    #[test]
    fn slices_of_simultaneous_runs_are_merged() {
        let joined = two(samples::closed(), samples::closed());
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
        let late = report(samples::closed(), Duration::from_millis(3_200), &[]);
        let joined = merge(vec![late, report(samples::closed(), Duration::ZERO, &[])], &[])
            .expect("they fit");
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
        let short = samples::closed().change(|outcome| {
            let halves = outcome.slices.iter().flat_map(|slice| {
                let half = |start| super::super::outcome::Slice {
                    start,
                    length: Duration::from_millis(500),
                    correct: 5_000,
                    ..slice.clone()
                };
                [half(slice.start), half(slice.start + Duration::from_millis(500))]
            });
            outcome.slices = halves.collect();
        });
        let joined = two(samples::closed(), short);
        assert_eq!(joined.slices.len(), 10);
        assert!(joined.slices.iter().all(|slice| (
            slice.correct_count,
            slice.open_count,
            slice.length_s
        ) == (20_000, 20, 1.0)));
    }

    #[test]
    fn runs_that_do_not_overlap_are_merged_with_a_note() {
        let late = report(samples::closed(), Duration::from_secs(60), &[]);
        let joined = merge(vec![report(samples::closed(), Duration::ZERO, &[]), late], &[])
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
        let busy = samples::closed().total(|total| total.cpu = Duration::from_secs(10));
        let refused =
            samples::closed().failed(ConnectError::Busy, 4).change(|outcome| outcome.reached = 6);
        let joined = two(busy, refused);
        assert_eq!(joined.verdict.kind, Kind::ServerRefused);
        assert!(joined.verdict.evidence.starts_with("run 2: "), "{}", joined.verdict.evidence);
        assert_eq!(
            joined.further_verdicts.iter().map(|verdict| verdict.kind).collect::<Vec<_>>(),
            [Kind::GeneratorLimited]
        );
        assert_eq!(two(samples::closed(), samples::closed()).verdict.kind, Kind::Valid);
    }

    #[test]
    fn gates_are_checked_against_the_merged_results() {
        let gates = ["rate<15k", "errors>0"];
        let parts: Vec<Report> = [0, 100]
            .map(|later| report(samples::closed(), Duration::from_millis(later), &gates))
            .into();
        assert!(parts.iter().all(|part| part.gates[0].crossed && part.exit_code() == 3));
        let joined = merge(parts, &[]).expect("they fit");
        assert_eq!(joined.gates.len(), 2);
        assert!(joined.gates.iter().all(|gate| !gate.crossed), "{:?}", joined.gates);
        assert_eq!((joined.verdict.kind, joined.exit_code()), (Kind::Valid, 0));
    }

    #[test]
    fn gates_of_the_merge_are_checked_besides_those_of_the_runs() {
        let parts = [0, 100]
            .map(|later| report(samples::closed(), Duration::from_millis(later), &["errors>0"]));
        let gates = ["rate<30k", "errors>0"].map(|gate| gate.parse().expect(gate));
        let joined = merge(parts.into(), &gates).expect("they fit");
        let crossed: Vec<(&str, bool)> =
            joined.gates.iter().map(|gate| (gate.gate.as_str(), gate.crossed)).collect();
        assert_eq!(crossed, [("errors>0", false), ("rate<30k", true)]);
        assert_eq!((joined.verdict.kind, joined.exit_code()), (Kind::GateCrossed, 3));
    }

    #[test]
    fn rates_of_schedules_add_up() {
        let pace = two(samples::open(), samples::open()).asked.pace;
        assert_eq!(
            (pace.kind, pace.from_per_s, pace.to_per_s),
            (PaceKind::Open, Some(20_000.0), Some(20_000.0))
        );
    }

    #[test]
    fn different_targets_are_noted_and_different_paces_refused() {
        let other = samples::closed().asked(|asked| asked.target = "text://127.0.0.2:40000".into());
        let joined = two(samples::closed(), other);
        assert_eq!(joined.asked.target, "text://127.0.0.1:40000 and text://127.0.0.2:40000");
        assert!(
            joined.notes.iter().any(|note| note.contains("their targets")),
            "{:?}",
            joined.notes
        );
        let parts = vec![
            report(samples::closed(), Duration::ZERO, &[]),
            report(samples::open(), Duration::ZERO, &[]),
        ];
        let error = merge(parts, &[]).expect_err("one is closed");
        assert!(error.contains("a closed loop") && error.contains("a schedule"), "{error}");
    }

    #[test]
    fn the_same_run_twice_and_no_run_are_refused() {
        let one = report(samples::closed(), Duration::ZERO, &[]);
        assert!(
            merge(vec![one.clone(), one.clone()], &[])
                .expect_err("the same")
                .contains("listed twice")
        );
        assert!(merge(Vec::new(), &[]).expect_err("none").contains("nothing to merge"));
        assert_eq!(merge(vec![one], &[]).expect("one is enough").replies.correct_count, 100_000);
    }

    #[test]
    fn an_invalid_start_time_is_refused() {
        let mut broken = report(samples::closed(), Duration::ZERO, &[]);
        broken.started = "noon".into();
        assert!(
            merge(vec![broken], &[]).expect_err("no time").contains("`noon` is not a start time")
        );
    }
}
