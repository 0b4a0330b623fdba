//! The floor: what the kernel asks of any server with one thread. Nothing is parsed; a request is
//! one `recv` and one `send`, and `epoll_wait` is shared by all that are ready. An argument is the
//! line that it greets every connection with.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::{env, io};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

const EVENTS_MAX: usize = 1024;
const BLOCK_LEN: usize = 64 * 1024;

/// What every connection is registered for, edge-triggered. To write is waited for only while a
/// peer takes nothing.
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

/// A connection's place: the number of its descriptor.
fn index(descriptor: &impl AsRawFd) -> usize {
    descriptor.as_raw_fd() as usize
}

struct Echo {
    epoll: OwnedFd,
    greeting: Vec<u8>,
    connections: Vec<Option<OwnedFd>>,
    /// What a peer has not taken; nothing more is read from it until it has.
    unsent: HashMap<usize, Vec<u8>>,
    block: Vec<u8>,
}

impl Echo {
    fn open(&mut self, connection: OwnedFd) -> io::Result<()> {
        let index = index(&connection);
        if !self.greeting.is_empty() {
            // A connection that takes none of it is over, and says so when it is read.
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

    /// Sends back what has arrived. A short read is the end of it, unless the peer has ended its
    /// input: that is announced once.
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

/// Sends until all is sent or the peer takes no more; gives how many bytes it took.
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
