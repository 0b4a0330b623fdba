//! The sections of a report, as its file has them: every number has its unit in its name.

use serde::{Deserialize, Serialize};

use super::distribution::Distribution;
use crate::measurement::averages::per_second;
use crate::measurement::causes::{ConnectError, ConnectionEnd, ReplyError};
use crate::measurement::counts::CauseCounts;
use crate::measurement::latency::Latency;
use crate::measurement::outcome::{RunOutcome, Slice};
use crate::measurement::settings::{Arrivals, Lifetime, Opening, Pace, RunSettings, Stage};

/// The requested settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportSettings {
    /// The server as the user named it; of merged reports, all of them.
    pub target: String,
    /// `text`, `binary`, `echo`, `chat` or `raw`.
    pub protocol: String,
    /// A short description of the messages.
    pub messages: String,
    /// The flags of the load as the user typed them; of merged reports, all of them.
    #[serde(default)]
    pub typed: String,
    /// Number of connections.
    pub connections_count: u64,
    /// Maximum number of requests in flight on each connection.
    pub depth_count: u64,
    /// Number of generator threads.
    pub threads_count: u64,
    /// Duration of the load, including the warm-up.
    pub duration_s: f64,
    /// The first part of it, which latencies and throughput exclude.
    pub warmup_s: f64,
    /// Timeout of a connection attempt and of a reply.
    pub timeout_s: f64,
    /// When requests are sent.
    pub pace: ReportPace,
    /// Number of requests after which the run ends; `None` for the duration alone.
    pub requests_count: Option<u64>,
    /// The seed of random values; `None` if nothing was random.
    pub seed_number: Option<u32>,
    /// Size of the shortest request.
    pub request_bytes: u64,
    /// Connections opened per second; `None` opens all at once.
    pub opening_per_s: Option<f64>,
    /// Number of requests after which a connection is reopened.
    pub lifetime_count: Option<u64>,
    /// Time after which a connection is reopened.
    pub lifetime_s: Option<f64>,
}

/// When requests are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportPace {
    /// Closed loop, held connections, or open loop.
    pub kind: PaceKind,
    /// With `hold`: time between two requests on a connection.
    pub interval_s: Option<f64>,
    /// With `open`: requests per second at the start.
    pub from_per_s: Option<f64>,
    /// With `open`: requests per second at the end.
    pub to_per_s: Option<f64>,
    /// With `open`: the stages of the rate; empty in reports of runs whose stages differ.
    pub stages: Vec<ReportStage>,
    /// With `open`: even intervals, or random ones.
    pub arrivals: Option<ReportArrivals>,
    /// With `closed`: the pause between a reply and the next request on its connection.
    pub think_s: Option<f64>,
}

/// A stage of a schedule, in which the rate changes linearly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportStage {
    /// Its length.
    pub length_s: f64,
    /// Requests per second at its start.
    pub from_per_s: f64,
    /// Requests per second at its end.
    pub to_per_s: f64,
}

/// How requests arrive at the rate of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportArrivals {
    /// At even intervals.
    Even,
    /// At random intervals: a Poisson process.
    Poisson,
}

/// The kinds of pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaceKind {
    /// Closed loop: when a reply has arrived.
    Closed,
    /// Held connections with one request per interval.
    Hold,
    /// Open loop: on a schedule.
    Open,
}

impl From<&RunSettings> for ReportPace {
    fn from(settings: &RunSettings) -> Self {
        let think_s = settings.think.as_secs_f64();
        let none = Self {
            kind: PaceKind::Closed,
            interval_s: None,
            from_per_s: None,
            to_per_s: None,
            stages: settings.schedule().into_iter().map(ReportStage::from).collect(),
            arrivals: None,
            think_s: None,
        };
        match settings.pace {
            Pace::Closed => Self { think_s: (think_s > 0.0).then_some(think_s), ..none },
            Pace::Hold(interval) => {
                Self { kind: PaceKind::Hold, interval_s: Some(interval.as_secs_f64()), ..none }
            }
            Pace::Open { from, to } => Self {
                kind: PaceKind::Open,
                from_per_s: Some(from),
                to_per_s: Some(to),
                arrivals: Some(settings.arrivals.into()),
                ..none
            },
        }
    }
}

impl From<Stage> for ReportStage {
    fn from(stage: Stage) -> Self {
        Self { length_s: stage.length.as_secs_f64(), from_per_s: stage.from, to_per_s: stage.to }
    }
}

