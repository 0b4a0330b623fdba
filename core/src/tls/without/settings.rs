//! The settings of a program that is built without TLS: there are none.

/// The certificates of an encrypted listener. Without the feature `tls` it has no values.
#[derive(Clone, Debug)]
pub enum TlsSettings {}
