//! Causes and their counts, as the evidence of a verdict names them.

use crate::measurement::causes::{Cause, ConnectionEnd};
use crate::measurement::counts::CauseCounts;
use crate::measurement::format::count;

/// Lists the causes among `causes` that occurred, with their counts; `None` if none did.
pub(super) fn list<C: Cause>(
    counts: &CauseCounts<C>,
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
pub(super) const fn end_text(ending: ConnectionEnd) -> &'static str {
    match ending {
        ConnectionEnd::Silent => "connections that did not answer",
        ConnectionEnd::Late => "connections closed after a late reply",
        ConnectionEnd::Closed => "closed by the server without a message",
        ConnectionEnd::IdleTimeout => "closed by the server's idle timeout",
        ConnectionEnd::MessageTimeout => "closed by the server's message timeout",
        ConnectionEnd::Shutdown => "closed by the server's shutdown",
        ConnectionEnd::Reset => "connections reset",
        ConnectionEnd::Unreadable => "connections with unreadable replies",
        ConnectionEnd::TlsTruncated => "closed by the server without the end of TLS",
        ConnectionEnd::TlsFailed => "connections whose TLS failed",
    }
}
