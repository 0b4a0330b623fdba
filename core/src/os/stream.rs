//! A connection of TCP or of a unix socket, which never blocks.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{SockRef, Socket};

/// A connection of either kind.
///
/// It holds a descriptor and nothing else: every call here is one that the kernel takes for both
/// kinds, and a tag beside the descriptor would make each idle connection larger. The one call that
/// is not for both, the reset, is ignored by a unix socket.
#[derive(Debug)]
pub struct Stream(TcpStream);

impl Stream {
    /// Ends one direction, or both.
    ///
    /// # Errors
    /// When the connection is lost already.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    /// Makes the close that follows a reset. A unix socket has none: the kernel frees what its peer
    /// has not taken when that peer closes.
    pub fn reset_on_close(&self) {
        // It fails only for a socket that is broken already, which needs no reset.
        let _ = SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self(stream)
    }
}

/// A connected socket that does not block.
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
