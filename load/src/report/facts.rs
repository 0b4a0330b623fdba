//! The parts of a report, as its file spells them: every number has its unit in its name.

use serde::{Deserialize, Serialize};

use super::distribution::Distribution;
use crate::averages::per_second;
use crate::causes::{ConnectError, Ending, ReplyError};
use crate::outcome::{Lifetime, Opening, Outcome, Pace, Slice};
use crate::tally::Counts;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The server as it was named; of joined reports, all of them.
    pub target: String,
    /// `text`, `binary`, `echo`, `chat` or `raw`.
    pub protocol: String,
    /// What is sent, in a few words.
    pub messages: String,
    /// Connections to hold open.
    pub connections_count: u64,
    /// Requests in flight on each connection, at most.
    pub depth_count: u64,
    /// Threads that generate.
    pub threads_count: u64,
    /// How long requests are sent, the time for warming up included.
    pub duration_s: f64,
    /// The first part of it, which latencies and throughput leave out.
    pub warmup_s: f64,
    /// How long a connection, or a reply, may take.
    pub timeout_s: f64,
    /// When requests are sent.
    pub pace: PaceFacts,
    /// How long a request is on the wire, at least.
    pub request_bytes: u64,
    /// How many connections are opened in a second; `None` opens all at once.
    pub opening_per_s: Option<f64>,
    /// After how many requests a connection is closed and opened anew.
    pub lifetime_count: Option<u64>,
    /// After how long a connection is closed and opened anew.
    pub lifetime_s: Option<f64>,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaceFacts {
    /// As soon as a reply has come, to keep connections alive, or on a schedule.
    pub kind: PaceKind,
    /// With `hold`: the time from one request on a connection to the next.
    pub interval_s: Option<f64>,
    /// With `open`: requests a second at the start.
    pub from_per_s: Option<f64>,
    /// With `open`: requests a second at the end.
    pub to_per_s: Option<f64>,
}

/// The names of the paces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaceKind {
    /// As soon as a reply has come.
    Closed,
    /// One request every so often.
    Hold,
    /// On a schedule.
    Open,
}

impl From<Pace> for PaceFacts {
    fn from(pace: Pace) -> Self {
        let none =
            Self { kind: PaceKind::Closed, interval_s: None, from_per_s: None, to_per_s: None };
        match pace {
            Pace::Closed => none,
            Pace::Hold(interval) => {
                Self { kind: PaceKind::Hold, interval_s: Some(interval.as_secs_f64()), ..none }
            }
            Pace::Open { from, to } => {
                Self { kind: PaceKind::Open, from_per_s: Some(from), to_per_s: Some(to), ..none }
            }
        }
    }
}

impl From<&Outcome> for Asked {
    fn from(outcome: &Outcome) -> Self {
        let asked = &outcome.asked;
        let (lifetime_count, lifetime_s) = match outcome.lifetime {
            Some(Lifetime::Requests(count)) => (Some(count), None),
            Some(Lifetime::Time(time)) => (None, Some(time.as_secs_f64())),
            None => (None, None),
        };
        Self {
            target: asked.target.clone(),
            protocol: asked.protocol.clone(),
            messages: asked.messages.clone(),
            connections_count: asked.connections as u64,
            depth_count: asked.depth as u64,
            threads_count: asked.threads as u64,
            duration_s: asked.duration.as_secs_f64(),
            warmup_s: asked.warmup.as_secs_f64(),
            timeout_s: asked.timeout.as_secs_f64(),
            pace: asked.pace.into(),
            request_bytes: asked.request_bytes as u64,
            opening_per_s: match outcome.opening {
                Opening::AtOnce => None,
                Opening::Rate(per_s) => Some(per_s),
            },
            lifetime_count,
            lifetime_s,
        }
    }
}

/// What became of the connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Connections {
    /// Asked for.
    pub asked_count: u64,
    /// Of those, open at some time.
    pub reached_count: u64,
    /// Open at the end of a slice, at most.
    pub open_most_count: u64,
    /// Open when the run ended.
    pub open_last_count: u64,
    /// How long after the start of the load the server left: all connections had ended, and it
    /// took no other one.
    pub server_gone_after_s: Option<f64>,
    /// Begun, those included that were opened anew.
    pub begun_count: u64,
    /// Opened, likewise.
    pub opened_count: u64,
    /// Not opened, or refused with a word, by cause.
    pub failed: Counts<ConnectError>,
    /// Ended without the generator's doing, by cause.
    pub ended: Counts<Ending>,
}

/// What was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Requests {
    /// Requests that the kernel has taken whole.
    pub sent_count: u64,
    /// Bytes that the kernel has taken.
    pub sent_bytes: u64,
}