impl From<Arrivals> for ReportArrivals {
    fn from(arrivals: Arrivals) -> Self {
        match arrivals {
            Arrivals::Even => Self::Even,
            Arrivals::Poisson => Self::Poisson,
        }
    }
}

impl From<&RunOutcome> for ReportSettings {
    fn from(outcome: &RunOutcome) -> Self {
        let settings = &outcome.settings;
        let (lifetime_count, lifetime_s) = match outcome.lifetime {
            Some(Lifetime::Requests(count)) => (Some(count), None),
            Some(Lifetime::Time(time)) => (None, Some(time.as_secs_f64())),
            None => (None, None),
        };
        Self {
            target: settings.target.name.clone(),
            protocol: settings.protocol.clone(),
            messages: settings.messages.clone(),
            typed: settings.typed.clone(),
            connections_count: settings.connections as u64,
            depth_count: settings.depth as u64,
            threads_count: settings.threads as u64,
            duration_s: settings.duration.as_secs_f64(),
            warmup_s: settings.warmup.as_secs_f64(),
            timeout_s: settings.timeout.as_secs_f64(),
            pace: settings.into(),
            requests_count: settings.requests,
            seed_number: settings.seed,
            request_bytes: settings.request_bytes as u64,
            opening_per_s: match outcome.opening {
                Opening::AtOnce => None,
                Opening::Rate(per_s) => Some(per_s),
            },
            lifetime_count,
            lifetime_s,
        }
    }
}

/// Connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Connections {
    /// Requested.
    pub asked_count: u64,
    /// Of those, open at some time.
    pub reached_count: u64,
    /// Most connections open at once.
    pub open_most_count: u64,
    /// Open when the run ended.
    pub open_last_count: u64,
    /// Time from the start of the load until the server was gone: all connections had ended, and it
    /// accepted no other one.
    pub server_gone_after_s: Option<f64>,
    /// Attempts, including reopened connections.
    pub begun_count: u64,
    /// Opened, including reopened connections.
    pub opened_count: u64,
    /// Not opened, or rejected by the server, by cause.
    pub failed: CauseCounts<ConnectError>,
    /// Ended without the generator closing them, by cause.
    pub ended: CauseCounts<ConnectionEnd>,
}

/// Requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Requests {
    /// Requests completely accepted by the kernel.
    pub sent_count: u64,
    /// Bytes accepted by the kernel.
    pub sent_bytes: u64,
}

/// Replies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replies {
    /// Requests with a complete and correct reply.
    pub correct_count: u64,
    /// Bytes of replies, correct or wrong; a greeting is not a reply.
    pub received_bytes: u64,
}

/// Failed requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Errors {
    /// By cause.
    #[serde(flatten)]
    pub by_cause: CauseCounts<ReplyError>,
    /// Sum over all causes.
    pub total_count: u64,
    /// Their share of all answered and failed requests, 0 to 1.
    pub ratio: f64,
}

/// Averages over the measurement window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Throughput {
    /// Correct replies per second; see
    /// [`Counts::correct_inside`](crate::measurement::counts::Counts::correct_inside).
    pub replies_per_s: f64,
    /// Bytes sent per second.
    pub sent_bytes_per_s: f64,
    /// Bytes received per second.
    pub received_bytes_per_s: f64,
}

/// Latencies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Latencies {
    /// From the connection attempt to the open connection, without the handshake of TLS.
    pub connect: Distribution,
    /// From the open connection to the end of the handshake of TLS; `None` without TLS.
    #[serde(default)]
    pub tls_handshake: Option<Distribution>,
    /// From the connection attempt to the first byte received.
    pub first_byte: Distribution,
    /// From the system call that sent a request to the last byte of its correct reply.
    pub from_send: Distribution,
    /// From the scheduled moment of a request to the last byte of its correct reply; `None` without
    /// a schedule.
    pub from_schedule: Option<Distribution>,
}

impl Latencies {
    /// Returns the latency that users see: from the schedule if there is one, else from the send.
    #[must_use]
    pub fn reply(&self) -> &Distribution {
        self.from_schedule.as_ref().unwrap_or(&self.from_send)
    }
}

