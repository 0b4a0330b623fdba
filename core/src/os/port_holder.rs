//! The reason why a port is in use: a listening program, or a connection.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The kind of socket that uses a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A listening socket.
    Listener,
    /// A connection with this local port.
    Connection,
    /// A closed connection, whose local port the kernel reserves for a minute (`TIME_WAIT`).
    ClosedConnection,
}

/// Returns what uses the port of `addr`, from the tables in `/proc` on Linux. `None` on other
/// systems, and if the socket neither listens nor is connected.
#[must_use]
pub fn find(addr: SocketAddr) -> Option<Holder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|path| fs::read_to_string(path).unwrap_or_default());
    find_in(tables.iter().flat_map(|table| table.lines()), addr)
}

fn find_in<'a>(rows: impl Iterator<Item = &'a str>, addr: SocketAddr) -> Option<Holder> {
    let is_at = |ip: IpAddr| ip == addr.ip() || ip.is_unspecified() || addr.ip().is_unspecified();
    let holders = rows
        .filter_map(parse)
        .filter(|(local, _)| local.port() == addr.port() && is_at(local.ip()));
    // A listener takes precedence over its connections, and an open connection over a closed one.
    holders.map(|(_, holder)| holder).min_by_key(|holder| *holder as u8)
}

/// Parses the local address and the state of a row: `0: 0100007F:9C40 00000000:0000 0A ...`, all in
/// hexadecimal.
fn parse(row: &str) -> Option<(SocketAddr, Holder)> {
    const LISTEN: &str = "0A";
    const TIME_WAIT: &str = "06";
    let mut fields = row.split_ascii_whitespace().skip(1);
    let (ip, port) = fields.next()?.split_once(':')?;
    let holder = match fields.nth(1)? {
        LISTEN => Holder::Listener,
        TIME_WAIT => Holder::ClosedConnection,
        _ => Holder::Connection,
    };
    Some((SocketAddr::new(parse_ip(ip)?, u16::from_str_radix(port, 16).ok()?), holder))
}

/// Parses an address, which the kernel writes as 32-bit numbers in the byte order of the machine.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let mut bytes = [0; 16];
    for (place, word) in text.as_bytes().chunks(8).enumerate() {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.get_mut(4 * place..4 * place + 4)?.copy_from_slice(&word.to_ne_bytes());
    }
    match text.len() {
        8 => bytes.first_chunk().map(|bytes: &[u8; 4]| Ipv4Addr::from(*bytes).into()),
        32 => Some(Ipv6Addr::from(bytes).to_canonical()),
        _ => None,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_listener_is_found_at_its_address_and_at_the_wildcard() {
        for host in ["127.0.0.1", "[::1]"] {
            let Ok(listener) = TcpListener::bind(format!("{host}:0")) else { continue };
            let addr = listener.local_addr().expect("bound");
            assert_eq!(find(addr), Some(Holder::Listener), "{addr}");
            let everywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), addr.port());
            assert_eq!(find(everywhere), Some(Holder::Listener), "{everywhere}");
        }
    }

    #[test]
    fn a_connection_is_distinguished_from_a_listener() {
        let listener = TcpListener::bind("127.83.3.1:0").expect("any port");
        // Connections from 127.0.0.1 to different servers can have one port.
        let any_port = SocketAddr::from(([127, 83, 3, 2], 0));
        let stream = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        stream.bind(&any_port.into()).expect("any port");
        stream.connect(&listener.local_addr().expect("bound").into()).expect("it listens");
        let stream = TcpStream::from(stream);
        let addr = stream.local_addr().expect("connected");
        assert_eq!(find(addr), Some(Holder::Connection));
        // The end that closes first keeps the port in `TIME_WAIT`.
        drop(stream);
        drop(listener.accept());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while find(addr) != Some(Holder::ClosedConnection) {
            assert!(std::time::Instant::now() < deadline, "{:?}", find(addr));
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    #[test]
    fn a_malformed_row_is_ignored() {
        for row in [
            "  sl  local_address rem_address   st",
            "",
            "0: 0100007F",
            "0: 0100007:1 0:0 0A",
            "0: x:1 0:0 0A",
        ] {
            assert_eq!(parse(row), None, "{row}");
        }
    }
}
