//! Opening connections without waiting for them.

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tinytcp_cli::target;
use tinytcp_core::os::endpoint::Endpoint;
use tinytcp_core::os::outgoing::try_connect_unix;
use tinytcp_core::os::own_port::connect_elsewhere;

use super::causes::ConnectError;
use super::plan::Plan;

/// A server that takes no connection for so long is gone.
const PROBE_TIMEOUT: Duration = Duration::from_millis(250);

/// Which connection is attempted, and how often it was refused.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Its number among the connections asked for.
    pub number: usize,
    /// Attempts one after the other that have failed at all addresses.
    pub refusals: u32,
    /// Which of the server's addresses it goes to.
    pub address: usize,
    /// True exactly when no other address has been tried before in this attempt.
    pub is_first: bool,
}

/// Begins to connect to the address of `attempt`; an event tells how it went. Counts in `connects`
/// each connection that was begun before and given up for its port: a server may have accepted it.
///
/// # Errors
/// When the system refuses at once: no port, no descriptor, no route.
pub fn start(plan: &Plan, attempt: Attempt, connects: &mut u64) -> io::Result<TcpStream> {
    let target = match &plan.endpoints[attempt.address] {
        Endpoint::Tcp(addr) => *addr,
        Endpoint::Unix(path) => return start_unix(path),
    };
    let source =
        plan.sources.get((attempt.number + attempt.refusals as usize) % plan.sources.len().max(1));
    let mut is_first = true;
    let stream = connect_elsewhere(target::Protocol::is_default_port, || {
        *connects += u64::from(!mem::take(&mut is_first));
        source.map_or_else(|| TcpStream::connect(target), |source| connect_from(*source, target))
    })?;
    // Requests are to leave when they are due, and not when a segment is full.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection to a unix socket opens at once or not at all. One whose backlog is full has refused
/// it, as has one that does not exist: it is tried again like a refused one of TCP.
fn start_unix(path: &Path) -> io::Result<TcpStream> {
    match try_connect_unix(path) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotFound) =>
        {
            Err(io::ErrorKind::ConnectionRefused.into())
        }
        connected => connected.map(|socket| TcpStream::from_std(socket.into())),
    }
}

/// True exactly when a server takes connections at `endpoint`, or would once its backlog has room.
#[must_use]
pub fn takes_connections(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Tcp(addr) => std::net::TcpStream::connect_timeout(addr, PROBE_TIMEOUT).is_ok(),
        Endpoint::Unix(path) => try_connect_unix(path)
            .map_or_else(|error| error.kind() == io::ErrorKind::WouldBlock, |_| true),
    }
}

fn bound_to(source: IpAddr) -> io::Result<Socket> {
    let own = SocketAddr::new(source, 0);
    let socket = Socket::new(Domain::for_address(own), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    leave_port_to_connect(&socket);
    socket.bind(&own.into())?;
    Ok(socket)
}

fn connect_from(source: IpAddr, target: SocketAddr) -> io::Result<TcpStream> {
    let socket = bound_to(source)?;
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// Has `bind` take the address alone, and `connect` the port. A port that `bind` takes is taken
/// from all programs and for all destinations; one that `connect` takes is taken for this
/// destination.
#[cfg(target_os = "linux")]
fn leave_port_to_connect(socket: &Socket) {
    use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};

    // A kernel before 4.2 does not know it, and binds a port as before.
    let _ = setsockopt(socket, IpBindAddressNoPort, &true);
}

/// Elsewhere `bind` takes the port as well.
#[cfg(not(target_os = "linux"))]
fn leave_port_to_connect(socket: &Socket) {
    // A port in TIME_WAIT is no obstacle to a connection that begins on this side.
    let _ = socket.set_reuse_address(true);
}

/// Has the connection reset when it is closed.
pub fn reset_on_close(stream: &TcpStream) {
    // A socket that is broken already needs no reset.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// The name under which a failure is counted.
#[must_use]
pub fn cause(error: &io::Error) -> ConnectError {
    match error.raw_os_error() {
        // `bind` says EADDRINUSE where `connect` says EADDRNOTAVAIL: no port of the source address
        // is left.
        Some(libc::EADDRNOTAVAIL | libc::EADDRINUSE | libc::EAGAIN) => return ConnectError::NoPort,
        Some(libc::EMFILE | libc::ENFILE) => return ConnectError::NoDescriptor,
        _ => {}
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused,
        io::ErrorKind::TimedOut => ConnectError::TimedOut,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => ConnectError::Reset,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ConnectError::Unreachable
        }
        _ => ConnectError::Other,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_source_address_takes_no_port_before_it_is_known_for_which_destination() {
        for source in [IpAddr::from([127, 83, 16, 1]), std::net::Ipv6Addr::LOCALHOST.into()] {
            // A machine without IPv6 has no such socket.
            let Ok(socket) = bound_to(source) else { continue };
            let own = socket.local_addr().expect("bound").as_socket().expect("an internet address");
            assert_eq!((own.ip(), own.port()), (source, 0));
        }
        let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let source = [127, 83, 16, 1].into();
        let stream =
            connect_from(source, server.local_addr().expect("bound")).expect("the server listens");
        let own = stream.local_addr().expect("connected");
        assert!(own.ip() == source && own.port() != 0, "{own}");
    }
}
