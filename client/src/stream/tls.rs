//! The stream of an encrypted connection.
//!
//! A thread that reads waits for the socket without a lock, and takes one only to decrypt what has
//! arrived. A thread that writes encrypts under the same lock, and sends without it. So a server
//! that stops reading until the client reads is no deadlock.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::mem;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, send};
use rustls::ClientConnection;
use tinytcp_cli::timed_read::is_readable;
use tinytcp_cli::tls::TlsClient;

use super::Transport;
use crate::error::reason;

/// The largest piece that is encrypted at once: it bounds the memory of a write.
const PIECE_LEN: usize = 64 << 10;

/// An encrypted connection.
#[derive(Debug)]
pub struct Tls {
    socket: TcpStream,
    /// The settings, which explain an error with its remedy.
    settings: TlsClient,
    /// Never locked during a call that waits.
    connection: Mutex<ClientConnection>,
    /// Locked while records are made and sent, so that they keep their order.
    outgoing: Mutex<Outgoing>,
}

/// Records that the socket has not taken yet.
#[derive(Debug, Default)]
struct Outgoing {
    records: Vec<u8>,
    /// The length of the caller's bytes in these records.
    content_len: usize,
}

impl Tls {
    /// Makes the handshake on `socket`, on which nothing of TLS was sent or received yet, before
    /// `deadline`; `None` waits forever.
    ///
    /// # Errors
    /// When it fails, or is late.
    pub fn connect(
        socket: TcpStream,
        settings: &TlsClient,
        deadline: Option<Instant>,
    ) -> Result<Self, HandshakeError> {
        let refused = |error| HandshakeError::Refused(settings.explain(&error));
        let mut connection =
            ClientConnection::new(Arc::clone(&settings.config), settings.name.clone())
                .map_err(refused)?;
        // The limit is the length of a piece.
        connection.set_buffer_limit(None);
        let mut is_first = true;
        loop {
            send_handshake(&mut connection, &socket, deadline)?;
            if !connection.is_handshaking() {
                break;
            }
            if !is_readable(&socket, deadline)? {
                return Err(HandshakeError::Late);
            }
            if mem::take(&mut is_first) && !begins_with_tls(&socket)? {
                return Err(HandshakeError::NoTls);
            }
            if connection.read_tls(&mut &socket)? == 0 {
                return Err(HandshakeError::Closed);
            }
            if let Err(error) = connection.process_new_packets() {
                // The alert only helps the log of the server. A failure is ignored, because the
                // error is known.
                let _ = send_handshake(&mut connection, &socket, deadline);
                return Err(refused(error));
            }
        }
        Ok(Self {
            socket,
            settings: settings.clone(),
            connection: Mutex::new(connection),
            outgoing: Mutex::default(),
        })
    }

