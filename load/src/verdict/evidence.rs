//! What occurred, and how often, as the evidence of a verdict names it.

use crate::causes::{Cause, Ending};
use crate::figures::count;
use crate::tally::Counts;

/// The causes among `causes` that occurred, each with its number; `None` when none did.
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

pub(super) const fn what_ended(ending: Ending) -> &'static str {
    match ending {
        Ending::Silent => "connections that did not answer",
        Ending::Late => "connections given up for a late reply",
        Ending::Closed => "ended by the server without a word",
        Ending::IdleTimeout => "ended by the server for its idle timeout",
        Ending::MessageTimeout => "ended by the server for its message timeout",
        Ending::Shutdown => "ended by the server's shutdown",
        Ending::Reset => "connections that were reset",
        Ending::Unreadable => "connections whose replies could not be followed",
    }
}
