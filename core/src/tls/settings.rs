//! The certificates of a listener, and what it requires of its clients.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;

/// The certificates of an encrypted listener. A clone costs one reference count.
#[derive(Clone)]
pub struct TlsSettings {
    config: Arc<ServerConfig>,
}

impl TlsSettings {
    /// Wraps the configuration of the TLS library.
    #[must_use]
    pub const fn new(config: Arc<ServerConfig>) -> Self {
        Self { config }
    }

    /// The configuration of the TLS library.
    #[must_use]
    pub const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings").finish_non_exhaustive()
    }
}
