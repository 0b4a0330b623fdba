//! Opening connections without blocking.

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tinytcp_cli::target;
use tinytcp_core::os::endpoint::Endpoint;
use tinytcp_core::os::local_port::connect_avoiding;
use tinytcp_core::os::outgoing::try_connect_unix;

use crate::measurement::causes::ConnectError;
use crate::traffic::plan::Plan;

/// A server that accepts no connection within this time is gone.
const PROBE_TIMEOUT: Duration = Duration::from_millis(250);

/// One connection attempt.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Its number among the requested connections.
    pub number: usize,
    /// Number of consecutive attempts that failed at all addresses.
    pub refusals: u32,
    /// Index of the server address.
    pub address: usize,
    /// True if it is the first address of this attempt.
    pub is_first: bool,
}

/// Starts a connection to the address of `attempt`; an event reports the result. Counts in
/// `connects` each earlier connection that was closed because of its source port, since a server
/// may have accepted it.
///
/// # Errors
/// Fails if the system refuses at once: no port, no descriptor, no route.
pub fn start(plan: &Plan, attempt: Attempt, connects: &mut u64) -> io::Result<TcpStream> {
    let source =
        plan.sources.get((attempt.number + attempt.refusals as usize) % plan.sources.len().max(1));
    open(&plan.endpoints[attempt.address], source.copied(), connects)
}

/// Starts a connection to `endpoint`, from the address `source` if there is one; else as
/// [`start`].
///
/// # Errors
/// Those of [`start`].
pub fn open(
    endpoint: &Endpoint,
    source: Option<IpAddr>,
    connects: &mut u64,
) -> io::Result<TcpStream> {
    let target = match endpoint {
        Endpoint::Tcp(addr) => *addr,
        Endpoint::Unix(path) => return start_unix(path),
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    let mut is_first = true;
    let stream = connect_avoiding(target::ProtocolName::is_default_port, || {
        *connects += u64::from(!mem::take(&mut is_first));
        source.map_or_else(|| TcpStream::connect(target), |source| connect_from(source, target))
    })?;
    // A request must be sent when it is due, not when a segment is full.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Opens a connection to a unix socket, which succeeds or fails at once. A full backlog and a
/// missing socket count as refused, and are tried again like a refused connection of TCP.
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

/// Returns true if a server accepts connections at `endpoint`, or would once its backlog has room.
#[must_use]
pub fn takes_connections(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Tcp(addr) => std::net::TcpStream::connect_timeout(addr, PROBE_TIMEOUT).is_ok(),
        Endpoint::Unix(path) => try_connect_unix(path)
            .map_or_else(|error| error.kind() == io::ErrorKind::WouldBlock, |_| true),
        _ => false,
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

/// Makes `bind` take only the address, and `connect` the port. A port taken by `bind` is taken for
/// all destinations; a port taken by `connect` only for this one.
#[cfg(target_os = "linux")]
fn leave_port_to_connect(socket: &Socket) {
    use nix::sys::socket::setsockopt;
    use nix::sys::socket::sockopt::IpBindAddressNoPort;

    // Kernels before 4.2 lack the option, and `bind` then takes a port.
    let _ = setsockopt(socket, IpBindAddressNoPort, &true);
}

/// On other systems, `bind` takes the port too.
#[cfg(not(target_os = "linux"))]
fn leave_port_to_connect(socket: &Socket) {
    // A port in TIME_WAIT does not hinder an outgoing connection.
    let _ = socket.set_reuse_address(true);
}

/// Makes the kernel reset the connection when it is closed.
pub fn reset_on_close(stream: &TcpStream) {
    // A broken socket needs no reset.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Returns the cause that a failed attempt counts as.
#[must_use]
pub fn cause(error: &io::Error) -> ConnectError {
    match error.raw_os_error() {
        // `bind` fails with EADDRINUSE, `connect` with EADDRNOTAVAIL, if the source address has no
        // free port.
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
    fn binding_a_source_address_takes_no_port() {
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
