//! Blocks of addresses, as in `10.0.0.0/8`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;

use crate::os::peer::PeerAddr;

/// A block of addresses: an address and the length of its prefix (RFC 4632).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet(IpNet);

impl Subnet {
    /// True if the peer has an address of this block. The peer of a unix socket has no address. An
    /// IPv4 peer of an IPv6 listener has an IPv4 address.
    #[must_use]
    pub fn contains(&self, peer: PeerAddr) -> bool {
        matches!(peer, PeerAddr::Ip(addr) if self.0.contains(&canonical(addr)))
    }
}

fn canonical(addr: SocketAddr) -> IpAddr {
    addr.ip().to_canonical()
}

/// Text that is no block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSubnet;

impl fmt::Display for NoSubnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block of addresses looks like 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32")
    }
}

impl std::error::Error for NoSubnet {}

/// Parses `10.0.0.0/8`, or a single address.
impl FromStr for Subnet {
    type Err = NoSubnet;

    fn from_str(text: &str) -> Result<Self, NoSubnet> {
        let single = text.parse::<IpAddr>().map(|ip| ip.to_canonical().into());
        single.or_else(|_| text.parse()).map(Self).map_err(|_| NoSubnet)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(subnet: &str, ip: &str) -> bool {
        let subnet: Subnet = subnet.parse().expect(subnet);
        subnet.contains((ip.parse::<IpAddr>().expect(ip), 1).into())
    }

    #[test]
    fn a_block_contains_the_addresses_with_its_prefix() {
        assert!(contains("10.0.0.0/8", "10.255.0.1") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("192.0.2.7", "192.0.2.7") && !contains("192.0.2.7", "192.0.2.8"));
        assert!(contains("2001:db8::/32", "2001:db8:1::1") && !contains("::/0", "127.0.0.1"));
        assert!(contains("0.0.0.0/0", "::ffff:192.0.2.7"), "an IPv4 peer of an IPv6 listener");
        assert!(contains("::ffff:192.0.2.7", "192.0.2.7"));
    }

    #[test]
    fn the_peer_of_a_unix_socket_is_in_no_block() {
        assert!(!"::/0".parse::<Subnet>().expect("all").contains(PeerAddr::Unix(7)));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "localhost", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "/8", "10.0.0.1:80"] {
            assert_eq!(text.parse::<Subnet>(), Err(NoSubnet), "{text}");
        }
    }
}
