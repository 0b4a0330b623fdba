//! The one seam to the operating system: everything that the loop asks of it, as traits.
//!
//! [`Kernel`](crate::os::kernel::Kernel) is the real one. Tests run the same loop on a scripted
//! one, whose clock stands still until it is told to move. Dispatch is static: the seam costs
//! nothing.

use std::io;
use std::time::Duration;

use crate::os::clock::Reading;
use crate::os::mailbox::Mail;
use crate::os::peer::PeerAddr;
use crate::os::table::Token;

/// What a poller says of one connection. Every field is a hint that may be spurious: the call that
/// follows decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A read may give bytes, the end of input, or an error.
    pub readable: bool,
    /// A write may be taken, or give an error.
    pub writable: bool,
    /// Reads must go on until they would block: something stands behind the bytes that no further
    /// event announces. This alone makes a read possible, whatever `readable` says.
    ///
    /// That is the end of input, when it came together with the last bytes; an error; or bytes
    /// behind an urgent mark, at which the kernel cuts a read short though more is waiting.
    pub read_to_end: bool,
}

/// What a poller reports.
#[derive(Clone, Debug)]
pub enum Event {
    /// The listener with this index may have connections to accept.
    Listener(usize),
    /// The connection with this token may be ready.
    Connection(Token, Readiness),
    /// The loop is asked for something from outside.
    Mail(Mail),
}

/// One connection's socket. No call blocks; none is interrupted by a signal.
pub trait Socket {
    /// Reads into `buf`; 0 is the end of input.
    ///
    /// # Errors
    /// `WouldBlock` when nothing has arrived; whatever else means that the connection is lost.
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes the front of `bytes`, which are not empty; gives how many were taken, never 0.
    ///
    /// # Errors
    /// `WouldBlock` when the peer takes nothing now; whatever else means that the connection is
    /// lost.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Ends the output: the peer reads the end of input behind the last answer.
    ///
    /// # Errors
    /// When the connection is lost already.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// Makes the close that follows a reset, which frees at once what the kernel still holds for a
    /// peer that takes it no more.
    fn reset_on_close(&mut self);
}

/// The operating system as the loop sees it.
///
/// Readiness is edge-triggered: an event comes when something new happens, and not again while it
/// lasts.
pub trait System {
    /// A connection's socket; dropping it closes the connection.
    type Socket: Socket;

    /// Reads both clocks.
    fn read_clocks(&mut self) -> Reading;

    /// Waits for events at most `timeout`, or for ever, and hands each to `handle`. Returning
    /// without any is no error.
    ///
    /// # Errors
    /// When waiting is impossible for good; never for an interruption.
    fn wait(&mut self, timeout: Option<Duration>, handle: impl FnMut(Event)) -> io::Result<()>;

    /// Accepts one connection. The address is the one that came with the connection: asking the
    /// socket for it later fails when the peer has reset it already.
    ///
    /// # Errors
    /// Whatever `accept(2)` says, interruptions excepted.
    fn accept(&mut self, listener: usize) -> io::Result<(Self::Socket, PeerAddr)>;

    /// Has every event of the socket reported with `token`, from now until it is closed.
    ///
    /// # Errors
    /// When the kernel has no memory or no watches left.
    fn register(&mut self, socket: &mut Self::Socket, token: Token) -> io::Result<()>;

    /// Closes all listeners.
    fn close_listeners(&mut self);

    /// How often the process did not run for a while since the start, and for how long in all.
    fn stalls(&self) -> (u64, Duration) {
        (0, Duration::ZERO)
    }
}

/// True exactly when nothing is wrong but that there is nothing to do now.
#[must_use]
pub fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// True exactly when a signal came in between and the call is to be made again.
#[must_use]
pub fn interrupted(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}
