//! A non-blocking stream of TCP or of a unix socket.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{SockRef, Socket};

/// A connected stream of either kind.
///
/// It holds only the descriptor, because the kernel accepts all calls here for both kinds. A tag
/// would make each idle connection larger. A unix socket ignores the one call that is only for TCP,
/// the reset.
#[derive(Debug)]
pub struct Stream(TcpStream);

impl Stream {
    /// Shuts one direction down, or both.
    ///
    /// # Errors
    /// When the connection is already lost.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    /// Makes the following close a reset. A unix socket has no reset: the kernel frees unread bytes
    /// when the peer closes.
    pub fn reset_on_close(&self) {
        // It fails only for a socket that is already broken, which needs no reset.
        let _ = SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self(stream)
    }
}

/// The socket must be connected and non-blocking.
impl From<Socket> for Stream {
    fn from(socket: Socket) -> Self {
        Self(TcpStream::from_std(socket.into()))
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Stream {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.0.register(registry, token, interest)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.0.reregister(registry, token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.0.deregister(registry)
    }
}
