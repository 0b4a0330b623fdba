//! Connections that the server ended, and the server's own end.

use super::evidence::{list, what_ended};
use super::{Kind, Verdict};
use crate::causes::{Cause, Ending};
use crate::figures::{count, plural, typed_seconds};
use crate::outcome::{Outcome, Pace};

/// That the server left before the run was over.
pub(super) fn server_gone(outcome: &Outcome) -> Option<Verdict> {
    let after = typed_seconds(outcome.server_gone?.as_secs_f64());
    let how = match outcome.total.endings.get(Ending::Shutdown) {
        0 => "without a word".into(),
        told => format!("(on {} the server said BYE)", plural(told, "connection")),
    };
    let evidence = format!(
        "all connections ended {how}, the last one after {after}, and no other one was taken"
    );
    let advice =
        "See the server's log and its exit code; what was measured before that may still be right.";
    Some(Verdict::new(Kind::ServerGone, evidence, advice))
}

/// The answer to whether all connections that were held stayed alive: that they did not.
pub(super) fn connections_ended(outcome: &Outcome) -> Option<Verdict> {
    let endings = &outcome.total.endings;
    if !matches!(outcome.asked.pace, Pace::Hold(_)) || endings.total() == 0 {
        return None;
    }
    let causes = list(endings, Ending::ALL, what_ended).unwrap_or_default();
    let evidence = format!("{}; {causes}", alive(outcome));
    let advice = match (endings.get(Ending::IdleTimeout), endings.get(Ending::Silent)) {
        (idle, _) if idle > 0 => {
            "Send heartbeats more often than the server's idle timeout allows (--heartbeat), or raise --idle-timeout."
        }
        (_, silent) if silent > 0 => {
            "See whether the server answers, and whether something between drops connections."
        }
        _ => {
            "See the server's log, its timeouts and limits, and whether something between drops connections."
        }
    };
    Some(Verdict::new(Kind::ConnectionsEnded, evidence, advice))
}

/// How many of the connections that were held stayed alive: `all 10 connections stayed alive`, `3
/// of 10 connections ...`.
pub(super) fn alive(outcome: &Outcome) -> String {
    let (open, reached) = (outcome.open_last as u64, outcome.reached as u64);
    match plural(reached, "connection") {
        connections if open == reached && reached > 1 => format!("all {connections} stayed alive"),
        connections if open == reached => format!("{connections} stayed alive"),
        connections => format!("{} of {connections} stayed alive", count(open)),
    }
}
