//! What a handshake has agreed on.

/// The facts about an encrypted connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version, such as `TLS 1.3`.
    pub version: &'static str,
    /// The cipher suite, such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The subject of the client's certificate, if the listener requires one.
    pub client: Option<Box<str>>,
    /// True if the client resumed an earlier session with a ticket.
    pub is_resumed: bool,
}
