//! The header of the PROXY protocol, versions 1 and 2: the address of a client, which a proxy sends
//! before the first byte of the client.
//!
//! ```text
//!   1  PROXY TCP4 192.0.2.7 198.51.100.1 51234 40000\r\n      at most 107 bytes
//!   2  \r\n\r\n\0\r\nQUIT\n, command, family, length, addresses, extensions
//! ```
//!
//! The specification is `doc/proxy-protocol.txt` of haproxy. The crate `proxy_header` parses the
//! addresses. This module first checks what the crate leaves open: the first byte that is wrong,
//! the longest header, and the addresses of a `LOCAL` header, which are skipped unread.

use std::net::{IpAddr, SocketAddr};

use proxy_header::{Error, ParseConfig, Protocol, ProxiedAddress, ProxyHeader};

/// The longest header of version 1 in bytes, its line ending included.
pub const V1_BYTES_MAX: usize = 107;

/// The longest header of version 2 in bytes that is read. Its extensions describe the TLS
/// connection of the client, which takes a few hundred bytes; the format allows 65,551.
pub const V2_BYTES_MAX: usize = 4 << 10;

/// The first bytes of version 1.
pub const V1_PREFIX: &[u8] = b"PROXY ";

/// The first bytes of version 2.
pub const V2_PREFIX: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The bytes of version 2 before its addresses.
const V2_FIXED_LEN: usize = 16;

/// The version and the command of a connection that the proxy made itself.
const V2_LOCAL: u8 = 0x20;

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The address of the client. `None` if the proxy made the connection itself, as for a health
    /// check, or if the client has no TCP address.
    pub source: Option<SocketAddr>,
    /// The length of the header in bytes. The bytes after it are those of the client.
    pub len: usize,
}

/// The bytes cannot begin a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Parses the header at the front of `input`. Returns `None` while its end is missing. The result
/// does not depend on how the network splits the header.
///
/// # Errors
/// At the first byte that is no beginning of a header, when the header is too long, and when its
/// addresses are malformed.
pub fn parse(input: &[u8]) -> Result<Option<Header>, Malformed> {
    if begins_as(V1_PREFIX, input) {
        // A header that is longer is malformed, even if its end has arrived.
        decode(input.get(..V1_BYTES_MAX).unwrap_or(input))
    } else if begins_as(V2_PREFIX, input) {
        parse_v2(input)
    } else {
        Err(Malformed)
    }
}

/// True if `input` and `prefix` are equal as far as both go.
fn begins_as(prefix: &[u8], input: &[u8]) -> bool {
    input.iter().zip(prefix).all(|(byte, expected)| byte == expected)
}

fn parse_v2(input: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some(&[.., command, _family, high, low]) = input.get(..V2_FIXED_LEN) else {
        return Ok(None);
    };
    let len = V2_FIXED_LEN + usize::from(u16::from_be_bytes([high, low]));
    if len > V2_BYTES_MAX {
        return Err(Malformed);
    }
    match input.get(..len) {
        None => Ok(None),
        // The family and the addresses of such a header have no meaning.
        Some(_) if command == V2_LOCAL => Ok(Some(Header { source: None, len })),
        // The crate asks for more bytes if the addresses are longer than the header.
        Some(header) => decode(header)?.ok_or(Malformed).map(Some),
    }
}

