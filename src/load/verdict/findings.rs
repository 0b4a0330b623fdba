//! What can be wrong with a run, each with the numbers that show it.

use std::time::Duration;

use super::{Kind, Verdict, endings};
use crate::load::averages::{per_second, share};
use crate::load::figures::{count, duration, percent, plural, rate, typed_seconds};
use crate::load::gates::Judgement;
use crate::load::outcome::{Outcome, Pace};
use crate::load::tally::{Cause, ConnectError, Counts, Ending, ReplyError};

/// Under a closed loop, a generator that waits for the server for less than a tenth of the time may be what sets the pace. How busy it is cannot
/// tell more: where both saturate a core, each finds new work whenever it looks, and both read as busy for all of the time.
const IDLE_RATIO_MIN: f64 = 0.1;

/// Everything in flight waits while the generator has no core: at this share, up to a tenth of each average is the machine's.
const STARVED_RATIO: f64 = 0.1;

/// Half of the p99 was spent waiting for the generator: the figure tells more of it than of the server.
const LAG_SHARE_OF_P99: f64 = 0.5;

/// Replies come in batches, and the last one of a batch waits for the others: below this, a lag is that, and nobody's fault.
///
/// Under a closed loop it means even less. Whatever a batch brings is answered by as many requests, which come back as a batch: the lag is that of
/// half of the connections however fast both sides are, and a part of the latency that any program with so many connections sees.
const LAG_MIN: Duration = Duration::from_millis(1);

/// A failure in a thousand is what a burst into a full backlog costs; more is an answer.
const FAILURES_RATIO: f64 = 0.001;

/// A schedule is held when 98 % of it was sent: the rest are the requests that are on their way when the run ends.
const SCHEDULE_HELD_RATIO: f64 = 0.98;

/// Replies that came twice as late after the schedule as after the send: half of the time was spent waiting for the turn.
const SCHEDULE_DELAY_FACTOR: f64 = 2.0;

/// Below this, the schedule's delay is the resolution of timers, and nobody's fault.
const SCHEDULE_DELAY_MIN: Duration = Duration::from_millis(1);

/// That the connections were there, and that the replies were right.
pub(super) fn held(outcome: &Outcome) -> String {
    let total = &outcome.total;
    let connections = plural(outcome.reached as u64, "connection");
    let opened = match outcome.asked.pace {
        Pace::Hold(_) => endings::alive(outcome),
        _ => format!("{connections} opened"),
    };
    match (total.correct, total.errors.total()) {
        (0, 0) => format!("{opened}, and no request was due"),
        (correct, 0) => format!("{opened}, {} right and none wrong", plural(correct, "reply")),
        (_, errors) => {
            format!("{opened}, {} of all requests failed", percent(ratio(errors, total.correct + errors)))
        }
    }
}

/// That the generator could have done more, or was in time.
pub(super) fn generator_room(outcome: &Outcome) -> String {
    let total = &outcome.total;
    let late = match total.lag.count() {
        _ if rate_due(outcome).is_none() => String::new(),
        0 => ", and never late".into(),
        _ => format!(", p99 lateness {}", duration(total.lag.quantile(0.99))),
    };
    if total.cpu.is_zero() {
        return format!("the system does not tell how busy the generator was{late}");
    }
    format!("the generator was busy {} of the time{late}", percent(cpu_ratio(outcome)))
}

/// True exactly when a run shows that the server answered nothing, where it should have.
fn nothing_was_completed(outcome: &Outcome) -> bool {
    let was_only_held = matches!(outcome.asked.pace, Pace::Hold(_)) && outcome.total.sent == 0 && outcome.reached > 0;
    outcome.total.correct == 0 && !was_only_held
}

/// That there are no figures, and why: what the worst of the other flaws says.
pub(super) fn nothing_completed(outcome: &Outcome, others: &[Verdict]) -> Option<Verdict> {
    if !nothing_was_completed(outcome) {
        return None;
    }
    let is_cause = |other: &&Verdict| other.kind != Kind::GateCrossed;
    let (why, advice) = match others.iter().find(is_cause) {
        Some(other) => (other.evidence.clone(), other.advice.clone()),
        None => {
            let (opened, sent) = (plural(outcome.total.opened, "connection"), plural(outcome.total.sent, "request"));
            (format!("{opened} opened, {sent} sent"), "Let it run longer, or until its end.".into())
        }
    };
    Some(Verdict::new(Kind::NothingCompleted, format!("no request got a right reply; {why}"), advice))
}

