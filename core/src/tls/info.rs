//! What a handshake has agreed on.

use std::fmt;

/// The name of version 1.2.
pub const TLS12: &str = "TLS 1.2";
/// The name of version 1.3.
pub const TLS13: &str = "TLS 1.3";

/// The facts about an encrypted connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version, [`TLS12`] or [`TLS13`].
    pub version: &'static str,
    /// The cipher suite, such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The subject of the client's certificate, if the listener requires one.
    pub client: Option<Box<str>>,
    /// True if the client resumed an earlier session with a ticket.
    pub is_resumed: bool,
}

/// Displays the facts as a log line shows them: `TLS 1.3, TLS13_AES_256_GCM_SHA384, CN=alice`.
impl fmt::Display for TlsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.version, self.cipher)?;
        if let Some(client) = &self.client {
            write!(f, ", {client}")?;
        }
        f.write_str(if self.is_resumed { ", resumed" } else { "" })
    }
}
