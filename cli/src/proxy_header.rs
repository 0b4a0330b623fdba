//! The PROXY header that a program sends at the beginning of a connection, as a proxy would.

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::str::FromStr;

use socket2::SockRef;
use tinytcp_core::wire::proxy::{Version, encode};

use crate::usage_error::UsageError;

/// A header to send: its version, and the client that it names.
///
/// Written as `v1`, `v2`, `v2:192.0.2.7`, `v2:192.0.2.7:51234` or `local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    version: Version,
    client: Client,
}

/// The client that a header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    /// This end of the connection.
    ThisEnd,
    /// This address, with the port of this end.
    Ip(IpAddr),
    /// This address.
    Addr(SocketAddr),
    /// None: the proxy made the connection itself.
    None,
}

impl ProxyHeader {
    /// Writes the header to a connected socket, whose kernel buffer must be empty: it then takes
    /// the header in whole, whether or not the socket blocks.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn send(&self, socket: &(impl AsFd + ?Sized)) -> io::Result<()> {
        let socket = SockRef::from(&socket);
        let own = socket.local_addr()?.as_socket();
        let destination = socket.peer_addr()?.as_socket();
        (&*socket).write_all(&encode(self.version, self.addresses(own, destination)))
    }

    /// Returns the source and the destination of the header. The socket has no addresses if it is a
    /// unix socket; the destination is then unspecified.
    fn addresses(
        &self,
        own: Option<SocketAddr>,
        destination: Option<SocketAddr>,
    ) -> Option<(SocketAddr, SocketAddr)> {
        let source = match self.client {
            Client::ThisEnd => own?,
            Client::Ip(ip) => SocketAddr::new(ip, own.map_or(0, |own| own.port())),
            Client::Addr(addr) => addr,
            Client::None => return None,
        };
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        Some((source, destination.unwrap_or(unspecified)))
    }
}

impl FromStr for ProxyHeader {
    type Err = UsageError;

    fn from_str(text: &str) -> Result<Self, UsageError> {
        if text == "local" {
            return Ok(Self { version: Version::V2, client: Client::None });
        }
        let (version, client) = match text.split_once(':') {
            Some((version, client)) => (version, Some(client)),
            None => (text, None),
        };
        let version = match version {
            "v1" => Some(Version::V1),
            "v2" => Some(Version::V2),
            _ => None,
        };
        let client = match client {
            None => Some(Client::ThisEnd),
            Some(addr) => addr
                .parse()
                .map(Client::Addr)
                .or_else(|_| addr.trim_matches(['[', ']']).parse().map(Client::Ip))
                .ok(),
        };
        version.zip(client).map(|(version, client)| Self { version, client }).ok_or_else(|| {
            "a header is v1, v2, or local; with another client, v2:192.0.2.7 or \
             v2:[2001:db8::7]:51234"
                .into()
        })
    }
}

impl fmt::Display for ProxyHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match self.version {
            Version::V1 => "v1",
            Version::V2 => "v2",
        };
        match self.client {
            Client::ThisEnd => f.write_str(version),
            Client::Ip(ip) => write!(f, "{version}:{ip}"),
            Client::Addr(addr) => write!(f, "{version}:{addr}"),
            Client::None => f.write_str("local"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn header(text: &str) -> ProxyHeader {
        text.parse().expect(text)
    }

    #[test]
    fn a_header_is_the_same_after_writing_and_parsing() {
        for text in ["v1", "v2", "local", "v1:192.0.2.7", "v2:192.0.2.7:1", "v2:[2001:db8::7]:1"] {
            assert_eq!(header(text).to_string(), text);
        }
        assert_eq!(header("v2:[2001:db8::7]"), header("v2:2001:db8::7"));
        for text in ["", "v3", "V1", "v1:", "v1:host", "local:192.0.2.7", "v2 192.0.2.7"] {
            let error = text.parse::<ProxyHeader>().expect_err(text);
            assert!(
                error.to_string().starts_with("a header is v1, v2, or local"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_header_names_the_ends_of_the_connection_or_another_client() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let server = listener.local_addr().expect("bound");
        for (text, source) in [("v1", None), ("v1:192.0.2.7", Some("192.0.2.7"))] {
            let stream = TcpStream::connect(server).expect("it listens");
            header(text).send(&stream).expect("an open connection");
            let own = stream.local_addr().expect("connected");
            drop(stream);
            let mut received = String::new();
            let accepted = listener.accept().expect("a connection");
            { accepted.0 }.read_to_string(&mut received).expect("text");
            let source = source.unwrap_or("127.0.0.1");
            let (port, server_port) = (own.port(), server.port());
            assert_eq!(received, format!("PROXY TCP4 {source} 127.0.0.1 {port} {server_port}\r\n"));
        }
    }

    #[test]
    fn a_unix_socket_has_no_addresses_of_its_own() {
        for (text, expected) in [
            ("v1", "PROXY UNKNOWN\r\n"),
            ("v1:192.0.2.7:1", "PROXY TCP4 192.0.2.7 0.0.0.0 1 0\r\n"),
        ] {
            let (one, mut other) = UnixStream::pair().expect("a pair");
            header(text).send(&one).expect("an open connection");
            drop(one);
            let mut received = String::new();
            other.read_to_string(&mut received).expect("text");
            assert_eq!(received, expected);
        }
    }
}
