//! The stream of a connection: plain, or encrypted with TLS.
//!
//! ```text
//!   connect --> Stream, the owner          dropped: the end of TLS is sent
//!                 |-- StreamHandle         a thread that reads
//!                 `-- StreamHandle         a thread that writes
//!                        `--> Transport: plain | tls
//! ```
//!
//! All callers block. One thread may read and another one write at the same time; neither waits
//! for the other one.

mod plain;
#[cfg(feature = "tls")]
pub mod tls;

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use plain::Plain;

/// What carries the bytes of a connection.
pub trait Transport: Debug + Send + Sync {
    /// Reads bytes into `piece`. If there are none, it waits for them, without `until` forever.
    ///
    /// Returns their number, 0 when the server has ended its side, and `None` when nothing arrived
    /// in time. Only one thread reads.
    ///
    /// # Errors
    /// When the connection breaks.
    fn read_until(&self, until: Option<Instant>, piece: &mut [u8]) -> io::Result<Option<usize>>;

    /// Waits as [`Transport::read_until`] does, and takes nothing. Returns whether the server has
    /// ended its side; `None` when it did nothing in time.
    ///
    /// # Errors
    /// When the connection breaks.
    fn has_ended_by(&self, until: Option<Instant>) -> io::Result<Option<bool>>;

    /// Writes a part of `bytes`, and returns its length. After a failure that may pass, such as
    /// [`io::ErrorKind::WouldBlock`], the same bytes must be written again.
    ///
    /// # Errors
    /// When the connection breaks, or the server does not read for the write timeout.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Ends a side of the connection, or both.
    ///
    /// # Errors
    /// When the connection is broken.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;

    /// Notes that the client sends no more. Never waits.
    fn end(&self);

    /// The socket.
    fn socket(&self) -> &TcpStream;
}

/// A part of the client that reads or writes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StreamHandle(Arc<dyn Transport>);

impl StreamHandle {
    /// See [`Transport::read_until`].
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn read_until(
        &self,
        until: Option<Instant>,
        piece: &mut [u8],
    ) -> io::Result<Option<usize>> {
        self.0.read_until(until, piece)
    }

    /// See [`Transport::has_ended_by`].
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn has_ended_by(&self, until: Option<Instant>) -> io::Result<Option<bool>> {
        self.0.has_ended_by(until)
    }

    /// Sets the longest time of a write; `None` waits forever.
    ///
    /// # Errors
    /// When the system refuses the timeout.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.socket().set_write_timeout(timeout)
    }

    /// See [`Transport::shutdown`].
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }
}

impl Read for StreamHandle {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.0.read_until(None, piece)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }
}

impl Write for StreamHandle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The owner of a connection. When it is dropped, the client sends no more, and an encrypted
/// connection says so to the server. The connection closes with the last handle.
#[derive(Debug)]
pub struct Stream(StreamHandle);

impl Stream {
    /// Creates the owner of `transport`.
    pub fn new(transport: impl Transport + 'static) -> Self {
        Self(StreamHandle(Arc::new(transport)))
    }

    /// Returns a handle for another thread.
    #[must_use]
    pub fn handle(&self) -> StreamHandle {
        self.0.clone()
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// When the connection breaks, or the server does not read for the write timeout.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.handle().write_all(bytes)
    }
}

impl Deref for Stream {
    type Target = StreamHandle;

    fn deref(&self) -> &StreamHandle {
        &self.0
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.0.end();
    }
}
