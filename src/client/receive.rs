//! Reading from a connection, for those that ask one question at a time.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::Instant;

/// Waits for bytes and stores them in `piece`; gives how many, 0 when the server has closed, and `None` when there are
/// none until then. Without an `until` it waits for ever.
///
/// # Errors
/// When the connection breaks.
pub fn receive(stream: &mut TcpStream, until: Option<Instant>, piece: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(None);
        }
        stream.set_read_timeout(left)?;
        match stream.read(piece) {
            // The kernel's clock is coarser than ours: what is left decides whether it is late.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            read => return read.map(Some),
        }
    }
}
