//! One connection, one question at a time.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tinytcp_cli::target::Target;

use crate::dialogue::{Answer, Due, Found, Inbox, SILENCE};
use crate::failure::{Failure, reason, span};
use crate::receive::receive;

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
        let sent = self
            .stream
            .set_write_timeout(self.timeout)
            .and_then(|()| self.stream.write_all(request));
        sent.map_err(|error| Failure::broken(self.target, &reason(&error)))
    }

    /// Waits for the answer that is `due`.
    ///
    /// # Errors
    /// [`Failure::Broken`] when it does not come in time, or is none.
    pub fn answer(&mut self, due: &mut Due) -> Result<Answer<'_>, Failure> {
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let mut piece = [0; 16 << 10];
        let extent = loop {
            let (until, is_silence_enough) = match self.inbox.find(due) {
                Err(error) => return Err(Failure::broken(self.target, &error)),
                Ok(Found::Complete(extent)) => break extent,
                Ok(Found::Incomplete) => (deadline, false),
                Ok(Found::IfSilent) => (earlier(deadline, Instant::now() + SILENCE), true),
            };
            match receive(&mut self.stream, until, &mut piece) {
                Ok(Some(len @ 1..)) => self.inbox.append(piece.get(..len).unwrap_or_default()),
                _ if is_silence_enough => break self.inbox.rest(),
                Ok(Some(0)) => {
                    return Err(Failure::broken(
                        self.target,
                        "the server closed the connection; look at its log",
                    ));
                }
                Ok(None) => {
                    let timeout = span(self.timeout.unwrap_or_default());
                    let late = format!("no answer within {timeout}; allow more with --timeout");
                    return Err(Failure::broken(self.target, &late));
                }
                Err(error) => return Err(Failure::broken(self.target, &reason(&error))),
            }
        };
        Ok(self.inbox.take(extent))
    }
}

fn earlier(deadline: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(deadline.map_or(other, |deadline| deadline.min(other)))
}
