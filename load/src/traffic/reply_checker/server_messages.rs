//! Messages that the server sends on its own account.

use tinytcp_cli::tls_demand;
use tinytcp_core::wire::frame::HEADER_LEN;

use crate::measurement::causes::{ConnectError, ConnectionEnd};
use crate::traffic::messages::message::Framing;

/// Returns why the server rejects the connection if the item is such an error, in the framing of
/// any of our protocols; `None` otherwise.
pub(super) fn rejection(framing: Framing, item: &[u8]) -> Option<ConnectError> {
    match error_word(framing, item)? {
        b"SERVER_BUSY" => Some(ConnectError::Busy),
        tls_demand::ERROR => Some(ConnectError::TlsRequired),
        _ => None,
    }
}

/// Returns how the connection ends if the item is a closing message of the server; `None`
/// otherwise.
pub(super) fn closing_message(framing: Framing, item: &[u8]) -> Option<ConnectionEnd> {
    if framing == Framing::Lines && item.trim_ascii_end() == b"BYE" {
        return Some(ConnectionEnd::Shutdown);
    }
    match error_word(framing, item)? {
        b"IDLE_TIMEOUT" => Some(ConnectionEnd::IdleTimeout),
        b"MESSAGE_TIMEOUT" => Some(ConnectionEnd::MessageTimeout),
        _ => None,
    }
}

/// Returns the word of an error: the payload of a frame, or the rest of an `ERROR` line.
fn error_word(framing: Framing, item: &[u8]) -> Option<&[u8]> {
    match framing {
        Framing::Lines => item.strip_prefix(b"ERROR ").map(<[u8]>::trim_ascii_end),
        Framing::Frames if item.first() == Some(&255) => item.get(HEADER_LEN..),
        Framing::Frames | Framing::Unknown => None,
    }
}
