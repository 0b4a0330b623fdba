//! Who is at the other end.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Who is at the other end, and which listener accepted it.
///
/// It is kept because the kernel no longer tells the address of a connection that was reset, and kept small because every
/// idle connection holds one: 24 bytes, where a [`SocketAddr`] alone takes 32.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// An IPv4 address as the IPv6 address that stands for it, `::ffff:192.0.2.1`.
    ip: [u8; 16],
    /// The interface of a link-local address.
    scope: u32,
    port: u16,
    listener: u16,
}

impl Peer {
    /// The peer at `addr`, accepted by the listener with the index `listener`.
    ///
    /// Of listeners beyond the 65,536th the log shows the wrong protocol, and nothing else goes wrong.
    #[must_use]
    pub fn new(addr: SocketAddr, listener: usize) -> Self {
        let (ip, scope) = match addr {
            SocketAddr::V4(addr) => (addr.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(addr) => (*addr.ip(), addr.scope_id()),
        };
        Self { ip: ip.octets(), scope, port: addr.port(), listener: u16::try_from(listener).unwrap_or(u16::MAX) }
    }

    /// The address that came with the connection.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        let ip = Ipv6Addr::from(self.ip);
        match ip.to_ipv4_mapped() {
            Some(ip) => SocketAddr::new(IpAddr::V4(ip), self.port),
            None => SocketAddrV6::new(ip, self.port, 0, self.scope).into(),
        }
    }

    /// What the peer's holder has of addresses.
    #[must_use]
    pub fn network(&self) -> Network {
        Network::of(self.addr().ip())
    }

    /// The index of the listener that accepted it.
    #[must_use]
    pub fn listener(&self) -> usize {
        usize::from(self.listener)
    }
}

/// The addresses that one holder has: a single IPv4 address, or a /64 of IPv6, which is the least that a site is given
/// (RFC 6177).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// The network that `ip` belongs to.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self(ip),
            IpAddr::V6(ip) => Self(Ipv6Addr::from_bits(ip.to_bits() & u128::MAX << 64).into()),
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at listener {}", self.addr(), self.listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_as_it_went_in() {
        for addr in ["192.0.2.1:80", "0.0.0.0:0", "[2001:db8::1]:443", "[::1]:65535", "[fe80::1%4294967295]:1"] {
            let peer = Peer::new(addr.parse().expect("an address"), 65_535);
            assert_eq!((peer.addr().to_string(), peer.listener()), (addr.to_owned(), 65_535));
        }
    }

    #[test]
    fn an_ipv4_peer_of_an_ipv6_listener_is_shown_as_what_it_is() {
        let peer = Peer::new("[::ffff:192.0.2.1]:80".parse().expect("an address"), 0);
        assert_eq!(peer.addr().to_string(), "192.0.2.1:80");
    }
}
