//! One connection, one question at a time: the way in which the demo talks.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::dialogue::{Answer, Due, Found, Inbox, SILENCE};
use super::failure::{Failure, reason};
use super::target::Target;

/// A connection with what has been received on it.
#[derive(Debug)]
pub struct Link<'a> {
    target: &'a Target,
    stream: TcpStream,
    inbox: Inbox,
    timeout: Option<Duration>,
}

impl<'a> Link<'a> {
    /// Takes over a connection with `target`, on which each answer may take `timeout`.
    #[must_use]
    pub fn new(target: &'a Target, stream: TcpStream, timeout: Option<Duration>) -> Self {
        Self { target, stream, inbox: Inbox::default(), timeout }
    }

    /// Sends all of `request`.
    ///
    /// # Errors
    /// [`Failure::Broken`].
    pub fn send(&mut self, request: &[u8]) -> Result<(), Failure> {
        let sent = self.stream.set_write_timeout(self.timeout).and_then(|()| self.stream.write_all(request));
        sent.map_err(|error| Failure::broken(self.target, &reason(&error)))
    }

    /// Waits for the answer that is `due`.
    ///
    /// # Errors
    /// [`Failure::Broken`] when it does not come in time, or is none.
    pub fn answer(&mut self, due: &Due) -> Result<Answer<'_>, Failure> {
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let extent = loop {
            let (until, is_silence_enough) = match self.inbox.find(due) {
                Err(error) => return Err(Failure::broken(self.target, &error)),
                Ok(Found::Complete(extent)) => break extent,
                Ok(Found::Incomplete) => (deadline, false),
                Ok(Found::IfSilent) => (earlier(deadline, Instant::now() + SILENCE), true),
            };
            match self.receive(until) {
                Ok(true) => {}
                Ok(false) | Err(_) if is_silence_enough => break self.inbox.rest(),
                Ok(false) => {
                    return Err(Failure::broken(self.target, "the server closed the connection; look at its log"));
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    let timeout = self.timeout.unwrap_or_default();
                    return Err(Failure::broken(
                        self.target,
                        &format!("no answer within {timeout:?}; allow more with --timeout"),
                    ));
                }
                Err(error) => return Err(Failure::broken(self.target, &reason(&error))),
            }
        };
        Ok(self.inbox.take(extent))
    }

    /// Waits for bytes; false when the server has closed, `TimedOut` when there are none until then.
    fn receive(&mut self, until: Option<Instant>) -> io::Result<bool> {
        let mut piece = [0; 16 << 10];
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(left)?;
            match self.stream.read(&mut piece) {
                Ok(len) => {
                    self.inbox.append(piece.get(..len).unwrap_or_default());
                    return Ok(len > 0);
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn earlier(deadline: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(deadline.map_or(other, |deadline| deadline.min(other)))
}
