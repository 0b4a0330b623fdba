//! The report of a broadcast run. `docs/load-report.md` describes its file.

use std::collections::BTreeMap;

use chrono::{DateTime, Local, SecondsFormat};
use serde::{Deserialize, Serialize};

use super::counters::Violations;
use super::run::BroadcastOutcome;
use super::settings::BroadcastSettings;
use crate::judgement::gates::{Gate, GateResult, Measurements};
use crate::measurement::averages::{per_second, share};
use crate::measurement::latency::Latency;
use crate::report::Distribution;
use crate::report::origin::Origin;

/// The schema of the files that this version writes.
pub const SCHEMA: &str = "tinytcp-load-broadcast/1";

/// The verdicts of a run, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BroadcastVerdict {
    /// Fewer members than requested joined, so that nothing was published.
    NotJoined,
    /// No message was delivered.
    NothingDelivered,
    /// The server broke a promise.
    Violated,
    /// The server closed connections of members that read.
    MembersLost,
    /// The run was interrupted, so that completeness was not checked.
    Interrupted,
    /// The server refused messages.
    Refused,
    /// Each member received each message once, in the same order, or the number of those that it
    /// missed.
    Valid,
}

/// The requested run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskedBroadcast {
    /// The server.
    pub target: String,
    /// The flags as the user typed them.
    pub typed: String,
    /// Members of all rooms.
    pub members_count: u64,
    /// Of these, the members that never read.
    pub silent_count: u64,
    /// Rooms.
    pub rooms_count: u64,
    /// Publishers of each room.
    pub publishers_count: u64,
    /// Messages per second of all publishers together.
    pub rate_per_s: f64,
    /// Bytes of the text of each message.
    pub size_bytes: u64,
    /// The time for which messages are published.
    pub duration_s: f64,
}

/// The members of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportMembers {
    /// Members that joined.
    pub joined_count: u64,
    /// The time until all members had joined.
    pub joining_s: f64,
    /// Members that read and whose connection was lost.
    pub lost_count: u64,
    /// Silent members that the server disconnected.
    pub lost_silent_count: u64,
    /// The reason why the first connection was lost, or not opened.
    pub first_loss: Option<String>,
}

/// The messages of the publishers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportMessages {
    /// Messages that were due.
    pub due_count: u64,
    /// Messages that were sent.
    pub sent_count: u64,
    /// Messages that the server accepted.
    pub accepted_count: u64,
    /// Messages that the server refused, by the token of its error.
    pub refused: BTreeMap<String, u64>,
}

/// The deliveries to the members that read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportDeliveries {
    /// Correct deliveries.
    pub correct_count: u64,
    /// Deliveries that `MISSED` replaced.
    pub missed_count: u64,
    /// Correct deliveries per second, from the start to the last one.
    pub correct_per_s: f64,
    /// Bytes of the texts of correct deliveries.
    pub received_bytes: u64,
}

/// The report of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BroadcastReport {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of the program that created it.
    pub version: String,
    /// Wall-clock time of the start.
    pub started: String,
    /// The machine and the command line.
    pub origin: Origin,
    /// The requested run.
    pub asked: AskedBroadcast,
    /// The time for which messages were published.
    pub ran_s: f64,
    /// The number of the signal that interrupted the run.
    pub interrupted_by_signal: Option<i32>,
    /// The verdict.
    pub verdict: BroadcastVerdict,
    /// The result of each gate.
    pub gates: Vec<GateResult>,
    /// Members.
    pub members: ReportMembers,
    /// Messages.
    pub messages: ReportMessages,
    /// Deliveries.
    pub deliveries: ReportDeliveries,
    /// Broken promises.
    pub violations: Violations,
    /// The time from the moment at which a message was due to each of its deliveries.
    pub latency: Distribution,
    /// The delay with which messages were sent.
    pub lag: Distribution,
    /// Processor time of the generator, as a share of one core.
    pub generator_cpu_ratio: f64,
}

