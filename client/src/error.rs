//! The ways in which a run of the client ends, and the exit code of each.

use std::fmt;
use std::io;
use std::time::Duration;

use tinytcp_cli::UsageError;
use tinytcp_cli::target::Target;
use tinytcp_cli::tls_demand;
use tinytcp_core::display::escape::{front, shown};

/// The number of bytes of an answer that an error quotes.
const SHOWN_MAX: usize = 48;

/// The end of a run that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Every request was answered, and no answer was an error.
    Success,
    /// The server answered `ERROR`, or a check of the conformance run failed.
    Refused,
    /// The connection broke, and the shell has reported it.
    ConnectionLost,
}

impl Completion {
    /// The exit code: 0, 1 or 4.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Refused => 1,
            Self::ConnectionLost => 4,
        }
    }
}

/// The reason why a run was not carried out to its end. Each text states what was tried, what went
/// wrong and what to do.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientError {
    /// The commands to send could not be read or understood.
    Usage(String),
    /// No connection could be opened.
    Unreachable(String),
    /// The server answered with an error, and the run needs another answer.
    Refused(String),
    /// The connection broke, or an answer was late or malformed.
    Broken(String),
    /// The reader of stdout has closed it, as `head` does: this is no error.
    OutputClosed,
}

impl ClientError {
    /// The exit code: 1 to 4, or 0 when stdout was closed.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Broken(_) => 4,
            Self::OutputClosed => 0,
        }
    }

    /// A connection with `target` that broke for `reason`.
    #[must_use]
    pub fn broken(target: &Target, reason: impl fmt::Display) -> Self {
        Self::Broken(format!("{target}: {reason}"))
    }

    /// The failure of a write to stdout.
    #[must_use]
    pub fn of_output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Broken(format!(
                "cannot write to stdout: {}; check the file or program that reads it",
                reason(error)
            )),
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text)
            | Self::Unreachable(text)
            | Self::Refused(text)
            | Self::Broken(text) => f.write_str(text),
            Self::OutputClosed => f.write_str("stdout was closed"),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<UsageError> for ClientError {
    fn from(error: UsageError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// The error of a run that cannot go on because the server answered `request` with `error`.
#[must_use]
pub fn refusal(target: &Target, request: &str, error: &[u8]) -> ClientError {
    let token = error.strip_prefix(b"ERROR ").unwrap_or(error);
    if let Some(advice) = advice(target, token) {
        return ClientError::Refused(format!("{target}: {advice}"));
    }
    let remedy = match token {
        b"UNKNOWN_COMMAND" => "the server has no rooms; a newer tinytcp-server has them",
        b"BAD_NAME" => "use letters, digits, - and _, at most 32 bytes",
        b"NAME_TAKEN" => "another member has this name; choose another one with --nick",
        b"ROOM_FULL" => "try again later, or raise its --room-members-max",
        b"TOO_MANY_ROOMS" => "use a room that exists, or raise its --rooms-max",
        b"SERVER_BUSY" => "try again later, or raise its --max-connections",
        _ => "look at the server's log",
    };
    let token = shown(front(token, SHOWN_MAX));
    ClientError::Refused(format!(
        "{target}: the server refused {request} with ERROR {token}: {remedy}"
    ))
}

/// The error of a run that cannot go on because the server answered `request`, which joins a room,
/// with `answer`, which is that of another command or protocol.
#[must_use]
pub fn not_joined(target: &Target, request: &str, answer: &[u8]) -> ClientError {
    ClientError::Refused(format!(
        "{target}: the server answered {request} with '{}': it has no rooms, or does not speak {}",
        shown(front(answer, SHOWN_MAX)),
        target.protocol.name()
    ))
}

/// A duration as people write it: `300 ms`, `5 s`, `1.5 s`.
#[must_use]
pub fn readable_duration(duration: Duration) -> String {
    let rounded = |number: f64| (number * 10.0).round() / 10.0;
    match duration.as_secs_f64() {
        seconds if seconds < 1e-3 => format!("{} us", rounded(seconds * 1e6)),
        seconds if seconds < 1.0 => format!("{} ms", rounded(seconds * 1e3)),
        seconds => format!("{} s", rounded(seconds)),
    }
}

/// The remedy for `error`, an answer of the server, if it has one that every user can take.
#[must_use]
pub fn advice(target: &Target, error: &[u8]) -> Option<String> {
    if error.strip_prefix(b"ERROR ").unwrap_or(error) != tls_demand::ERROR {
        return None;
    }
    Some(tls_demand::remedy(&target.to_string()))
}

/// Why the server's side of a connection has ended, `when` it did, and the remedy.
#[must_use]
pub fn end_of_connection(error: Option<&io::Error>, when: &str) -> String {
    let event = error.map_or("the server closed the connection".into(), reason);
    match error.map(io::Error::kind) {
        // The sentence has a remedy of its own.
        Some(io::ErrorKind::InvalidData) => event,
        _ => format!("{event}{when}; look at the server's log"),
    }
}

/// The reason of an error of the operating system in words, without its number if the kind is a
/// common one.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    // An error of the client itself has its own words.
    if error.get_ref().is_some() {
        return error.to_string();
    }
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
