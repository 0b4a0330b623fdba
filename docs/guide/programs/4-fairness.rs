//! Step 4: a turn moves a bounded number of bytes, then the next connection has its turn.

use std::collections::VecDeque;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

/// The token of the listener. The token of a connection is its key in the slab.
const LISTENER: Token = Token(usize::MAX);

/// How many bytes one read may return.
const CHUNK: usize = 4096;

/// The high-water mark: while this many bytes of answers wait, no request is read.
const HIGH_WATER: usize = 64 << 10;

/// The budget: a turn that has read this many bytes is over.
const TURN_BYTES_MAX: usize = 16 << 10;

fn main() -> io::Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7007".to_owned());
    Server::bind(&addr)?.run()
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    connections: Slab<Connection>,
    /// The keys of connections that wait for a turn.
    run_queue: VecDeque<usize>,
}

struct Connection {
    stream: TcpStream,
    /// Answers that the kernel has not taken yet. Less than the high-water mark and one chunk.
    output: Vec<u8>,
    /// How many bytes were read in this turn.
    turn_bytes: usize,
    /// Remembered readiness: false once a read has found nothing, until an event follows.
    readable: bool,
    /// True exactly when its key is in the run queue.
    queued: bool,
}

/// What a connection needs after its turn.
enum Turn {
    /// The next event.
    Idle,
    /// Another turn: it has spent its budget.
    Yield,
    /// Its end.
    Close,
}

impl Server {
    fn bind(addr: &str) -> io::Result<Self> {
        let addr = addr.parse().map_err(io::Error::other)?;
        let mut listener = TcpListener::bind(addr)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        println!("listening on {}", listener.local_addr()?);
        Ok(Self { poll, listener, connections: Slab::new(), run_queue: VecDeque::new() })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            self.wait(&mut events)?;
            self.run_ready();
        }
    }

    /// Waits for events and remembers them.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        // A connection that waits for its turn waits for no event.
        let timeout = (!self.run_queue.is_empty()).then_some(Duration::ZERO);
        match self.poll.poll(events, timeout) {
            // A signal ended the wait, for example after Ctrl-Z and `fg`.
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in events.iter() {
            match event.token() {
                LISTENER => self.accept(),
                Token(key) => self.remember(key, event),
            }
        }
        Ok(())
    }

    /// Remembers an event. Nothing is read or written before the connection's turn.
    fn remember(&mut self, key: usize, event: &Event) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.readable |= event.is_readable();
            self.enqueue(key);
        }
    }

    /// Puts a connection at the end of the run queue, unless it is in there already.
    fn enqueue(&mut self, key: usize) {
        if let Some(connection) = self.connections.get_mut(key)
            && !std::mem::replace(&mut connection.queued, true)
        {
            self.run_queue.push_back(key);
        }
    }

    /// Runs one turn of each connection that is in the run queue now.
    fn run_ready(&mut self) {
        for _ in 0..self.run_queue.len() {
            if let Some(key) = self.run_queue.pop_front() {
                self.drive(key);
            }
        }
    }

    /// Accepts all connections that wait.
    fn accept(&mut self) {
        loop {
            match self.listener.accept().and_then(|(stream, _)| self.insert(stream)) {
                Ok(()) => {}
                Err(error) if would_block(&error) => return,
                Err(error) => return log(format_args!("cannot accept a connection: {error}")),
            }
        }
    }

    fn insert(&mut self, mut stream: TcpStream) -> io::Result<()> {
        // A small answer leaves at once. Without this it may wait for the client's kernel.
        stream.set_nodelay(true)?;
        let entry = self.connections.vacant_entry();
        // Both directions, once, for the whole life of the connection.
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(entry.key()), interest)?;
        entry.insert(Connection {
            stream,
            output: Vec::new(),
            turn_bytes: 0,
            readable: false,
            queued: false,
        });
        Ok(())
    }

    /// Runs one turn of a connection.
    fn drive(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.queued = false;
        let turn = connection.drive();
        if connection.turn_bytes > 0 {
            log(format_args!("connection {key}: a turn of {} bytes", connection.turn_bytes));
        }
        match turn {
            Ok(Turn::Idle) => {}
            Ok(Turn::Yield) => self.enqueue(key),
            // An error ends this connection and nothing else.
            Ok(Turn::Close) | Err(_) => drop(self.connections.remove(key)),
        }
    }
}

impl Connection {
    /// Sends back what has arrived.
    fn drive(&mut self) -> io::Result<Turn> {
        self.turn_bytes = 0;
        let mut buf = [0; CHUNK];
        loop {
            self.flush()?;
            if !self.readable || self.output.len() >= HIGH_WATER {
                return Ok(Turn::Idle); // an event follows
            }
            if self.turn_bytes >= TURN_BYTES_MAX {
                return Ok(Turn::Yield); // no event follows: the bytes are there already
            }
            match self.stream.read(&mut buf) {
                Ok(0) => return Ok(Turn::Close),
                Ok(len) => {
                    self.output.extend_from_slice(&buf[..len]);
                    self.turn_bytes += len;
                }
                Err(error) if would_block(&error) => self.readable = false,
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes the output until the kernel takes no more.
    fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(len) => drop(self.output.drain(..len)),
                // The kernel is full. An event follows when it has room again.
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// True exactly when the call has nothing to do now and an event will follow.
fn would_block(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

/// Prints a line. It does not panic when the reader of the output has gone, as `println!` does.
fn log(line: Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}
