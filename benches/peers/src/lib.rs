//! Shared by the peers: a listener like that of the server, and the line with its address.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

/// The length of the queue of connections to accept, as the server's default.
const BACKLOG: i32 = 1024;

/// Listens on any free port of the loopback, and prints `listening on tcp://127.0.0.1:PORT`.
///
/// The connections that it accepts send at once: they inherit `TCP_NODELAY`.
///
/// # Errors
/// When the operating system refuses.
pub fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    println!("listening on tcp://{}", listener.local_addr()?);
    Ok(listener)
}
