//! Comparing two reports: the change of each figure, and whether the slices show it.
//!
//! The slices of a run are its sample. The Mann-Whitney U test compares the figure of each slice of
//! one run with those of the other.

mod text;

use std::time::Duration;

use serde::Serialize;

use super::{PaceKind, Report, ReportSlice, words};
use crate::judgement::gates::{Gate, GateResult};
use crate::judgement::verdict::VerdictKind;
use crate::measurement::format;
use crate::measurement::latency::{Latency, microseconds};
use crate::measurement::rank_test::{SAMPLE_MIN, mann_whitney_p};

/// The schema of the file of a comparison.
const SCHEMA: &str = "tinytcp-load-compare/1";

/// A difference is seen if its p-value is below this bound: 5 %, divided by the number of tested
/// figures (Bonferroni).
const P_MAX: f64 = 0.05 / TESTED_COUNT;

const TESTED_COUNT: f64 = 5.0;

/// The comparison of two reports. `docs/load-report.md` describes its file.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// [`SCHEMA`].
    schema: &'static str,
    before: ComparedRun,
    after: ComparedRun,
    rows: Vec<ComparedFigure>,
    /// The result of each gate.
    gates: Vec<GateResult>,
    /// Facts that weaken the comparison, one sentence each.
    notes: Vec<String>,
}

/// One of the two runs.
#[derive(Clone, Debug, Serialize)]
struct ComparedRun {
    file: String,
    started: String,
    command: String,
    slices_count: usize,
}

/// One figure of both runs.
#[derive(Clone, Debug, Serialize)]
struct ComparedFigure {
    /// The key of the figure in a report, with its unit.
    name: &'static str,
    /// `None` without a reply.
    before: Option<f64>,
    after: Option<f64>,
    /// The change as a share of `before`; `None` if there is none, or `before` is zero.
    change_ratio: Option<f64>,
    /// `None` if the figure is not tested, or a run has too few slices.
    p_value: Option<f64>,
    result: Difference,
}

/// The result of the test of the slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Difference {
    Higher,
    Lower,
    NoDifferenceSeen,
    TooFewSlices,
    NotTested,
}

impl Comparison {
    /// Compares two reports, and checks `gates`.
    #[must_use]
    pub fn new(before: &Report, after: &Report, gates: &[Gate]) -> Self {
        let both = |value: &dyn Fn(&Report) -> f64| [Some(value(before)), Some(value(after))];
        let quantile = |share: f64| move |latency: &Latency| latency.quantile(share);
        let reports = (before, after);
        let replies_per_s = both(&|report| report.throughput.replies_per_s);
        let rows = vec![
            tested("replies_per_s", replies_per_s, reports, |slice| {
                Some(slice.per_s(slice.correct_count))
            }),
            tested_latency("mean_us", reports, Latency::mean),
            tested_latency("p50_us", reports, quantile(0.5)),
            tested_latency("p90_us", reports, quantile(0.9)),
            tested_latency("p99_us", reports, quantile(0.99)),
            untested("p99_9_us", latencies(reports, quantile(0.999))),
            untested("max_us", latencies(reports, Latency::max)),
            untested("errors_ratio", both(&|report| report.errors.ratio)),
        ];
        let measured = (before.measured(), after.measured());
        Self {
            schema: SCHEMA,
            before: ComparedRun::of(before),
            after: ComparedRun::of(after),
            rows,
            gates: gates.iter().map(|gate| gate.check_change(&measured.0, &measured.1)).collect(),
            notes: notes(before, after),
        }
    }

    /// Returns the exit code: 3 if a gate was crossed, else 0.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.gates.iter().any(|gate| gate.crossed) { 3 } else { 0 }
    }

    /// Returns the comparison as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        // Every key is a string and every part is serialisable, so no error can occur.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Returns the comparison as text, in colours if `is_coloured`.
    #[must_use]
    pub fn text(&self, is_coloured: bool) -> String {
        text::text(self, is_coloured)
    }
}

impl ComparedRun {
    fn of(report: &Report) -> Self {
        Self {
            file: report.file.clone(),
            started: report.started.clone(),
            command: report.origin.command.clone(),
            slices_count: report.slices.len(),
        }
    }
}

/// Returns a figure of a distribution in microseconds; `None` if it is empty.
fn figure(latency: &Latency, of: impl Fn(&Latency) -> Duration) -> Option<f64> {
    (latency.count() > 0).then(|| microseconds(of(latency)))
}

/// Returns a figure of the reply latencies of both runs.
fn latencies(
    (before, after): (&Report, &Report),
    of: impl Fn(&Latency) -> Duration,
) -> [Option<f64>; 2] {
    [before, after].map(|report| figure(&report.latency.reply().0, &of))
}

/// Compares a figure of the reply latencies.
fn tested_latency(
    name: &'static str,
    reports: (&Report, &Report),
    of: impl Fn(&Latency) -> Duration,
) -> ComparedFigure {
    tested(name, latencies(reports, &of), reports, |slice| figure(&slice.latency.0, &of))
}

/// Compares a figure of which each slice has a value.
fn tested(
    name: &'static str,
    values: [Option<f64>; 2],
    (before, after): (&Report, &Report),
    of_slice: impl Fn(&ReportSlice) -> Option<f64>,
) -> ComparedFigure {
    let sample = |report: &Report| report.slices.iter().filter_map(&of_slice).collect::<Vec<_>>();
    let (first, second) = (sample(before), sample(after));
    let p_value = mann_whitney_p(&first, &second);
    let result = match p_value {
        None => Difference::TooFewSlices,
        Some(p) if p >= P_MAX => Difference::NoDifferenceSeen,
        Some(_) if median(second) > median(first) => Difference::Higher,
        Some(_) => Difference::Lower,
    };
    ComparedFigure { p_value, result, ..untested(name, values) }
}

