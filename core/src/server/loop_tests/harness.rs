//! A harness for tests of the loop: a simulated kernel with a simulated clock, and peers that the
//! test controls.
//!
//! Readiness is edge-triggered as in a real kernel: an event comes when bytes, room, the end of
//! input or an error arrive, and not again while they last.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::os::clock::Reading;
use crate::os::moment::Moment;
use crate::os::peer::PeerAddr;
use crate::os::system::{Event, Readiness, Socket, System};
use crate::os::table::Token;
use crate::protocol::Protocol;
use crate::server::config::{Config, Service};
use crate::server::event_loop::EventLoop;

/// The simulated kernel, which the loop and the test share.
pub(super) struct FakeKernel {
    now: Moment,
    events: VecDeque<Event>,
    /// The accept queues: the index of the listener, and the next result of `accept`.
    backlog: VecDeque<(usize, io::Result<Rc<RefCell<Link>>>)>,
    /// The results of the next calls of `connect`.
    outgoing: VecDeque<io::Result<Rc<RefCell<Link>>>>,
    /// The addresses of all calls of `connect`.
    pub(super) connected: Vec<SocketAddr>,
    /// The hosts that were looked up.
    pub(super) looked_up: Vec<(String, u16)>,
    /// True if a connection can be registered.
    pub(super) watches_left: bool,
    /// The timeout of the last wait.
    timeout: Option<Duration>,
    /// True if the last wait would have slept.
    is_quiet: bool,
}

/// The state of one connection in the simulated kernel.
pub(super) struct Link {
    addr: PeerAddr,
    token: Option<Token>,
    inbound: VecDeque<u8>,
    inbound_ended: bool,
    /// The most bytes of one read.
    pub(super) read_max: usize,
    /// The most bytes of one write.
    pub(super) write_max: usize,
    /// How many more bytes the server can write.
    room: usize,
    /// True if a write was not accepted in whole: new room then causes an event.
    is_full: bool,
    pub(super) error: Option<io::ErrorKind>,
    /// True if the peer is gone and the server does not know it yet: shutting the write side down
    /// then fails.
    pub(super) has_gone: bool,
    /// The bytes that the server has sent.
    pub(super) sent: Vec<u8>,
    pub(super) sent_end: bool,
    pub(super) was_reset: bool,
    pub(super) is_closed: bool,
    /// The number of reads.
    pub(super) reads: usize,
    /// The number of writes.
    pub(super) writes: usize,
}

impl Link {
    /// Adds bytes to the socket without an event.
    pub(super) fn inbound_push(&mut self, bytes: &[u8]) {
        self.inbound.extend(bytes);
    }

    /// The number of bytes that the server has not read.
    pub(super) fn inbound_len(&self) -> usize {
        self.inbound.len()
    }
}

pub(super) struct FakeSystem(Rc<RefCell<FakeKernel>>);
pub(super) struct FakeSocket(Rc<RefCell<Link>>);

impl System for FakeSystem {
    type Socket = FakeSocket;

    fn read_clocks(&mut self) -> Reading {
        let moment = self.0.borrow().now;
        Reading { moment, wall: SystemTime::UNIX_EPOCH + moment.since(Moment::START), stall: None }
    }

    fn wait(&mut self, timeout: Option<Duration>, mut handle: impl FnMut(Event)) -> io::Result<()> {
        let mut kernel = self.0.borrow_mut();
        kernel.timeout = timeout;
        kernel.is_quiet = timeout != Some(Duration::ZERO) && kernel.events.is_empty();
        kernel.events.drain(..).for_each(&mut handle);
        Ok(())
    }

    fn accept(&mut self, listener: usize) -> io::Result<(FakeSocket, PeerAddr)> {
        let backlog = &mut self.0.borrow_mut().backlog;
        let next = backlog
            .iter()
            .position(|(index, _)| *index == listener)
            .and_then(|next| backlog.remove(next));
        let link = next.map_or(Err(io::ErrorKind::WouldBlock.into()), |(_, link)| link)?;
        let addr = link.borrow().addr;
        Ok((FakeSocket(link), addr))
    }

    fn connect(&mut self, addr: SocketAddr) -> io::Result<FakeSocket> {
        let mut kernel = self.0.borrow_mut();
        kernel.connected.push(addr);
        let refused = || Err(io::ErrorKind::ConnectionRefused.into());
        kernel.outgoing.pop_front().unwrap_or_else(refused).map(FakeSocket)
    }

    fn look_up(&mut self, host: &str, port: u16) -> io::Result<()> {
        self.0.borrow_mut().looked_up.push((host.to_owned(), port));
        Ok(())
    }

