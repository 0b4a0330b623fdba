//! Merging reports of several machines: sums, exact histograms, and the worst of the verdicts.

mod notes;
mod sums;
#[cfg(test)]
mod tests;
mod timeline;

use std::collections::BTreeMap;

use crate::error::LoadError;
use crate::judgement::gates::{Gate, GateResult};
use crate::judgement::verdict::{self, RunVerdict, VerdictKind};
use crate::measurement::averages::share;
use crate::report::{PaceKind, Report, ReportTls};
use notes::{distinct_in_order, notes};
use sums::add;
use timeline::Timeline;

/// Merges reports of simultaneous runs.
///
/// The gates of the runs, and `gates`, are checked against the merged results. A note names each
/// way in which the runs differ.
///
/// # Errors
/// Fails with one line if there is no report, one is listed twice, or their latencies are not
/// comparable.
pub fn merge(reports: Vec<Report>, gates: &[Gate]) -> Result<Report, LoadError> {
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

    let handshakes =
        |of: fn(&ReportTls) -> f64| in_all(&|report| report.tls.as_ref().map_or(0.0, of));
    let full = handshakes(|tls| tls.full_per_s);
    let resumed = handshakes(|tls| tls.resumed_per_s);

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
    if let Some(tls) = &mut joined.tls {
        tls.full_per_s = share(full, joined.ran_s);
        tls.resumed_per_s = share(resumed, joined.ran_s);
    }
    joined.gates = check_gates(&joined, gates)?;
    set_verdict(&mut joined, flaws, number);
    Ok(joined)
}

fn refuse_what_differs(reports: &[Report]) -> Result<(), LoadError> {
    let kind = |report: &Report| match report.settings.pace.kind {
        PaceKind::Closed => "a closed loop",
        PaceKind::Hold => "held connections",
        PaceKind::Open => "a schedule",
    };
    for (index, report) in reports.iter().enumerate() {
        let other = kind(&reports[0]);
        if kind(report) != other {
            let why = "their latencies are not comparable; merge reports of one kind";
            return Err(LoadError::Report(format!(
                "one report is of {other} and another of {}: {why}",
                kind(report)
            )));
        }
        if reports[..index].iter().any(|earlier| is_same_run(earlier, report)) {
            return Err(LoadError::Report(format!(
                "the run that started at {} is listed twice; name each report once",
                report.started
            )));
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

fn check_gates(joined: &Report, gates: Vec<String>) -> Result<Vec<GateResult>, LoadError> {
    let check = |text: String| {
        let gate: Gate = text.parse().map_err(|error| {
            LoadError::Report(format!("a report has the gate `{text}`: {error}"))
        })?;
        Ok(gate.check(&joined.measured()))
    };
    distinct_in_order(gates).into_iter().map(check).collect()
}

/// Returns the flaws of all runs, worst first and one per kind. Gates are left out, because they
/// are checked again.
fn flaws(reports: &[Report]) -> Vec<RunVerdict> {
    let mut flaws: BTreeMap<VerdictKind, RunVerdict> = BTreeMap::new();
    for (index, report) in reports.iter().enumerate() {
        for verdict in report.verdicts().filter(|verdict| {
            !matches!(verdict.kind, VerdictKind::Valid | VerdictKind::GateCrossed)
        }) {
            let run = if report.file.is_empty() {
                format!("run {}", index + 1)
            } else {
                report.file.clone()
            };
            let evidence = format!("{run}: {}", verdict.evidence);
            flaws
                .entry(verdict.kind)
                .and_modify(|there| there.evidence = format!("{}; {evidence}", there.evidence))
                .or_insert_with(|| RunVerdict { evidence: evidence.clone(), ..verdict.clone() });
        }
    }
    flaws.into_values().collect()
}

fn set_verdict(joined: &mut Report, flaws: Vec<RunVerdict>, number: usize) {
    joined.verdict = RunVerdict {
        kind: VerdictKind::Valid,
        evidence: if number == 1 {
            "the run was valid".into()
        } else {
            format!("all {number} runs were valid")
        },
        advice: verdict::RESULTS_OF_THE_SERVER.into(),
    };
    joined.further_verdicts.clear();
    let crossed = verdict::gate_crossed(&joined.gates);
    joined.set_verdicts(flaws.into_iter().chain(crossed).collect());
}
