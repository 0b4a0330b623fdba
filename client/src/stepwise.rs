//! A connection that sends one request at a time and waits for its answer.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tinytcp_cli::target::Target;

use crate::dialogue::{AnswerBuffer, AnswerState, DueAnswer, SILENCE, ServerAnswer};
use crate::error::{ClientError, readable_duration, reason};
use tinytcp_cli::timed_read::read_until;

/// A connection, and the bytes received on it.
#[derive(Debug)]
pub struct StepwiseConnection<'a> {
    target: &'a Target,
    stream: TcpStream,
    buffer: AnswerBuffer,
    timeout: Option<Duration>,
}

impl<'a> StepwiseConnection<'a> {
    /// The connection `stream` with `target`; each answer must arrive within `timeout`.
    #[must_use]
    pub fn new(target: &'a Target, stream: TcpStream, timeout: Option<Duration>) -> Self {
        Self { target, stream, buffer: AnswerBuffer::default(), timeout }
    }

    /// Sends all of `request`.
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    pub fn send(&mut self, request: &[u8]) -> Result<(), ClientError> {
        let sent = self
            .stream
            .set_write_timeout(self.timeout)
            .and_then(|()| self.stream.write_all(request));
        sent.map_err(|error| ClientError::broken(self.target, reason(&error)))
    }

    /// Waits for the answer that is `due`, and returns it.
    ///
    /// # Errors
    /// [`ClientError::Broken`] when it is late or malformed.
    pub fn answer(&mut self, due: &mut DueAnswer) -> Result<ServerAnswer<'_>, ClientError> {
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let mut piece = [0; 16 << 10];
        let extent = loop {
            let (until, is_silence_enough) = match self.buffer.find(due) {
                Err(error) => return Err(ClientError::broken(self.target, error)),
                Ok(AnswerState::Complete(extent)) => break extent,
                Ok(AnswerState::Incomplete) => (deadline, false),
                Ok(AnswerState::CompleteIfSilent) => {
                    (earlier(deadline, Instant::now() + SILENCE), true)
                }
            };
            match read_until(&mut self.stream, until, &mut piece) {
                Ok(Some(len @ 1..)) => self.buffer.append(piece.get(..len).unwrap_or_default()),
                _ if is_silence_enough => break self.buffer.rest(),
                Ok(Some(0)) => {
                    return Err(ClientError::broken(
                        self.target,
                        "the server closed the connection; look at its log",
                    ));
                }
                Ok(None) => {
                    let timeout = readable_duration(self.timeout.unwrap_or_default());
                    let late = format!("no answer within {timeout}; allow more with --timeout");
                    return Err(ClientError::broken(self.target, &late));
                }
                Err(error) => return Err(ClientError::broken(self.target, reason(&error))),
            }
        };
        Ok(self.buffer.take(extent))
    }
}

fn earlier(deadline: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(deadline.map_or(other, |deadline| deadline.min(other)))
}