pub(super) fn wrong_replies(outcome: &Outcome) -> Option<Verdict> {
    let evidence =
        list(&outcome.total.errors, &[ReplyError::Wrong, ReplyError::Foreign, ReplyError::Surplus], what_failed)?;
    let advice = "Look at one exchange by hand; check the protocol, and what is expected as the reply.";
    Some(Verdict::new(Kind::WrongReplies, evidence, advice))
}

pub(super) fn port_limited(outcome: &Outcome) -> Option<Verdict> {
    let evidence = list(&outcome.total.connect_errors, &[ConnectError::NoPort], what_prevented)?;
    let advice = "Give more source addresses: --source 127.0.0.2-127.0.0.40, or widen net.ipv4.ip_local_port_range.";
    Some(Verdict::new(Kind::PortLimited, format!("{evidence}, {}", reached(outcome)), advice))
}

pub(super) fn descriptor_limited(outcome: &Outcome) -> Option<Verdict> {
    let evidence = list(&outcome.total.connect_errors, &[ConnectError::NoDescriptor], what_prevented)?;
    let advice = "Raise the limit of open files: ulimit -n, or LimitNOFILE= in a service.";
    Some(Verdict::new(Kind::DescriptorLimited, format!("{evidence}, {}", reached(outcome)), advice))
}

pub(super) fn server_refused(outcome: &Outcome) -> Option<Verdict> {
    const CAUSES: [ConnectError; 6] = [
        ConnectError::Refused,
        ConnectError::TimedOut,
        ConnectError::Reset,
        ConnectError::Busy,
        ConnectError::Unreachable,
        ConnectError::Other,
    ];
    let errors = &outcome.total.connect_errors;
    let evidence = list(errors, &CAUSES, what_prevented)?;
    let failures = CAUSES.iter().map(|cause| errors.get(*cause)).sum();
    let is_incomplete = outcome.reached < outcome.asked.connections;
    if !is_incomplete && ratio(failures, outcome.total.connects) <= FAILURES_RATIO {
        return None;
    }
    let advice = match most_frequent(errors).map(|(error, _)| error) {
        Some(ConnectError::Refused | ConnectError::Unreachable) => {
            "Check that the server runs and that the address is right."
        }
        Some(ConnectError::TimedOut) => "Open them more slowly (--ramp 10s), or give the server a longer --backlog.",
        Some(ConnectError::Busy) => "Raise the server's limit (--max-connections), or ask for fewer.",
        _ => "See the server's log; open them more slowly (--ramp 10s).",
    };
    Some(Verdict::new(Kind::ServerRefused, format!("{evidence}, {}", reached(outcome)), advice))
}

pub(super) fn too_short(outcome: &Outcome) -> Option<Verdict> {
    let is_incomplete = outcome.reached < outcome.asked.connections && outcome.total.connect_errors.total() == 0;
    is_incomplete.then(|| {
        let (why, advice) = match outcome.interrupted_by {
            Some(_) => ("interrupted", "Let it run to its end."),
            None => ("over", "Make -d longer, or --ramp shorter."),
        };
        let evidence = format!("the run was {why} before all connections were open, {}", reached(outcome));
        Verdict::new(Kind::TooShort, evidence, advice)
    })
}

