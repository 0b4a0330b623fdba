//! The parts of a connection's state that have more than two values.

use crate::close_reason::CloseReason;
#[cfg(doc)]
use crate::os::system::Readiness;

/// The phase of a connection. The later phases hold the reason of the close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waits for the header of a proxy, which names the peer, or for the end of a TLS handshake.
    /// There is no session yet.
    Opening,
    /// Reads messages and runs them.
    Open,
    /// Sends the last answers. No more messages are run.
    Flushing(CloseReason),
    /// Has sent everything and waits for the end of the peer's input: a lingering close. The kernel
    /// resets a connection that is closed while bytes of the peer are unread or still arrive, and a
    /// reset can destroy answers that are still in transit.
    Lingering(CloseReason),
}

/// What the next read may return: the remembered read readiness. Except for `Ended` it is a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadState {
    /// Nothing, until an event reports otherwise. This is so at first, because registration reports
    /// what has arrived, and after a read that returned `WouldBlock` or emptied the socket.
    Empty,
    /// Bytes, the end of input, or an error. A short read empties the socket.
    Readable,
    /// The same, but a short read does not empty the socket: see [`Readiness::read_to_end`].
    ReadToEnd,
    /// Nothing: the end of the peer's input has been read.
    Ended,
}

/// What the session must be called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    /// Nothing, until bytes arrive.
    Nothing,
    /// Messages of a room, once the output is below the low-water mark.
    News,
    /// The input may hold a complete message, or the session has more to send unasked.
    Messages,
}

/// The progress of a server shutdown for this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopping {
    /// The server is not shutting down.
    No,
    /// The connection reads and answers what has arrived, and is then over.
    Reading,
    /// The connection reads no more, and answers what it has read.
    Answering,
}
