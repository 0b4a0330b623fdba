//! The reply checker of one connection: compares the received bytes with the expected replies.
//!
//! ```text
//!    script:   ... | r7 | r8 | r9 | r10 | ...     received:  | r7 | r8 | r9' ...
//!                   ^next  ^ matched                    compared in place; `r9'` is parsed
//! ```
//!
//! Replies whose bytes are known are compared many at once, without splitting or copying. Only a
//! reply that differs, or one of which only the shape is known, is parsed with the protocol's
//! framing. So one wrong reply is one error, and the connection continues after it.

mod boundaries;
mod server_messages;
#[cfg(test)]
mod tests;

use super::script::dialogue::{Dialogue, Expected};
use crate::measurement::causes::{ConnectError, ConnectionEnd, ReplyError};
use crate::measurement::exchange::{Exchange, ExchangeLog};
use boundaries::item_bytes_max;
use server_messages::{closing_message, rejection};

/// A reply that was due at most this many replies ago counts as repeated or overtaken. Any other
/// reply stands for the one that is due.
const REPEATED_MAX: usize = 64;

/// A finding about the start of the received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// An incomplete reply: all bytes are consumed, and more are needed.
    Incomplete,
    /// This number of correct replies to the oldest requests.
    Correct(usize),
    /// A reply that is not in the script, in place of the oldest request's.
    Wrong,
    /// A reply of the script to another request, in place of the oldest request's.
    Foreign,
    /// The reply to a request that was answered before; no request is completed by it.
    Repeated,
    /// The correct reply to a later request; this number of requests before it were skipped.
    Overtaking(usize),
    /// Bytes that no request was waiting for.
    Surplus,
    /// The server rejects the connection: it is full, or requires TLS.
    Rejected(ConnectError),
    /// The server's closing message.
    Closing(ConnectionEnd),
    /// The replies cannot be parsed any further, or the greeting is wrong.
    Unreadable,
}

/// The position of a connection in the script, and the received part of a reply.
#[derive(Debug)]
pub struct ReplyChecker {
    /// Script position of the oldest request without a reply.
    next: usize,
    /// Number of received and correct bytes of the expected reply; zero while `held` is not empty.
    matched: usize,
    /// True if the greeting has arrived, or there is none.
    greeted: bool,
    /// True if any reply was correct.
    trusted: bool,
    /// The start of a reply that must be parsed as a whole.
    held: Vec<u8>,
}

impl ReplyChecker {
    /// Creates the checker of a connection that starts the script at `place`.
    #[must_use]
    pub fn new(script: &dyn Dialogue, place: usize) -> Self {
        Self {
            next: place,
            matched: 0,
            greeted: script.greeting().is_empty(),
            trusted: false,
            held: Vec::new(),
        }
    }

    /// Returns the place of the oldest request without a reply.
    #[must_use]
    pub const fn next_place(&self) -> usize {
        self.next
    }

    /// Skips `count` requests that get no reply.
    pub fn skip(&mut self, script: &dyn Dialogue, count: usize) {
        self.next = script.after(self.next, count);
    }

    /// Returns true if a part of a reply has arrived.
    #[must_use]
    pub const fn is_inside_reply(&self) -> bool {
        self.greeted && (self.matched > 0 || !self.held.is_empty())
    }

    /// Returns how many bytes of the greeting are missing.
    #[must_use]
    pub fn greeting_due(&self, script: &dyn Dialogue) -> usize {
        if self.greeted {
            0
        } else {
            script.greeting().len().saturating_sub(self.matched + self.held.len())
        }
    }

    /// Checks the start of `bytes`, consumes it, and returns what it was. `in_flight` requests have
    /// no reply yet. The first exchanges of each kind of error are kept in `log`.
    pub fn next(
        &mut self,
        script: &impl Dialogue,
        bytes: &mut &[u8],
        in_flight: usize,
        log: &mut ExchangeLog<'_>,
    ) -> Finding {
        if bytes.is_empty() {
            return Finding::Incomplete;
        }
        if self.held.is_empty() {
            if !self.greeted {
                return self.greeting(script, bytes, log);
            }
            let count = script.exact(self.next).min(in_flight);
            if count > 0
                && let Some(finding) = self.compare(script, bytes, count)
            {
                return finding;
            }
        }
        self.parse(script, bytes, in_flight, log)
    }

    /// Compares with `count` replies whose bytes are known; returns `None` if the first one
    /// differs.
    fn compare(
        &mut self,
        script: &impl Dialogue,
        bytes: &mut &[u8],
        count: usize,
    ) -> Option<Finding> {
        let expected = &script.replies(self.next, count)[self.matched..];
        let len = expected.len().min(bytes.len());
        let same = if expected[..len] == bytes[..len] {
            len
        } else {
            expected.iter().zip(*bytes).take_while(|(expected, byte)| expected == byte).count()
        };
        let (done, done_bytes) = script.replies_within(self.next, count, self.matched + same);
        if done > 0 {
            *bytes = &bytes[done_bytes - self.matched..];
            self.matched = 0;
            self.advance(script, done);
            return Some(Finding::Correct(done));
        }
        if same == bytes.len() {
            self.matched += same;
            *bytes = &[];
            return Some(Finding::Incomplete);
        }
        // The correct bytes so far belong to the reply that is wrong as a whole.
        self.held.extend_from_slice(&script.replies(self.next, 1)[..self.matched]);
        self.matched = 0;
        None
    }

