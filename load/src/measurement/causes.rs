//! The causes of failures: of requests, of connection attempts and of open connections.

/// A failed request or an unexpected reply. None counts as throughput.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// A complete reply that matches no request of the script: `ERROR ...`, or other bytes than
    /// expected.
    Wrong,
    /// A complete reply to another request, for instance of another connection, in place of the
    /// expected one.
    Foreign,
    /// A reply, or bytes, that no request was waiting for. Only this cause is not the outcome of a
    /// request.
    Surplus,
    /// The connection ended inside the reply.
    Truncated,
    /// The connection, or the run, ended before the first byte of the reply.
    Missing,
    /// The reply was not complete within the timeout; the generator closes the connection.
    Late,
    /// The request was due before the end of the run and never sent: no connection was free, or the
    /// run was interrupted.
    Unsent,
}

/// A connection attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// No process listens at the address.
    Refused,
    /// Not open within the timeout: a full backlog, or dropped packets.
    TimedOut,
    /// Reset by the server while opening.
    Reset,
    /// Rejected by the server with `SERVER_BUSY`.
    Busy,
    /// This machine has no port left for the source address (`EADDRNOTAVAIL`).
    NoPort,
    /// This process has no descriptor left (`EMFILE`, `ENFILE`).
    NoDescriptor,
    /// No route to the host.
    Unreachable,
    /// Any other error.
    Other,
    /// The handshake of TLS was not complete within the timeout.
    TlsTimedOut,
    /// The server ended the connection inside the handshake, without an alert.
    TlsClosed,
    /// The server rejected the handshake with an alert.
    TlsAlert,
    /// The certificate of the server was not accepted.
    TlsCertificate,
    /// The server answered the handshake with bytes that are not TLS.
    TlsPlainServer,
    /// The handshake failed in another way.
    TlsFailed,
    /// The server rejected the connection, which was not encrypted, with `TLS_REQUIRED`.
    TlsRequired,
}

/// How an open connection ended without the generator closing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// Closed by the server without an error message.
    Closed,
    /// Closed by the server with `IDLE_TIMEOUT`: no traffic for too long.
    IdleTimeout,
    /// Closed by the server with `MESSAGE_TIMEOUT`: a request took too long to arrive completely.
    MessageTimeout,
    /// Closed by the server with `BYE`: the server is shutting down.
    Shutdown,
    /// Reset by the server, or by a device on the way.
    Reset,
    /// No bytes arrived within the timeout although a reply was due.
    Silent,
    /// Bytes arrived, but the reply that was due was not complete within the timeout.
    Late,
    /// Closed by the generator because its replies could not be parsed any further.
    Unreadable,
    /// Closed by the server without the end of TLS (close_notify): bytes may be missing.
    TlsTruncated,
    /// Ended by a record that is not valid, or by an alert of the server.
    TlsFailed,
}

/// A set of causes that can be counted separately.
pub trait Cause: Copy + 'static {
    /// All causes, in the order of reports.
    const ALL: &'static [Self];

    /// Returns the name in reports, in lower case.
    fn name(self) -> &'static str;

    /// Returns the index in [`Self::ALL`].
    fn index(self) -> usize;
}

macro_rules! causes {
    ($type:ident: $($variant:ident $name:literal),+) => {
        impl Cause for $type {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

causes!(
    ReplyError:
    Wrong "wrong",
    Foreign "foreign",
    Surplus "surplus",
    Truncated "truncated",
    Missing "missing",
    Late "late",
    Unsent "unsent"
);

causes!(
    ConnectError:
    Refused "refused",
    TimedOut "timed_out",
    Reset "reset",
    Busy "busy",
    NoPort "no_port",
    NoDescriptor "no_descriptor",
    Unreachable "unreachable",
    Other "other",
    TlsTimedOut "tls_timed_out",
    TlsClosed "tls_closed",
    TlsAlert "tls_alert",
    TlsCertificate "tls_certificate",
    TlsPlainServer "tls_plain_server",
    TlsFailed "tls_failed",
    TlsRequired "tls_required"
);

causes!(
    ConnectionEnd:
    Closed "closed",
    IdleTimeout "idle_timeout",
    MessageTimeout "message_timeout",
    Shutdown "shutdown",
    Reset "reset",
    Silent "silent",
    Late "late",
    Unreadable "unreadable",
    TlsTruncated "tls_truncated",
    TlsFailed "tls_failed"
);