fn untested(name: &'static str, [before, after]: [Option<f64>; 2]) -> ComparedFigure {
    let change_ratio = before
        .zip(after)
        .filter(|(before, _)| *before > 0.0)
        .map(|(before, after)| after / before - 1.0);
    ComparedFigure {
        name,
        before,
        after,
        change_ratio,
        p_value: None,
        result: Difference::NotTested,
    }
}

/// Returns the upper median of a sample; zero if it is empty.
fn median(mut sample: Vec<f64>) -> f64 {
    sample.sort_by(f64::total_cmp);
    sample.get(sample.len() / 2).copied().unwrap_or(0.0)
}

/// Returns the facts that weaken the comparison.
fn notes(before: &Report, after: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    let mut differs = |what: &str, of: &dyn Fn(&Report) -> String| {
        let [first, second] = [before, after].map(of);
        if first != second {
            let (first, second) = (shortened(&first), shortened(&second));
            notes.push(format!("The runs differ in {what}: {first}; {second}."));
        }
    };
    differs("their targets", &|report| report.settings.target.clone());
    differs("what they send", &|report| report.settings.messages.clone());
    differs("what was asked", &|report| words::settings(&report.settings));
    if before.origin.host != after.origin.host || before.origin.processor != after.origin.processor
    {
        notes.push("The runs were made on different machines.".into());
    }
    for (name, report) in [("before", before), ("after", after)] {
        for verdict in report.verdicts().filter(|verdict| verdict.kind != VerdictKind::Valid) {
            notes.push(format!("The verdict of the run {name} is {}.", verdict.kind.name()));
        }
    }
    let is_paced = |report: &Report| report.settings.pace.kind != PaceKind::Closed;
    if is_paced(before) != is_paced(after) {
        notes.push("Latencies of a closed loop and of a schedule are not comparable.".into());
    }
    let fewest = before.slices.len().min(after.slices.len());
    if fewest < SAMPLE_MIN {
        notes.push(format!(
            "The test needs {SAMPLE_MIN} slices of each run, and one has {}: make runs of 1 s or \
             more.",
            format::count(fewest as u64)
        ));
    }
    notes
}

/// Returns the start of a long text.
fn shortened(text: &str) -> String {
    const MAX: usize = 120;
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    /// A report of ten slices, whose latencies are `factor` times those of the fixture, and which
    /// differ by a few microseconds.
    fn report(factor: f64) -> Report {
        let sample = fixtures::closed().change(|outcome| {
            outcome.total.from_send = Default::default();
            for (index, slice) in outcome.slices.iter_mut().enumerate() {
                slice.latency = Default::default();
                for step in 1..=100 {
                    let microseconds = (step * 10 + index as u64 % 5) as f64 * factor;
                    slice.latency.record(Duration::from_secs_f64(microseconds / 1e6), 100);
                }
                outcome.total.from_send.merge(&slice.latency);
            }
        });
        Report::new(&sample.done(), &[])
    }

    fn results(comparison: &Comparison) -> Vec<Difference> {
        comparison.rows.iter().map(|row| row.result).collect()
    }

    #[test]
    fn equal_runs_show_no_difference() {
        use Difference::{NoDifferenceSeen, NotTested};
        let comparison = Comparison::new(&report(1.0), &report(1.0), &[]);
        assert_eq!(
            results(&comparison),
            [[NoDifferenceSeen; 5].as_slice(), &[NotTested; 3]].concat()
        );
        assert!(comparison.notes.is_empty(), "{:?}", comparison.notes);
        assert!(comparison.text(false).contains("no difference seen"));
    }

    #[test]
    fn a_change_of_each_slice_is_seen() {
        use Difference::{Higher, Lower, NoDifferenceSeen};
        let slower = Comparison::new(&report(1.0), &report(1.2), &[]);
        assert_eq!(results(&slower)[..5], [NoDifferenceSeen, Higher, Higher, Higher, Higher]);
        let change = slower.rows[4].change_ratio.expect("both have replies");
        assert!((change - 0.2).abs() < 0.01, "{change}");
        let faster = Comparison::new(&report(1.2), &report(1.0), &[]);
        assert_eq!(results(&faster)[1..5], [Lower; 4]);
    }

    #[test]
    fn a_short_run_is_not_tested() {
        let mut short = report(2.0);
        short.slices.truncate(SAMPLE_MIN - 1);
        let comparison = Comparison::new(&report(1.0), &short, &[]);
        assert_eq!(results(&comparison)[..5], [Difference::TooFewSlices; 5]);
        assert!(comparison.notes[0].contains("needs 8 slices"), "{:?}", comparison.notes);
    }

    #[test]
    fn a_gate_of_a_change_determines_the_exit_code() {
        for (gate, code) in [("p99>+10%", 3), ("p99>+30%", 0), ("p99>1ms", 3), ("rate<-1%", 0)] {
            let gates = [gate.parse().expect(gate)];
            let comparison = Comparison::new(&report(1.0), &report(1.2), &gates);
            assert_eq!(comparison.exit_code(), code, "{gate}");
        }
    }

    #[test]
    fn different_loads_are_noted() {
        let other = fixtures::open().settings(|settings| settings.connections = 20);
        let comparison = Comparison::new(&report(1.0), &Report::new(&other.done(), &[]), &[]);
        assert!(comparison.notes[0].starts_with("The runs differ in what was asked"));
        assert!(comparison.notes.iter().any(|note| note.contains("not comparable")));
    }
}
