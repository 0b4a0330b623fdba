//! Listening: opens a socket for each address of the configuration, or returns an error that states
//! the reason and the remedy.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::bind_error::{BindError, is_without_scope};
use super::config::{Config, Listener, Service};
use crate::os::endpoint::{Bound, Endpoint};
use crate::os::listen::{self, Refused};
use crate::os::unix_listener::UnixListener;

/// How many free ports are tried for a listener with several addresses: a port must be free at all
/// of them.
const PORTS_TRIED_MAX: usize = 64;

/// Open listeners, each with its protocol and its actual address.
#[derive(Default)]
pub(super) struct Listening {
    pub(super) sockets: Vec<listen::Listener>,
    pub(super) services: Vec<Service>,
    pub(super) addresses: Vec<Bound>,
    /// Socket options that this system refused.
    refused_options: Vec<Refused>,
    /// The errors of listeners that are not required.
    failures: Vec<BindError>,
}

impl Listening {
    /// Opens all listeners of `config`.
    ///
    /// # Errors
    /// When a required listener fails, or all listeners fail.
    pub(super) fn open(config: &Config) -> Result<Self, BindError> {
        refuse_clashes(&config.listeners)?;
        let mut listening = Self::default();
        for listener in &config.listeners {
            listening.add(listener, config)?;
        }
        if listening.sockets.is_empty() {
            let nowhere =
                || io::Error::new(io::ErrorKind::InvalidInput, "there is no address to listen on");
            let first = listening.failures.into_iter().next();
            return Err(first.unwrap_or_else(|| BindError { listener: None, error: nowhere() }));
        }
        for failure in &listening.failures {
            log::warn!(event = "listener_failed"; "{failure}");
        }
        listening.warn_of_refused_options();
        Ok(listening)
    }

    fn add(&mut self, listener: &Listener, config: &Config) -> Result<(), BindError> {
        let mut tries = 1;
        let opened = loop {
            match self.open_all(listener, config) {
                // The port that was free at the first address is in use at another one.
                Err(failure) if failure.is_of_chosen_port && tries < PORTS_TRIED_MAX => tries += 1,
                result => break result.map_err(|failure| failure.error)?,
            }
        };
        for (socket, endpoint) in opened {
            self.sockets.push(socket);
            self.services.push(listener.service());
            self.addresses.push(listener.bound(endpoint));
        }
        Ok(())
    }

    /// Opens a socket for each endpoint of `listener`. Port 0 becomes the same free port for all of
    /// them. Endpoints that fail are skipped if the listener is not required.
    fn open_all(&mut self, listener: &Listener, config: &Config) -> Result<Vec<Opened>, OpenError> {
        let mut opened: Vec<Opened> = Vec::new();
        for wanted in &listener.endpoints {
            let mut endpoint = wanted.clone();
            let chosen_port = match (&mut endpoint, opened.first()) {
                (Endpoint::Tcp(addr), Some((_, Endpoint::Tcp(first)))) if addr.port() == 0 => {
                    addr.set_port(first.port());
                    Some(first.port())
                }
                _ => None,
            };
            let error = match self.open_one(&endpoint, listener, config) {
                Ok(socket) => {
                    opened.push(socket);
                    continue;
                }
                Err(error) => error,
            };
            let is_of_chosen_port =
                chosen_port.is_some() && error.kind() == io::ErrorKind::AddrInUse;
            let is_missing_ipv6 = is_missing_ipv6(&error, listener, &endpoint);
            let error = BindError { listener: Some(listener.bound(endpoint)), error };
            if is_missing_ipv6 {
                log::debug!(event = "listener_failed"; "{error}");
            } else if listener.required || is_of_chosen_port {
                return Err(OpenError { error, is_of_chosen_port });
            } else {
                self.failures.push(error);
            }
        }
        Ok(opened)
    }

    fn open_one(
        &mut self,
        endpoint: &Endpoint,
        listener: &Listener,
        config: &Config,
    ) -> io::Result<Opened> {
        if let Some(socket) = &listener.inherited {
            let (socket, refused) = listen::inherit(socket, config.settings.timeouts.write)?;
            self.refused_options.extend(refused);
            return Ok((socket, endpoint.clone()));
        }
        let addr = match endpoint {
            Endpoint::Tcp(addr) => *addr,
            Endpoint::Unix(path) => {
                let socket = UnixListener::bind(path, config.backlog, config.unix_mode)?;
                return Ok((listen::Listener::Unix(socket), endpoint.clone()));
            }
        };
        if let Some(why) = unfitness(addr) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let (socket, refused) = listen::listen(
            addr,
            config.backlog,
            config.settings.timeouts.write,
            listener.shares_ports,
        )?;
        self.refused_options.extend(refused);
        let addr = socket.local_addr()?;
        Ok((listen::Listener::Tcp(socket), Endpoint::Tcp(addr)))
    }

    /// Logs the refused options of all listeners in one line.
    fn warn_of_refused_options(&mut self) {
        self.refused_options.sort_by_key(|(name, _)| *name);
        self.refused_options.dedup_by_key(|(name, _)| *name);
        let refused: Vec<String> =
            self.refused_options.iter().map(|(name, error)| format!("{name} ({error})")).collect();
        if !refused.is_empty() {
            log::warn!(
                event = "socket_options_refused";
                "this system refuses socket options: {}", refused.join(", ")
            );
        }
    }
}

/// A listening socket and its endpoint.
type Opened = (listen::Listener, Endpoint);

/// Why a listener could not be opened.
struct OpenError {
    error: BindError,
    /// True if the port was chosen for port 0, so that another port may work.
    is_of_chosen_port: bool,
}

