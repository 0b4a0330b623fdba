//! The error of a value on the command line, or of the contents of a file that the command line
//! names.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display};

/// A value that a program cannot use. Its text is one line without a final full stop: the fact and
/// the remedy. The text has no subject, because the caller shows the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(Cow<'static, str>);

impl UsageError {
    /// Returns the error with the text of `reason`.
    #[must_use]
    pub fn new(reason: impl Display) -> Self {
        Self(reason.to_string().into())
    }
}

impl From<&'static str> for UsageError {
    fn from(text: &'static str) -> Self {
        Self(text.into())
    }
}

impl From<String> for UsageError {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for UsageError {}
