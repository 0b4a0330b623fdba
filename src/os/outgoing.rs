//! Connections that begin at this end, to a unix socket.

use std::io;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

/// Connects to the unix socket at `path`, and waits while its backlog is full.
///
/// A stream of TCP can hold the result, as [`Stream`](super::stream::Stream) does: each call that the programs make of it is one
/// that the kernel takes for both kinds, but for the addresses.
///
/// # Errors
/// `NotFound` when there is no such file, `ConnectionRefused` when nothing listens there, `PermissionDenied` when this user
/// may not write to it.
pub fn connect_unix(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket)
}

/// The same for a socket that never blocks: where the backlog is full it is `WouldBlock`.
///
/// # Errors
/// As [`connect_unix`].
pub fn try_connect_unix(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket)
}
