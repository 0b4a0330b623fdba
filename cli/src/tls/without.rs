//! A program without the feature `tls`: it has no flags for TLS, and refuses encrypted targets.

use crate::address::Place;
use crate::usage_error::UsageError;

/// The flags for TLS: none.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TlsArguments {}

impl TlsArguments {
    /// Returns `None` for a target that is not encrypted.
    ///
    /// # Errors
    /// For an encrypted one.
    pub fn client(
        &self,
        _program: &str,
        is_encrypted: bool,
        _place: &Place,
    ) -> Result<Option<TlsClient>, UsageError> {
        match is_encrypted {
            false => Ok(None),
            true => Err("this program was built without TLS: build it with the feature `tls`, or \
                         leave out +tls"
                .into()),
        }
    }
}

/// The settings for encrypted connections: there are none, so the type has no value.
#[derive(Clone, Debug)]
pub enum TlsClient {}

impl TlsClient {
    /// Never called.
    #[must_use]
    pub const fn is_checked(&self) -> bool {
        match *self {}
    }
}