/// Decodes a header whose first bytes and length are checked. Returns `None` while its end is
/// missing.
fn decode(input: &[u8]) -> Result<Option<Header>, Malformed> {
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    let (header, len) = match ProxyHeader::parse(input, config) {
        Ok(parsed) => parsed,
        Err(Error::BufferTooShort) => return Ok(None),
        Err(_) => return Err(Malformed),
    };
    match header.proxied_address() {
        // No connection comes from such an address.
        Some(addresses) if addresses.source.ip().is_unspecified() => Err(Malformed),
        Some(ProxiedAddress { protocol: Protocol::Stream, source, .. }) => {
            Ok(Some(Header { source: Some(*source), len }))
        }
        _ => Ok(Some(Header { source: None, len })),
    }
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// Returns the header of a connection from `source` to `destination`. Without addresses it is an
/// `UNKNOWN` header of version 1, or a `LOCAL` header of version 2.
#[must_use]
pub fn encode(version: Version, addresses: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let header = match addresses {
        None => ProxyHeader::with_local(),
        Some((source, destination)) => {
            let (source, destination) = in_one_family(source, destination);
            ProxyHeader::with_address(ProxiedAddress::stream(source, destination))
        }
    };
    let mut bytes = Vec::new();
    let encoded = match version {
        Version::V1 => header.encode_v1(&mut bytes),
        Version::V2 => header.encode_v2(&mut bytes),
    };
    debug_assert!(encoded.is_ok(), "both addresses have the same family: {encoded:?}");
    bytes
}

/// Both addresses as IPv6 addresses if only one of them is an IPv4 address.
fn in_one_family(one: SocketAddr, other: SocketAddr) -> (SocketAddr, SocketAddr) {
    let in_ipv6 = |addr: SocketAddr| match addr.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), addr.port()),
        IpAddr::V6(_) => addr,
    };
    if one.is_ipv4() == other.is_ipv4() { (one, other) } else { (in_ipv6(one), in_ipv6(other)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "192.0.2.7:51234";
    const CLIENT_V6: &str = "[2001:db8::7]:51234";

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect(text)
    }

    fn header(version: Version, source: &str) -> Vec<u8> {
        encode(version, Some((addr(source), addr("198.51.100.1:40000"))))
    }

    /// A header of version 2 with any command, family and addresses.
    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [V2_PREFIX, &[command, family], &len, rest].concat()
    }

    /// Parses `header` after every split, with and without bytes of the client after it.
    fn parse_split(header: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
        let result = parse(header).map(|found| found.expect("a whole header"));
        for len in 0..header.len() {
            let part = parse(&header[..len]);
            assert!(part == Ok(None) || result.is_err(), "{len} bytes: {part:?}");
        }
        assert_eq!(parse(&[header, b"TIME\n"].concat()).map(|found| found.expect("whole")), result);
        result.map(|found| {
            assert_eq!(found.len, header.len());
            found.source
        })
    }

    #[test]
    fn a_header_of_each_version_and_family_is_split_at_any_byte() {
        for (version, source) in [
            (Version::V1, CLIENT),
            (Version::V2, CLIENT),
            (Version::V1, CLIENT_V6),
            (Version::V2, CLIENT_V6),
        ] {
            let parsed = parse_split(&header(version, source));
            assert_eq!(parsed, Ok(Some(addr(source))), "{version:?}");
        }
    }

    #[test]
    fn a_header_without_a_client_has_no_source() {
        for header in [
            b"PROXY UNKNOWN\r\n".to_vec(),
            b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".to_vec(),
            encode(Version::V2, None),
            v2(0x21, 0x00, b"skipped"),
            v2(0x21, 0x31, &[b'/'; 216]),
            v2(0x21, 0x12, &[1; 12]),
        ] {
            assert_eq!(parse_split(&header), Ok(None), "{}", header.escape_ascii());
        }
    }

    #[test]
    fn the_addresses_of_a_local_header_are_skipped_unread() {
        for (family, rest) in [(0x11, &[1; 12][..]), (0x11, b"short"), (0xff, b"any bytes")] {
            assert_eq!(parse_split(&v2(0x20, family, rest)), Ok(None));
        }
    }

    #[test]
    fn extensions_are_skipped_up_to_the_limit_of_the_header() {
        let addresses = [[1, 2, 3, 4].as_slice(), &[1; 4], &[0, 80], &[0, 80]].concat();
        let longest = V2_BYTES_MAX - V2_FIXED_LEN - addresses.len();
        for len in [1, 3, longest] {
            let header = v2(0x21, 0x11, &[&addresses[..], &vec![0xff; len]].concat());
            assert_eq!(
                parse(&header).expect("valid").expect("whole").source,
                Some(addr("1.2.3.4:80"))
            );
        }
        let too_long = v2(0x21, 0x11, &[&addresses[..], &vec![0; longest + 1]].concat());
        assert_eq!(parse(&too_long[..15]), Ok(None));
        assert_eq!(parse(&too_long[..16]), Err(Malformed), "its length is known");
    }

    #[test]
    fn a_line_of_107_bytes_is_a_header_and_a_longer_one_is_not() {
        let unknown = |len: usize| format!("PROXY UNKNOWN{}\r\n", " ".repeat(len - 15));
        assert_eq!(parse_split(unknown(V1_BYTES_MAX).as_bytes()), Ok(None));
        assert_eq!(parse(unknown(V1_BYTES_MAX + 1).as_bytes()), Err(Malformed));
        assert_eq!(parse(&[b'P'; 1]), Ok(None));
        assert_eq!(parse(&unknown(1000).as_bytes()[..V1_BYTES_MAX - 1]), Ok(None));
        assert_eq!(parse(&unknown(1000).as_bytes()[..V1_BYTES_MAX]), Err(Malformed));
    }

    #[test]
    fn the_first_wrong_byte_of_a_prefix_is_an_error() {
        for prefix in [V1_PREFIX, V2_PREFIX] {
            for at in 0..prefix.len() {
                let mut wrong = prefix[..=at].to_vec();
                wrong[at] ^= 0x80;
                assert_eq!(parse(&wrong), Err(Malformed), "byte {at}");
            }
        }
        assert_eq!(parse(b"TIME\n"), Err(Malformed));
        assert_eq!(parse(b"\n"), Err(Malformed));
    }

    #[test]
    fn malformed_addresses_are_an_error() {
        for header in [
            &b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 65536\r\n"[..],
            b"PROXY TCP4 2001:db8::7 2001:db8::1 1 1\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 1 1\rX",
            b"PROXY TCP5 192.0.2.7 198.51.100.1 1 1\r\n",
            b"PROXY TCP6 :: 2001:db8::1 1 1\r\n",
            &v2(0x21, 0x11, &[1; 11]),
            &v2(0x21, 0x21, &[1; 35]),
            &v2(0x21, 0x21, &[0; 36]),
            &v2(0x21, 0x41, &[1; 36]),
            &v2(0x22, 0x11, &[1; 12]),
            &v2(0x11, 0x11, &[1; 12]),
        ] {
            assert_eq!(parse_split(header), Err(Malformed), "{}", header.escape_ascii());
        }
    }

    #[test]
    fn addresses_of_two_families_are_encoded_as_ipv6() {
        let mixed = encode(Version::V1, Some((addr(CLIENT_V6), addr("127.0.0.1:1"))));
        assert_eq!(mixed, b"PROXY TCP6 2001:db8::7 ::ffff:127.0.0.1 51234 1\r\n");
    }
}
