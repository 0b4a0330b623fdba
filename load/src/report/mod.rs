//! The report of a run: created from its [`RunOutcome`], then printed and written in every format.

use std::time::Duration;

use chrono::{DateTime, Local, SecondsFormat};
use serde::{Deserialize, Serialize};

use crate::judgement::gates::{Gate, GateResult, Measurements};
use crate::judgement::search::Search;
use crate::judgement::verdict::{self, RunVerdict, VerdictKind};
use crate::measurement::averages::{per_second, share};
use crate::measurement::counts::Counts;
use crate::measurement::exchange::Exchange;
use crate::measurement::format;
use crate::measurement::outcome::RunOutcome;
use crate::measurement::settings::Pace;
use crate::report::origin::Origin;

mod addresses;
mod cause_counts;
pub mod compare;
mod distribution;
mod files;
mod formats;
mod hints;
pub mod live;
pub mod merge;
pub mod origin;
mod page;
pub mod progress;
mod sections;
mod terminal;
mod tls;
mod whole_file;
mod words;

pub use addresses::ReportAddress;
pub use distribution::Distribution;
pub use files::{Paths, check_file, check_files, print, read, text, write_file, write_files};
pub use sections::{
    Connections, Errors, Generator, Latencies, PaceKind, Replies, ReportArrivals, ReportPace,
    ReportSettings, ReportSlice, ReportStage, Requests, Throughput,
};
pub use tls::{ReportSuite, ReportTls};

/// The schema of the files that this version writes and reads.
pub const SCHEMA: &str = "tinytcp-load/2";

/// The report of a finished run. `docs/load-report.md` describes its file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of the program that created it.
    pub version: String,
    /// Wall-clock time of the start: `2025-09-12T17:24:13.250-05:00` (RFC 3339).
    pub started: String,
    /// The machine and the command line; of merged reports, all of them.
    pub origin: Origin,
    /// The file that it was read from; empty if it was created here.
    #[serde(skip)]
    pub file: String,
    /// The requested settings.
    #[serde(rename = "asked")]
    pub settings: ReportSettings,
    /// Length of the measurement window: from the end of the warm-up to the end of the load.
    pub ran_s: f64,
    /// The number of the signal that interrupted the run.
    pub interrupted_by_signal: Option<i32>,
    /// The condition of --abort-if that ended the run.
    #[serde(default)]
    pub aborted_by: Option<String>,
    /// True if the run went on after this report.
    #[serde(default)]
    pub is_partial: bool,
    /// The verdict on the run.
    pub verdict: RunVerdict,
    /// Further flaws, worst first.
    pub further_verdicts: Vec<RunVerdict>,
    /// The result of each gate.
    pub gates: Vec<GateResult>,
    /// Connections.
    pub connections: Connections,
    /// Requests.
    pub requests: Requests,
    /// Replies.
    pub replies: Replies,
    /// Errors.
    pub errors: Errors,
    /// The first exchanges of each kind of error.
    pub exchanges: Vec<Exchange>,
    /// Throughput.
    pub throughput: Throughput,
    /// Latencies.
    pub latency: Latencies,
    /// The TLS of an encrypted run; `None` without TLS.
    #[serde(default)]
    pub tls: Option<ReportTls>,
    /// The results by address, of connections that are spread over the addresses.
    #[serde(default)]
    pub addresses: Vec<ReportAddress>,
    /// The generator.
    pub generator: Generator,
    /// The search of which this run is the best.
    pub search: Option<Search>,
    /// Notes on merged reports, a sentence each.
    pub notes: Vec<String>,
    /// The slices of the measurement window.
    pub slices: Vec<ReportSlice>,
}

