//! The flaws of a run, each with the numbers that prove it.

use super::evidence::{CHECK_SERVER_AND_NETWORK, end_text, list};
use crate::judgement::gates::GateResult;
use crate::judgement::verdict::{RunVerdict, VerdictKind, endings};
use crate::measurement::averages::share;
use crate::measurement::causes::{Cause, ConnectError, ConnectionEnd, ReplyError};
use crate::measurement::counts::CauseCounts;
use crate::measurement::format::{count, percent, plural, typed_seconds};
use crate::measurement::outcome::RunOutcome;
use crate::measurement::settings::Pace;

/// The tolerated share of failed requests or connections: a burst into a full backlog causes that
/// many.
pub(super) const FAILURES_RATIO: f64 = 0.001;

/// Describes the connections and replies of a run without a flaw.
pub(super) fn describe_results(outcome: &RunOutcome) -> String {
    let total = &outcome.total;
    let connections = plural(outcome.reached as u64, "connection");
    let opened = match outcome.settings.pace {
        Pace::Hold(_) => endings::alive(outcome),
        _ => format!("{connections} opened"),
    };
    match (total.correct, total.errors.total()) {
        (0, 0) => format!("{opened}, and no request was due"),
        (correct, 0) => format!("{opened}, {} and no errors", plural(correct, "correct reply")),
        (_, errors) => {
            let (failed, tolerated) =
                (ratio(errors, total.correct + errors), percent(FAILURES_RATIO));
            format!(
                "{opened}, {} of all requests failed ({tolerated} is tolerated)",
                percent(failed)
            )
        }
    }
}

/// Returns true if the server should have answered and completed nothing.
fn nothing_was_completed(outcome: &RunOutcome) -> bool {
    let was_only_held = matches!(outcome.settings.pace, Pace::Hold(_))
        && outcome.total.sent == 0
        && outcome.reached > 0;
    outcome.total.correct == 0 && !was_only_held
}

/// Checks whether nothing was completed; the reason is the worst of the other flaws.
pub(super) fn nothing_completed(outcome: &RunOutcome, others: &[RunVerdict]) -> Option<RunVerdict> {
    if !nothing_was_completed(outcome) {
        return None;
    }
    let is_cause = |other: &&RunVerdict| other.kind != VerdictKind::GateCrossed;
    let (why, advice) = match others.iter().find(is_cause) {
        Some(other) => (other.evidence.clone(), other.advice.clone()),
        None => {
            let (opened, sent) =
                (plural(outcome.total.opened, "connection"), plural(outcome.total.sent, "request"));
            (
                format!("{opened} opened, {sent} sent"),
                "Run for a longer time, or let the run finish.".into(),
            )
        }
    };
    Some(RunVerdict::new(
        VerdictKind::NothingCompleted,
        format!("no request got a correct reply; {why}"),
        advice,
    ))
}

pub(super) fn wrong_replies(outcome: &RunOutcome) -> Option<RunVerdict> {
    let evidence = list(
        &outcome.total.errors,
        &[ReplyError::Wrong, ReplyError::Foreign, ReplyError::Surplus],
        reply_error_text,
    )?;
    let advice =
        "Check the protocol and the expected reply; the report shows an exchange of each error.";
    Some(RunVerdict::new(VerdictKind::WrongReplies, evidence, advice))
}

pub(super) fn port_limited(outcome: &RunOutcome) -> Option<RunVerdict> {
    let evidence =
        list(&outcome.total.connect_errors, &[ConnectError::NoPort], connect_error_text)?;
    let advice = "Use more source addresses, such as --source 127.0.0.2-127.0.0.40, or widen \
     net.ipv4.ip_local_port_range.";
    Some(RunVerdict::new(
        VerdictKind::PortLimited,
        format!("{evidence}, {}", reached(outcome)),
        advice,
    ))
}

pub(super) fn descriptor_limited(outcome: &RunOutcome) -> Option<RunVerdict> {
    let evidence =
        list(&outcome.total.connect_errors, &[ConnectError::NoDescriptor], connect_error_text)?;
    let advice = "Raise the limit of open files: ulimit -n, or LimitNOFILE= in a service.";
    Some(RunVerdict::new(
        VerdictKind::DescriptorLimited,
        format!("{evidence}, {}", reached(outcome)),
        advice,
    ))
}

