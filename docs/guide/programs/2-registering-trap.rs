//! Step 2, a trap: the connection is registered for writing only while answers wait.

use std::io::{self, ErrorKind, Read, Write};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use slab::Slab;

/// The token of the listener. The token of a connection is its key in the slab.
const LISTENER: Token = Token(usize::MAX);

/// How many bytes one read may return.
const CHUNK: usize = 4096;

fn main() -> io::Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7007".to_owned());
    Server::bind(&addr)?.run()
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    connections: Slab<Connection>,
}

struct Connection {
    stream: TcpStream,
    /// Answers that the kernel has not taken yet.
    output: Vec<u8>,
    token: Token,
    /// How many events it has had, one turn for each.
    turns: usize,
}

/// What a connection needs after its turn.
enum Turn {
    /// The next event.
    Idle,
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
        Ok(Self { poll, listener, connections: Slab::new() })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, None) {
                // A signal ended the wait, for example after Ctrl-Z and `fg`.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    Token(key) => self.drive(key, event),
                }
            }
        }
    }

    /// Accepts all connections that wait.
    fn accept(&mut self) {
        loop {
            match self.listener.accept().and_then(|(stream, _)| self.insert(stream)) {
                Ok(()) => {}
                Err(error) if would_block(&error) => return,
                Err(error) => return eprintln!("cannot accept a connection: {error}"),
            }
        }
    }

    fn insert(&mut self, mut stream: TcpStream) -> io::Result<()> {
        // A small answer leaves at once. Without this it may wait for the client's kernel.
        stream.set_nodelay(true)?;
        let entry = self.connections.vacant_entry();
        let token = Token(entry.key());
        self.poll.registry().register(&mut stream, token, Interest::READABLE)?;
        entry.insert(Connection { stream, output: Vec::new(), token, turns: 0 });
        Ok(())
    }

    /// Runs one turn of a connection.
    fn drive(&mut self, key: usize, event: &Event) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.turns += 1;
        match connection.drive(event, self.poll.registry()) {
            Ok(Turn::Idle) => {}
            // An error ends this connection and nothing else.
            Ok(Turn::Close) | Err(_) => {
                println!("connection {key}: {} turns", connection.turns);
                self.connections.remove(key);
            }
        }
    }
}

impl Connection {
    /// Sends back what has arrived, once an event reports room for it.
    fn drive(&mut self, event: &Event, registry: &Registry) -> io::Result<Turn> {
        if event.is_writable() {
            self.flush()?;
        }
        let turn = if event.is_readable() { self.fill()? } else { Turn::Idle };
        // For writing only while answers wait: a new registration after each turn.
        let mut interest = Interest::READABLE;
        if !self.output.is_empty() {
            interest |= Interest::WRITABLE;
        }
        registry.reregister(&mut self.stream, self.token, interest)?;
        Ok(turn)
    }

    /// Reads until the socket is empty.
    fn fill(&mut self) -> io::Result<Turn> {
        let mut buf = [0; CHUNK];
        loop {
            match self.stream.read(&mut buf) {
                Ok(0) => return Ok(Turn::Close),
                Ok(len) => self.output.extend_from_slice(&buf[..len]),
                Err(error) if would_block(&error) => return Ok(Turn::Idle),
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
