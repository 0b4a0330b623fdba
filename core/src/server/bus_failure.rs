//! The reasons why a connection to the broker ends, or does not begin.

use std::fmt::{self, Display};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::bus::session;
use crate::tls::error::TlsError;

/// The time from the beginning of a connection until the broker has accepted this server.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time from one `PING` of this server to the next, and the time within which something must
/// come from the broker after it: the `PONG`, or messages that the broker had queued before it. A
/// link that was cut is noticed after at most twice this time.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(10);

/// The reason why the bus has no connection. Its text is for the log.
#[derive(Debug)]
pub(super) enum Failure {
    NoAddress,
    LookUp(Arc<io::Error>),
    /// The broker has not accepted this server in time.
    NotAccepted,
    NoPong,
    /// The end of the input, after the last error that the broker has reported.
    Closed(Option<String>),
    /// The broker sends bytes between its description and TLS.
    BytesBeforeTls,
    NoAuthority,
    Io(io::Error),
    Session(session::Failure),
    Tls(TlsError),
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("the host has no address"),
            Self::LookUp(error) => write!(f, "cannot look the host up: {error}"),
            Self::NotAccepted => write!(f, "no answer within {CONNECT_TIMEOUT:?}"),
            Self::NoPong => write!(f, "no answer to a PING within {PING_INTERVAL:?}"),
            Self::Closed(None) => f.write_str("the broker closed the connection"),
            Self::Closed(Some(error)) => write!(f, "the broker closed the connection: {error}"),
            Self::BytesBeforeTls => {
                f.write_str("the broker sends more than INFO before TLS: check --bus")
            }
            Self::NoAuthority => f.write_str("no authority is trusted: add one with --bus-ca"),
            Self::Io(error) => error.fmt(f),
            Self::Session(failure) => failure.fmt(f),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<session::Failure> for Failure {
    fn from(failure: session::Failure) -> Self {
        Self::Session(failure)
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}
