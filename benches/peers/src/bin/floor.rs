//! The floor: the cost of the kernel for a server with one thread. It parses nothing. A request is
//! one `recv` and one `send`, and all ready connections share one `epoll_wait`. The argument is a
//! line with which it greets every connection.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::{env, io};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

const EVENTS_MAX: usize = 1024;
const BLOCK_LEN: usize = 64 * 1024;

/// The events that every connection is registered for, edge-triggered. Writability is added only
/// while a peer takes nothing.
const READING: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ET);

fn main() -> io::Result<()> {
    let listener = tinytcp_peers::listen()?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(index(&listener) as u64),
        EventFlags::IN | EventFlags::ET,
    )?;
    let greeting = env::args().nth(1).map_or(Vec::new(), |line| format!("{line}\n").into_bytes());
    let mut echo = Echo {
        epoll,
        greeting,
        connections: Vec::new(),
        unsent: HashMap::new(),
        block: vec![0; BLOCK_LEN],
    };
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        match epoll::wait(&echo.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let (index, flags) = (event.data.u64() as usize, event.flags);
            if index == self::index(&listener) {
                while let Ok(connection) =
                    accept_with(&listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)
                {
                    echo.open(connection)?;
                }
            } else if echo.drive(index, flags).is_err() {
                echo.close(index);
            }
        }
    }
}

/// Returns the place of a connection: the number of its descriptor.
fn index(descriptor: &impl AsRawFd) -> usize {
    descriptor.as_raw_fd() as usize
}

struct Echo {
    epoll: OwnedFd,
    greeting: Vec<u8>,
    connections: Vec<Option<OwnedFd>>,
    /// The bytes that a peer has not taken. Nothing more is read from that peer until it has.
    unsent: HashMap<usize, Vec<u8>>,
    block: Vec<u8>,
}

impl Echo {
    fn open(&mut self, connection: OwnedFd) -> io::Result<()> {
        let index = index(&connection);
        if !self.greeting.is_empty() {
            // A failure ends the connection when it is read next.
            let _ = send_all(&connection, &self.greeting);
        }
        epoll::add(&self.epoll, &connection, EventData::new_u64(index as u64), READING)?;
        if self.connections.len() <= index {
            self.connections.resize_with(index + 1, || None);
        }
        self.connections[index] = Some(connection);
        Ok(())
    }

    fn close(&mut self, index: usize) {
        self.connections[index] = None;
        self.unsent.remove(&index);
    }

    /// Sends back what has arrived. A short read has emptied the receive buffer, unless the peer
    /// has ended its input, which the kernel announces once.
    ///
    /// # Errors
    /// When the connection is over.
    fn drive(&mut self, index: usize, flags: EventFlags) -> Result<(), Errno> {
        let Some(connection) = &self.connections[index] else { return Ok(()) };
        if !self.unsent.is_empty()
            && let Some(unsent) = self.unsent.get_mut(&index)
        {
            let sent = send_all(connection, unsent)?;
            unsent.drain(..sent);
            if !unsent.is_empty() {
                return Ok(());
            }
            self.unsent.remove(&index);
            // This also announces again what has arrived in the meantime.
            return epoll::modify(
                &self.epoll,
                connection,
                EventData::new_u64(index as u64),
                READING,
            );
        }
        loop {
            let (count, _) = match recv(connection, self.block.as_mut_slice(), RecvFlags::empty()) {
                Ok((0, _)) => return Err(Errno::CONNRESET),
                Err(Errno::AGAIN) => return Ok(()),
                other => other?,
            };
            let sent = send_all(connection, &self.block[..count])?;
            if sent < count {
                self.unsent.insert(index, self.block[sent..count].to_vec());
                let writing = READING | EventFlags::OUT;
                return epoll::modify(
                    &self.epoll,
                    connection,
                    EventData::new_u64(index as u64),
                    writing,
                );
            }
            if count < BLOCK_LEN && !flags.contains(EventFlags::RDHUP) {
                return Ok(());
            }
        }
    }
}

/// Sends until all is sent or the peer takes no more, and returns the number of bytes that it took.
fn send_all(connection: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    let mut sent = 0;
    while sent < bytes.len() {
        match send(connection, &bytes[sent..], SendFlags::NOSIGNAL) {
            Ok(count) => sent += count,
            Err(Errno::AGAIN) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}
