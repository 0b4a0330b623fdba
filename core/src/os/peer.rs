//! Who is at the other end.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Who is at the other end, and which listener accepted it.
///
/// It is kept because the kernel no longer tells the address of a connection that was reset, and
/// kept small because every idle connection holds one: 24 bytes, where a [`SocketAddr`] alone takes
/// 32.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// An IPv4 address as the IPv6 address that stands for it, `::ffff:192.0.2.1`. A peer of a
    /// unix socket has `::`, from which no connection of TCP comes.
    ip: [u8; 16],
    /// The interface of a link-local address; the number of a peer of a unix socket.
    scope: u32,
    port: u16,
    listener: u16,
}

impl Peer {
    /// The peer at `addr`, accepted by the listener with the index `listener`.
    ///
    /// Of listeners beyond the 65,536th the log shows the wrong protocol, and nothing else goes
    /// wrong.
    #[must_use]
    pub fn new(addr: PeerAddr, listener: usize) -> Self {
        let (ip, scope, port) = match addr {
            PeerAddr::Ip(SocketAddr::V4(addr)) => (addr.ip().to_ipv6_mapped(), 0, addr.port()),
            PeerAddr::Ip(SocketAddr::V6(addr)) => (*addr.ip(), addr.scope_id(), addr.port()),
            PeerAddr::Unix(number) => (Ipv6Addr::UNSPECIFIED, number, 0),
        };
        Self { ip: ip.octets(), scope, port, listener: u16::try_from(listener).unwrap_or(u16::MAX) }
    }

    /// The address that came with the connection.
    #[must_use]
    pub fn addr(&self) -> PeerAddr {
        let ip = Ipv6Addr::from(self.ip);
        match ip.to_ipv4_mapped() {
            Some(ip) => PeerAddr::Ip(SocketAddr::new(IpAddr::V4(ip), self.port)),
            None if ip.is_unspecified() => PeerAddr::Unix(self.scope),
            None => PeerAddr::Ip(SocketAddrV6::new(ip, self.port, 0, self.scope).into()),
        }
    }

    /// What the peer's holder has of addresses. All peers of unix sockets are one network: they are
    /// processes of this machine, and none of them has an address of its own.
    #[must_use]
    pub fn network(&self) -> Network {
        match self.addr() {
            PeerAddr::Ip(addr) => Network::of(addr.ip()),
            PeerAddr::Unix(_) => Network::of(Ipv6Addr::UNSPECIFIED.into()),
        }
    }

    /// The index of the listener that accepted it.
    #[must_use]
    pub fn listener(&self) -> usize {
        usize::from(self.listener)
    }
}

/// The address of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddr {
    /// Of TCP.
    Ip(SocketAddr),
    /// A peer of a unix socket has no address: it has the number of its connection, shown as
    /// `unix#17`.
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

/// The addresses that one holder has: a single IPv4 address, or a /64 of IPv6, which is the least
/// that a site is given (RFC 6177).
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
    fn peers_of_unix_sockets_keep_their_numbers_and_are_one_network() {
        let peers = [1, u32::MAX].map(|number| Peer::new(PeerAddr::Unix(number), 3));
        assert_eq!(peers.map(|peer| peer.addr().to_string()), ["unix#1", "unix#4294967295"]);
        assert_eq!(peers[0].network(), peers[1].network());
        assert_ne!(peers[0].network(), Peer::new(([127, 0, 0, 1], 1).into(), 3).network());
    }

    #[test]
    fn an_ipv4_peer_of_an_ipv6_listener_is_shown_as_what_it_is() {
        let peer = Peer::new(PeerAddr::Ip("[::ffff:192.0.2.1]:80".parse().expect("an address")), 0);
        assert_eq!(peer.addr().to_string(), "192.0.2.1:80");
    }
}
