//! The configuration of a server.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::bus::settings::BusSettings;
use crate::close_reason::CloseReason;
use crate::limits::Settings;
use crate::os::endpoint::{Bound, Endpoint};
use crate::os::inherited::Inherited;
use crate::os::peer::PeerAddr;
use crate::os::subnet::Subnet;
use crate::protocol::Protocol;
use crate::tls::TlsSettings;
use crate::tls::certificate::Certificate;

/// The configuration of a server: its listeners, each with a protocol, and its settings. Users of
/// the library set it with [`Builder`](super::Builder).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen, and with which protocol.
    pub listeners: Vec<Listener>,
    /// What a reload can change: limits, timeouts, and what the activity log shows.
    pub settings: Settings,
    /// How many connections the kernel queues for each listener before they are accepted. The
    /// kernel has its own limit too (`net.core.somaxconn`); the smaller one applies.
    pub backlog: u32,
    /// The permissions of unix socket files; `None` leaves them to the umask.
    pub unix_mode: Option<u32>,
    /// The broker through which this server shares its rooms with other servers; `None` if its
    /// rooms are its own.
    pub bus: Option<BusSettings>,
}

/// A listener: one or more endpoints that share a protocol, such as all addresses of a host.
#[derive(Clone)]
#[non_exhaustive]
pub struct Listener {
    /// The addresses, or the path of a unix socket. Port 0 chooses one free port for all of them.
    /// An IPv6 address that this machine does not have is left out if there is an IPv4 address too.
    pub endpoints: Vec<Endpoint>,
    /// The protocol of its connections.
    pub protocol: Arc<dyn Protocol>,
    /// True if the server must not start without this listener. If false, an endpoint that fails is
    /// left out with a warning, as long as another one works.
    pub required: bool,
    /// The addresses from which proxies connect; `None` if the clients connect themselves.
    pub(super) proxies: Option<Arc<[Subnet]>>,
    /// The certificates of an encrypted listener; `None` if it is not encrypted.
    pub(super) tls: Option<TlsSettings>,
    /// True if other processes of the same user may listen on the same TCP ports, provided that
    /// they ask for it too. The kernel spreads new connections over all of them (`SO_REUSEPORT`).
    pub shares_ports: bool,
    /// The open socket of the only endpoint, if another program has opened it.
    pub(super) inherited: Option<Arc<Inherited>>,
}

impl Listener {
    /// Creates a required listener for `protocol` on each of `endpoints`.
    #[must_use]
    pub fn new(endpoints: impl IntoIterator<Item = Endpoint>, protocol: Arc<dyn Protocol>) -> Self {
        Self {
            endpoints: endpoints.into_iter().collect(),
            protocol,
            required: true,
            shares_ports: false,
            inherited: None,
            proxies: None,
            tls: None,
        }
    }

    /// Creates a required listener for `protocol` on a socket that another program has opened: a
    /// `TcpListener` or a `UnixListener` of the standard library.
    ///
    /// # Errors
    /// When the socket does not listen.
    pub fn inherited(
        socket: impl Into<Inherited>,
        protocol: Arc<dyn Protocol>,
    ) -> io::Result<Self> {
        let socket = socket.into();
        let listener = Self::new([socket.endpoint()?], protocol);
        Ok(Self { inherited: Some(Arc::new(socket)), ..listener })
    }

    /// Returns the same listener for proxies: each connection must come from one of `subnets`, or
    /// through a unix socket, whose permissions restrict its peers. It must begin with a header of
    /// the PROXY protocol, version 1 or 2, which names its peer.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tinytcp::{Listener, protocol::Text};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = Listener::new([([127, 0, 0, 1], 0).into()], Arc::new(Text::new()));
    /// let listener = listener.for_proxies(["10.0.0.0/8".parse()?]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn for_proxies(self, subnets: impl IntoIterator<Item = Subnet>) -> Self {
        Self { proxies: Some(subnets.into_iter().collect()), ..self }
    }

    /// Returns the same listener with TLS: each connection begins with a handshake, after the
    /// header of a proxy if there is one.
    #[must_use]
    pub fn encrypted(self, settings: TlsSettings) -> Self {
        Self { tls: Some(settings), ..self }
    }

    /// Describes the listener on one of its endpoints.
    #[must_use]
    pub fn bound(&self, endpoint: Endpoint) -> Bound {
        let is_encrypted = self.tls.is_some();
        Bound { is_encrypted, ..Bound::new(self.protocol.name(), endpoint) }
    }

    /// Returns the part of the listener that the loop uses.
    #[must_use]
    pub(super) fn service(&self) -> Service {
        Service {
            protocol: Arc::clone(&self.protocol),
            proxies: self.proxies.clone(),
            tls: self.tls.clone(),
        }
    }
}

/// The protocol of a listener, whether its peers are proxies, and whether it is encrypted.
#[derive(Clone)]
pub struct Service {
    pub(super) protocol: Arc<dyn Protocol>,
    proxies: Option<Arc<[Subnet]>>,
    pub(super) tls: Option<TlsSettings>,
}

impl Service {
    /// True if the limits per address apply to its connections. They do not apply to a protocol
    /// that reserves places of its own.
    pub(super) fn has_limits_per_address(&self) -> bool {
        self.protocol.own_places().is_none()
    }

    /// Returns the reason for which a connection is rejected when no place is free. An
    /// administrative listener has a reason of its own, so that its clients do not count as
    /// rejected clients of the server.
    pub(super) fn reason_when_full(&self) -> CloseReason {
        match self.protocol.own_places() {
            Some(_) => CloseReason::AdminBusy,
            None => CloseReason::ServerBusy,
        }
    }

    /// Returns the facts about its certificates; there are none without TLS.
    pub(super) fn certificates(&self) -> Arc<[Certificate]> {
        self.tls.as_ref().map_or_else(Arc::default, |tls| Arc::clone(tls.certificates()))
    }

    /// True if a connection begins with the header of a proxy.
    pub(super) const fn is_for_proxies(&self) -> bool {
        self.proxies.is_some()
    }

    /// True if a connection may come from `peer`. A unix socket has permissions instead.
    pub(super) fn trusts(&self, peer: PeerAddr) -> bool {
        let Some(subnets) = &self.proxies else { return true };
        matches!(peer, PeerAddr::Unix(_)) || subnets.iter().any(|subnet| subnet.contains(peer))
    }
}

impl From<Arc<dyn Protocol>> for Service {
    fn from(protocol: Arc<dyn Protocol>) -> Self {
        Self { protocol, proxies: None, tls: None }
    }
}

impl From<Listener> for Service {
    fn from(listener: Listener) -> Self {
        listener.service()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("protocol", &self.protocol.name())
            .field("proxies", &self.proxies)
            .field("tls", &self.tls)
            .finish()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{:?}", self.protocol.name(), self.endpoints)
    }
}

impl Default for Config {
    fn default() -> Self {
        Settings::default().into()
    }
}

impl From<Settings> for Config {
    fn from(settings: Settings) -> Self {
        Self { listeners: Vec::new(), settings, backlog: 1024, unix_mode: None, bus: None }
    }
}
