//! How the connections of a run are encrypted.

mod tickets;

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection, Error};
use tinytcp_cli::tls::TlsClient;

use tickets::TicketStore;

/// The TLS of a run.
#[derive(Debug)]
pub struct TlsPlan {
    /// A configuration for each address of the server, with the tickets of this address.
    configs: Vec<Arc<ClientConfig>>,
    client: TlsClient,
}

impl TlsPlan {
    /// Creates the TLS of connections of `client` to `addresses` addresses of the server. With
    /// `tickets`, connections resume sessions of earlier ones, of which at most that number is kept
    /// for each address; without it, each handshake is a full one.
    #[must_use]
    pub fn new(client: &TlsClient, addresses: usize, tickets: Option<usize>) -> Self {
        let of_address = |_| {
            let resumption = tickets.map_or_else(Resumption::disabled, |room| {
                Resumption::store(Arc::new(TicketStore::with_room(room)))
            });
            let mut config = (*client.config).clone();
            config.resumption = resumption;
            Arc::new(config)
        };
        Self { configs: (0..addresses).map(of_address).collect(), client: client.clone() }
    }

    /// Starts the session of a connection to the address with this index.
    ///
    /// # Errors
    /// Fails if the system has no random bytes.
    pub fn session(&self, address: usize) -> Result<ClientConnection, Error> {
        ClientConnection::new(Arc::clone(&self.configs[address]), self.client.name.clone())
    }

    /// Returns a line about an error of a connection: the fact and the remedy.
    #[must_use]
    pub fn explain(&self, error: &Error) -> String {
        self.client.explain(error)
    }
}