impl BroadcastReport {
    /// Creates the report of a run, and checks `gates`.
    #[must_use]
    pub fn new(settings: &BroadcastSettings, outcome: BroadcastOutcome, gates: &[Gate]) -> Self {
        let verdict = verdict(settings, &outcome);
        let counters = outcome.counters;
        let delivering_s = outcome.last_delivery.max(outcome.ran).as_secs_f64();
        let correct_per_s = per_second(counters.delivered, delivering_s);
        let nothing = Latency::default();
        let measured = Measurements {
            reply: &counters.latency,
            connect: &nothing,
            handshake: None,
            first_byte: &nothing,
            correct: counters.delivered,
            errors: counters.errors(),
            replies_per_s: correct_per_s,
            connections: outcome.joined.count as u64,
        };
        Self {
            schema: SCHEMA.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            started: DateTime::<Local>::from(outcome.started)
                .to_rfc3339_opts(SecondsFormat::Millis, false),
            origin: Origin::this(),
            asked: AskedBroadcast {
                target: settings.target.clone(),
                typed: settings.typed.clone(),
                members_count: settings.members as u64,
                silent_count: settings.silent as u64,
                rooms_count: settings.rooms as u64,
                publishers_count: settings.publishers as u64,
                rate_per_s: settings.rate,
                size_bytes: settings.size as u64,
                duration_s: settings.duration.as_secs_f64(),
            },
            ran_s: outcome.ran.as_secs_f64(),
            interrupted_by_signal: outcome.interrupted_by,
            verdict,
            gates: gates.iter().map(|gate| gate.check(&measured)).collect(),
            members: ReportMembers {
                joined_count: outcome.joined.count as u64,
                joining_s: outcome.joined.took.as_secs_f64(),
                lost_count: counters.lost_members,
                lost_silent_count: counters.lost_silent_members,
                first_loss: outcome.first_loss,
            },
            messages: ReportMessages {
                due_count: counters.due,
                sent_count: counters.sent,
                accepted_count: counters.accepted,
                refused: counters.refused,
            },
            deliveries: ReportDeliveries {
                correct_count: counters.delivered,
                missed_count: counters.missed,
                correct_per_s,
                received_bytes: counters.received_bytes,
            },
            violations: counters.violations,
            latency: Distribution(counters.latency),
            lag: Distribution(counters.lag),
            generator_cpu_ratio: share(outcome.cpu.busy.as_secs_f64(), delivering_s),
        }
    }

    /// Returns the exit code: 130 and 143 after SIGINT and SIGTERM; 1 if not all members joined or
    /// nothing was delivered; 3 if a gate was crossed; 4 if the server broke a promise, closed
    /// connections or refused messages; else 0.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if let Some(signal) = self.interrupted_by_signal {
            return 128_u8.saturating_add(u8::try_from(signal).unwrap_or(u8::MAX));
        }
        match self.verdict {
            BroadcastVerdict::NotJoined | BroadcastVerdict::NothingDelivered => 1,
            _ if self.gates.iter().any(|gate| gate.crossed) => 3,
            BroadcastVerdict::Valid | BroadcastVerdict::Interrupted => 0,
            BroadcastVerdict::Violated
            | BroadcastVerdict::MembersLost
            | BroadcastVerdict::Refused => 4,
        }
    }

    /// Returns the report as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        // Every key is a string and every part is serialisable, so no error can occur.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn verdict(settings: &BroadcastSettings, outcome: &BroadcastOutcome) -> BroadcastVerdict {
    let counters = &outcome.counters;
    let flaws = [
        (outcome.joined.count < settings.members, BroadcastVerdict::NotJoined),
        (counters.violations.total() > 0, BroadcastVerdict::Violated),
        (counters.delivered == 0, BroadcastVerdict::NothingDelivered),
        (counters.lost_members > 0, BroadcastVerdict::MembersLost),
        (outcome.interrupted_by.is_some(), BroadcastVerdict::Interrupted),
        (counters.refused_count() > 0, BroadcastVerdict::Refused),
    ];
    let found = flaws.into_iter().find(|(is_flawed, _)| *is_flawed);
    found.map_or(BroadcastVerdict::Valid, |(_, verdict)| verdict)
}
