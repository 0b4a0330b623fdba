//! How a run of the client can end, and the exit code of each end.

use std::fmt;
use std::io;
use std::time::Duration;

use tinytcp_cli::target::Target;

/// A run that came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was answered, and no answer was an error.
    Fine,
    /// The server answered `ERROR`, or a check of the conformance run failed.
    Refused,
    /// The connection broke, and the shell has said so.
    Lost,
}

impl Verdict {
    /// The exit code: 0, 1 or 4.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Refused => 1,
            Self::Lost => 4,
        }
    }
}

/// A run that did not come to its end. Each text says what was tried, what went wrong and what to
/// do.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// The commands to send could not be read or understood.
    Usage(String),
    /// There never was a connection.
    Unreachable(String),
    /// The connection broke, an answer did not come in time, or it was none of this protocol.
    Broken(String),
    /// Whoever read our stdout has gone: no fault of anybody, and nothing left to do.
    OutputClosed,
}

impl Failure {
    /// The exit code: 2, 3, 4, or 0 where nobody reads our output any more.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Broken(_) => 4,
            Self::OutputClosed => 0,
        }
    }

    /// The connection with `target`, and what came of it.
    #[must_use]
    pub fn broken(target: &Target, what: &str) -> Self {
        Self::Broken(format!("{target}: {what}"))
    }

    /// What became of stdout when a write to it failed.
    #[must_use]
    pub fn of_output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Broken(format!(
                "cannot write to stdout: {}; look at where it leads",
                reason(error)
            )),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Unreachable(text) | Self::Broken(text) => f.write_str(text),
            Self::OutputClosed => f.write_str("stdout was closed"),
        }
    }
}

impl std::error::Error for Failure {}

/// A duration as people write it: `300 ms`, `5 s`, `1.5 s`.
#[must_use]
pub fn span(duration: Duration) -> String {
    let rounded = |number: f64| (number * 10.0).round() / 10.0;
    match duration.as_secs_f64() {
        seconds if seconds < 1e-3 => format!("{} us", rounded(seconds * 1e6)),
        seconds if seconds < 1.0 => format!("{} ms", rounded(seconds * 1e3)),
        seconds => format!("{} s", rounded(seconds)),
    }
}

/// The reason of an operating system's error, in words and without its number where the kind is a
/// known one.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    use io::ErrorKind::{
        AddrNotAvailable, BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset,
        HostUnreachable, NetworkUnreachable, NotFound, PermissionDenied, StorageFull, TimedOut,
        UnexpectedEof,
    };
    match error.kind() {
        NotFound => "no such file".into(),
        kind @ (AddrNotAvailable | BrokenPipe | ConnectionAborted | ConnectionRefused
        | ConnectionReset | HostUnreachable | NetworkUnreachable | PermissionDenied
        | StorageFull | TimedOut | UnexpectedEof) => kind.to_string(),
        _ => error.to_string(),
    }
}
