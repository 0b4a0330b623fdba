//! Verdicts about connections that the server ended, and about a server that is gone.

use super::evidence::{CHECK_SERVER_AND_NETWORK, end_text, list};
use crate::judgement::verdict::{RunVerdict, VerdictKind};
use crate::measurement::causes::{Cause, ConnectionEnd};
use crate::measurement::format::{count, plural, typed_seconds};
use crate::measurement::outcome::RunOutcome;
use crate::measurement::settings::Pace;

/// Checks whether the server was gone before the end of the run.
pub(super) fn server_gone(outcome: &RunOutcome) -> Option<RunVerdict> {
    let after = typed_seconds(outcome.server_gone?.as_secs_f64());
    let how = match outcome.total.endings.get(ConnectionEnd::Shutdown) {
        0 => "without a message".into(),
        count => format!("({} with BYE)", plural(count, "connection")),
    };
    let evidence = format!(
        "all connections ended {how}, the last one after {after}; the server accepted no other one"
    );
    let advice = "Check the server's log and exit code; the results before that time may be valid.";
    Some(RunVerdict::new(VerdictKind::ServerGone, evidence, advice))
}

/// Checks whether held connections have ended.
pub(super) fn connections_ended(outcome: &RunOutcome) -> Option<RunVerdict> {
    let endings = &outcome.total.endings;
    if !matches!(outcome.settings.pace, Pace::Hold(_)) || endings.total() == 0 {
        return None;
    }
    let causes = list(endings, ConnectionEnd::ALL, end_text).unwrap_or_default();
    let evidence = format!("{}; {causes}", alive(outcome));
    let advice = match (endings.get(ConnectionEnd::IdleTimeout), endings.get(ConnectionEnd::Silent))
    {
        (idle, _) if idle > 0 => {
            "Shorten the interval of heartbeats (--heartbeat), or raise the server's \
             --idle-timeout."
        }
        (_, silent) if silent > 0 => {
            "Check that the server answers, and that no device on the way drops connections."
        }
        _ => CHECK_SERVER_AND_NETWORK,
    };
    Some(RunVerdict::new(VerdictKind::ConnectionsEnded, evidence, advice))
}

/// Describes how many held connections stayed alive: `all 10 connections stayed alive`, `3 of 10
/// connections stayed alive`.
pub(super) fn alive(outcome: &RunOutcome) -> String {
    let (open, reached) = (outcome.open_last as u64, outcome.reached as u64);
    match plural(reached, "connection") {
        connections if open == reached && reached > 1 => format!("all {connections} stayed alive"),
        connections if open == reached => format!("{connections} stayed alive"),
        connections => format!("{} of {connections} stayed alive", count(open)),
    }
}
