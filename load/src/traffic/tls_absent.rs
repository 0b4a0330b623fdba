//! The TLS of a run in a build without it: no value of it exists.

use tinytcp_cli::tls::TlsClient;

/// The TLS of a run.
#[derive(Debug)]
pub enum TlsPlan {}

impl TlsPlan {
    /// Never called: no client with TLS exists.
    #[must_use]
    pub fn new(client: &TlsClient, _addresses: usize, _tickets: Option<usize>) -> Self {
        match *client {}
    }
}