pub(super) fn server_refused(outcome: &RunOutcome) -> Option<RunVerdict> {
    const CAUSES: [ConnectError; 6] = [
        ConnectError::Refused,
        ConnectError::TimedOut,
        ConnectError::Reset,
        ConnectError::Busy,
        ConnectError::Unreachable,
        ConnectError::Other,
    ];
    const OPEN_SLOWLY: &str =
        "Open connections more slowly (--ramp 10s), or raise the server's --backlog.";
    let errors = &outcome.total.connect_errors;
    let evidence = list(errors, &CAUSES, connect_error_text)?;
    let failures = CAUSES.iter().map(|cause| errors.get(*cause)).sum();
    let is_incomplete = outcome.reached < outcome.settings.connections;
    if !is_incomplete && ratio(failures, outcome.total.connects) <= FAILURES_RATIO {
        return None;
    }
    let advice = match most_frequent(errors).map(|(error, _)| error) {
        // A unix socket refuses connections while its backlog is full.
        Some(ConnectError::Refused) if outcome.reached > 0 && outcome.settings.target.is_unix => {
            OPEN_SLOWLY
        }
        Some(ConnectError::Refused | ConnectError::Unreachable) => {
            "Check that the server runs and that the address is correct."
        }
        Some(ConnectError::TimedOut) => OPEN_SLOWLY,
        Some(ConnectError::Busy) => {
            "Raise the server's --max-connections, or use fewer connections (-c)."
        }
        _ => "Check the server's log; open connections more slowly (--ramp 10s).",
    };
    Some(RunVerdict::new(
        VerdictKind::ServerRefused,
        format!("{evidence}, {}", reached(outcome)),
        advice,
    ))
}

pub(super) fn too_short(outcome: &RunOutcome) -> Option<RunVerdict> {
    let is_incomplete =
        outcome.reached < outcome.settings.connections && outcome.total.connect_errors.total() == 0;
    let left = requests_left(outcome);
    let (what, remedy) = if is_incomplete {
        let what = format!("before all connections were open, {}", reached(outcome));
        (what, "Make -d longer, or --ramp shorter.")
    } else if left > 0 {
        let all = plural(outcome.settings.requests.unwrap_or(0), "request");
        (format!("with {} of {all} left", count(left)), "Make -d longer, or -n smaller.")
    } else {
        return None;
    };
    let (why, advice) = match outcome.interrupted_by {
        Some(_) => ("was interrupted", "Let the run finish."),
        None => ("ended", remedy),
    };
    Some(RunVerdict::new(VerdictKind::TooShort, format!("the run {why} {what}"), advice))
}

/// Returns how many requests of a run of a given number of them were not sent before its end.
fn requests_left(outcome: &RunOutcome) -> u64 {
    let errors = &outcome.total.errors;
    let done = outcome.total.correct + errors.total() - errors.get(ReplyError::Surplus);
    let unsent = errors.get(ReplyError::Unsent);
    // A schedule that is missed has a verdict of its own, except for requests after its end.
    let is_owed = !matches!(outcome.settings.pace, Pace::Open { .. });
    let missing = outcome.settings.requests.map_or(0, |requests| requests.saturating_sub(done));
    if is_owed && outcome.settings.requests.is_some() { missing + unsent } else { missing }
}

