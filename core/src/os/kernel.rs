//! The seam on the real operating system, through `mio`.

use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

use mio::{Events, Interest, Poll, Waker};
use signal_hook_mio::v1_0::Signals;
use socket2::{Domain, Protocol, Socket as RawSocket, Type};

use crate::os::clock::Reading;
use crate::os::listen::Listener;
use crate::os::mailbox::{Handle, Mail};
use crate::os::moment::Moment;
use crate::os::peer::PeerAddr;
use crate::os::running_time::RunningTime;
use crate::os::stream::Stream;
use crate::os::system::{Event, Readiness, Socket, System, interrupted};
use crate::os::table::Token;

/// How many events one wait fetches. More ready connections than that are fetched by the next one.
/// At a tenth, 1000 active connections would cost ten waits a round instead of one; more would only
/// make rounds longer.
const EVENTS_MAX: usize = 1024;

const WAKER: mio::Token = mio::Token(usize::MAX);
const SIGNALS: mio::Token = mio::Token(usize::MAX - 1);
/// Listener `index` has the token `FIRST_LISTENER - index`.
const FIRST_LISTENER: usize = usize::MAX - 2;

/// A wait for a deadline is made of waits no longer than this, so that a stop of the process is
/// noticed. It costs two calls a second while any connection is open; a stop may look longer than
/// it was by this much.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// The operating system.
pub struct Kernel {
    poll: Poll,
    events: Events,
    listeners: Vec<Listener>,
    /// How many connections of unix sockets were accepted, which has no end: it begins anew.
    unix_peers: u32,
    handle: Handle,
    mailbox: Receiver<Mail>,
    signals: Option<Signals>,
    started: Instant,
    running: RunningTime,
    /// How long the last wait may have lasted, until the clocks are read.
    waited_max: Duration,
    stalls: (u64, Duration),
}

impl Kernel {
    /// Watches `listeners`, which keep their places as indices.
    ///
    /// # Errors
    /// When the kernel refuses a poller or a registration, for instance because no descriptor is
    /// left.
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
            listeners,
            unix_peers: 0,
            handle,
            mailbox,
            signals: None,
            started: Instant::now(),
            running: RunningTime::default(),
            waited_max: Duration::ZERO,
            stalls: (0, Duration::ZERO),
        })
    }

    /// Has each arrival of one of `signals` reported as a request to stop. SIGHUP stays ignored where
    /// the parent process ignores it, as `nohup` does. A signal that this thread blocks does not
    /// arrive.
    ///
    /// # Errors
    /// When a signal cannot be caught.
    pub fn stop_on(&mut self, signals: &[i32]) -> io::Result<()> {
        let caught = signals
            .iter()
            .copied()
            .filter(|signal| *signal != libc::SIGHUP || !is_hangup_ignored());
        let caught: Vec<i32> = caught.collect();
        let mut signals = Signals::new(&caught)?;
        self.poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// Makes sure that `count` more descriptors can be opened.
    ///
    /// # Errors
    /// When the limit of open files is below that.
    pub fn check_room(&self, count: usize) -> io::Result<()> {
        let spares =
            (0..count).map(|_| RawSocket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)));
        spares.collect::<io::Result<Vec<_>>>().map(drop)
    }

    /// Reaches the loop from another thread.
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
            self.stalls = (self.stalls.0 + 1, self.stalls.1 + stall);
            log::warn!(
                "the server did not run for {:.1} s: all deadlines move by that",
                stall.as_secs_f64()
            );
        }
        Reading { moment: Moment::START.after(counted), wall: SystemTime::now() }
    }

    fn wait(&mut self, timeout: Option<Duration>, mut handle: impl FnMut(Event)) -> io::Result<()> {
        let timeout = timeout.map(|timeout| timeout.min(WAIT_MAX));
        self.waited_max = timeout.unwrap_or(Duration::MAX);
        match self.poll.poll(&mut self.events, timeout) {
            // The caller computes the timeout afresh: waiting on with the old one could go on for
            // ever under signals. What has interrupted is asked for here, because its
            // handler announces it by a byte in a socket, and the kernel may have no
            // memory for that byte: then no event follows. No other thread of the server's takes
            // signals. (Not caught: the same while nobody waits.)
            Err(error) if interrupted(&error) => {
                report_signals(&mut self.signals, &mut handle);
                return Ok(());
            }
            result => result?,
        }
        for event in &self.events {
            match event.token() {
                WAKER => self.mailbox.try_iter().for_each(|mail| handle(Event::Mail(mail))),
                SIGNALS => report_signals(&mut self.signals, &mut handle),
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
            Some(Listener::Tcp(listener)) => uninterrupted(|| listener.accept())
                .map(|(socket, addr)| (Stream::from(socket), PeerAddr::Ip(addr))),
            Some(Listener::Unix(listener)) => {
                let socket = uninterrupted(|| listener.accept())?;
                self.unix_peers = self.unix_peers.wrapping_add(1);
                Ok((socket, PeerAddr::Unix(self.unix_peers)))
            }
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn register(&mut self, socket: &mut Stream, token: Token) -> io::Result<()> {
        // Everything, once and for all: an interest that never changes costs no system call, and
        // since events are edges it wakes nobody twice. 1000 small answers cause no extra
        // event, a full socket that empties causes one.
        let interest = Interest::READABLE | Interest::WRITABLE;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let interest = interest | Interest::PRIORITY;
        self.poll.registry().register(socket, mio::Token(token.to_usize()), interest)
    }

    fn close_listeners(&mut self) {
        self.listeners.clear();
    }

    fn stalls(&self) -> (u64, Duration) {
        self.stalls
    }
}

/// True exactly when this process was started with SIGHUP ignored. Only Linux says so.
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored & 1 << (libc::SIGHUP - 1) != 0
}

fn report_signals(signals: &mut Option<Signals>, handle: &mut impl FnMut(Event)) {
    signals.iter_mut().flat_map(Signals::pending).for_each(|_| handle(Event::Mail(Mail::Stop)));
}

fn readiness(event: &mio::event::Event) -> Readiness {
    // Errors and hang-ups make both directions ready: the call that follows learns which error it
    // is.
    let failed = event.is_error() || event.is_write_closed();
    Readiness {
        readable: event.is_readable() || event.is_read_closed() || failed,
        writable: event.is_writable() || failed,
        read_to_end: event.is_read_closed() || event.is_priority() || failed,
    }
}

// Dropping the stream closes its only descriptor, which also ends its registration: no `deregister`
// is owed.
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
