//! The thread that always reads, so that a server never has to wait before it sends an answer.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use super::stream::StreamHandle;

/// The largest piece in which received bytes are passed on.
pub const PIECE_LEN: usize = 64 << 10;

/// The capacity of the channel between the threads of a session: large enough to keep all of them
/// at work, small enough to bound the memory.
pub const EVENTS_MAX: usize = 16;

/// A wait that ends this late was delayed by a pause of the process or of the machine.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The time that the other threads have after a pause to pass on what arrived during it.
const RESUMPTION: Duration = Duration::from_secs(1);

/// What the receiving thread reports.
#[derive(Debug)]
pub enum Received {
    /// Bytes from the server.
    Bytes(Vec<u8>),
    /// The server has closed, or the connection broke. Nothing follows.
    Ended(Option<io::Error>),
}

/// Sends everything that `server` sends to `events`, until the connection ends or the other side of
/// the channel is gone.
pub fn receive_all<E: From<Received>>(mut server: StreamHandle, events: &SyncSender<E>) {
    let mut piece = vec![0; PIECE_LEN];
    loop {
        let received = match server.read(&mut piece) {
            Ok(0) => Received::Ended(None),
            Ok(len) => Received::Bytes(piece.get(..len).unwrap_or_default().to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Received::Ended(Some(error)),
        };
        let is_last = matches!(received, Received::Ended(_));
        if events.send(received.into()).is_err() || is_last {
            return;
        }
    }
}

/// Returns the next event before `until`; `None` waits forever.
///
/// Bytes that arrived in time count, however late this call is made: after a pause of the process,
/// the receiving thread has a second to pass them on.
///
/// # Errors
/// `Timeout`, or `Disconnected` when every thread that sends events is gone.
pub fn next_event<E>(events: &Receiver<E>, until: Option<Instant>) -> Result<E, RecvTimeoutError> {
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