pub(super) fn unanswered(outcome: &RunOutcome) -> Option<RunVerdict> {
    const CAUSES: [ReplyError; 3] = [ReplyError::Truncated, ReplyError::Missing, ReplyError::Late];
    let total = &outcome.total;
    let failures: u64 = CAUSES.iter().map(|cause| total.errors.get(*cause)).sum();
    // The end of a held connection has a verdict of its own.
    let is_held = matches!(outcome.settings.pace, Pace::Hold(_));
    let is_silent = total.first_byte.count() == 0;
    let silent = match total.endings.get(ConnectionEnd::Silent) {
        0 => None,
        _ if is_held => None,
        silent if total.correct > 0 => {
            Some(format!("connections that stopped answering: {}", count(silent)))
        }
        silent if is_silent && outcome.settings.protocol == "text" => {
            let within = typed_seconds(outcome.settings.timeout.as_secs_f64());
            Some(format!(
                "connections that never answered: {}, no banner within {within}",
                count(silent)
            ))
        }
        silent => Some(format!("connections that never answered: {}", count(silent))),
    };
    let late = list(&total.endings, &[ConnectionEnd::Late], end_text).filter(|_| !is_held);
    if silent.is_none()
        && late.is_none()
        && ratio(failures, total.correct + total.errors.total()) <= FAILURES_RATIO
    {
        return None;
    }
    let evidence: Vec<String> = [list(&total.errors, &CAUSES, reply_error_text), silent, late]
        .into_iter()
        .flatten()
        .collect();
    let advice = if is_silent && total.endings.get(ConnectionEnd::Silent) > 0 {
        let speaks = match outcome.settings.protocol.as_str() {
            "raw" => "which request it expects".into(),
            protocol => format!("that it speaks {protocol}"),
        };
        format!("The server accepts connections but sends nothing: check {speaks}.")
    } else {
        CHECK_SERVER_AND_NETWORK.into()
    };
    Some(RunVerdict::new(VerdictKind::Unanswered, evidence.join(", "), advice))
}

/// Checks whether gates were crossed.
pub(crate) fn gate_crossed(gates: &[GateResult]) -> Option<RunVerdict> {
    let crossed: Vec<String> = gates
        .iter()
        .filter(|gate| gate.crossed)
        .map(|gate| format!("{}: {}", gate.gate, gate.measured))
        .collect();
    let advice = "Compare with the report of a run that passed the gate.";
    (!crossed.is_empty())
        .then(|| RunVerdict::new(VerdictKind::GateCrossed, crossed.join("; "), advice))
}

/// Describes the reached connections: `12 of 1,000 connections opened`.
pub(super) fn reached(outcome: &RunOutcome) -> String {
    format!(
        "{} of {} opened",
        count(outcome.reached as u64),
        plural(outcome.settings.connections as u64, "connection")
    )
}

pub(super) fn most_frequent<C: Cause>(counts: &CauseCounts<C>) -> Option<(C, u64)> {
    counts.iter().filter(|(_, number)| *number > 0).max_by_key(|(_, number)| *number)
}

pub(super) const fn reply_error_text(error: ReplyError) -> &'static str {
    match error {
        ReplyError::Wrong => "wrong replies",
        ReplyError::Foreign => "replies to another request",
        ReplyError::Surplus => "unexpected replies",
        ReplyError::Truncated => "truncated replies",
        ReplyError::Missing => "missing replies",
        ReplyError::Late => "late replies",
        ReplyError::Unsent => "requests due without a free connection",
    }
}

pub(super) const fn connect_error_text(error: ConnectError) -> &'static str {
    match error {
        ConnectError::Refused => "connections refused",
        ConnectError::TimedOut => "connections timed out",
        ConnectError::Reset => "connections reset while opening",
        ConnectError::Busy => "connections rejected by a full server",
        ConnectError::NoPort => "connections without a free port",
        ConnectError::NoDescriptor => "connections without a free descriptor",
        ConnectError::Unreachable => "connections without a route to the host",
        ConnectError::Other => "connections with another error",
        ConnectError::TlsTimedOut => "TLS handshakes timed out",
        ConnectError::TlsClosed => "TLS handshakes ended by the server without an alert",
        ConnectError::TlsAlert => "TLS handshakes rejected by the server",
        ConnectError::TlsCertificate => "certificates not accepted",
        ConnectError::TlsPlainServer => "answers that are not TLS",
        ConnectError::TlsFailed => "TLS handshakes failed",
        ConnectError::TlsRequired => "connections rejected because they were not encrypted",
    }
}

pub(super) fn ratio(part: u64, all: u64) -> f64 {
    share(part as f64, all as f64)
}
