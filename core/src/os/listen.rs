//! Listening sockets. Their options are set once, and accepted connections inherit them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::event::Source;
use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::os::inherited::Inherited;
use crate::os::unix_listener::UnixListener;

/// The silence of a peer after which the kernel sends the first keepalive probe.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// The time between two probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How many unanswered probes end the connection.
const KEEPALIVE_RETRIES: u32 = 3;

/// The time after which a peer that died silently is detected: 60 s, and three probes.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(
    KEEPALIVE_IDLE.as_secs() + KEEPALIVE_RETRIES as u64 * KEEPALIVE_INTERVAL.as_secs(),
);

/// How many unsent bytes the kernel accepts per connection (`TCP_NOTSENT_LOWAT`). It is more than a
/// turn moves, so it never shortens a turn. Without this bound the kernel would hold up to 4 MB for
/// a peer that never reads, and a few hundred such peers would use up its memory for TCP. Bytes in
/// transit do not count, so a peer that reads is not slowed down.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT_BYTES_MAX: u32 = 256 << 10;

/// The longest `TCP_USER_TIMEOUT` that the kernel accepts: 24 days.
#[cfg(any(target_os = "linux", target_os = "android"))]
const USER_TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// The name of a socket option that the system refused, and the error.
pub type Refused = (&'static str, io::Error);

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A TCP socket that another program has opened. What a process changes in it stays after the
    /// end of that process.
    Inherited(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

impl Listener {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(listener) | Self::Inherited(listener) => listener,
            Self::Unix(listener) => &mut listener.socket,
        }
    }
}

impl Source for Listener {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.source().register(registry, token, interest)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.source().reregister(registry, token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.source().deregister(registry)
    }
}

/// Listens on `addr` with an accept queue of `backlog` connections. If `shares_port` is true, other
/// processes of the same user that share the port too can listen on it as well. Returns the socket
/// and the options that the system refused; the server works without them, but not as well.
///
/// # Errors
/// When the address is in use, forbidden, or not of this machine.
pub fn listen(
    addr: SocketAddr,
    backlog: u32,
    write_timeout: Option<Duration>,
    shares_port: bool,
) -> io::Result<(TcpListener, Vec<Refused>)> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        // An IPv6 listener that also accepts IPv4 would conflict with the IPv4 listener on its
        // port.
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for old connections in `TIME_WAIT`. Two servers on one port still
    // exclude each other, unless both share it.
    socket.set_reuse_address(true)?;
    if shares_port {
        socket.set_reuse_port(true)?;
    }
    let refused = tune(&socket, write_timeout);
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok((TcpListener::from_std(socket.into()), refused))
}

/// Listens on a socket that another program has opened, with the options of [`listen`]. Returns the
/// options that the system refused.
///
/// # Errors
/// When no descriptor is free.
pub fn inherit(
    socket: &Inherited,
    write_timeout: Option<Duration>,
) -> io::Result<(Listener, Vec<Refused>)> {
    match socket {
        Inherited::Tcp(socket) => {
            let socket = socket.try_clone()?;
            socket.set_nonblocking(true)?;
            let refused = tune(&SockRef::from(&socket), write_timeout);
            Ok((Listener::Inherited(TcpListener::from_std(socket)), refused))
        }
        Inherited::Unix(socket) => Ok((Listener::Unix(UnixListener::inherit(socket)?), Vec::new())),
    }
}

/// Sets the options that accepted connections inherit, on Linux and the BSDs, so that they cost no
/// system call per connection:
///
/// - no delay of small answers;
/// - urgent bytes in their place in the stream, because `telnet` sends half of an escape sequence
///   as urgent data;
/// - keepalive, which detects a peer that died silently after [`SILENCE_TIMEOUT`].
fn tune(socket: &Socket, write_timeout: Option<Duration>) -> Vec<Refused> {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    let mut outcomes = vec![
        ("TCP_NODELAY", socket.set_tcp_nodelay(true)),
        ("SO_OOBINLINE", socket.set_out_of_band_inline(true)),
        ("SO_KEEPALIVE", socket.set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_RETRIES))),
    ];
    outcomes.extend(bound_unanswered(socket, write_timeout));
    outcomes.into_iter().filter_map(|(name, outcome)| Some((name, outcome.err()?))).collect()
}

/// Bounds how long the kernel waits for a peer that acknowledges nothing, and how many bytes it
/// holds for it.
///
/// Keepalive does not probe while bytes are unacknowledged. The kernel would retransmit an answer
/// to a dead peer for a quarter of an hour; on Linux this bound ends it after `write_timeout`, or
/// after [`SILENCE_TIMEOUT`] if that is longer. The bound has two more effects: it closes
/// connections of live peers that leave their window closed for this time, and keepalive uses it if
/// it is longer than its own time.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn bound_unanswered(
    socket: &Socket,
    write_timeout: Option<Duration>,
) -> [(&'static str, io::Result<()>); 2] {
    let timeout = write_timeout.map(|timeout| timeout.clamp(SILENCE_TIMEOUT, USER_TIMEOUT_MAX));
    [
        ("TCP_USER_TIMEOUT", socket.set_tcp_user_timeout(timeout)),
        ("TCP_NOTSENT_LOWAT", socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)),
    ]
}

/// Other systems have no such bound.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bound_unanswered(_: &Socket, _: Option<Duration>) -> [(&'static str, io::Result<()>); 0] {
    []
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_opens_with_a_write_timeout_of_any_length() {
        for timeout in [
            None,
            Some(Duration::from_millis(1)),
            Some(Duration::from_hours(600)),
            Some(Duration::MAX),
        ] {
            let (_, refused) =
                listen(([127, 0, 0, 1], 0).into(), 1, timeout, false).expect("any port");
            assert!(refused.is_empty(), "{timeout:?}: {refused:?}");
        }
    }
}