impl Report {
    /// Creates the report of a run, and checks `gates`.
    #[must_use]
    pub fn new(outcome: &RunOutcome, gates: &[Gate]) -> Self {
        let total = &outcome.total;
        let ran_s = outcome.counted.as_secs_f64();
        let has_schedule = matches!(outcome.settings.pace, Pace::Open { .. });
        let mut report = Self {
            schema: SCHEMA.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            started: DateTime::<Local>::from(outcome.started)
                .to_rfc3339_opts(SecondsFormat::Millis, false),
            origin: Origin::this(),
            file: String::new(),
            settings: outcome.into(),
            ran_s,
            interrupted_by_signal: outcome.interrupted_by,
            aborted_by: None,
            is_partial: false,
            connections: Connections {
                asked_count: outcome.settings.connections as u64,
                reached_count: outcome.reached as u64,
                open_most_count: outcome.open_most as u64,
                open_last_count: outcome.open_last as u64,
                server_gone_after_s: outcome.server_gone.map(|after| after.as_secs_f64()),
                begun_count: total.connects,
                opened_count: total.opened,
                failed: total.connect_errors.clone(),
                ended: total.endings.clone(),
            },
            requests: Requests { sent_count: total.sent, sent_bytes: total.sent_bytes },
            replies: Replies { correct_count: total.correct, received_bytes: total.received_bytes },
            errors: Errors {
                total_count: total.errors.total(),
                ratio: share(
                    total.errors.total() as f64,
                    (total.correct + total.errors.total()) as f64,
                ),
                by_cause: total.errors.clone(),
            },
            exchanges: total.exchanges.iter().cloned().collect(),
            throughput: Throughput {
                replies_per_s: share(total.correct_inside(), ran_s),
                sent_bytes_per_s: per_second(total.sent_bytes, ran_s),
                received_bytes_per_s: per_second(total.received_bytes, ran_s)
                    * total.inside_ratio(),
            },
            latency: Latencies {
                connect: Distribution(total.connect.clone()),
                tls_handshake: sections::occurred(&total.tls.handshake),
                first_byte: Distribution(total.first_byte.clone()),
                from_send: Distribution(total.from_send.clone()),
                from_schedule: has_schedule.then(|| Distribution(total.from_schedule.clone())),
            },
            generator: Generator {
                threads_count: outcome.settings.threads as u64,
                cpu_s: total.cpu.as_secs_f64(),
                cpu_ratio: verdict::cpu_ratio(outcome),
                starved_s: total.starved.as_secs_f64(),
                lag: Distribution(total.lag.clone()),
            },
            tls: ReportTls::of(outcome),
            addresses: addresses::addresses(outcome),
            slices: sections::slices(&outcome.slices),
            verdict: RunVerdict::valid(outcome),
            further_verdicts: Vec::new(),
            gates: Vec::new(),
            search: None,
            notes: Vec::new(),
        };
        report.gates = gates.iter().map(|gate| gate.check(&report.measured())).collect();
        report.set_verdicts(verdict::flaws(outcome, &report.gates));
        report
    }

    /// Adds the search of which this run is the best.
    #[must_use]
    pub fn with_search(mut self, search: Search) -> Self {
        let is_new = |verdict: &RunVerdict| self.verdicts().all(|other| other.kind != verdict.kind);
        if let Some(verdict) = search.verdict().filter(is_new) {
            let others = self.verdicts().filter(|other| other.kind != VerdictKind::Valid).cloned();
            let mut flaws: Vec<RunVerdict> = others.chain([verdict]).collect();
            flaws.sort_by_key(|verdict| verdict.kind);
            self.set_verdicts(flaws);
        }
        Self { search: Some(search), ..self }
    }

    /// Adds the condition that ended the run, as a gate that was crossed.
    #[must_use]
    pub fn aborted_by(mut self, outcome: &RunOutcome, result: GateResult) -> Self {
        self.notes.push(format!(
            "Ended by --abort-if {} after {}: the report covers the time until then.",
            result.gate,
            format::seconds(self.ran_s)
        ));
        self.aborted_by = Some(result.gate.clone());
        self.gates.push(result);
        self.set_verdicts(verdict::flaws(outcome, &self.gates));
        self
    }

    /// Adds notes.
    #[must_use]
    pub fn with_notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// Marks the report as one of a run that goes on.
    #[must_use]
    pub fn of_part(mut self) -> Self {
        self.is_partial = true;
        self.notes.push(format!(
            "The run goes on: the report covers its first {}.",
            format::seconds(self.ran_s)
        ));
        self
    }