    fn greeting(
        &mut self,
        script: &impl Dialogue,
        bytes: &mut &[u8],
        log: &mut ExchangeLog<'_>,
    ) -> Finding {
        let expected = &script.greeting()[self.matched..];
        let len = expected.len().min(bytes.len());
        if expected[..len] == bytes[..len] {
            self.matched += len;
            *bytes = &bytes[len..];
            if len == expected.len() {
                (self.greeted, self.matched) = (true, 0);
            }
            // The next call checks the remaining bytes, or finds none.
            return if bytes.is_empty() { Finding::Incomplete } else { Finding::Correct(0) };
        }
        self.held.extend_from_slice(&script.greeting()[..self.matched]);
        self.matched = 0;
        self.parse(script, bytes, 0, log)
    }

    /// Parses one reply as a whole.
    fn parse(
        &mut self,
        script: &impl Dialogue,
        bytes: &mut &[u8],
        in_flight: usize,
        log: &mut ExchangeLog<'_>,
    ) -> Finding {
        if in_flight == 0
            && self.greeted
            && matches!(script.expected(self.next), Expected::Until(_))
        {
            log.keep(ReplyError::Surplus, || Exchange::unrequested(bytes));
            return Finding::Surplus;
        }
        let Some(end) = self.item_end(script, bytes) else {
            self.held.extend_from_slice(bytes);
            return self.unreadable(script, in_flight, log);
        };
        let taken = end.unwrap_or(bytes.len());
        let (front, rest) = bytes.split_at(taken);
        *bytes = rest;
        if end.is_some() && self.held.is_empty() {
            return self.classify(script, front, in_flight, log);
        }
        self.held.extend_from_slice(front);
        if end.is_none() {
            return if self.held.len() > item_bytes_max(script) {
                self.unreadable(script, in_flight, log)
            } else {
                Finding::Incomplete
            };
        }
        let mut held = std::mem::take(&mut self.held);
        let finding = self.classify(script, &held, in_flight, log);
        // The storage stays with the connection, so the next reply of this kind allocates nothing.
        held.clear();
        self.held = held;
        finding
    }

    /// Handles held bytes that cannot be parsed: if no request is in flight, they are surplus.
    fn unreadable(
        &self,
        script: &impl Dialogue,
        in_flight: usize,
        log: &mut ExchangeLog<'_>,
    ) -> Finding {
        if self.greeted && in_flight == 0 {
            log.keep(ReplyError::Surplus, || Exchange::unrequested(&self.held));
            return Finding::Surplus;
        }
        self.keep_unfinished(ReplyError::Wrong, script, log);
        Finding::Unreadable
    }

    /// Keeps the exchange of a reply that stays incomplete, with the bytes that arrived.
    pub fn keep_unfinished(
        &self,
        error: ReplyError,
        script: &dyn Dialogue,
        log: &mut ExchangeLog<'_>,
    ) {
        log.keep(error, || {
            if !self.greeted {
                let came = &script.greeting()[..self.matched];
                return Exchange::at_greeting(
                    script,
                    if self.held.is_empty() { came } else { &self.held },
                );
            }
            if self.held.is_empty() {
                let came = script.replies(self.next, usize::from(self.matched > 0));
                return Exchange::at(script, self.next, &came[..self.matched.min(came.len())]);
            }
            Exchange::at(script, self.next, &self.held).with_hint(script.framing(), &self.held)
        });
    }

    /// Classifies a complete reply.
    fn classify(
        &mut self,
        script: &impl Dialogue,
        item: &[u8],
        in_flight: usize,
        log: &mut ExchangeLog<'_>,
    ) -> Finding {
        // A server that rejects a connection sends its error in place of the greeting. Without a
        // greeting, the error of a full server cannot be distinguished from a message that was
        // rejected for lack of memory.
        let may_be_rejected =
            if script.greeting().is_empty() { !self.trusted } else { !self.greeted };
        if may_be_rejected && let Some(cause) = rejection(script.framing(), item) {
            return Finding::Rejected(cause);
        }
        let known = script.occurrences(item);
        if let Some(ending) = closing_message(script.framing(), item).filter(|_| known == 0) {
            return Finding::Closing(ending);
        }
        if !self.greeted {
            log.keep(ReplyError::Wrong, || Exchange::at_greeting(script, item));
            return Finding::Unreadable;
        }
        if in_flight == 0 {
            log.keep(ReplyError::Surplus, || Exchange::unrequested(item));
            return Finding::Surplus;
        }
        let window = in_flight.min(script.window());
        let fits = |distance: usize| script.expected(script.after(self.next, distance)).fits(item);
        if let Some(passed) = (0..window).find(|distance| fits(*distance)) {
            if passed > 0 {
                log.keep(ReplyError::Missing, || Exchange::at(script, self.next, item).overtaken());
            }
            self.advance(script, passed + 1);
            return if passed == 0 { Finding::Correct(1) } else { Finding::Overtaking(passed) };
        }
        if known == 1
            && (1..REPEATED_MAX.min(script.messages()))
                .filter_map(|distance| script.before(self.next, distance))
                .any(|place| script.expected(place).fits(item))
        {
            log.keep(ReplyError::Surplus, || {
                Exchange::at(script, self.next, item).of_another_request()
            });
            return Finding::Repeated;
        }
        let (finding, error) = if known > 0 {
            (Finding::Foreign, ReplyError::Foreign)
        } else {
            (Finding::Wrong, ReplyError::Wrong)
        };
        log.keep(error, || {
            let exchange = Exchange::at(script, self.next, item);
            if known > 0 { exchange.of_another_request() } else { exchange }
        });
        self.next = script.after(self.next, 1);
        finding
    }

    fn advance(&mut self, script: &impl Dialogue, count: usize) {
        self.next = script.after(self.next, count);
        self.trusted = true;
    }
}
