//! Causes and their counts, as the evidence of a verdict names them.

use crate::measurement::causes::{Cause, Ending};
use crate::measurement::counts::Counts;
use crate::measurement::format::count;

/// Lists the causes among `causes` that occurred, with their counts; `None` if none did.
pub(super) fn list<C: Cause>(
    counts: &Counts<C>,
    causes: &[C],
    name: impl Fn(C) -> &'static str,
) -> Option<String> {
    let occurred: Vec<String> = causes
        .iter()
        .filter(|cause| counts.get(**cause) > 0)
        .map(|cause| format!("{}: {}", name(*cause), count(counts.get(*cause))))
        .collect();
    (!occurred.is_empty()).then(|| occurred.join(", "))
}

/// The advice for connections that the server or the network ended.
pub(super) const CHECK_SERVER_AND_NETWORK: &str = "Check the server's log, timeouts and limits, \
 and \
    the network for devices that drop connections.";

/// Names an ending in evidence.
pub(super) const fn what_ended(ending: Ending) -> &'static str {
    match ending {
        Ending::Silent => "connections that did not answer",
        Ending::Late => "connections closed after a late reply",
        Ending::Closed => "closed by the server without a message",
        Ending::IdleTimeout => "closed by the server's idle timeout",
        Ending::MessageTimeout => "closed by the server's message timeout",
        Ending::Shutdown => "closed by the server's shutdown",
        Ending::Reset => "connections reset",
        Ending::Unreadable => "connections with unreadable replies",
    }
}
