//! One connection to the broker: what it reads and writes, in clear or over TLS.

use super::bus_failure::Failure;
use crate::bus::session::Session;
use crate::os::moment::Moment;
use crate::os::system::{Socket, would_block};
use crate::tls::client::ClientLayer;

/// How many bytes one read takes from an encrypted connection. Together with an incomplete record
/// before them, they fit into the free part of `input`.
const TLS_READ_LEN: usize = 8 << 10;

/// A connection to the broker.
pub(super) struct Channel<S> {
    pub socket: S,
    /// Remembered readiness: false only after `WouldBlock`.
    pub readable: bool,
    pub writable: bool,
    /// The layer of an encrypted connection, from the handshake on.
    pub tls: Option<Box<ClientLayer>>,
    pub input: Box<[u8]>,
    /// How many bytes of `input` wait to be decoded.
    pub filled: usize,
    /// When the broker must have accepted this server, and then when the next `PING` is due.
    pub deadline: Moment,
    /// When the connection began, and then when it was accepted.
    pub since: Moment,
    /// True if nothing has come from the broker since the last `PING`.
    pub is_silent: bool,
    /// The last error that the broker has reported: often the reason why it closes.
    pub error: Option<String>,
}

impl<S: Socket> Channel<S> {
    /// Reads once into the free part of `input`. Returns how many bytes of the session have come: 0
    /// at the end of the connection. Returns `None` if none have come and the connection goes on.
    pub fn receive(&mut self) -> Result<Option<usize>, Failure> {
        let input = &mut self.input[self.filled..];
        let Some(tls) = &mut self.tls else {
            let received = read(&mut self.socket, input, &mut self.readable)?;
            self.is_silent &= received.is_none();
            return Ok(received);
        };
        let mut raw = [0; TLS_READ_LEN];
        let count = match read(&mut self.socket, &mut raw, &mut self.readable)? {
            Some(count @ 1..) => count,
            end_or_nothing => return Ok(end_or_nothing),
        };
        self.is_silent = false;
        match tls.open(&raw[..count], input) {
            Ok(Some(0)) => Ok(None),
            Ok(opened) => Ok(Some(opened.unwrap_or_default())),
            Err(error) => {
                // The alert lets the broker log the reason. A failure to send it changes nothing.
                let _ = self.socket.send(tls.sealed());
                Err(error.into())
            }
        }
    }

    /// Writes the output of `session` until the kernel accepts no more.
    pub fn send(&mut self, session: &mut Session) -> Result<(), Failure> {
        while self.writable {
            if let Some(tls) = &mut self.tls {
                session.note_sent(tls.seal(session.output()));
            }
            let output = match &self.tls {
                Some(tls) => tls.sealed(),
                None => session.output(),
            };
            if output.is_empty() {
                break;
            }
            match (self.socket.send(output), &mut self.tls) {
                (Ok(count), Some(tls)) => tls.note_sent(count),
                (Ok(count), None) => session.note_sent(count),
                (Err(error), _) if would_block(&error) => self.writable = false,
                (Err(error), _) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Reads once. Returns how many bytes have come. If none have arrived yet, clears `readable` and
/// returns `None`.
fn read<S: Socket>(
    socket: &mut S,
    place: &mut [u8],
    readable: &mut bool,
) -> Result<Option<usize>, Failure> {
    match socket.receive(place) {
        Ok(count) => Ok(Some(count)),
        Err(error) if would_block(&error) => {
            *readable = false;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
