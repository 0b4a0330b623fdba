//! The stream of a connection that is not encrypted: the socket.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use tinytcp_cli::timed_read::{is_readable, read_until};

use super::Transport;

/// A socket whose bytes are those of the connection.
#[derive(Debug)]
pub struct Plain(pub TcpStream);

impl Transport for Plain {
    fn read_until(&self, until: Option<Instant>, piece: &mut [u8]) -> io::Result<Option<usize>> {
        match until {
            Some(_) => read_until(&self.0, until, piece),
            None => loop {
                match (&self.0).read(piece) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => return read.map(Some),
                }
            },
        }
    }

    fn has_ended_by(&self, until: Option<Instant>) -> io::Result<Option<bool>> {
        match is_readable(&self.0, until)? {
            true => Ok(Some(self.0.peek(&mut [0])? == 0)),
            false => Ok(None),
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    fn end(&self) {}

    fn socket(&self) -> &TcpStream {
        &self.0
    }
}
