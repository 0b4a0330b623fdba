//! The seam on the real operating system, through `mio`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Waker};
use signal_hook_mio::v1_0::Signals;
use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, TcpKeepalive, Type};

use super::clock::Reading;
use super::moment::Moment;
use super::system::{Event, Readiness, Socket, System, interrupted};
use super::table::Token;

/// How many events one wait fetches. More ready connections than that are fetched by the next one. At a tenth, 1000
/// active connections would cost ten waits a round instead of one; more would only make rounds longer.
const EVENTS_MAX: usize = 1024;

/// A peer that has been silent for so long is asked whether it still lives...
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// ...so often, one question after the other.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// How long it takes until a peer that died silently is noticed: 60 s, and three questions.
pub const SILENCE_TIMEOUT: Duration =
    Duration::from_secs(KEEPALIVE_IDLE.as_secs() + KEEPALIVE_RETRIES as u64 * KEEPALIVE_INTERVAL.as_secs());

/// How many bytes the kernel takes from one connection beyond what it can send at once: more than a turn's worth, so that
/// no turn is cut short by it. Without this bound it would keep up to 4 MB for a peer that never reads, and a few hundred
/// such peers would take all the memory that it has for TCP, everybody else's too. What is on its way does not count, so
/// that a peer that reads gets it no slower.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT_BYTES_MAX: u32 = 256 << 10;

/// The kernel takes no longer time than this in milliseconds for `TCP_USER_TIMEOUT`: 24 days.
#[cfg(any(target_os = "linux", target_os = "android"))]
const USER_TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);

const WAKER: mio::Token = mio::Token(usize::MAX);
const SIGNALS: mio::Token = mio::Token(usize::MAX - 1);
/// Listener `index` has the token `FIRST_LISTENER - index`.
const FIRST_LISTENER: usize = usize::MAX - 2;

/// The operating system.
pub struct Kernel {
    poll: Poll,
    events: Events,
    listeners: Vec<TcpListener>,
    /// How often a stop was asked for and not yet reported.
    stops: Arc<AtomicUsize>,
    waker: Arc<Waker>,
    signals: Option<Signals>,
    started: Instant,
}

impl Kernel {
    /// Watches `listeners`, which keep their places as indices.
    ///
    /// # Errors
    /// When the kernel refuses a poller or a registration, for instance because no descriptor is left.
    pub fn new(mut listeners: Vec<TcpListener>) -> io::Result<Self> {
        let poll = Poll::new()?;
        for (index, listener) in listeners.iter_mut().enumerate() {
            poll.registry().register(listener, mio::Token(FIRST_LISTENER - index), Interest::READABLE)?;
        }
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            listeners,
            stops: Arc::default(),
            waker,
            signals: None,
            started: Instant::now(),
        })
    }

    /// Has each arrival of one of `signals` reported as a request to stop.
    ///
    /// # Errors
    /// When a signal cannot be caught.
    pub fn stop_on(&mut self, signals: &[i32]) -> io::Result<()> {
        let mut signals = Signals::new(signals)?;
        self.poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// A way to ask for a stop from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper { stops: Arc::clone(&self.stops), waker: Arc::clone(&self.waker) }
    }
}

/// Asks the loop to stop, from any thread.
#[derive(Clone, Debug)]
pub struct Stopper {
    stops: Arc<AtomicUsize>,
    waker: Arc<Waker>,
}

impl Stopper {
    /// Asks once. The loop need not be running any more.
    pub fn stop(&self) {
        self.stops.fetch_add(1, Ordering::Release);
        // It fails only when the poller is gone, and then the loop has stopped.
        let _ = self.waker.wake();
    }
}

impl System for Kernel {
    type Socket = TcpStream;

    fn read_clocks(&self) -> Reading {
        Reading { moment: Moment::START.after(self.started.elapsed()), wall: SystemTime::now() }
    }

