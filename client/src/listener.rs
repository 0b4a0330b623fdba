//! The thread that always listens, so that a server which answers is never kept waiting.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

/// Bytes are passed on in pieces of at most this size.
pub const PIECE_LEN: usize = 64 << 10;

/// Events between the threads of a session: enough to keep them all at work, little enough to stay
/// small.
pub const EVENTS_MAX: usize = 16;

/// A wait that ends so long after its time has ended while this process was paused, or the machine.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// How long the other threads get after a pause, until what has arrived meanwhile counts as not
/// there.
const RESUMPTION: Duration = Duration::from_secs(1);

/// What the listener tells.
#[derive(Debug)]
pub enum Heard {
    /// Bytes from the server.
    Received(Vec<u8>),
    /// The server has closed, or the connection broke. Nothing follows.
    Ended(Option<io::Error>),
}

/// Passes on what the server says, until it ends or nobody wants to know.
pub fn listen<Event: From<Heard>>(mut server: TcpStream, events: &SyncSender<Event>) {
    let mut piece = vec![0; PIECE_LEN];
    loop {
        let heard = match server.read(&mut piece) {
            Ok(0) => Heard::Ended(None),
            Ok(len) => Heard::Received(piece.get(..len).unwrap_or_default().to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Heard::Ended(Some(error)),
        };
        let is_last = matches!(heard, Heard::Ended(_));
        if events.send(heard.into()).is_err() || is_last {
            return;
        }
    }
}

/// The next event; an error when there is none until then. `None` waits for ever.
///
/// What has arrived counts, however late it is looked at: after a pause of the process, the thread
/// that reads it gets a second to hand it over.
///
/// # Errors
/// `Timeout`, or `Disconnected` when every thread that could tell anything has gone.
pub fn next<Event>(
    events: &Receiver<Event>,
    until: Option<Instant>,
) -> Result<Event, RecvTimeoutError> {
    match until {
        Some(until) => match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) if until.elapsed() >= PAUSE_MIN => {
                events.recv_timeout(RESUMPTION)
            }
            event => event,
        },
        None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
    }
}
