//! The seam between the loop and the operating system: two traits with all calls that the loop
//! makes.
//!
//! [`Kernel`](crate::os::kernel::Kernel) implements them with the real system. Tests run the same
//! loop on simulated systems, whose clocks they control. Dispatch is static, so the seam has no
//! cost at run time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::os::clock::Reading;
use crate::os::mailbox::Mail;
use crate::os::peer::PeerAddr;
use crate::os::table::Token;

/// The readiness of one connection, as a poller reports it. Each field is a hint and may be wrong:
/// the next call decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A read may return bytes, the end of input, or an error.
    pub readable: bool,
    /// A write may succeed or return an error.
    pub writable: bool,
    /// Reads must go on until `WouldBlock`, even after a short read, because no further event will
    /// come. It implies `readable`.
    ///
    /// The causes are an end of input that arrived together with the last bytes; an error; and
    /// bytes after an urgent mark, where the kernel ends a read although more bytes wait.
    pub read_to_end: bool,
}

/// An event from the poller.
#[derive(Clone, Debug)]
pub enum Event {
    /// The listener with this index may have connections to accept.
    Listener(usize),
    /// The connection with this token may be ready.
    Connection(Token, Readiness),
    /// Another thread or a signal sends a request to the loop.
    Mail(Mail),
}

/// The socket of one connection. No call blocks, and no call returns `Interrupted`.
pub trait Socket {
    /// Reads into `buf`. Returns the number of bytes, 0 at the end of input.
    ///
    /// # Errors
    /// `WouldBlock` when nothing has arrived. Any other error means that the connection is lost.
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes `bytes`, which must not be empty. Returns how many bytes the kernel accepted, never
    /// 0.
    ///
    /// # Errors
    /// `WouldBlock` when the kernel accepts nothing now. Any other error means that the connection
    /// is lost.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Shuts the write side down: after the last answer, the peer reads the end of input.
    ///
    /// # Errors
    /// When the connection is already lost.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// Makes the following close a reset, so that the kernel frees the unread answers at once.
    fn reset_on_close(&mut self);
}

/// The operating system, as the loop uses it.
///
/// Readiness is edge-triggered: an event comes when the state changes, and not again while the
/// state lasts.
pub trait System {
    /// The socket of a connection. Dropping it closes the connection.
    type Socket: Socket;

    /// Reads both clocks.
    fn read_clocks(&mut self) -> Reading;

    /// Waits for events, at most for `timeout` if there is one, and calls `handle` for each. It may
    /// return without an event.
    ///
    /// # Errors
    /// When waiting is no longer possible. An interruption is not an error.
    fn wait(&mut self, timeout: Option<Duration>, handle: impl FnMut(Event)) -> io::Result<()>;

    /// Accepts one connection. Returns its socket and the address of its peer; a later request for
    /// the address would fail if the peer has reset the connection.
    ///
    /// # Errors
    /// The errors of `accept(2)`, except interruptions.
    fn accept(&mut self, listener: usize) -> io::Result<(Self::Socket, PeerAddr)>;

    /// Begins to connect to `addr`. Until the connection is made, `receive` returns `WouldBlock`;
    /// it returns the error if the attempt fails.
    ///
    /// # Errors
    /// When the attempt fails at once, and on a system without outgoing connections.
    fn connect(&mut self, _addr: SocketAddr) -> io::Result<Self::Socket> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Begins to look up the addresses of a host. [`Mail::Addresses`] reports the result. One
    /// lookup is in progress at a time.
    ///
    /// # Errors
    /// When the lookup cannot begin.
    fn look_up(&mut self, _host: &str, _port: u16) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Reports the events of the socket with `token`, from now until the socket is closed.
    ///
    /// # Errors
    /// When the kernel has no memory or watches left.
    fn register(&mut self, socket: &mut Self::Socket, token: Token) -> io::Result<()>;

    /// Lets no new connection begin at the ports that other processes share. Returns the time after
    /// which those that have begun can be accepted; `None` if no port is shared, and from the
    /// second call on.
    fn hold_back(&mut self) -> Option<Duration> {
        None
    }

    /// Closes the listeners on ports that other processes share.
    fn leave_shared_ports(&mut self) {}

    /// Closes all listeners.
    fn close_listeners(&mut self);
}

/// True if the call has nothing to do now and must be repeated after an event.
#[must_use]
pub fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// True if a signal has interrupted the call, which must be repeated.
#[must_use]
pub fn interrupted(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}
