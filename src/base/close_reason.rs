//! Why a connection was closed: one variant and one counter for each cause.

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
    /// Nothing was sent or received for [`super::limits::Timeouts::idle`].
    IdleTimeout,
    /// One message took longer than [`super::limits::Timeouts::message`].
    MessageTimeout,
    /// The peer took none of its answers for [`super::limits::Timeouts::write`].
    WriteTimeout,
    /// The server was full.
    ServerBusy,
    /// The peer speaks a foreign protocol.
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
