//! Why a connection was closed: one variant and one counter for each cause.

use std::cmp::Reverse;
use std::fmt;
use std::io;

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CloseReason {
    /// The peer asked for it in its protocol's words.
    Quit,
    /// The peer's input ended, and all of it is answered.
    PeerClosed,
    /// The peer reset the connection, or closed it while answers were on their way.
    Reset,
    /// Nothing was sent or received for [`crate::limits::Timeouts::idle`].
    IdleTimeout,
    /// One message took longer than [`crate::limits::Timeouts::message`].
    MessageTimeout,
    /// The peer took none of its answers for [`crate::limits::Timeouts::write`], or took them more
    /// slowly than [`crate::limits::WRITE_RATE_MIN`] until it was so far behind.
    WriteTimeout,
    /// The server was full.
    ServerBusy,
    /// The peer speaks a foreign protocol, or sends input behind which no next message can be
    /// found.
    WrongProtocol,
    /// The peer speaks TLS.
    Tls,
    /// What the connection held, and could not give up, would have passed the memory limit.
    MemoryLimit,
    /// The server is shutting down.
    Shutdown,
    /// An error of the operating system that no peer causes.
    SystemError,
}

impl CloseReason {
    /// The number of variants.
    pub const COUNT: usize = Self::SystemError as usize + 1;

    /// Every variant, in the order of the numbers that they are counted under.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Quit,
        Self::PeerClosed,
        Self::Reset,
        Self::IdleTimeout,
        Self::MessageTimeout,
        Self::WriteTimeout,
        Self::ServerBusy,
        Self::WrongProtocol,
        Self::Tls,
        Self::MemoryLimit,
        Self::Shutdown,
        Self::SystemError,
    ];

    /// The cause of a failed read or write.
    #[must_use]
    pub fn of_error(error: &io::Error) -> Self {
        match error.kind() {
            // `ETIMEDOUT` is what keepalive and retransmission report of a peer that died silently.
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::WriteZero => Self::Reset,
            io::ErrorKind::OutOfMemory => Self::MemoryLimit,
            _ => Self::SystemError,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quit => "client quit",
            Self::PeerClosed => "client closed",
            Self::Reset => "connection reset",
            Self::IdleTimeout => "idle timeout",
            Self::MessageTimeout => "message timeout",
            Self::WriteTimeout => "write timeout",
            Self::ServerBusy => "server busy",
            Self::WrongProtocol => "wrong protocol",
            Self::Tls => "TLS on a plain port",
            Self::MemoryLimit => "memory limit",
            Self::Shutdown => "shutdown",
            Self::SystemError => "system error",
        })
    }
}

/// Connections closed, counted by reason, as log lines tell it: `7 write timeout, 2 client closed`,
/// the most frequent first, and those that did not occur left out.
pub fn by_reason(counts: &[u64; CloseReason::COUNT]) -> impl fmt::Display {
    let mut occurred: Vec<(u64, CloseReason)> =
        counts.iter().copied().zip(CloseReason::ALL).filter(|(count, _)| *count > 0).collect();
    occurred.sort_by_key(|(count, _)| Reverse(*count));
    fmt::from_fn(move |f| {
        occurred.iter().enumerate().try_for_each(|(place, (count, reason))| {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{count} {reason}")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_under_its_own_number() {
        assert!(
            CloseReason::ALL.iter().enumerate().all(|(number, reason)| number == *reason as usize)
        );
    }

    #[test]
    fn the_most_frequent_reason_is_told_first_and_one_that_did_not_occur_is_not_told() {
        let mut counts = [0; CloseReason::COUNT];
        assert_eq!(by_reason(&counts).to_string(), "");
        counts[CloseReason::Quit as usize] = 2;
        counts[CloseReason::WriteTimeout as usize] = 7;
        assert_eq!(by_reason(&counts).to_string(), "7 write timeout, 2 client quit");
    }
}
