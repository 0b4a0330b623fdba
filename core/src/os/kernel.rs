//! The implementation of [`System`] on the real operating system, with `mio`.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Waker};
use signal_hook_mio::v1_0::Signals;
use socket2::{Domain, Protocol, Socket as RawSocket, Type};

use crate::os::clock::Reading;
use crate::os::hangup;
use crate::os::listen::Listener;
use crate::os::mailbox::{Handle, Mail};
use crate::os::moment::Moment;
use crate::os::peer::PeerAddr;
use crate::os::running_time::RunningTime;
use crate::os::shared_port;
use crate::os::stream::Stream;
use crate::os::system::{Event, Readiness, Socket, System, interrupted};
use crate::os::table::Token;

/// How many events one wait returns; the next wait returns the others. With a tenth of this, 1000
/// active connections would need ten waits instead of one. More would only make rounds longer.
const EVENTS_MAX: usize = 1024;

const WAKER: mio::Token = mio::Token(usize::MAX);
const SIGNALS: mio::Token = mio::Token(usize::MAX - 1);
/// Listener `index` has the token `FIRST_LISTENER - index`.
const FIRST_LISTENER: usize = usize::MAX - 2;

/// The longest single wait. A longer wait for a deadline is split, so that the loop notices when
/// the process did not run. This costs two calls per second while a deadline is pending. A stall
/// can appear longer than it was by up to this time.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// The operating system.
pub struct Kernel {
    poll: Poll,
    events: Events,
    /// `None` where a listener was closed.
    listeners: Vec<Option<Listener>>,
    /// True once new connections are held back from shared ports.
    is_holding_back: bool,
    /// How many unix socket connections were accepted. It wraps around.
    unix_peers: u32,
    handle: Handle,
    mailbox: Receiver<Mail>,
    signals: Option<CaughtSignals>,
    started: Instant,
    running: RunningTime,
    /// The longest time that the last wait may have taken; reading the clocks resets it.
    waited_max: Duration,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

impl Kernel {
    /// Creates a poller that watches `listeners`; a listener's index is its place in the vector.
    ///
    /// # Errors
    /// When the kernel refuses a poller or a registration, for example because no descriptor is
    /// free.
    pub fn new(mut listeners: Vec<Listener>) -> io::Result<Self> {
        let poll = Poll::new()?;
        for (index, listener) in listeners.iter_mut().enumerate() {
            poll.registry().register(
                listener,
                mio::Token(FIRST_LISTENER - index),
                Interest::READABLE,
            )?;
        }
        let (handle, mailbox) = Handle::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            listeners: listeners.into_iter().map(Some).collect(),
            is_holding_back: false,
            unix_peers: 0,
            handle,
            mailbox,
            signals: None,
            started: Instant::now(),
            running: RunningTime::default(),
            waited_max: Duration::ZERO,
        })
    }

    /// Reports each arrival of a signal as the mail that is paired with it. SIGHUP stays ignored if
    /// the parent process ignores it, as `nohup` does. A signal that this thread blocks does not
    /// arrive.
    ///
    /// # Errors
    /// When a signal cannot be caught.
    pub fn catch(&mut self, mut mails: Vec<(i32, Mail)>) -> io::Result<()> {
        mails.retain(|(signal, _)| *signal != libc::SIGHUP || !hangup::is_ignored());
        let mut signals = Signals::new(mails.iter().map(|(signal, _)| signal))?;
        self.poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        self.signals = Some(CaughtSignals { signals, mails });
        Ok(())
    }

    /// Checks that `count` more descriptors can be opened.
    ///
    /// # Errors
    /// When the limit of open files is too low.
    pub fn check_descriptors(&self, count: usize) -> io::Result<()> {
        let spares =
            (0..count).map(|_| RawSocket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)));
        spares.collect::<io::Result<Vec<_>>>().map(drop)
    }

    /// Returns a handle with which other threads send mail to the loop.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl System for Kernel {
    type Socket = Stream;

    fn read_clocks(&mut self) -> Reading {
        let waited_max = std::mem::take(&mut self.waited_max);
        let (counted, stall) = self.running.read(self.started.elapsed(), waited_max);
        if let Some(stall) = stall {
            log::warn!(
                event = "stall", stall_seconds = stall.as_secs_f64();
                "the server did not run for {:.1} s: all deadlines are extended by this time",
                stall.as_secs_f64()
            );
        }
        Reading { moment: Moment::START.after(counted), wall: SystemTime::now(), stall }
    }

    fn wait(&mut self, timeout: Option<Duration>, mut handle: impl FnMut(Event)) -> io::Result<()> {
        let timeout = timeout.map(|timeout| timeout.min(WAIT_MAX));
        self.waited_max = timeout.unwrap_or(Duration::MAX);
        match self.poll.poll(&mut self.events, timeout) {
            // The loop waits again with a new timeout: waits with the old one might never end
            // under repeated signals. The signal is read here because its handler reports it by a
            // byte in a socket, and if the kernel has no memory for that byte, no event follows. (A
            // signal that arrives outside of a wait is lost in this case.)
            Err(error) if interrupted(&error) => {
                self.signals.iter_mut().for_each(|signals| signals.report(&mut handle));
                return Ok(());
            }
            result => result?,
        }
        for event in &self.events {
            match event.token() {
                WAKER => self.mailbox.try_iter().for_each(|mail| handle(Event::Mail(mail))),
                SIGNALS => self.signals.iter_mut().for_each(|signals| signals.report(&mut handle)),
                mio::Token(token) if FIRST_LISTENER - token < self.listeners.len() => {
                    handle(Event::Listener(FIRST_LISTENER - token));
                }
                mio::Token(token) => {
                    handle(Event::Connection(Token::from_usize(token), readiness(event)))
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self, listener: usize) -> io::Result<(Stream, PeerAddr)> {
        match self.listeners.get(listener) {
            Some(Some(Listener::Tcp(listener) | Listener::Inherited(listener))) => {
                uninterrupted(|| listener.accept())
                    .map(|(socket, addr)| (Stream::from(socket), PeerAddr::Ip(addr)))
            }
            Some(Some(Listener::Unix(listener))) => {
                let socket = uninterrupted(|| listener.accept())?;
                self.unix_peers = self.unix_peers.wrapping_add(1);
                Ok((socket, PeerAddr::Unix(self.unix_peers)))
            }
            Some(None) | None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn connect(&mut self, addr: SocketAddr) -> io::Result<Stream> {
        let stream = TcpStream::connect(addr)?;
        // A small message does not wait for the acknowledgement of the one before.
        stream.set_nodelay(true)?;
        Ok(Stream::from(stream))
    }

    fn look_up(&mut self, host: &str, port: u16) -> io::Result<()> {
        let (host, handle) = (host.to_owned(), self.handle());
        let look_up = move || {
            let addresses = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
            handle.send(Mail::Addresses(addresses.map_err(Arc::new)));
        };
        // A lookup blocks, and the system has no other one.
        thread::Builder::new().name("lookup".into()).spawn(look_up).map(drop)
    }

    fn register(&mut self, socket: &mut Stream, token: Token) -> io::Result<()> {
        // One registration for all kinds of events, which never changes and so costs no further
        // system call. Because events are edge-triggered, it causes no useless wake-ups: 1000 small
        // answers cause no event, and a full socket that empties causes one.
        let interest = Interest::READABLE | Interest::WRITABLE;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let interest = interest | Interest::PRIORITY;
        self.poll.registry().register(socket, mio::Token(token.to_usize()), interest)
    }

    fn hold_back(&mut self) -> Option<Duration> {
        if std::mem::replace(&mut self.is_holding_back, true) {
            return None;
        }
        self.listeners.iter().filter_map(shared).map(shared_port::hold_back).max()
    }

    fn leave_shared_ports(&mut self) {
        for listener in &mut self.listeners {
            if shared(listener).is_some() {
                *listener = None;
            }
        }
    }

    fn close_listeners(&mut self) {
        // An inherited socket stays open in the other program, and so would its registration.
        for listener in self.listeners.iter_mut().flatten() {
            // It fails only for a socket that is not registered.
            let _ = self.poll.registry().deregister(listener);
        }
        self.listeners.clear();
    }
}

/// Returns the socket of a listener whose port other processes share. It is none that another
/// program has opened: the packet filter would stay in that one, and its queue stays open anyway.
fn shared(listener: &Option<Listener>) -> Option<&TcpListener> {
    match listener {
        Some(Listener::Tcp(listener)) if shared_port::is_shared(listener) => Some(listener),
        _ => None,
    }
}

/// The signals that are caught, and what each of them requests.
struct CaughtSignals {
    signals: Signals,
    mails: Vec<(i32, Mail)>,
}

impl CaughtSignals {
    /// Reports the signals that have arrived.
    fn report(&mut self, handle: &mut impl FnMut(Event)) {
        for signal in self.signals.pending() {
            let mails = self.mails.iter().filter(|(caught, _)| *caught == signal);
            mails.for_each(|(_, mail)| handle(Event::Mail(mail.clone())));
        }
    }
}

/// Translates an event. `is_read_closed` is `EPOLLRDHUP`: the end of the input, which may have come
/// together with the last bytes. `is_priority` is `EPOLLPRI`: urgent bytes.
fn readiness(event: &mio::event::Event) -> Readiness {
    // Errors and hang-ups make both directions ready: the next call returns the error.
    let failed = event.is_error() || event.is_write_closed();
    Readiness {
        readable: event.is_readable() || event.is_read_closed() || failed,
        writable: event.is_writable() || failed,
        read_to_end: event.is_read_closed() || event.is_priority() || failed,
    }
}

// Dropping the stream closes its only descriptor, which also ends its registration: `deregister` is
// not needed.
impl Socket for Stream {
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
        Self::reset_on_close(self);
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
