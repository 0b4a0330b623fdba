//! The errors of the load generator. Each text is one line: the subject, the fact and the remedy.

use std::error::Error;
use std::fmt::{self, Display};
use std::io;
use std::path::PathBuf;

pub use tinytcp_cli::UsageError;

/// Why a run was not made, or its report not shown.
#[derive(Debug)]
pub enum LoadError {
    /// The command line contradicts itself.
    Usage(UsageError),
    /// The server, as on the command line, has no address.
    UnknownHost(String),
    /// This machine lacks what the run needs: a text of the preflight.
    Preflight(String),
    /// The system refuses what a run needs.
    System {
        /// What was tried: `start a thread`.
        action: &'static str,
        /// The error of the operating system.
        error: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// A generator thread has panicked.
    ThreadFailed,
    /// A file cannot be read or written.
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The name of the file.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// Several files cannot be written.
    Files(Vec<LoadError>),
    /// A file is no report, or reports cannot be merged: the reason.
    Report(String),
}

impl Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => error.fmt(f),
            Self::UnknownHost(target) => write!(
                f,
                "cannot find {target}: unknown host; check the spelling, or give a numeric address"
            ),
            Self::Preflight(text) | Self::Report(text) => f.write_str(text),
            Self::System { action, error, remedy } => {
                write!(f, "cannot {action}: {error}; {remedy}")
            }
            Self::ThreadFailed => {
                f.write_str("a generator thread has failed; please report the command line")
            }
            Self::File { action, path, error } => {
                let remedy = match error.kind() {
                    io::ErrorKind::NotFound => "check the name of its folder",
                    io::ErrorKind::PermissionDenied => "check its permissions",
                    io::ErrorKind::StorageFull => "free some disk space",
                    _ => "choose another path",
                };
                write!(f, "cannot {action} {}: {error}; {remedy}", path.display())
            }
            Self::Files(errors) => {
                let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join("; "))
            }
        }
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::System { error, .. } | Self::File { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<UsageError> for LoadError {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}
