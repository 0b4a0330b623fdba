//! The peer of a connection: its address, and the listener that accepted it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The address of a peer, and the listener that accepted its connection.
///
/// The connection stores it because the kernel does not return the address after a reset. It is
/// packed because each idle connection holds one: 24 bytes; a [`SocketAddr`] alone has 32.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// An IPv4 address as its mapped IPv6 address, `::ffff:192.0.2.1`. A unix socket has `::`, from
    /// which no TCP connection can come.
    ip: [u8; 16],
    /// The interface of a link-local address, or the number of a unix socket connection.
    scope: u32,
    port: u16,
    listener: u16,
}

impl Peer {
    /// Creates the peer at `addr`, accepted by the listener with the index `listener`.
    ///
    /// All listeners beyond the 65,536th share its index: their connections are served and counted
    /// as those of that listener.
    #[must_use]
    pub fn new(addr: PeerAddr, listener: usize) -> Self {
        let (ip, scope, port) = match addr {
            PeerAddr::Ip(SocketAddr::V4(addr)) => (addr.ip().to_ipv6_mapped(), 0, addr.port()),
            PeerAddr::Ip(SocketAddr::V6(addr)) => (*addr.ip(), addr.scope_id(), addr.port()),
            PeerAddr::Unix(number) => (Ipv6Addr::UNSPECIFIED, number, 0),
        };
        Self { ip: ip.octets(), scope, port, listener: u16::try_from(listener).unwrap_or(u16::MAX) }
    }

    /// Returns the address of the peer. An IPv4 peer of an IPv6 listener has its IPv4 address.
    #[must_use]
    pub fn addr(&self) -> PeerAddr {
        let ip = Ipv6Addr::from(self.ip);
        match ip.to_ipv4_mapped() {
            Some(ip) => PeerAddr::Ip(SocketAddr::new(IpAddr::V4(ip), self.port)),
            None if ip.is_unspecified() => PeerAddr::Unix(self.scope),
            None => PeerAddr::Ip(SocketAddrV6::new(ip, self.port, 0, self.scope).into()),
        }
    }

    /// Returns the network of the peer. All peers of unix sockets are one network: they are
    /// processes of this machine and have no addresses.
    #[must_use]
    pub fn network(&self) -> Network {
        match self.addr() {
            PeerAddr::Ip(addr) => Network::of(addr.ip()),
            PeerAddr::Unix(_) => Network::of(Ipv6Addr::UNSPECIFIED.into()),
        }
    }

    /// Returns the index of the listener.
    #[must_use]
    pub fn listener(&self) -> usize {
        usize::from(self.listener)
    }
}

/// The address of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerAddr {
    /// An address of TCP.
    Ip(SocketAddr),
    /// The number of a unix socket connection, displayed as `unix#17`: its peer has no address.
    Unix(u32),
}

impl From<SocketAddr> for PeerAddr {
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(addr)
    }
}

impl<I: Into<IpAddr>> From<(I, u16)> for PeerAddr {
    fn from(addr: (I, u16)) -> Self {
        Self::Ip(addr.into())
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Unix(number) => write!(f, "unix#{number}"),
        }
    }
}

/// The addresses that probably belong to one owner: a single IPv4 address, or an IPv6 /64, the
/// smallest block that a site gets (RFC 6177).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// Returns the network of `ip`.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self(ip),
            IpAddr::V6(ip) => Self(Ipv6Addr::from_bits(ip.to_bits() & u128::MAX << 64).into()),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "{ip}/64"),
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
    fn packing_keeps_the_address() {
        for addr in [
            "192.0.2.1:80",
            "0.0.0.0:0",
            "[2001:db8::1]:443",
            "[::1]:65535",
            "[fe80::1%4294967295]:1",
        ] {
            let peer = Peer::new(PeerAddr::Ip(addr.parse().expect("an address")), 65_535);
            assert_eq!((peer.addr().to_string(), peer.listener()), (addr.to_owned(), 65_535));
        }
    }

    #[test]
    fn unix_peers_keep_their_numbers_and_are_one_network() {
        let peers = [1, u32::MAX].map(|number| Peer::new(PeerAddr::Unix(number), 3));
        assert_eq!(peers.map(|peer| peer.addr().to_string()), ["unix#1", "unix#4294967295"]);
        assert_eq!(peers[0].network(), peers[1].network());
        assert_ne!(peers[0].network(), Peer::new(([127, 0, 0, 1], 1).into(), 3).network());
    }

    #[test]
    fn a_network_is_an_ipv4_address_or_an_ipv6_prefix_of_64_bits() {
        let network = |ip: &str| {
            let addr = SocketAddr::new(ip.parse().expect("an address"), 1);
            Peer::new(addr.into(), 0).network().to_string()
        };
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    }

    #[test]
    fn an_ipv4_peer_of_an_ipv6_listener_is_shown_as_ipv4() {
        let peer = Peer::new(PeerAddr::Ip("[::ffff:192.0.2.1]:80".parse().expect("an address")), 0);
        assert_eq!(peer.addr().to_string(), "192.0.2.1:80");
    }
}