pub(super) fn unanswered(outcome: &Outcome) -> Option<Verdict> {
    const CAUSES: [ReplyError; 3] = [ReplyError::Truncated, ReplyError::Missing, ReplyError::Late];
    let total = &outcome.total;
    let failures: u64 = CAUSES.iter().map(|cause| total.errors.get(*cause)).sum();
    let failures = failures.saturating_sub(cut_off(outcome));
    // A connection that is only held and ends is told of by another verdict.
    let is_held = matches!(outcome.asked.pace, Pace::Hold(_));
    let is_silent = total.correct == 0 && total.received_bytes == 0;
    let silent = match total.endings.get(Ending::Silent) {
        0 => None,
        _ if is_held => None,
        silent if total.correct > 0 => Some(format!("connections that stopped answering: {}", count(silent))),
        silent if is_silent && outcome.asked.protocol == "text" => {
            let within = typed_seconds(outcome.asked.timeout.as_secs_f64());
            Some(format!("connections that never answered: {}, no banner within {within}", count(silent)))
        }
        silent => Some(format!("connections that never answered: {}", count(silent))),
    };
    if silent.is_none() && ratio(failures, total.correct + total.errors.total()) <= FAILURES_RATIO {
        return None;
    }
    let evidence: Vec<String> = [list(&total.errors, &CAUSES, what_failed), silent].into_iter().flatten().collect();
    let advice = if is_silent && total.endings.get(Ending::Silent) > 0 {
        let speaks = match outcome.asked.protocol.as_str() {
            "raw" => "what it waits for".into(),
            protocol => format!("that it speaks {protocol}"),
        };
        format!("Something takes connections and says nothing: check {speaks}.")
    } else {
        "See the server's log, its timeouts and limits, and whether something between drops connections.".into()
    };
    Some(Verdict::new(Kind::Unanswered, evidence.join(", "), advice))
}

/// Requests that a schedule had due long before, that were sent late, and that the end of the run cut off: at most what was in flight then.
fn cut_off(outcome: &Outcome) -> u64 {
    match outcome.total.errors.get(ReplyError::Unsent) {
        0 => 0,
        _ => (outcome.open_last as u64).saturating_mul(outcome.asked.depth as u64),
    }
}

pub(super) fn generator_limited(outcome: &Outcome) -> Option<Verdict> {
    const MORE_ROOM: &str =
        "Give it a core of its own, or more --threads where cores are free, or another machine and merge.";
    let total = &outcome.total;
    if total.correct == 0 {
        return None;
    }
    let (cpu, starved) = (cpu_ratio(outcome), share_of_time(outcome, total.starved));
    let mut evidence = Vec::new();
    if starved >= STARVED_RATIO {
        evidence.push(format!("the generator was runnable but not scheduled for {} of the time", percent(starved)));
    }
    let sets_the_pace = match outcome.asked.pace {
        Pace::Closed => true,
        Pace::Hold(_) => false,
        Pace::Open { .. } => schedule_missed(outcome).is_some(),
    };
    if sets_the_pace && starved < STARVED_RATIO && cpu + starved > 1.0 - IDLE_RATIO_MIN {
        evidence
            .push(format!("the generator was busy {} of the time, so the server may be able to do more", percent(cpu)));
    }
    let (lag, p50, p99) = (total.lag.quantile(0.99), total.from_send.quantile(0.5), total.from_send.quantile(0.99));
    let has_schedule = rate_due(outcome).is_some();
    // One that is below the median shows in no figure but the smallest.
    if has_schedule && lag >= p50.max(LAG_MIN) && lag.as_secs_f64() >= LAG_SHARE_OF_P99 * p99.as_secs_f64() {
        evidence.push(format!(
            "what was ready or due waited up to {} for the generator (p99), of {} to a reply",
            duration(lag),
            duration(p99)
        ));
    }
    (!evidence.is_empty()).then(|| Verdict::new(Kind::GeneratorLimited, evidence.join("; "), MORE_ROOM))
}

pub(super) fn server_overloaded(outcome: &Outcome) -> Option<Verdict> {
    if generator_limited(outcome).is_some() {
        return None;
    }
    let advice = "Lower -R, or give it more connections (-c) or depth (-P); --find-max finds the rate that it holds.";
    schedule_missed(outcome).map(|evidence| Verdict::new(Kind::ServerOverloaded, evidence, advice))
}

/// How a schedule was not held; `None` when it was, or there is none.
fn schedule_missed(outcome: &Outcome) -> Option<String> {
    let due = rate_due(outcome)?;
    let total = &outcome.total;
    let mut evidence: Vec<String> = list(&total.errors, &[ReplyError::Unsent], what_failed).into_iter().collect();
    let sent = per_second(total.sent, outcome.counted.as_secs_f64());
    if sent < SCHEDULE_HELD_RATIO * due {
        evidence.push(format!("{} sent of {} due", rate(sent), rate(due)));
    }
    let (schedule, send) = (total.from_schedule.quantile(0.99), total.from_send.quantile(0.99));
    if schedule.saturating_sub(send) > SCHEDULE_DELAY_MIN
        && schedule.as_secs_f64() > SCHEDULE_DELAY_FACTOR * send.as_secs_f64()
    {
        evidence.push(format!("p99 is {} from the schedule and {} from the send", duration(schedule), duration(send)));
    }
    (!evidence.is_empty()).then(|| evidence.join("; "))
}

