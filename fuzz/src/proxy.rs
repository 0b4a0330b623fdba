//! The parser of PROXY headers, cut in every way, against another parser.

use std::net::SocketAddr;

use ppp::{HeaderResult, v1, v2};
use tinytcp_core::wire::proxy::{Header, Malformed, V2_BYTES_MAX, parse};

use crate::plan::Plan;

/// The result is the same for every cut of a header: none before its last byte, and then the same
/// header, whatever follows it. A header is bounded. If another parser finds the same end of a
/// header and a client in it, it is the same client.
pub fn check(data: &[u8]) {
    let data = Plan::new(data).stream;
    let whole = parse(data);
    for len in 0..=data.len().min(V2_BYTES_MAX + 1) {
        match (parse(&data[..len]), whole) {
            (Ok(None), Ok(Some(header))) => assert!(len < header.len, "{len} bytes are enough"),
            (Ok(None), Ok(None)) => assert!(len < V2_BYTES_MAX, "a header without a bound"),
            (Ok(None), Err(Malformed)) | (Err(Malformed), Err(Malformed)) => {}
            (found, whole) => assert_eq!(found, whole, "after {len} bytes"),
        }
    }
    if let Ok(Some(header)) = whole {
        compare(header, &data[..header.len]);
    }
}

fn compare(header: Header, bytes: &[u8]) {
    let other = match HeaderResult::parse(bytes) {
        HeaderResult::V1(Ok(other)) => match other.addresses {
            v1::Addresses::Tcp4(it) => Some(SocketAddr::from((it.source_address, it.source_port))),
            v1::Addresses::Tcp6(it) => Some(SocketAddr::from((it.source_address, it.source_port))),
            v1::Addresses::Unknown => None,
        },
        HeaderResult::V2(Ok(other)) => {
            let is_stream = other.protocol == v2::Protocol::Stream;
            let is_proxied = other.command == v2::Command::Proxy;
            match other.addresses {
                v2::Addresses::IPv4(it) if is_stream && is_proxied => {
                    Some(SocketAddr::from((it.source_address, it.source_port)))
                }
                v2::Addresses::IPv6(it) if is_stream && is_proxied => {
                    Some(SocketAddr::from((it.source_address, it.source_port)))
                }
                _ => None,
            }
        }
        // It refuses ports and addresses in an unusual notation.
        _ => return,
    };
    assert_eq!(header.source, other, "{}", bytes.escape_ascii());
}
