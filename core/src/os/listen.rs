//! A socket that listens, tuned once for all connections that it accepts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::event::Source;
use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use crate::os::unix_listener::UnixListener;

/// A peer that has been silent for so long is asked whether it still lives...
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// ...so often, one question after the other.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// How long it takes until a peer that died silently is noticed: 60 s, and three questions.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(
    KEEPALIVE_IDLE.as_secs() + KEEPALIVE_RETRIES as u64 * KEEPALIVE_INTERVAL.as_secs(),
);

/// How many bytes the kernel takes from one connection beyond what it can send at once: more than a
/// turn's worth, so that no turn is cut short by it. Without this bound it would keep up to 4 MB
/// for a peer that never reads, and a few hundred such peers would take all the memory that it has
/// for TCP, everybody else's too. What is on its way does not count, so that a peer that reads gets
/// it no slower.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT_BYTES_MAX: u32 = 256 << 10;

/// The kernel takes no longer time than this in milliseconds for `TCP_USER_TIMEOUT`: 24 days.
#[cfg(any(target_os = "linux", target_os = "android"))]
const USER_TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// A socket option that the system refused, and how.
pub type Refused = (&'static str, io::Error);

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// For connections over TCP.
    Tcp(TcpListener),
    /// For connections over a unix socket.
    Unix(UnixListener),
}

impl Listener {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(listener) => listener,
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

/// Listens on `addr` with a kernel queue of `backlog` connections that are not yet accepted.
/// Returns the socket and the tuning options that the system refused: the server works without each
/// of them, only less well.
///
/// # Errors
/// When the address is in use, forbidden, or not of this machine.
pub fn listen(
    addr: SocketAddr,
    backlog: u32,
    write_timeout: Option<Duration>,
) -> io::Result<(TcpListener, Vec<Refused>)> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        // An IPv6 listener that also takes IPv4 would be in the way of the IPv4 listener beside it.
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the old connections in `TIME_WAIT`; two servers on one port still
    // exclude each other.
    socket.set_reuse_address(true)?;
    let refused = tune(&socket, write_timeout);
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok((TcpListener::from_std(socket.into()), refused))
}

/// Sets what every accepted connection inherits, on Linux and the BSDs alike, so that it costs no
/// system call there: no delay for small answers; urgent bytes in their place in the stream,
/// because `telnet` sends half of an escape sequence as such; and keepalive, so that a peer which
/// died silently is noticed after [`SILENCE_TIMEOUT`].
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

/// Bounds how long, and with how many bytes, the kernel waits for a peer that takes nothing.
///
/// Keepalive asks only where nothing is under way. For a peer that died before it acknowledged an
/// answer the kernel would go on sending that for a quarter of an hour; so on Linux it gives such a
/// peer up after `write_timeout`, or after [`SILENCE_TIMEOUT`] if that is longer. Two more things
/// obey this bound: a peer that lives and leaves its window closed for so long is given up too, and
/// keepalive waits for it where it is the longer one.
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

/// Elsewhere there is no such bound.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bound_unanswered(_: &Socket, _: Option<Duration>) -> [(&'static str, io::Result<()>); 0] {
    []
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_timeout_of_any_length_is_no_reason_not_to_listen() {
        for timeout in [
            None,
            Some(Duration::from_millis(1)),
            Some(Duration::from_hours(600)),
            Some(Duration::MAX),
        ] {
            let (_, refused) = listen(([127, 0, 0, 1], 0).into(), 1, timeout).expect("any port");
            assert!(refused.is_empty(), "{timeout:?}: {refused:?}");
        }
    }
}
