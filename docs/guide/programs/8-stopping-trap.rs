//! Step 8, the trap: deadlines that wake nothing, and a stop that answers nothing.

#[path = "8-connection.rs"]
mod connection;

use std::collections::VecDeque;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use connection::{Connection, Turn, would_block};
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use slab::Slab;
use socket2::{Domain, Socket, Type};

/// The token of the listener.
const LISTENER: Token = Token(usize::MAX);
/// The token of the signals that stop the server.
const SIGNALS: Token = Token(usize::MAX - 1);

/// The lower half of a token is a key, the upper half a generation.
const GENERATION_SHIFT: u32 = usize::BITS / 2;

/// How many connections the kernel keeps for us until we accept them.
const BACKLOG: i32 = 1024;

/// The pause in accepting after an error. It ends early when a connection is closed.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

fn main() -> io::Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7007".to_owned());
    let idle = std::env::args().nth(2).and_then(|millis| millis.parse().ok()).unwrap_or(60_000);
    Server::bind(&addr, Duration::from_millis(idle))?.run()
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    connections: Table,
    /// Connections that wait for a turn. Some may have been closed since.
    run_queue: VecDeque<Token>,
    /// When to accept again after an error. No event reports free descriptors.
    retry_at: Option<Instant>,
    /// A connection ends after so long without a byte in either direction.
    idle: Duration,
    signals: Signals,
    stopping: bool,
}

/// The connections, found by their tokens.
///
/// The slab uses the key of a closed connection again. So a token is the key and, in its upper
/// half, a generation: the number of the connection that was stored under the key.
#[derive(Default)]
struct Table {
    slab: Slab<(Token, Connection)>,
    generation: usize,
}

impl Server {
    fn bind(addr: &str, idle: Duration) -> io::Result<Self> {
        let addr = addr.parse().map_err(io::Error::other)?;
        let mut listener = listen(addr)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        println!("listening on {}", listener.local_addr()?);
        Ok(Self {
            poll,
            listener,
            connections: Table::default(),
            run_queue: VecDeque::new(),
            retry_at: None,
            idle,
            signals,
            stopping: false,
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            self.wait(&mut events)?;
            if self.stopping {
                return Ok(());
            }
            if self.retry_at.is_some_and(|at| at <= Instant::now()) {
                self.accept();
            }
            self.run_ready();
            self.expire();
        }
    }

    /// Waits for events and remembers them.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        match self.poll.poll(events, self.timeout()) {
            // A signal ended the wait, for example after Ctrl-Z and `fg`.
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in events.iter() {
            match event.token() {
                LISTENER => self.accept(),
                SIGNALS => self.stopping = self.signals.pending().next().is_some(),
                token => self.remember(token, event),
            }
        }
        Ok(())
    }

    /// How long the loop may sleep if no event comes; `None` is for ever.
    fn timeout(&self) -> Option<Duration> {
        if !self.run_queue.is_empty() {
            return Some(Duration::ZERO);
        }
        self.retry_at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Remembers an event. Nothing is read or written before the connection's turn.
    fn remember(&mut self, token: Token, event: &Event) {
        if let Some(connection) = self.connections.get_mut(token) {
            connection.readable |= event.is_readable();
            connection.peer_closed |= event.is_read_closed();
            self.enqueue(token);
        }
    }

    /// Puts a connection at the end of the run queue, unless it is in there already.
    fn enqueue(&mut self, token: Token) {
        if let Some(connection) = self.connections.get_mut(token)
            && !std::mem::replace(&mut connection.queued, true)
        {
            self.run_queue.push_back(token);
        }
    }

    /// Runs one turn of each connection that is in the run queue now.
    fn run_ready(&mut self) {
        for _ in 0..self.run_queue.len() {
            if let Some(token) = self.run_queue.pop_front() {
                self.drive(token);
            }
        }
    }

    /// Accepts all connections that wait.
    fn accept(&mut self) {
        self.retry_at = None;
        let mut made_room = false;
        loop {
            match self.listener.accept() {
                Ok((stream, addr)) => {
                    log(format_args!("connection from {addr}"));
                    if let Err(error) = self.insert(stream) {
                        log(format_args!("cannot watch {addr}: {error}"));
                    }
                }
                Err(error) if would_block(&error) => return,
                // One client has left again already. The next one may still be there.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(_) if !made_room && self.make_room() => made_room = true,
                Err(error) => {
                    log(format_args!("cannot accept: {error}; trying again later"));
                    self.retry_at = Some(Instant::now() + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    /// Closes the connection that has been silent for longest. Returns false when there is none.
    fn make_room(&mut self) -> bool {
        let Some((_, token)) = self.connections.first_due() else { return false };
        log(format_args!("a connection is closed to make room"));
        self.close(token);
        true
    }

    fn insert(&mut self, mut stream: TcpStream) -> io::Result<()> {
        // A small answer leaves at once. Without this it may wait for the client's kernel.
        stream.set_nodelay(true)?;
        // Both directions, once, for the whole life of the connection.
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = self.connections.next_token();
        self.poll.registry().register(&mut stream, token, interest)?;
        self.connections.insert(Connection::new(stream, self.idle));
        Ok(())
    }

    /// Runs one turn of a connection.
    fn drive(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else { return };
        connection.queued = false;
        match connection.drive() {
            Ok(Turn::Idle) => {}
            Ok(Turn::Yield) => self.enqueue(token),
            // An error ends this connection and nothing else.
            Ok(Turn::Close) | Err(_) => self.close(token),
        }
    }

    /// Closes the connections whose deadline has passed.
    fn expire(&mut self) {
        while let Some((due, token)) = self.connections.first_due()
            && due <= Instant::now()
        {
            self.close(token);
        }
    }

    /// The one place where a connection ends.
    fn close(&mut self, token: Token) {
        self.connections.remove(token);
        // A descriptor is free again.
        if let Some(at) = &mut self.retry_at {
            *at = Instant::now();
        }
    }
}

impl Table {
    /// The token that the next connection will have.
    fn next_token(&self) -> Token {
        Token((self.generation + 1) << GENERATION_SHIFT | self.slab.vacant_key())
    }

    fn insert(&mut self, connection: Connection) {
        let token = self.next_token();
        self.generation += 1;
        self.slab.insert((token, connection));
    }

    /// The connection with this token, unless it has been closed.
    fn get_mut(&mut self, token: Token) -> Option<&mut Connection> {
        let (stored, connection) = self.slab.get_mut(key_of(token))?;
        (*stored == token).then_some(connection)
    }

    fn remove(&mut self, token: Token) {
        if self.get_mut(token).is_some() {
            self.slab.remove(key_of(token));
        }
    }

    /// The earliest deadline. It looks at all connections; the server keeps a heap instead.
    fn first_due(&self) -> Option<(Instant, Token)> {
        let dues = self.slab.iter().map(|(_, (token, connection))| (connection.due(), *token));
        dues.min_by_key(|(due, _)| *due)
    }
}

/// The place in the slab.
fn key_of(token: Token) -> usize {
    token.0 & ((1 << GENERATION_SHIFT) - 1)
}

/// Listens with a backlog of our own: `TcpListener::bind` asks the kernel for 128.
fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Prints a line. It does not panic when the reader of the output has gone, as `println!` does.
fn log(line: Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}
