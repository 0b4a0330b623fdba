//! The reasons for which connections are closed. Each has a counter in [`crate::status`].

use std::cmp::Reverse;
use std::fmt;
use std::io;

/// The reason for which a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer sent the quit command of its protocol.
    Quit,
    /// The peer ended its input, and all of it is answered.
    PeerClosed,
    /// The peer reset the connection, or closed it while answers were in transit.
    Reset,
    /// No byte was sent or received for [`crate::limits::Timeouts::idle`].
    IdleTimeout,
    /// One message took longer than [`crate::limits::Timeouts::message`].
    MessageTimeout,
    /// The peer read its answers later than [`crate::limits::WRITE_RATE_MIN`] allows, by
    /// [`crate::limits::Timeouts::write`].
    WriteTimeout,
    /// The limit of connections of the server was reached.
    ServerBusy,
    /// All places of an administrative listener were taken.
    AdminBusy,
    /// The address of the peer had [`crate::limits::Limits::address_connections_max`] connections.
    AddressConnections,
    /// The address of the peer opened more connections per second than
    /// [`crate::limits::Limits::address_accept_rate_max`].
    AddressAcceptRate,
    /// The peer sent another protocol, or input after which no next message can be found.
    WrongProtocol,
    /// The peer sent a TLS handshake.
    Tls,
    /// The connection to a listener for proxies came from an address that is no proxy.
    UntrustedProxy,
    /// The connection of a proxy did not begin with a valid PROXY header.
    BadProxyHeader,
    /// The PROXY header was not complete within [`crate::limits::Timeouts::proxy_header`].
    ProxyHeaderTimeout,
    /// The TLS handshake failed, or the peer left before it was complete.
    TlsHandshake,
    /// The handshake was not complete within [`crate::limits::Timeouts::handshake`].
    TlsHandshakeTimeout,
    /// The peer began without TLS on an encrypted listener.
    TlsRequired,
    /// The peer sent a record that is not authentic, or broke the rules of TLS.
    TlsFailed,
    /// The input of an encrypted connection ended without a `close_notify`: it may have been cut.
    Truncated,
    /// The connection held memory that it could not release when the memory limit was reached.
    MemoryLimit,
    /// The server was shutting down.
    Shutdown,
    /// An error of the operating system that no peer can cause.
    SystemError,
}

impl CloseReason {
    /// The number of variants.
    pub const COUNT: usize = Self::SystemError as usize + 1;

    /// All variants, in the order of their counters.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Quit,
        Self::PeerClosed,
        Self::Reset,
        Self::IdleTimeout,
        Self::MessageTimeout,
        Self::WriteTimeout,
        Self::ServerBusy,
        Self::AdminBusy,
        Self::AddressConnections,
        Self::AddressAcceptRate,
        Self::WrongProtocol,
        Self::Tls,
        Self::UntrustedProxy,
        Self::BadProxyHeader,
        Self::ProxyHeaderTimeout,
        Self::TlsHandshake,
        Self::TlsHandshakeTimeout,
        Self::TlsRequired,
        Self::TlsFailed,
        Self::Truncated,
        Self::MemoryLimit,
        Self::Shutdown,
        Self::SystemError,
    ];

    /// True if the connection was to begin with a TLS handshake and did not complete one.
    #[must_use]
    pub const fn is_failed_handshake(self) -> bool {
        matches!(self, Self::TlsHandshake | Self::TlsHandshakeTimeout | Self::TlsRequired)
    }

    /// Returns the name of the reason in metrics, such as `idle_timeout`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::PeerClosed => "client_closed",
            Self::Reset => "reset",
            Self::IdleTimeout => "idle_timeout",
            Self::MessageTimeout => "message_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::ServerBusy => "server_busy",
            Self::AdminBusy => "admin_busy",
            Self::AddressConnections => "address_connections",
            Self::AddressAcceptRate => "address_accept_rate",
            Self::WrongProtocol => "wrong_protocol",
            Self::Tls => "tls_on_plain_port",
            Self::UntrustedProxy => "untrusted_proxy",
            Self::BadProxyHeader => "bad_proxy_header",
            Self::ProxyHeaderTimeout => "proxy_header_timeout",
            Self::TlsHandshake => "tls_handshake",
            Self::TlsHandshakeTimeout => "tls_handshake_timeout",
            Self::TlsRequired => "tls_required",
            Self::TlsFailed => "tls_failed",
            Self::Truncated => "truncated",
            Self::MemoryLimit => "memory_limit",
            Self::Shutdown => "shutdown",
            Self::SystemError => "system_error",
        }
    }

    /// Returns the reason that follows from a failed read or write.
    #[must_use]
    pub fn of_error(error: &io::Error) -> Self {
        match error.kind() {
            // Keepalive and retransmission report a dead peer as `ETIMEDOUT`.
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
            Self::AdminBusy => "administrative listener busy",
            Self::AddressConnections => "too many connections of the address",
            Self::AddressAcceptRate => "accept rate of the address",
            Self::WrongProtocol => "wrong protocol",
            Self::Tls => "TLS on a plain port",
            Self::UntrustedProxy => "not a trusted proxy",
            Self::BadProxyHeader => "bad PROXY header",
            Self::ProxyHeaderTimeout => "PROXY header timeout",
            Self::TlsHandshake => "TLS handshake failed",
            Self::TlsHandshakeTimeout => "TLS handshake timeout",
            Self::TlsRequired => "no TLS on an encrypted port",
            Self::TlsFailed => "TLS failed",
            Self::Truncated => "truncated",
            Self::MemoryLimit => "memory limit",
            Self::Shutdown => "shutdown",
            Self::SystemError => "system error",
        })
    }
}

/// Formats counters of closed connections as log lines show them: `7 write timeout, 2 client
/// closed`. The most frequent reason comes first; reasons that did not occur are left out.
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
    fn every_reason_has_its_own_counter() {
        assert!(
            CloseReason::ALL.iter().enumerate().all(|(number, reason)| number == *reason as usize)
        );
    }

    #[test]
    fn reasons_are_in_order_of_frequency_without_absent_ones() {
        let mut counts = [0; CloseReason::COUNT];
        assert_eq!(by_reason(&counts).to_string(), "");
        counts[CloseReason::Quit as usize] = 2;
        counts[CloseReason::WriteTimeout as usize] = 7;
        assert_eq!(by_reason(&counts).to_string(), "7 write timeout, 2 client quit");
    }
}