/// That gates were crossed, if any was.
pub(in crate::load) fn gate_crossed(gates: &[Judgement]) -> Option<Verdict> {
    let crossed: Vec<String> =
        gates.iter().filter(|gate| gate.crossed).map(|gate| format!("{}: {}", gate.gate, gate.measured)).collect();
    let advice = "Compare with the report of a run that kept it.";
    (!crossed.is_empty()).then(|| Verdict::new(Kind::GateCrossed, crossed.join("; "), advice))
}

/// `12 of 1,000 connections were open`.
fn reached(outcome: &Outcome) -> String {
    format!("{} of {} were open", count(outcome.reached as u64), plural(outcome.asked.connections as u64, "connection"))
}

/// The causes among `causes` that occurred, each with its number; `None` when none did.
pub(super) fn list<C: Cause>(counts: &Counts<C>, causes: &[C], name: impl Fn(C) -> &'static str) -> Option<String> {
    let occurred: Vec<String> = causes
        .iter()
        .filter(|cause| counts.get(**cause) > 0)
        .map(|cause| format!("{}: {}", name(*cause), count(counts.get(*cause))))
        .collect();
    (!occurred.is_empty()).then(|| occurred.join(", "))
}

pub(super) const fn what_ended(ending: Ending) -> &'static str {
    match ending {
        Ending::Silent => "connections that did not answer",
        Ending::Closed => "ended by the server without a word",
        Ending::IdleTimeout => "ended by the server for its idle timeout",
        Ending::MessageTimeout => "ended by the server for its message timeout",
        Ending::Shutdown => "ended by the server's shutdown",
        Ending::Reset => "connections that were reset",
        Ending::Unreadable => "connections whose replies could not be followed",
    }
}

fn most_frequent<C: Cause>(counts: &Counts<C>) -> Option<(C, u64)> {
    counts.iter().filter(|(_, number)| *number > 0).max_by_key(|(_, number)| *number)
}

const fn what_failed(error: ReplyError) -> &'static str {
    match error {
        ReplyError::Wrong => "wrong replies",
        ReplyError::Foreign => "replies to another request",
        ReplyError::Surplus => "replies that no request had asked for",
        ReplyError::Truncated => "replies that broke off",
        ReplyError::Missing => "replies that never came",
        ReplyError::Late => "replies that were late",
        ReplyError::Unsent => "requests that were due and found no free connection",
    }
}

const fn what_prevented(error: ConnectError) -> &'static str {
    match error {
        ConnectError::Refused => "connections refused",
        ConnectError::TimedOut => "connections timed out",
        ConnectError::Reset => "connections reset while opening",
        ConnectError::Busy => "connections told that the server is full",
        ConnectError::NoPort => "connections without a port",
        ConnectError::NoDescriptor => "connections without a descriptor",
        ConnectError::Unreachable => "connections without a way to the host",
        ConnectError::Other => "connections failed otherwise",
    }
}

/// The share of the time of all threads that they were busy.
#[must_use]
pub fn cpu_ratio(outcome: &Outcome) -> f64 {
    share_of_time(outcome, outcome.total.cpu)
}

/// The requests a second that the schedule had due in the counted part, on average; `None` without a schedule.
pub(super) fn rate_due(outcome: &Outcome) -> Option<f64> {
    let Pace::Open { from, to } = outcome.asked.pace else { return None };
    // The rate changes evenly, so that of the middle is the average.
    let counted = outcome.counted.min(outcome.asked.duration.saturating_sub(outcome.asked.warmup));
    let middle = outcome.asked.warmup.as_secs_f64() + counted.as_secs_f64() / 2.0;
    let progress = middle / outcome.asked.duration.as_secs_f64().max(f64::MIN_POSITIVE);
    Some(from + (to - from) * progress.min(1.0))
}

fn share_of_time(outcome: &Outcome, part: Duration) -> f64 {
    let threads = outcome.asked.threads.max(1) as f64;
    share(part.as_secs_f64(), outcome.counted.as_secs_f64() * threads)
}

fn ratio(part: u64, all: u64) -> f64 {
    share(part as f64, all as f64)
}