/// What came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replies {
    /// Requests that were answered, whole and right.
    pub correct_count: u64,
    /// Bytes of replies, right or wrong; a greeting is none.
    pub received_bytes: u64,
}

/// Requests that were not answered as they should have been.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Errors {
    /// By cause.
    #[serde(flatten)]
    pub by_cause: Counts<ReplyError>,
    /// All causes together.
    pub total_count: u64,
    /// Their share of all requests that were answered or failed: 0 to 1.
    pub ratio: f64,
}

/// What went through in a second, on average of the counted part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Throughput {
    /// Right replies a second; see
    /// [`Tally::correct_inside`](crate::tally::Tally::correct_inside).
    pub replies_per_s: f64,
    /// Bytes a second sent.
    pub sent_bytes_per_s: f64,
    /// Bytes a second received.
    pub received_bytes_per_s: f64,
}

/// How long things took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Latencies {
    /// From the start of connecting to the open connection.
    pub connect: Distribution,
    /// From the start of connecting to the first byte that came on the connection.
    pub first_byte: Distribution,
    /// From the call that sent a request to the last byte of its right reply.
    pub from_send: Distribution,
    /// From the time at which the schedule had a request due to the last byte of its right reply;
    /// `None` without a schedule.
    pub from_schedule: Option<Distribution>,
}

impl Latencies {
    /// What a user of the server waits: from the schedule where there is one, else from the send.
    #[must_use]
    pub fn reply(&self) -> &Distribution {
        self.from_schedule.as_ref().unwrap_or(&self.from_send)
    }
}

/// A part of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SliceFacts {
    /// When it began, counted from the start of the counted part.
    pub start_s: f64,
    /// How long it took.
    pub length_s: f64,
    /// Requests sent.
    pub sent_count: u64,
    /// Replies that were right.
    pub correct_count: u64,
    /// Requests that failed, all causes.
    pub errors_count: u64,
    /// Connections open at its end.
    pub open_count: u64,
    /// From the schedule where there is one, else from the send.
    pub latency: Distribution,
}

impl SliceFacts {
    /// Makes it one with the slice that follows.
    pub fn append(&mut self, next: &Self) {
        self.length_s += next.length_s;
        self.sent_count += next.sent_count;
        self.correct_count += next.correct_count;
        self.errors_count += next.errors_count;
        self.open_count = next.open_count;
        self.latency.0.merge(&next.latency.0);
    }

    /// `number` of it, by the second.
    #[must_use]
    pub fn per_s(&self, number: u64) -> f64 {
        per_second(number, self.length_s)
    }
}

impl From<&Slice> for SliceFacts {
    fn from(slice: &Slice) -> Self {
        Self {
            start_s: slice.start.as_secs_f64(),
            length_s: slice.length.as_secs_f64(),
            sent_count: slice.sent,
            correct_count: slice.correct,
            errors_count: slice.errors,
            open_count: slice.open as u64,
            latency: Distribution(slice.latency.clone()),
        }
    }
}

/// The slices of a run. What is left of it at its end, if it is short, belongs to the slice before:
/// by the second, a few errors in a microsecond would be millions.
pub(super) fn slices(slices: &[Slice]) -> Vec<SliceFacts> {
    let mut facts: Vec<SliceFacts> = slices.iter().map(SliceFacts::from).collect();
    let is_short = |last: &SliceFacts| last.length_s < facts[0].length_s / 2.0;
    if let Some(rest) = facts.last().filter(|last| is_short(last)).cloned() {
        facts.pop();
        // The first one is not shorter than half of itself: another is there.
        if let Some(last) = facts.last_mut() {
            last.append(&rest);
        }
    }
    facts
}

/// How the generator fared: whether it was in the way of what it measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Generator {
    /// Threads that generated.
    pub threads_count: u64,
    /// CPU time of all of them; 0 where the system does not tell.
    pub cpu_s: f64,
    /// The share of their time that they were busy, on average: 0 to 1; of more threads than
    /// cores, of the time of the cores.
    pub cpu_ratio: f64,
    /// How long they were ready to run and had no core, or were stopped.
    pub starved_s: f64,
    /// The part of each right reply's latency that the generator caused.
    pub lag: Distribution,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::samples;

    #[test]
    fn a_short_rest_of_a_run_belongs_to_the_slice_before() {
        let last_of = |length| {
            let mut outcome = samples::closed().done();
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
        let mut outcome = samples::closed().done();
        outcome.slices.truncate(1);
        outcome.slices[0].length = Duration::ZERO;
        assert_eq!(slices(&outcome.slices).len(), 1);
    }
}