/// A slice of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportSlice {
    /// Its start, relative to the start of the measurement window.
    pub start_s: f64,
    /// Its length.
    pub length_s: f64,
    /// Requests sent.
    pub sent_count: u64,
    /// Correct replies.
    pub correct_count: u64,
    /// Failed requests, all causes.
    pub errors_count: u64,
    /// Connections open at its end.
    pub open_count: u64,
    /// From the schedule if there is one, else from the send.
    pub latency: Distribution,
    /// Completed handshakes of TLS.
    #[serde(default)]
    pub handshakes_count: u64,
    /// Their time; `None` if there were none.
    #[serde(default)]
    pub tls_handshake: Option<Distribution>,
}

impl ReportSlice {
    /// Appends the following slice.
    pub fn append(&mut self, next: &Self) {
        self.length_s += next.length_s;
        self.sent_count += next.sent_count;
        self.correct_count += next.correct_count;
        self.errors_count += next.errors_count;
        self.open_count = next.open_count;
        self.latency.0.merge(&next.latency.0);
        self.add_handshakes(next);
    }

    /// Adds the handshakes of `other`.
    pub(super) fn add_handshakes(&mut self, other: &Self) {
        self.handshakes_count += other.handshakes_count;
        merge_some(&mut self.tls_handshake, other.tls_handshake.as_ref());
    }

    /// Returns `number` per second of the slice.
    #[must_use]
    pub fn per_s(&self, number: u64) -> f64 {
        per_second(number, self.length_s)
    }
}

impl From<&Slice> for ReportSlice {
    fn from(slice: &Slice) -> Self {
        Self {
            start_s: slice.start.as_secs_f64(),
            length_s: slice.length.as_secs_f64(),
            sent_count: slice.sent,
            correct_count: slice.correct,
            errors_count: slice.errors,
            open_count: slice.open as u64,
            latency: Distribution(slice.latency.clone()),
            handshakes_count: slice.handshake.count(),
            tls_handshake: occurred(&slice.handshake),
        }
    }
}

/// Returns the distribution of a latency; `None` if nothing occurred.
pub(super) fn occurred(latency: &Latency) -> Option<Distribution> {
    (latency.count() > 0).then(|| Distribution(latency.clone()))
}

/// Adds a distribution that there may be none of.
pub(super) fn merge_some(all: &mut Option<Distribution>, more: Option<&Distribution>) {
    match (all.as_mut(), more) {
        (Some(all), Some(more)) => all.0.merge(&more.0),
        (None, Some(more)) => *all = Some(more.clone()),
        (_, None) => {}
    }
}

/// Returns the slices of a run. A short rest at its end is added to the slice before it: a few
/// errors in a microsecond would read as millions per second.
pub(super) fn slices(slices: &[Slice]) -> Vec<ReportSlice> {
    let mut facts: Vec<ReportSlice> = slices.iter().map(ReportSlice::from).collect();
    let is_short = |last: &ReportSlice| last.length_s < facts[0].length_s / 2.0;
    if let Some(rest) = facts.last().filter(|last| is_short(last)).cloned() {
        facts.pop();
        // The first slice is not shorter than half of itself, so another one exists.
        if let Some(last) = facts.last_mut() {
            last.append(&rest);
        }
    }
    facts
}

/// The generator, to show whether it distorted the results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Generator {
    /// Number of generator threads.
    pub threads_count: u64,
    /// CPU time of all threads; 0 if the system does not report it.
    pub cpu_s: f64,
    /// Share of their time in which they were busy, 0 to 1; with more threads than cores, of the
    /// time of the cores.
    pub cpu_ratio: f64,
    /// Time in which they were runnable without a core, or stopped.
    pub starved_s: f64,
    /// The part of each correct reply's latency that the generator caused.
    pub lag: Distribution,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixtures;

    #[test]
    fn a_short_rest_is_added_to_the_previous_slice() {
        let last_of = |length| {
            let mut outcome = fixtures::closed().done();
            outcome.slices[9].length = Duration::from_millis(length);
            outcome.slices[9].errors = 5;
            let facts = slices(&outcome.slices);
            (
                facts.len(),
                facts.last().map(|last| (last.length_s, last.correct_count, last.errors_count)),
            )
        };
        assert_eq!(last_of(500), (10, Some((0.5, 10_000, 5))));
        assert_eq!(last_of(250), (9, Some((1.25, 20_000, 5))));
        assert_eq!(slices(&[]).len(), 0);
    }

    #[test]
    fn a_run_of_one_short_slice_keeps_it() {
        let mut outcome = fixtures::closed().done();
        outcome.slices.truncate(1);
        outcome.slices[0].length = Duration::ZERO;
        assert_eq!(slices(&outcome.slices).len(), 1);
    }
}