    fn register(&mut self, socket: &mut FakeSocket, token: Token) -> io::Result<()> {
        if !self.0.borrow().watches_left {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut link = socket.0.borrow_mut();
        link.token = Some(token);
        let readable = !link.inbound.is_empty() || link.inbound_ended || link.error.is_some();
        let readiness =
            Readiness { readable, writable: link.room > 0, read_to_end: link.inbound_ended };
        self.0.borrow_mut().events.push_back(Event::Connection(token, readiness));
        Ok(())
    }

    fn close_listeners(&mut self) {
        self.0.borrow_mut().backlog.clear();
    }
}

impl Socket for FakeSocket {
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut link = self.0.borrow_mut();
        link.reads += 1;
        if let Some(error) = link.error {
            return Err(error.into());
        }
        let count = buf.len().min(link.inbound.len()).min(link.read_max);
        if count == 0 && !link.inbound_ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buf.iter_mut().zip(link.inbound.drain(..count)).for_each(|(place, byte)| *place = byte);
        Ok(count)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(!bytes.is_empty(), "an empty write");
        let mut link = self.0.borrow_mut();
        link.writes += 1;
        if let Some(error) = link.error {
            return Err(error.into());
        }
        let count = bytes.len().min(link.room).min(link.write_max);
        link.is_full |= link.room < bytes.len();
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        link.room -= count;
        link.sent.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        let mut link = self.0.borrow_mut();
        if link.has_gone {
            return Err(io::ErrorKind::NotConnected.into());
        }
        link.sent_end = true;
        Ok(())
    }

    fn reset_on_close(&mut self) {
        self.0.borrow_mut().was_reset = true;
    }
}

impl Drop for FakeSocket {
    fn drop(&mut self) {
        self.0.borrow_mut().is_closed = true;
    }
}

/// A loop on a simulated kernel.
pub(super) struct LoopHarness {
    pub(super) event_loop: EventLoop<FakeSystem>,
    pub(super) kernel: Rc<RefCell<FakeKernel>>,
}

/// The test's end of one connection.
#[derive(Clone)]
pub(super) struct FakePeer {
    pub(super) link: Rc<RefCell<Link>>,
    kernel: Rc<RefCell<FakeKernel>>,
}

impl LoopHarness {
    /// Creates a loop with one listener for `protocol`.
    pub(super) fn new(protocol: impl Protocol + 'static, config: impl Into<Config>) -> Self {
        let protocol: Arc<dyn Protocol> = Arc::new(protocol);
        Self::with_listeners(vec![protocol], config)
    }

    /// Creates a loop with a listener for each of `services`.
    pub(super) fn with_listeners(
        services: Vec<impl Into<Service>>,
        config: impl Into<Config>,
    ) -> Self {
        let kernel = Rc::new(RefCell::new(FakeKernel {
            now: Moment::START,
            events: VecDeque::new(),
            backlog: VecDeque::new(),
            outgoing: VecDeque::new(),
            connected: Vec::new(),
            looked_up: Vec::new(),
            watches_left: true,
            timeout: None,
            is_quiet: false,
        }));
        let system = FakeSystem(Rc::clone(&kernel));
        Self { event_loop: EventLoop::new(system, services, &config.into()), kernel }
    }

    /// Adds a peer to the accept queue, with an event.
    pub(super) fn queue_peer(&mut self) -> FakePeer {
        self.queue_peer_at(0)
    }

    /// Adds a peer to the accept queue of a listener, with an event.
    pub(super) fn queue_peer_at(&mut self, listener: usize) -> FakePeer {
        self.queue_peer_from(([127, 0, 0, 1], 1).into(), listener)
    }

    /// Adds a peer with an address to the accept queue of a listener, with an event.
    pub(super) fn queue_peer_from(&mut self, addr: PeerAddr, listener: usize) -> FakePeer {
        let peer = self.unconnected(addr);
        let mut kernel = self.kernel.borrow_mut();
        kernel.backlog.push_back((listener, Ok(Rc::clone(&peer.link))));
        kernel.events.push_back(Event::Listener(listener));
        drop(kernel);
        peer
    }

    /// Returns the peer that the next `connect` of the loop reaches.
    pub(super) fn await_connect(&mut self) -> FakePeer {
        let peer = self.unconnected(([127, 0, 0, 1], 1).into());
        self.kernel.borrow_mut().outgoing.push_back(Ok(Rc::clone(&peer.link)));
        peer
    }

    /// Lets the next `connect` of the loop reach no peer.
    pub(super) fn refuse_connects(&mut self) {
        self.kernel.borrow_mut().outgoing.clear();
    }