    fn wait(&mut self, timeout: Option<Duration>, mut handle: impl FnMut(Event)) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            // The caller computes the timeout afresh: waiting on with the old one could go on for ever under signals. What
            // has interrupted is asked for here, because its handler announces it by a byte in a socket, and the kernel
            // may have no memory for that byte: then no event follows. No other thread of the server's takes signals. (Not
            // caught: the same while nobody waits.)
            Err(error) if interrupted(&error) => {
                report_signals(&mut self.signals, &mut handle);
                return Ok(());
            }
            result => result?,
        }
        for event in &self.events {
            match event.token() {
                WAKER => (0..self.stops.swap(0, Ordering::Acquire)).for_each(|_| handle(Event::Stop)),
                SIGNALS => report_signals(&mut self.signals, &mut handle),
                mio::Token(token) if FIRST_LISTENER - token < self.listeners.len() => {
                    handle(Event::Listener(FIRST_LISTENER - token));
                }
                mio::Token(token) => handle(Event::Connection(Token::from_usize(token), readiness(event))),
            }
        }
        Ok(())
    }

    fn accept(&mut self, listener: usize) -> io::Result<(TcpStream, SocketAddr)> {
        uninterrupted(|| match self.listeners.get(listener) {
            Some(listener) => listener.accept(),
            None => Err(io::ErrorKind::WouldBlock.into()),
        })
    }

    fn register(&mut self, socket: &mut TcpStream, token: Token) -> io::Result<()> {
        // Everything, once and for all: an interest that never changes costs no system call, and since events are edges
        // it wakes nobody twice. 1000 small answers cause no extra event, a full socket that empties causes one.
        let interest = Interest::READABLE | Interest::WRITABLE;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let interest = interest | Interest::PRIORITY;
        self.poll.registry().register(socket, mio::Token(token.to_usize()), interest)
    }

    fn close_listeners(&mut self) {
        self.listeners.clear();
    }
}

fn report_signals(signals: &mut Option<Signals>, handle: &mut impl FnMut(Event)) {
    signals.iter_mut().flat_map(Signals::pending).for_each(|_| handle(Event::Stop));
}

fn readiness(event: &mio::event::Event) -> Readiness {
    // Errors and hang-ups make both directions ready: the call that follows learns which error it is.
    let failed = event.is_error() || event.is_write_closed();
    Readiness {
        readable: event.is_readable() || event.is_read_closed() || failed,
        writable: event.is_writable() || failed,
        read_to_end: event.is_read_closed() || event.is_priority() || failed,
    }
}

// Dropping the stream closes its only descriptor, which also ends its registration: no `deregister` is owed.
impl Socket for TcpStream {
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| self.read(buf))
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match uninterrupted(|| self.write(bytes))? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            count => Ok(count),
        }
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn reset_on_close(&mut self) {
        // If it fails the kernel keeps the unsent bytes until it gives the peer up by itself.
        let _ = SockRef::from(&*self).set_linger(Some(Duration::ZERO));
    }
}

fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if interrupted(&error) => {}
            result => return result,
        }
    }
}

/// Listens on `addr` with a kernel queue of `backlog` connections that are not yet accepted.
///
/// What is set here is inherited by every accepted connection, on Linux and the BSDs alike, and costs no system call
/// there: no delay for small answers; urgent bytes in their place in the stream, because `telnet` sends half of an escape
/// sequence as such; and keepalive, so that a peer which died silently is noticed after [`SILENCE_TIMEOUT`].
///
/// Keepalive asks only where nothing is under way. For a peer that died before it acknowledged an answer the kernel would
/// go on sending that for a quarter of an hour; so on Linux it gives such a peer up after `write_timeout`, or after
/// [`SILENCE_TIMEOUT`] if that is longer. Two more things obey this bound: a peer that lives and leaves its window closed
/// for so long is given up too, and keepalive waits for it where it is the longer one.
///
/// # Errors
/// When the address is in use, forbidden, or not of this machine.
pub fn listen(addr: SocketAddr, backlog: u32, write_timeout: Option<Duration>) -> io::Result<TcpListener> {
    let socket = RawSocket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        // An IPv6 listener that also takes IPv4 would be in the way of the IPv4 listener beside it.
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the old connections in `TIME_WAIT`; two servers on one port still exclude each other.
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_out_of_band_inline(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_RETRIES))?;
    bound_unanswered(&socket, write_timeout)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Bounds how long, and with how many bytes, the kernel waits for a peer that takes nothing.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn bound_unanswered(socket: &RawSocket, write_timeout: Option<Duration>) -> io::Result<()> {
    let timeout = write_timeout.map(|timeout| timeout.clamp(SILENCE_TIMEOUT, USER_TIMEOUT_MAX));
    socket.set_tcp_user_timeout(timeout)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)
}

/// Elsewhere there is no such bound.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bound_unanswered(_: &RawSocket, _: Option<Duration>) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_timeout_of_any_length_is_no_reason_not_to_listen() {
        for timeout in [None, Some(Duration::from_millis(1)), Some(Duration::from_hours(600)), Some(Duration::MAX)] {
            let listened = listen(([127, 0, 0, 1], 0).into(), 1, timeout);
            assert!(listened.is_ok(), "{timeout:?}: {listened:?}");
        }
    }
}