/// True if this machine does not have the IPv6 address and the listener has an IPv4 address too.
fn is_missing_ipv6(error: &io::Error, listener: &Listener, endpoint: &Endpoint) -> bool {
    let is_missing = error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(libc::EAFNOSUPPORT);
    is_missing
        && endpoint.addr().is_some_and(|addr| addr.is_ipv6())
        && listener.endpoints.iter().filter_map(Endpoint::addr).any(|addr| addr.is_ipv4())
}

/// Refuses two listeners with the same address before any is opened. The error of the kernel would
/// blame another program.
///
/// # Errors
/// When there are two such listeners.
pub fn refuse_clashes(listeners: &[Listener]) -> Result<(), BindError> {
    let mut endpoints: Vec<&Endpoint> = Vec::new();
    for listener in listeners {
        for endpoint in &listener.endpoints {
            if let Some(other) = endpoints.iter().find(|other| clash(other, endpoint)) {
                let error = format!("another listener of this server has {other}");
                let error = io::Error::new(io::ErrorKind::AlreadyExists, error);
                let bound = listener.bound(endpoint.clone());
                return Err(BindError { listener: Some(bound), error });
            }
            endpoints.push(endpoint);
        }
    }
    Ok(())
}

/// True if one process cannot listen on both endpoints.
fn clash(one: &Endpoint, other: &Endpoint) -> bool {
    let (Some(one), Some(other)) = (one.addr(), other.addr()) else { return one == other };
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0
        && one.port() == other.port()
        && one.is_ipv4() == other.is_ipv4()
        && (is_any || one == other)
}

/// Returns why no client could ever connect to an address, even where the kernel lets a server
/// listen on it; `None` if clients can.
fn unfitness(addr: SocketAddr) -> Option<&'static str> {
    match addr.ip() {
        ip if ip.is_multicast() => Some("TCP has no multicast"),
        IpAddr::V4(ip) if ip.is_broadcast() => Some("TCP has no broadcast"),
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => {
            Some("this is an IPv4 address in IPv6 form")
        }
        IpAddr::V6(ip) if ip.is_unicast_link_local() && is_without_scope(addr) => {
            Some("a link-local address needs the name of an interface")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::protocol::text::Text;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect(text)
    }

    fn listener(addrs: &[&str], required: bool) -> Listener {
        Listener {
            endpoints: addrs.iter().map(|text| Endpoint::Tcp(addr(text))).collect(),
            required,
            ..Listener::new([], Arc::new(Text::new()))
        }
    }

    fn open(listeners: Vec<Listener>) -> Result<Vec<SocketAddr>, BindError> {
        let listening = Listening::open(&Config { listeners, ..Config::default() })?;
        Ok(listening.addresses.iter().filter_map(Bound::addr).collect())
    }

    #[test]
    fn an_address_that_no_client_can_reach_is_refused_with_a_remedy() {
        for (text, advice) in [
            ("[::ffff:127.0.0.1]:4000", "write it as text://127.0.0.1:4000"),
            ("[fe80::1]:4000", "add it, as in text://[fe80::1%eth0]:4000"),
            ("224.0.0.1:4000", "use an address of this machine"),
            ("[ff02::1]:4000", "use an address of this machine"),
            ("255.255.255.255:4000", "use an address of this machine"),
        ] {
            let error = open(vec![listener(&[text], true)]).expect_err(text).to_string();
            assert!(error.ends_with(advice) || error.contains(advice), "{error}");
        }
    }

    #[test]
    fn two_listeners_on_one_address_are_refused_before_any_opens() {
        for (one, other) in [
            ("127.0.0.1:4000", "127.0.0.1:4000"),
            ("0.0.0.0:4000", "127.0.0.1:4000"),
            ("[::1]:4000", "[::]:4000"),
        ] {
            let error =
                open(vec![listener(&[one], true), listener(&[other], true)]).expect_err(one);
            assert_eq!(error.error.kind(), io::ErrorKind::AlreadyExists, "{error}");
            assert!(
                error.to_string().contains(&format!("another listener of this server has {one}")),
                "{error}"
            );
        }
        assert!(
            !clash(&addr("127.0.0.1:0").into(), &addr("127.0.0.1:0").into()),
            "port 0 is a different port each time"
        );
        assert!(
            !clash(&addr("0.0.0.0:1").into(), &addr("[::]:1").into()),
            "the families have ports of their own"
        );
    }

    #[test]
    fn port_0_is_the_same_port_at_all_addresses_of_a_listener() {
        let addrs = open(vec![listener(&["127.0.0.1:0", "127.83.2.1:0", "127.83.2.2:0"], true)])
            .expect("free ports");
        assert_eq!(addrs.len(), 3);
        assert!(
            addrs.iter().all(|addr| addr.port() == addrs[0].port() && addr.port() != 0),
            "{addrs:?}"
        );
    }

    #[test]
    fn a_listener_that_is_not_required_is_left_out_if_another_works() {
        let taken = std::net::TcpListener::bind("127.83.2.3:0").expect("any port");
        let busy = taken.local_addr().expect("bound").to_string();
        let addrs = open(vec![listener(&[&busy], false), listener(&["127.0.0.1:0"], false)])
            .expect("one of two");
        assert_eq!(addrs.len(), 1);
        let error = open(vec![listener(&[&busy], false)]).expect_err("no listener works");
        assert!(error.to_string().contains("another program listens there"), "{error}");
        let error = open(vec![listener(&[&busy], true), listener(&["127.0.0.1:0"], true)])
            .expect_err("required");
        assert_eq!(error.error.kind(), io::ErrorKind::AddrInUse);
    }
}
