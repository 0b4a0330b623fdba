//! A connection that sends one request at a time and waits for its answer.

use std::time::{Duration, Instant};

use tinytcp_cli::target::Target;

use crate::dialogue::{self, AnswerBuffer, AnswerState, DueAnswer, News, SILENCE, ServerAnswer};
use crate::error::{ClientError, advice, end_of_connection, readable_duration, reason, refusal};
use crate::stream::Stream;

/// What a server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival<'a> {
    /// News of a room.
    News(News<'a>),
    /// The due answer, or text without a request, such as the reason why the server closes.
    Answer(ServerAnswer<'a>),
}

/// A connection, and the bytes received on it.
#[derive(Debug)]
pub struct StepwiseConnection<'a> {
    target: &'a Target,
    stream: Stream,
    buffer: AnswerBuffer,
    timeout: Option<Duration>,
    /// The server has sent nothing yet.
    is_silent: bool,
}

impl<'a> StepwiseConnection<'a> {
    /// The connection `stream` with `target`; each answer must arrive within `timeout`.
    #[must_use]
    pub fn new(target: &'a Target, stream: Stream, timeout: Option<Duration>) -> Self {
        Self { target, stream, buffer: AnswerBuffer::default(), timeout, is_silent: true }
    }

    /// Sends all of `request`.
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    pub fn send(&mut self, request: &[u8]) -> Result<(), ClientError> {
        let sent =
            self.stream.set_write_timeout(self.timeout).and_then(|()| self.stream.send(request));
        sent.map_err(|error| ClientError::broken(self.target, reason(&error)))
    }

    /// Waits for the banner of a protocol that has one.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if the server sends an error instead, [`ClientError::Broken`] if
    /// it is late or none of this protocol.
    pub fn take_banner(&mut self) -> Result<(), ClientError> {
        let target = self.target;
        let Some(mut banner) = dialogue::banner(target.protocol) else { return Ok(()) };
        let answer = self.answer(&mut banner)?;
        if answer.is_error {
            return Err(refusal(target, "the connection", answer.text));
        }
        match dialogue::foreign_banner(target.protocol, answer.text) {
            Some(complaint) => Err(ClientError::broken(target, &complaint)),
            None => Ok(()),
        }
    }

    /// Waits for the answer that is `due`, and returns it. Drops news that come before it.
    ///
    /// # Errors
    /// [`ClientError::Broken`] when it is late or malformed, [`ClientError::Refused`] when the
    /// server accepts only encrypted connections.
    pub fn answer(&mut self, due: &mut DueAnswer) -> Result<ServerAnswer<'_>, ClientError> {
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let extent = loop {
            match self.receive(due, deadline)? {
                Some(AnswerState::Complete(extent)) => break extent,
                Some(AnswerState::News(extent)) => drop(self.buffer.take_news(extent)),
                _ => return Err(self.late()),
            }
        };
        let answer = self.buffer.take(extent);
        match answer.is_error.then(|| advice(self.target, answer.text)).flatten() {
            Some(advice) => Err(ClientError::Refused(format!("{}: {advice}", self.target))),
            None => Ok(answer),
        }
    }

    /// Waits for news of a room, or for the answer that is `due`; without one, for anything else.
    /// Returns `None` when nothing came before `until`.
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    pub fn next(
        &mut self,
        due: Option<&mut DueAnswer>,
        until: Option<Instant>,
    ) -> Result<Option<Arrival<'_>>, ClientError> {
        let mut unasked = dialogue::unasked(self.target.protocol);
        match self.receive(due.unwrap_or(&mut unasked), until)? {
            Some(AnswerState::News(extent)) => Ok(self.buffer.take_news(extent).map(Arrival::News)),
            Some(AnswerState::Complete(extent)) => {
                Ok(Some(Arrival::Answer(self.buffer.take(extent))))
            }
            _ => Ok(None),
        }
    }

    /// The error of an answer that did not come in time.
    #[must_use]
    pub fn late(&self) -> ClientError {
        let timeout = readable_duration(self.timeout.unwrap_or_default());
        let doubt = self.doubt("the server");
        let late = format!("no answer within {timeout}; {doubt}allow more with --timeout");
        ClientError::broken(self.target, &late)
    }

    /// The error of a server that has ended the connection.
    fn closed(&self) -> ClientError {
        let doubt = self.doubt("it");
        let closed = format!("the server closed the connection; {doubt}look at its log");
        ClientError::broken(self.target, &closed)
    }

    /// Returns a remedy for a plain target that has sent nothing: a server with TLS waits for the
    /// first bytes of the client. `subject` is the server. Empty if there is no doubt.
    fn doubt(&self, subject: &str) -> String {
        if !self.is_silent || self.target.is_encrypted {
            return String::new();
        }
        let protocol = self.target.protocol.name();
        let encrypted = Target { is_encrypted: true, ..self.target.clone() };
        format!("check that {subject} speaks {protocol} there, or connect to {encrypted}; ")
    }

    /// Reads until the answer that is `due` or news before it are complete, and returns which;
    /// `None` when neither came before `until`.
    fn receive(
        &mut self,
        due: &mut DueAnswer,
        until: Option<Instant>,
    ) -> Result<Option<AnswerState>, ClientError> {
        let mut piece = [0; 16 << 10];
        loop {
            let (until, is_silence_enough) = match self.buffer.find(due) {
                Err(error) => return Err(ClientError::broken(self.target, error)),
                Ok(AnswerState::Incomplete) => (until, false),
                Ok(AnswerState::CompleteIfSilent) => {
                    (earlier(until, Instant::now() + SILENCE), true)
                }
                Ok(complete) => return Ok(Some(complete)),
            };
            match self.stream.read_until(until, &mut piece) {
                Ok(Some(len @ 1..)) => {
                    self.is_silent = false;
                    self.buffer.append(piece.get(..len).unwrap_or_default());
                }
                // An attacker may have cut the answer that the end would complete.
                Err(error) if self.target.is_encrypted => {
                    let end = end_of_connection(Some(&error), "");
                    return Err(ClientError::broken(self.target, end));
                }
                _ if is_silence_enough => {
                    return Ok(Some(AnswerState::Complete(self.buffer.rest())));
                }
                Ok(Some(0)) => return Err(self.closed()),
                Ok(None) => return Ok(None),
                Err(error) => return Err(ClientError::broken(self.target, reason(&error))),
            }
        }
    }
}

fn earlier(deadline: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(deadline.map_or(other, |deadline| deadline.min(other)))
}
