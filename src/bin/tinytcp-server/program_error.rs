//! The error that ends the program.

use std::error::Error;
use std::fmt::{self, Display};
use std::process::ExitCode;

use tinytcp_cli::UsageError;

use crate::arguments::Arguments;

/// Why the program ends, or why a part of it is not used. Its text is one line without a final
/// full stop: subject, fact, remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramError {
    /// A setting is wrong. The exit code is [`tinytcp_cli::USAGE`].
    Usage(UsageError),
    /// The program cannot do what the settings state. The exit code is 1.
    Failure(String),
}

impl ProgramError {
    /// Returns the failure with the text of `reason`.
    pub fn failure(reason: impl Display) -> Self {
        Self::Failure(reason.to_string())
    }

    /// Prints the text on stderr. Returns the exit code, or ends the process with it.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Usage(error) => tinytcp_cli::refuse::<Arguments>(error),
            Self::Failure(reason) => tinytcp_cli::complain("tinytcp-server", reason),
        }
        ExitCode::FAILURE
    }
}

impl From<UsageError> for ProgramError {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}

impl Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => error.fmt(f),
            Self::Failure(reason) => f.write_str(reason),
        }
    }
}

impl Error for ProgramError {}
