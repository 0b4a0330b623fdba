//! Messages that the server sends on its own account.

use tinytcp_core::wire::frame::HEADER_LEN;

use crate::measurement::causes::ConnectionEnd;
use crate::traffic::messages::message::Framing;

/// The error of a full server: the payload of a frame, or the rest of an `ERROR` line.
const BUSY: &[u8] = b"SERVER_BUSY";

/// Returns true if the item is the error of a full server, in the framing of any of our protocols.
pub(super) fn is_busy(framing: Framing, item: &[u8]) -> bool {
    match framing {
        Framing::Lines => item.strip_prefix(b"ERROR ").map(<[u8]>::trim_ascii_end) == Some(BUSY),
        Framing::Frames => item.get(HEADER_LEN..) == Some(BUSY) && item.first() == Some(&255),
        Framing::Unknown => false,
    }
}

/// Returns how the connection ends if the item is a closing message of the server; `None`
/// otherwise.
pub(super) fn closing_message(framing: Framing, item: &[u8]) -> Option<ConnectionEnd> {
    let word = match framing {
        Framing::Lines if item.trim_ascii_end() == b"BYE" => return Some(ConnectionEnd::Shutdown),
        Framing::Lines => item.strip_prefix(b"ERROR ").map(<[u8]>::trim_ascii_end),
        Framing::Frames if item.first() == Some(&255) => item.get(HEADER_LEN..),
        Framing::Frames | Framing::Unknown => None,
    };
    match word? {
        b"IDLE_TIMEOUT" => Some(ConnectionEnd::IdleTimeout),
        b"MESSAGE_TIMEOUT" => Some(ConnectionEnd::MessageTimeout),
        _ => None,
    }
}
