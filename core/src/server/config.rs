//! What a server is built from.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::limits::{Limits, Timeouts};
use crate::os::endpoint::Endpoint;
use crate::protocol::Protocol;

/// What a server is built from: listeners, each with its protocol, and limits.
///
/// ```
/// use tinytcp::protocol::text::Text;
/// use tinytcp::server::Config;
///
/// let config = Config::default().listen(([127, 0, 0, 1], 0).into(), Text::new());
/// assert_eq!(config.listeners.len(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen, and what to speak there.
    pub listeners: Vec<Listener>,
    /// Connections over this number are answered `SERVER_BUSY` and closed.
    pub connections_max: usize,
    /// How many connections over that number may linger at a time, so that what they have sent
    /// does not destroy the answer that tells them why they are turned away. Those beyond are
    /// closed at once. Each takes a descriptor.
    pub rejected_max: usize,
    /// How much a connection may send, and all of them may make the server hold.
    pub limits: Limits,
    /// How long a connection may take.
    pub timeouts: Timeouts,
    /// How many connections the kernel queues for each listener before they are accepted. It takes
    /// the smaller one of this and its own limit, `net.core.somaxconn`.
    pub backlog: u32,
    /// The permissions of the files of unix sockets; `None` is what the umask leaves.
    pub unix_mode: Option<u32>,
    /// Activity lines a second; `None` logs no activity.
    pub activity_lines_max: Option<u32>,
    /// False: of a connection the activity log shows the opening and the close, and nothing of its
    /// messages.
    pub activity_shows_messages: bool,
}

/// A host to listen on: all of its addresses.
#[derive(Clone)]
pub struct Listener {
    /// The addresses, or the path of a unix socket. Port 0 takes a free port, the same one at each
    /// of them. An address of IPv6 that the machine does not have is left out where there is
    /// one of IPv4.
    pub endpoints: Vec<Endpoint>,
    /// What is spoken there.
    pub protocol: Arc<dyn Protocol>,
    /// False: an address that cannot be had is left out with a warning, as long as the server
    /// listens anywhere.
    pub required: bool,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{:?}", self.protocol.name(), self.endpoints)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            connections_max: 1000,
            rejected_max: 256,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            backlog: 1024,
            unix_mode: None,
            activity_lines_max: Some(50),
            activity_shows_messages: true,
        }
    }
}

impl Config {
    /// Adds a listener on an address of TCP.
    #[must_use]
    pub fn listen(self, addr: SocketAddr, protocol: impl Protocol + 'static) -> Self {
        self.listen_at(Endpoint::Tcp(addr), protocol)
    }

    /// Adds a listener on a unix socket, whose file is made at the start and removed at the end.
    #[must_use]
    pub fn listen_unix(self, path: impl Into<PathBuf>, protocol: impl Protocol + 'static) -> Self {
        self.listen_at(Endpoint::Unix(path.into()), protocol)
    }

    fn listen_at(mut self, endpoint: Endpoint, protocol: impl Protocol + 'static) -> Self {
        self.listeners.push(Listener {
            endpoints: vec![endpoint],
            protocol: Arc::new(protocol),
            required: true,
        });
        self
    }
}
