//! The settings of a program that is built without TLS: there are none.

use std::sync::Arc;

use super::certificate::Certificate;

/// The certificates of an encrypted listener. Without the feature `tls` it has no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSettings {}

impl TlsSettings {
    /// Returns the facts about the certificates.
    #[must_use]
    pub const fn certificates(&self) -> &Arc<[Certificate]> {
        match *self {}
    }
}
