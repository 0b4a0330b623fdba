//! The error of TLS settings that cannot be used, and of a broker that cannot be trusted.

use std::error::Error;
use std::fmt::{self, Display};
#[cfg(feature = "tls")]
use std::path::Path;

/// The reason why TLS settings cannot be used, or why TLS with a broker has failed. Its text is one
/// line without a final full stop: the file if there is one, the fact, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError(String);

impl TlsError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// The error of a file: `fact` about it, and the `remedy`.
    #[cfg(feature = "tls")]
    pub(super) fn of_file(path: &Path, fact: impl Display, remedy: &str) -> Self {
        Self(format!("{} {fact}; {remedy}", path.display()))
    }
}

impl Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for TlsError {}
