//! Step 5, the trap: requests are lines, QUIT ends the connection, and each end comes too early.

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

/// The longest line that is answered.
const LINE_BYTES_MAX: usize = 64 << 10;

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
    /// The beginning of a line, whose end has not arrived yet.
    input: Vec<u8>,
    /// How many bytes were examined in all searches for a newline.
    examined: usize,
    /// Answers that the kernel has not taken yet.
    output: Vec<u8>,
    phase: Phase,
    /// True exactly when the client has ended its input and all of it has been read.
    input_ended: bool,
    /// Remembered readiness: false once a read has found nothing, until an event follows.
    readable: bool,
    /// True exactly when its key is in the run queue.
    queued: bool,
}

/// The phases of a connection.
#[derive(PartialEq)]
enum Phase {
    /// It reads requests.
    Open,
    /// It reads no more requests. The last answers wait for the client.
    Flushing,
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
            input: Vec::new(),
            examined: 0,
            output: Vec::new(),
            phase: Phase::Open,
            input_ended: false,
            readable: false,
            queued: false,
        });
        Ok(())
    }

    /// Runs one turn of a connection.
    fn drive(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.queued = false;
        match connection.drive() {
            Ok(Turn::Idle) => {}
            Ok(Turn::Yield) => self.enqueue(key),
            // An error ends this connection and nothing else.
            Ok(Turn::Close) | Err(_) => {
                log(format_args!("connection {key}: {} bytes examined", connection.examined));
                self.connections.remove(key);
            }
        }
    }
}

impl Connection {
    /// Reads requests and sends answers, until nothing moves or the budget is spent.
    fn drive(&mut self) -> io::Result<Turn> {
        let mut turn_bytes = 0;
        loop {
            self.flush()?;
            if self.phase == Phase::Flushing && self.output.is_empty() {
                return Ok(Turn::Close);
            }
            let wants_fill = self.phase != Phase::Flushing && self.output.len() < HIGH_WATER;
            if !self.readable || !wants_fill {
                return Ok(Turn::Idle); // an event follows
            }
            if turn_bytes >= TURN_BYTES_MAX {
                return Ok(Turn::Yield); // no event follows: the bytes are there already
            }
            turn_bytes += self.fill()?;
        }
    }

    /// Reads once. Returns the number of bytes.
    fn fill(&mut self) -> io::Result<usize> {
        let mut buf = [0; CHUNK];
        let len = match self.stream.read(&mut buf) {
            Err(error) if would_block(&error) => {
                self.readable = false;
                return Ok(0);
            }
            result => result?,
        };
        if len < CHUNK {
            // A short read has emptied the socket: the next one would find nothing and is left out.
            self.readable = false;
            self.input_ended = len == 0;
        }
        self.input.extend_from_slice(&buf[..len]);
        self.advance();
        if self.input_ended {
            self.phase = Phase::Flushing;
        }
        Ok(len)
    }

    /// Answers the whole lines of the input.
    fn advance(&mut self) {
        let mut consumed = 0;
        while let Some(newline) = self.find_newline(consumed) {
            let line = &self.input[consumed..=newline];
            consumed = newline + 1;
            if line == b"QUIT\n" {
                return self.end(b"BYE\n");
            }
            self.output.extend_from_slice(line);
        }
        self.input.drain(..consumed);
        if self.input.len() > LINE_BYTES_MAX {
            self.end(b"ERROR LINE_TOO_LONG\n");
        }
    }

    /// Finds the next newline from `start` on, and counts the bytes that it looks at.
    fn find_newline(&mut self, start: usize) -> Option<usize> {
        let rest = &self.input[start..];
        let found = rest.iter().position(|byte| *byte == b'\n');
        self.examined += found.map_or(rest.len(), |at| at + 1);
        found.map(|at| start + at)
    }

    /// Ends the conversation with a last answer.
    fn end(&mut self, answer: &[u8]) {
        self.output.extend_from_slice(answer);
        self.input = Vec::new();
        self.phase = Phase::Flushing;
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
