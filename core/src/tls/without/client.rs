//! TLS as a client in a program that is built without TLS: there is none.

use std::path::Path;

use super::error::TlsError;

/// The authorities that a client trusts. Without the feature `tls` it has no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientSettings {}

/// The TLS layer of a connection to a broker. Without the feature `tls` it has no values.
#[derive(Debug)]
pub enum ClientLayer {}

impl ClientSettings {
    /// Fails: this program is built without TLS.
    ///
    /// # Errors
    /// Always.
    pub fn trusting(_: &Path) -> Result<Self, TlsError> {
        Err(TlsError::new("this program is built without TLS"))
    }
}

#[expect(missing_docs, reason = "the methods of the layer, none of which can be called")]
impl ClientLayer {
    pub const fn new(settings: &ClientSettings, _: &str) -> Result<Self, TlsError> {
        match *settings {}
    }

    pub const fn open(&mut self, _: &[u8], _: &mut [u8]) -> Result<Option<usize>, TlsError> {
        match *self {}
    }

    pub const fn seal(&mut self, _: &[u8]) -> usize {
        match *self {}
    }

    pub const fn finish(&mut self) {
        match *self {}
    }

    #[must_use]
    pub const fn sealed(&self) -> &[u8] {
        match *self {}
    }

    #[must_use]
    pub const fn wants_write(&self) -> bool {
        match *self {}
    }

    pub const fn note_sent(&mut self, _: usize) {
        match *self {}
    }
}