    fn unconnected(&self, addr: PeerAddr) -> FakePeer {
        let link = Link {
            addr,
            token: None,
            inbound: VecDeque::new(),
            inbound_ended: false,
            read_max: usize::MAX,
            write_max: usize::MAX,
            room: usize::MAX,
            is_full: false,
            error: None,
            has_gone: false,
            sent: Vec::new(),
            sent_end: false,
            was_reset: false,
            is_closed: false,
            reads: 0,
            writes: 0,
        };
        FakePeer { link: Rc::new(RefCell::new(link)), kernel: Rc::clone(&self.kernel) }
    }

    /// Connects a peer: it is accepted, and its greeting is discarded.
    pub(super) fn peer(&mut self) -> FakePeer {
        let peer = self.queue_peer();
        self.run_until_idle();
        peer.take_sent();
        peer
    }

    /// Makes the next `accept` of the first listener fail.
    pub(super) fn fail_accept(&mut self, errno: i32) {
        self.fail_accept_at(0, errno);
    }

    /// Makes the next `accept` of a listener fail.
    pub(super) fn fail_accept_at(&mut self, listener: usize, errno: i32) {
        let failure = Err(io::Error::from_raw_os_error(errno));
        self.kernel.borrow_mut().backlog.push_back((listener, failure));
    }

    /// Delivers an event.
    pub(super) fn event(&mut self, event: Event) {
        self.kernel.borrow_mut().events.push_back(event);
    }

    /// Runs rounds until the loop would sleep, twice in a row: the round in between acts on
    /// deadlines that have passed.
    pub(super) fn run_until_idle(&mut self) {
        let mut quiet_turns = 0;
        for _ in 0..100_000 {
            self.event_loop.round().expect("a simulated wait never fails");
            quiet_turns = if self.kernel.borrow().is_quiet { quiet_turns + 1 } else { 0 };
            if quiet_turns == 2 || self.event_loop.is_over() {
                return;
            }
        }
        panic!("the loop never sleeps: it spins");
    }

    /// Lets `time` pass, and runs rounds whenever a timeout of the loop ends.
    pub(super) fn run_for(&mut self, time: Duration) {
        self.run_until_idle();
        let end = self.kernel.borrow().now.after(time);
        loop {
            let wake = {
                let kernel = self.kernel.borrow();
                kernel.timeout.map_or(Moment::NEVER, |timeout| kernel.now.after(timeout))
            };
            self.kernel.borrow_mut().now = wake.min(end);
            self.run_until_idle();
            if wake >= end || self.event_loop.is_over() {
                return;
            }
        }
    }

    /// Ends the loop.
    pub(super) fn finish(self) {
        let _ = self.event_loop.finish();
    }

    /// The timeout of the last wait.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.kernel.borrow().timeout
    }

    /// Moves the clock without a round, as if the process had been stopped.
    pub(super) fn move_clock(&mut self, time: Duration) {
        let mut kernel = self.kernel.borrow_mut();
        kernel.now = kernel.now.after(time);
    }
}

impl FakePeer {
    fn event(&self, readiness: Readiness) {
        if let Some(token) = self.token() {
            self.kernel.borrow_mut().events.push_back(Event::Connection(token, readiness));
        }
    }

    /// The token under which the server registered the connection.
    pub(super) fn token(&self) -> Option<Token> {
        self.link.borrow().token
    }

    /// Sends bytes.
    pub(super) fn send(&self, bytes: &[u8]) {
        self.link.borrow_mut().inbound.extend(bytes);
        self.event(Readiness { readable: true, ..Readiness::default() });
    }

    /// Sends bytes and the end of input with a single event.
    pub(super) fn send_and_end(&self, bytes: &[u8]) {
        self.link.borrow_mut().inbound.extend(bytes);
        self.link.borrow_mut().inbound_ended = true;
        self.event(Readiness { readable: true, writable: false, read_to_end: true });
    }

    /// Makes room for `room` more bytes from the server.
    pub(super) fn set_room(&self, room: usize) {
        self.link.borrow_mut().room = room;
        if room > 0 && std::mem::take(&mut self.link.borrow_mut().is_full) {
            self.event(Readiness { writable: true, ..Readiness::default() });
        }
    }

    /// Resets the connection.
    pub(super) fn reset(&self) {
        self.link.borrow_mut().error = Some(io::ErrorKind::ConnectionReset);
        self.event(Readiness { readable: true, writable: true, read_to_end: true });
    }

    /// Returns the bytes that the server has sent since the last call.
    pub(super) fn take_sent(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.link.borrow_mut().sent))
            .expect("answers in UTF-8")
    }

    pub(super) fn is_closed(&self) -> bool {
        self.link.borrow().is_closed
    }
}
