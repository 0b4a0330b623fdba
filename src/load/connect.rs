//! Opening connections without waiting for them.

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::causes::ConnectError;
use super::muster::Muster;
use super::plan::Plan;
use crate::base::own_port::connect_elsewhere;
use crate::wire::target;

/// Which connection is attempted, and how often it was refused.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Its number among the connections asked for.
    pub number: usize,
    /// Attempts one after the other that have failed; each next one takes the next address.
    pub refusals: u32,
}

impl Attempt {
    /// Which of the server's addresses it goes to: the one that has worked, or after failures the next ones in turn.
    #[must_use]
    pub fn address(self, plan: &Plan, muster: &Muster) -> usize {
        (muster.address() + self.refusals as usize) % plan.addresses.len()
    }
}

/// Begins to connect to one of the server's addresses; an event tells how it went.
///
/// # Errors
/// When the system refuses at once: no port, no descriptor, no route.
pub fn start(plan: &Plan, address: usize, attempt: Attempt) -> io::Result<TcpStream> {
    let target = plan.addresses[address];
    let source = plan.sources.get((attempt.number + attempt.refusals as usize) % plan.sources.len().max(1));
    let stream = connect_elsewhere(target::Protocol::is_default_port, || match source {
        None => TcpStream::connect(target),
        Some(source) => connect_from(*source, target),
    })?;
    // Requests are to leave when they are due, and not when a segment is full.
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn connect_from(source: IpAddr, target: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A port in TIME_WAIT is no obstacle to a connection that begins on this side.
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// Has the connection reset when it is closed.
pub fn reset_on_close(stream: &TcpStream) {
    // A socket that is broken already needs no reset.
    let _ = SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
}

/// The name under which a failure is counted.
#[must_use]
pub fn cause(error: &io::Error) -> ConnectError {
    match error.raw_os_error() {
        // `bind` says EADDRINUSE where `connect` says EADDRNOTAVAIL: no port of the source address is left.
        Some(libc::EADDRNOTAVAIL | libc::EADDRINUSE | libc::EAGAIN) => return ConnectError::NoPort,
        Some(libc::EMFILE | libc::ENFILE) => return ConnectError::NoDescriptor,
        _ => {}
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused,
        io::ErrorKind::TimedOut => ConnectError::TimedOut,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            ConnectError::Reset
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => ConnectError::Unreachable,
        _ => ConnectError::Other,
    }
}
