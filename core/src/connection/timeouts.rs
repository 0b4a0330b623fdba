//! The timeouts of a connection: what it waits for, until when, and what happens then.
//!
//! | the connection waits for | since | timeout | afterwards |
//! |---|---|---|---|
//! | the header of a proxy | its accept | `proxy_header` | close |
//! | the end of the handshake | its accept, or the header | `handshake` | close |
//! | the next message | the last byte in either direction | `idle` | error, close |
//! | the rest of a message | its first byte | `message` | error, close |
//! | more of a line without an end | the last byte received | `quiet` | it is a message |
//! | the peer to read answers | the output was empty, plus the minimum rate | `write` | reset |
//! | a message token of its address | it could read | until there is a token | it reads |
//! | the peer's end of input | the server's end of output | 2 s (lingering) | close |
//!
//! A deadline is not enforced at once. A connection whose deadline has passed becomes overdue and
//! gets turns first, because the loop itself may be late: the process may have been stopped, and
//! the kernel may hold bytes that arrived in time.

use super::{Allowance, Connection, Phase, Shared, Turn};
use crate::close_reason::CloseReason;
use crate::limits::LINGER_TIMEOUT;
use crate::os::moment::Moment;
use crate::os::system::Socket;
use crate::protocol::Farewell;

/// How many bytes an overdue connection may read beyond the longest message: the most that one read
/// can add, and the records of TLS around the bytes.
const GRACE_BYTES_EXTRA: u32 = 4 << 20;

/// How many bytes an overdue connection may read: they may have arrived while this process did not
/// run or was busy. The longest message is enough: once it is complete, the next one has a deadline
/// of its own.
fn grace_bytes_max(shared: &Shared) -> u32 {
    let limits = &shared.status.limits;
    limits.frame_bytes_max.max(limits.line_bytes_max).saturating_add(GRACE_BYTES_EXTRA)
}

/// What a connection waits for: the rows of the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Header,
    Handshake,
    Idle,
    Message,
    Quiet,
    Write,
    Token,
    Linger,
}

impl<S: Socket> Connection<S> {
    /// When the connection must be expired if no event comes before. [`Moment::NEVER`] while it is
    /// overdue, because it is in the run queue then.
    #[must_use]
    #[inline]
    pub fn deadline(&self, shared: &Shared) -> Moment {
        if self.overdue { Moment::NEVER } else { self.next_wait(shared).1 }
    }

    /// Returns the wait that ends first, and its deadline.
    fn next_wait(&self, shared: &Shared) -> (Wait, Moment) {
        let timeouts = &shared.timeouts;
        match self.phase {
            Phase::Lingering(_) => return (Wait::Linger, self.last_sent.after(LINGER_TIMEOUT)),
            Phase::Flushing(_) => return (Wait::Write, self.last_sent.deadline(timeouts.write)),
            Phase::Opening if self.conversation.layer().is_some() => {
                return (Wait::Handshake, self.message_began.deadline(timeouts.handshake));
            }
            Phase::Opening => return (Wait::Header, self.opened.deadline(timeouts.proxy_header)),
            Phase::Open if self.allowance == Allowance::Delayed => {
                return self.delayed_wait(shared);
            }
            Phase::Open => {}
        }
        if self.is_flushed() && !self.has_incomplete_message() {
            return (Wait::Idle, self.last_received.max(self.last_sent).deadline(timeouts.idle));
        }
        let mut first = (Wait::Write, Moment::NEVER);
        let mut consider = |wait, due| {
            if due < first.1 {
                first = (wait, due);
            }
        };
        if !self.is_flushed() {
            consider(Wait::Write, self.last_sent.deadline(timeouts.write));
        }
        // Under backpressure nothing is read: the peer cannot complete its message.
        if self.has_incomplete_message() && !self.backpressure {
            consider(Wait::Message, self.incomplete_since().deadline(timeouts.message));
            if self.ends_messages_by_quiet && self.message_began != Moment::NEVER {
                consider(Wait::Quiet, self.last_received.deadline(timeouts.quiet));
            }
        }
        first
    }

    /// Marks the connection as overdue if its deadline has passed and was not moved meanwhile. In
    /// its next turns it reads what has arrived, before `enforce_deadline` enforces the deadline.
    pub fn expire(&mut self, shared: &Shared) -> Turn {
        match self.next_wait(shared) {
            (_, due) if due > shared.clock.now() => return Turn::Idle,
            (Wait::Token, _) => {
                self.end_delay(shared.clock.now());
                return Turn::Yield;
            }
            _ => self.overdue = true,
        }
        if matches!(self.phase, Phase::Opening | Phase::Open) {
            self.grace_bytes = 0;
        }
        // A signal may have interrupted the wait before it could report an event: so read until
        // `WouldBlock`, and try to write.
        self.expect_unreported_bytes();
        self.writable = true;
        Turn::Yield
    }

    /// Called after a turn of an overdue connection. Enforces the deadline when nothing is left to
    /// move, or when the grace bytes are spent; otherwise the connection gets another turn.
    pub(super) fn enforce_deadline(&mut self, turn: Turn, shared: &mut Shared) -> Turn {
        if turn == Turn::Yield
            && self.grace_bytes <= grace_bytes_max(shared)
            && self.is_late(shared)
        {
            return turn;
        }
        self.overdue = false;
        if matches!(turn, Turn::Opened(_) | Turn::Close(_)) || !self.is_late(shared) {
            return turn;
        }
        match (self.next_wait(shared).0, self.phase) {
            (Wait::Token, _) => return turn,
            (Wait::Linger, Phase::Flushing(reason) | Phase::Lingering(reason)) => {
                return Turn::Close(reason);
            }
            (Wait::Handshake, _) => return Turn::Close(CloseReason::TlsHandshakeTimeout),
            (Wait::Header, _) => return Turn::Close(CloseReason::ProxyHeaderTimeout),
            (Wait::Linger | Wait::Write, _) => {
                self.socket.reset_on_close();
                return Turn::Close(CloseReason::WriteTimeout);
            }
            (Wait::Idle, _) => self.end(Farewell::IdleTimeout, CloseReason::IdleTimeout, shared),
            (Wait::Message, _) => {
                self.end(Farewell::MessageTimeout, CloseReason::MessageTimeout, shared)
            }
            (Wait::Quiet, _) => {
                if let Some(reason) = self.complete_piece(shared).close_reason() {
                    self.begin_flushing(reason, shared);
                }
            }
        }
        self.work(shared).unwrap_or_else(|error| Turn::Close(self.reason_of(&error)))
    }

    fn is_late(&self, shared: &Shared) -> bool {
        self.next_wait(shared).1 <= shared.clock.now()
    }
}
