//! Outgoing connections.

use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::os::endpoint::Endpoint;
use crate::os::system::{interrupted, would_block};

/// Connects to `endpoint`, for at most `timeout`, which is not zero.
///
/// # Errors
/// Those of [`TcpStream::connect_timeout`] and of [`connect_unix`].
pub fn connect(endpoint: &Endpoint, timeout: Duration) -> io::Result<TcpStream> {
    match endpoint {
        Endpoint::Tcp(addr) => TcpStream::connect_timeout(addr, timeout),
        Endpoint::Unix(path) => Ok(connect_unix(path, Some(timeout))?.into()),
    }
}

/// Connects to the unix socket at `path`. While its backlog is full it waits, for at most `timeout`
/// if there is one.
///
/// A TCP stream can hold the resulting descriptor, as [`Stream`](super::stream::Stream) does:
/// except for addresses, the programs make only calls that the kernel accepts for both kinds.
///
/// # Errors
/// `NotFound` when there is no such file, `ConnectionRefused` when no program listens there,
/// `PermissionDenied` when this user may not write to it, `TimedOut` when the backlog stays full.
pub fn connect_unix(path: &Path, timeout: Option<Duration>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = SockAddr::unix(path)?;
    // The write timeout also bounds `connect` (unix(7)). Zero would mean no timeout.
    socket.set_write_timeout(timeout.map(|timeout| timeout.max(Duration::from_millis(1))))?;
    while let Err(error) = socket.connect(&address) {
        // An attempt that a signal has interrupted has no effect and is repeated.
        if !interrupted(&error) {
            return Err(if would_block(&error) { io::ErrorKind::TimedOut.into() } else { error });
        }
    }
    socket.set_write_timeout(None)?;
    Ok(socket)
}

/// Connects without waiting.
///
/// # Errors
/// Those of [`connect_unix`], but `WouldBlock` when the backlog is full.
pub fn try_connect_unix(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connecting_to_a_full_backlog_waits_until_the_timeout() {
        let path = std::env::temp_dir().join(format!("tinytcp-outgoing-{}", std::process::id()));
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        let address = SockAddr::unix(&path).expect("a short path");
        listener.bind(&address).and_then(|()| listener.listen(0)).expect("a free path");
        // A backlog of 0 holds one connection.
        let queued = connect_unix(&path, Some(Duration::from_secs(20))).expect("room for one");
        assert_eq!(queued.write_timeout().expect("a socket"), None);
        for timeout in [Duration::ZERO, Duration::from_millis(20)] {
            let error = connect_unix(&path, Some(timeout)).expect_err("it is full");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
        std::fs::remove_file(&path).expect("our file");
    }
}
