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
use crate::base::close_reason::CloseReason;
use crate::base::limits::{LINGER_TIMEOUT, Timeouts};
use crate::base::moment::Moment;
use crate::base::system::Socket;
use crate::protocol::{Next, Notice};

/// How many turns in a row a late connection gets to read what has arrived for it, before it is held to its deadline:
/// enough for a frame of the default limit that was all there while this process was stopped. Everybody else waits
/// meanwhile, for 20 MiB of reading for each that is late.
const CATCH_UP_TURNS_MAX: u32 = 220;

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
    /// When this connection must be looked at though nothing happens.
    #[must_use]
    #[inline]
    pub fn deadline(&self, timeouts: &Timeouts) -> Moment {
        self.next_wait(timeouts).1
    }

    /// The wait that ends first, and when.
    fn next_wait(&self, timeouts: &Timeouts) -> (Wait, Moment) {
        match self.phase {
            Phase::Lingering => return (Wait::Linger, self.last_sent.after(LINGER_TIMEOUT)),
            Phase::Draining => return (Wait::Write, self.last_sent.deadline(timeouts.write)),
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
        // Under backpressure nothing is read, so that it is not for the peer to complete its message.
        if self.has_incomplete_message() && !self.backpressure {
            consider(Wait::Message, self.message_began.deadline(timeouts.message));
            if self.ends_messages_by_quiet {
                consider(Wait::Quiet, self.last_received.deadline(timeouts.quiet));
            }
        }
        first
    }

    /// Its deadline has passed, unless it was put off meanwhile. First it gets to move what there is: a late tick of ours is no
    /// fault of the peer.
    pub fn expire(&mut self, shared: &mut Shared) -> Turn {
        if !self.is_late(shared) {
            return Turn::Idle;
        }
        // No event has said that a short read empties the socket: a signal may have kept the wait from fetching it.
        (self.readable, self.read_to_end) = (!self.input_ended, true);
        self.writable = true;
        let mut turn = self.drive(shared);
        for _ in 1..CATCH_UP_TURNS_MAX {
            if turn != Turn::Yield || !self.is_late(shared) {
                break;
            }
            turn = self.drive(shared);
        }
        if matches!(turn, Turn::Close(_)) || !self.is_late(shared) {
            return turn;
        }
        match self.next_wait(&shared.timeouts).0 {
            Wait::Linger => return Turn::Close(self.reason),
            Wait::Write => {
                self.socket.reset_on_close();
                return Turn::Close(CloseReason::WriteTimeout);
            }
            Wait::Idle => self.end(Notice::IdleTimeout, CloseReason::IdleTimeout, shared),
            Wait::Message => self.end(Notice::MessageTimeout, CloseReason::MessageTimeout, shared),
            Wait::Quiet => {
                if self.end_of_piece(shared) == Next::Close {
                    self.drain(CloseReason::Quit, shared);
                }
            }
        }
        self.drive(shared)
    }

    fn is_late(&self, shared: &Shared) -> bool {
        self.deadline(&shared.timeouts) <= shared.clock.now()
    }
}
