//! When a connection has waited long enough, and what happens then.
//!
//! | it waits for | since | at most | then |
//! |---|---|---|---|
//! | the next message | the last byte, either way | `idle` | says so and closes |
//! | the rest of a message | its first byte | `message` | says so and closes |
//! | whether a piece is a message | the last byte received | `quiet` | takes it for one |
//! | the peer to take answers | it was last on time, at the least rate | `write` | resets |
//! | the peer's end of input, lingering | its own end of output | 2 s | closes |

use super::{Connection, Phase, Shared, Turn};
use crate::close_reason::CloseReason;
use crate::limits::{LINGER_TIMEOUT, Timeouts};
use crate::os::moment::Moment;
use crate::os::system::Socket;
use crate::protocol::{Next, Notice};

/// How many bytes a late connection may still read, which had arrived while this process did not
/// run or was busy: a frame of the default limit, and as much again as one read may exceed it by.
const GRACE_BYTES_MAX: u32 = 20 << 20;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Idle,
    Message,
    Quiet,
    Write,
    Linger,
}

impl<S: Socket> Connection<S> {
    /// When this connection must be looked at though nothing happens; never while it waits for the
    /// turns in which it is judged.
    #[must_use]
    #[inline]
    pub fn deadline(&self, timeouts: &Timeouts) -> Moment {
        if self.overdue { Moment::NEVER } else { self.next_wait(timeouts).1 }
    }

    /// The wait that ends first, and when.
    fn next_wait(&self, timeouts: &Timeouts) -> (Wait, Moment) {
        match self.phase {
            Phase::Lingering(_) => return (Wait::Linger, self.last_sent.after(LINGER_TIMEOUT)),
            Phase::Draining(_) => return (Wait::Write, self.last_sent.deadline(timeouts.write)),
            Phase::Open => {}
        }
        if self.output.is_empty() && !self.has_incomplete_message() {
            return (Wait::Idle, self.last_received.max(self.last_sent).deadline(timeouts.idle));
        }
        let mut first = (Wait::Write, Moment::NEVER);
        let mut consider = |wait, due| {
            if due < first.1 {
                first = (wait, due);
            }
        };
        if !self.output.is_empty() {
            consider(Wait::Write, self.last_sent.deadline(timeouts.write));
        }
        // Under backpressure nothing is read, so that it is not for the peer to complete its
        // message.
        if self.has_incomplete_message() && !self.backpressure {
            consider(Wait::Message, self.message_began.deadline(timeouts.message));
            if self.ends_messages_by_quiet {
                consider(Wait::Quiet, self.last_received.deadline(timeouts.quiet));
            }
        }
        first
    }

    /// Its deadline has passed, unless it was put off meanwhile. Before it is judged it gets turns,
    /// as every other connection, in which it moves what there is: a late tick of ours is no
    /// fault of the peer.
    pub fn expire(&mut self, shared: &Shared) -> Turn {
        if !self.is_late(shared) {
            return Turn::Idle;
        }
        self.overdue = true;
        if self.phase == Phase::Open {
            self.grace_bytes = 0;
        }
        // No event has said that a short read empties the socket: a signal may have kept the wait
        // from fetching it.
        self.read_to_end();
        self.writable = true;
        Turn::Yield
    }

    /// It had a turn after its deadline. It is judged when nothing is left to move, or when it has
    /// read so much that it must have come since.
    pub(super) fn judge(&mut self, turn: Turn, shared: &mut Shared) -> Turn {
        if turn == Turn::Yield && self.grace_bytes <= GRACE_BYTES_MAX && self.is_late(shared) {
            return turn;
        }
        self.overdue = false;
        if matches!(turn, Turn::Close(_)) || !self.is_late(shared) {
            return turn;
        }
        match (self.next_wait(&shared.timeouts).0, self.phase) {
            (Wait::Linger, Phase::Draining(reason) | Phase::Lingering(reason)) => {
                return Turn::Close(reason);
            }
            (Wait::Linger | Wait::Write, _) => {
                self.socket.reset_on_close();
                return Turn::Close(CloseReason::WriteTimeout);
            }
            (Wait::Idle, _) => self.end(Notice::IdleTimeout, CloseReason::IdleTimeout, shared),
            (Wait::Message, _) => {
                self.end(Notice::MessageTimeout, CloseReason::MessageTimeout, shared)
            }
            (Wait::Quiet, _) => {
                if self.end_of_piece(shared) == Next::Close {
                    self.drain(CloseReason::Quit, shared);
                }
            }
        }
        self.work(shared).unwrap_or_else(|error| Turn::Close(self.reason_of(&error)))
    }

    fn is_late(&self, shared: &Shared) -> bool {
        self.next_wait(&shared.timeouts).1 <= shared.clock.now()
    }
}