    fn connection(&self) -> MutexGuard<'_, ClientConnection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the content of records, the end of the connection, or `until`. Returns the result
    /// of `take` for the content; an empty content is the end.
    fn wait<T>(
        &self,
        until: Option<Instant>,
        mut take: impl FnMut(&mut rustls::Reader<'_>) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        loop {
            if let Some(taken) = self.take(&mut take)? {
                return Ok(Some(taken));
            }
            if !is_readable(&self.socket, until)? {
                return Ok(None);
            }
            match self.connection().read_tls(&mut &self.socket) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }

    /// Returns the result of `take` for the content that has arrived; `None` if there is none.
    fn take<T>(
        &self,
        take: impl FnOnce(&mut rustls::Reader<'_>) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        let mut connection = self.connection();
        let processed = connection.process_new_packets().map(drop);
        // Content that arrived before an error is returned before it.
        let taken = take(&mut connection.reader());
        drop(connection);
        match (taken, processed) {
            (Ok(taken), _) => Ok(Some(taken)),
            (Err(_), Err(error)) => {
                self.send_now(|_| ());
                let sentence = self.settings.explain(&error);
                Err(io::Error::new(io::ErrorKind::InvalidData, sentence))
            }
            (Err(error), Ok(())) => match error.kind() {
                io::ErrorKind::WouldBlock => Ok(None),
                kind => Err(io::Error::new(kind, Truncated)),
            },
        }
    }

    /// Sends the records that `change` produces, as far as the socket takes them at once. Sends
    /// nothing while another thread writes, because that thread may wait for the server.
    fn send_now(&self, change: impl FnOnce(&mut ClientConnection)) {
        let Ok(mut outgoing) = self.outgoing.try_lock() else { return };
        let mut connection = self.connection();
        change(&mut connection);
        outgoing.seal(&mut connection);
        drop(connection);
        // A server that misses this sees a connection that was cut.
        let sent = send(self.socket.as_raw_fd(), &outgoing.records, MsgFlags::MSG_DONTWAIT);
        outgoing.records.drain(..sent.unwrap_or(0));
    }
}

impl Outgoing {
    /// Takes the records that `connection` has to send.
    fn seal(&mut self, connection: &mut ClientConnection) {
        while connection.wants_write() {
            // A write to memory never fails.
            let _ = connection.write_tls(&mut self.records);
        }
    }

    /// Sends all records. Keeps those that the socket does not take.
    fn send(&mut self, mut socket: &TcpStream) -> io::Result<()> {
        while !self.records.is_empty() {
            match socket.write(&self.records) {
                Ok(len) => drop(self.records.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Transport for Tls {
    fn read_until(&self, until: Option<Instant>, piece: &mut [u8]) -> io::Result<Option<usize>> {
        self.wait(until, |reader| reader.read(piece))
    }

    fn has_ended_by(&self, until: Option<Instant>) -> io::Result<Option<bool>> {
        self.wait(until, |reader| reader.fill_buf().map(<[u8]>::is_empty))
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut outgoing = self.outgoing();
        // Bytes whose records were sent in part are not encrypted again.
        if outgoing.content_len == 0 {
            let piece = bytes.get(..PIECE_LEN).unwrap_or(bytes);
            let mut connection = self.connection();
            connection.writer().write_all(piece)?;
            outgoing.seal(&mut connection);
            outgoing.content_len = piece.len();
        }
        outgoing.send(&self.socket)?;
        Ok(mem::take(&mut outgoing.content_len))
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match how {
            Shutdown::Read => {}
            Shutdown::Both => self.end(),
            Shutdown::Write => {
                let mut outgoing = self.outgoing();
                let mut connection = self.connection();
                connection.send_close_notify();
                outgoing.seal(&mut connection);
                drop(connection);
                outgoing.send(&self.socket)?;
            }
        }
        self.socket.shutdown(how)
    }

    fn end(&self) {
        self.send_now(|connection| connection.send_close_notify());
    }

    fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

/// Sends the records of the handshake.
fn send_handshake(
    connection: &mut ClientConnection,
    mut socket: &TcpStream,
    deadline: Option<Instant>,
) -> Result<(), HandshakeError> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    // The standard library refuses a timeout of zero.
    socket.set_write_timeout(left.map(|left| left.max(Duration::from_millis(1))))?;
    while connection.wants_write() {
        match connection.write_tls(&mut socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(HandshakeError::Late);
            }
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Returns true if the first byte of the server is that of a handshake or of an alert.
fn begins_with_tls(socket: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    let len = socket.peek(&mut first)?;
    Ok(len == 0 || matches!(first, [0x15 | 0x16]))
}

/// The end of a connection without the end of TLS: what was received may be a part of what the
/// server has sent.
#[derive(Clone, Copy, Debug)]
pub struct Truncated;

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server cut the connection without ending TLS")
    }
}

impl Error for Truncated {}

/// The reason why a connection cannot be encrypted, and the remedy.
#[derive(Debug)]
pub enum HandshakeError {
    /// The server has answered with something else.
    NoTls,
    /// The server has closed the connection.
    Closed,
    /// The server did not answer in time.
    Late,
    /// The connection broke.
    Broken(io::Error),
    /// The client or the server refuses the other one; the reason and the remedy.
    Refused(String),
}

impl HandshakeError {
    /// Returns true if the server would answer another attempt in the same way.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::NoTls | Self::Refused(_))
    }
}

const DURING: &str = "during the TLS handshake; look at the server's log, or leave out +tls if it \
                      speaks no TLS";

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTls => f.write_str("the server speaks no TLS; leave out +tls"),
            Self::Closed => write!(f, "the server closed the connection {DURING}"),
            Self::Late => f.write_str(
                "the server did not finish the TLS handshake in time; leave out +tls if it speaks \
                 no TLS, or allow more with --timeout",
            ),
            Self::Broken(error) => write!(f, "{} {DURING}", reason(error)),
            Self::Refused(reason) => f.write_str(reason),
        }
    }
}

impl Error for HandshakeError {}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}