    /// Returns the exit code: 129, 130 and 143 after SIGHUP, SIGINT and SIGTERM; 1 if nothing was
    /// completed, not all connections were reached or a search found no rate; 3 if a gate was
    /// crossed; 4 if the server was gone, sent wrong replies or failed in another way; else 0.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let has_kind = |kind| self.verdicts().any(|verdict| verdict.kind == kind);
        if let Some(signal) = self.interrupted_by_signal {
            return 128_u8.saturating_add(u8::try_from(signal).unwrap_or(u8::MAX));
        }
        let found_nothing =
            self.search.as_ref().is_some_and(|search| search.highest_held_per_s.is_none());
        if found_nothing
            || has_kind(VerdictKind::NothingCompleted)
            || self.connections.reached_count < self.connections.asked_count
        {
            return 1;
        }
        match self.verdicts().all(|verdict| verdict.kind.is_sound()) {
            _ if self.gates.iter().any(|gate| gate.crossed) => 3,
            true => 0,
            false => 4,
        }
    }

    /// Returns all verdicts, worst first.
    pub fn verdicts(&self) -> impl Iterator<Item = &RunVerdict> {
        std::iter::once(&self.verdict).chain(&self.further_verdicts)
    }

    /// Returns the further verdicts that neither the list of gates nor the main verdict shows.
    fn other_verdicts(&self) -> impl Iterator<Item = &RunVerdict> {
        let is_shown = |verdict: &RunVerdict| {
            self.verdict.kind == VerdictKind::NothingCompleted
                && self.verdict.evidence.ends_with(&verdict.evidence)
        };
        self.further_verdicts
            .iter()
            .filter(move |verdict| verdict.kind != VerdictKind::GateCrossed && !is_shown(verdict))
    }

    /// Replaces the verdicts by `flaws`, worst first; keeps them if there are none.
    pub(super) fn set_verdicts(&mut self, flaws: Vec<RunVerdict>) {
        let mut flaws = flaws.into_iter();
        if let Some(worst) = flaws.next() {
            (self.verdict, self.further_verdicts) = (worst, flaws.collect());
        }
    }

    /// Returns the measurements that gates check.
    pub(super) fn measured(&self) -> Measurements<'_> {
        Measurements {
            reply: &self.latency.reply().0,
            connect: &self.latency.connect.0,
            handshake: self.latency.tls_handshake.as_ref().map(|handshake| &handshake.0),
            first_byte: &self.latency.first_byte.0,
            correct: self.replies.correct_count,
            errors: self.errors.total_count,
            replies_per_s: self.throughput.replies_per_s,
            connections: self.connections.reached_count,
        }
    }
}

/// Returns the measurements of a run so far, of which the window has lasted `counted`.
#[must_use]
pub fn measurements(total: &Counts, counted: Duration, reached: usize) -> Measurements<'_> {
    let has_schedule = total.from_schedule.count() > 0;
    Measurements {
        reply: if has_schedule { &total.from_schedule } else { &total.from_send },
        connect: &total.connect,
        handshake: Some(&total.tls.handshake),
        first_byte: &total.first_byte,
        correct: total.correct,
        errors: total.errors.total(),
        replies_per_s: share(total.correct_inside(), counted.as_secs_f64()),
        connections: reached as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::measurement::causes::{ConnectError, ReplyError};

    fn gates(texts: &[&str]) -> Vec<Gate> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    #[test]
    fn the_exit_code_is_that_of_the_worst_flaw() {
        let crossed = gates(&["p99>1us"]);
        let code = |sample: fixtures::OutcomeBuilder, gates: &[Gate]| {
            Report::new(&sample.done(), gates).exit_code()
        };
        assert_eq!(code(fixtures::closed(), &gates(&["p99>1s"])), 0);
        assert_eq!(code(fixtures::closed(), &crossed), 3);
        assert_eq!(code(fixtures::closed().errors(ReplyError::Wrong, 1), &crossed), 3);
        assert_eq!(code(fixtures::closed().errors(ReplyError::Wrong, 1), &[]), 4);
        assert_eq!(
            code(fixtures::open().errors(ReplyError::Unsent, 7), &[]),
            0,
            "an overloaded server was measured"
        );
        assert_eq!(code(fixtures::closed().change(|outcome| outcome.reached = 9), &crossed), 1);
        assert_eq!(code(fixtures::nothing(ConnectError::Refused), &crossed), 1);
        for (signal, expected) in [(2, 130), (15, 143)] {
            assert_eq!(
                code(
                    fixtures::closed().change(|outcome| outcome.interrupted_by = Some(signal)),
                    &crossed
                ),
                expected
            );
        }
    }

    #[test]
    fn throughput_is_correct_replies_per_second() {
        let report = Report::new(&fixtures::closed().done(), &[]);
        assert_eq!((report.ran_s, report.throughput.replies_per_s), (10.0, 10_000.0));
        assert_eq!(report.throughput.sent_bytes_per_s, 230_000.0);
    }

    #[test]
    fn a_run_of_zero_time_has_zero_rates() {
        let outcome = fixtures::nothing(ConnectError::Refused)
            .change(|outcome| outcome.counted = std::time::Duration::ZERO);
        let report = Report::new(&outcome.done(), &[]);
        assert_eq!(
            (report.throughput.replies_per_s, report.generator.cpu_ratio, report.errors.ratio),
            (0.0, 0.0, 0.0)
        );
    }

    #[test]
    fn latency_from_the_schedule_exists_only_with_a_schedule() {
        assert!(Report::new(&fixtures::open().done(), &[]).latency.from_schedule.is_some());
        assert!(Report::new(&fixtures::closed().done(), &[]).latency.from_schedule.is_none());
    }
}
