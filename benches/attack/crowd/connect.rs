//! The ways in which attackers connect.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Begins to connect from a loopback address of this attacker. Each address has its own ports, so
/// that ports in `TIME_WAIT` do not run out.
pub fn from_own_address(target: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let socket = socket(target)?;
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let source = Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 1, 1).to_bits().saturating_add(number));
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    connect(socket, target)
}

/// Begins to connect with the smallest receive buffer that the kernel has, so that few bytes fit on
/// the way to a peer that does not read.
pub fn with_small_window(target: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(target)?;
    // The buffer is set before the connection is made, because it bounds the announced window. The
    // send buffer of the attacker keeps its size.
    socket.set_recv_buffer_size(4096)?;
    socket.set_send_buffer_size(64 << 10)?;
    connect(socket, target)
}

/// Begins to connect.
pub fn plainly(target: SocketAddr) -> io::Result<TcpStream> {
    connect(socket(target)?, target)
}

/// Makes the close of this connection a reset.
pub fn reset_on_close(stream: &TcpStream) {
    // A failure is ignored: a broken socket needs no reset.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

fn socket(target: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

fn connect(socket: Socket, target: SocketAddr) -> io::Result<TcpStream> {
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}
