//! One connection: its socket, its session, and the bytes between them.
//!
//! ```text
//!   kernel --fill--> input --advance--> session --append--> output --flush--> kernel
//!
//!            the session closes, the input ends,      all output is sent,   end of input,
//!            a deadline passes, the server stops      the write side shut   or 2 s
//!   Open ---------------------------------------> Flushing ----> Lingering ----------> closed
//!    ^
//!    '--- Opening: the header of a proxy, which names the peer, or the handshake is incomplete
//! ```
//!
//! A connection never blocks. [`Connection::drive`] runs one turn: it moves bytes until no move
//! makes progress or the budget of the turn is spent. This file holds the state of a connection and
//! decides which move comes next. The moves are in `socket_io` (between buffers and kernel) and
//! `session_io` (between buffers and session), those of the TLS layer in `encryption`, the session
//! and its layer in `conversation`, the first phase in `opening` and `handshake`, the deadlines in
//! [`timeouts`], the message rate of the peer's address in `allowance`, and the memory between two
//! turns in `memory`.

// Bytes of a peer reach this code first: no value of them may cause a panic, and no length may be
// truncated.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable,
        clippy::cast_possible_truncation
    )
)]

mod allowance;
mod conversation;
mod encryption;
mod handshake;
pub mod inspection;
mod memory;
mod opening;
mod session_io;
mod shared;
mod socket_io;
mod state;
pub mod timeouts;

use std::fmt;
use std::io;
use std::mem::offset_of;

use crate::buffers::buffer::Buffer;
use crate::close_reason::CloseReason;
use crate::limits::{HIGH_WATER_BYTES, LINGER_BYTES_MAX, LOW_WATER_BYTES};
use crate::logging::activity::Summary;
use crate::os::moment::Moment;
use crate::os::peer::Peer;
use crate::os::system::{Readiness, Socket};
use crate::protocol::{Farewell, Protocol};
use crate::queues::run_queue::{Class, Demand};
pub use allowance::Allowance;
use conversation::{Conversation, NoSession};
pub use shared::{Opened, Shared, TURN_BYTES_MAX, Turn};
use state::{Pending, Stopping};
pub use state::{Phase, ReadState};

/// One connection.
///
/// A server may hold a million connections, most of them idle, so the struct has only 136 bytes.
/// The fields stand in the order of their use: what a request changes is in the 104 bytes before
/// `opened`, which are two or three cache lines.
#[repr(C)]
pub struct Connection<S> {
    conversation: Conversation,
    /// Received bytes that the session has not consumed: at most one message and a block.
    input: Buffer,
    /// Answers that the kernel has not accepted: at most the high-water mark and one answer.
    output: Buffer,
    socket: S,
    /// The length that the input must reach before its first message can be complete; 0 if unknown.
    complete_len: u32,

    phase: Phase,
    stopping: Stopping,
    read_state: ReadState,
    /// Remembered write readiness: false only after a write that returned `WouldBlock`.
    writable: bool,
    /// What the session must be called for; nothing in the later phases.
    pending: Pending,
    /// True from when the output reaches the high-water mark until it is at the low-water mark.
    backpressure: bool,
    /// True once the activity log has shown the connection as opened.
    announced: bool,
    /// True if a pause of the peer completes a message.
    ends_messages_by_quiet: bool,
    /// True if the deadline has passed and the connection still reads what had arrived by then,
    /// before the deadline is enforced.
    overdue: bool,
    allowance: Allowance,
    demand: Demand,
    /// Bytes read after the deadline, while the connection is overdue, or discarded while it
    /// lingers.
    grace_bytes: u32,

    last_received: Moment,
    /// The start of the write timeout: when the output last became empty or non-empty. While output
    /// waits, each byte that the kernel accepts moves this moment ahead by the time of one byte at
    /// the minimum rate, at most to the present.
    last_sent: Moment,
    /// When the first byte of the incomplete message arrived, or when the handshake began;
    /// [`Moment::NEVER`] if there is neither.
    message_began: Moment,
    received_bytes: u64,
    sent_bytes: u64,
    messages: u64,

    opened: Moment,
    peer: Peer,
}

impl<S> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

// An idle connection also takes 32 bytes for its session, with the overhead of the allocator; 8 for
// its entry in the table; 16 for its deadline; 1 for its mark in the run queue. One more field can
// cost 8 bytes.
#[cfg(all(unix, target_pointer_width = "64"))]
const _: () = assert!(
    size_of::<Connection<std::os::fd::RawFd>>() == 136
        && offset_of!(Connection<std::os::fd::RawFd>, opened) == 104
);

impl<S: Socket> Connection<S> {
    /// Creates the connection of a socket that has just been accepted. If the peer is known, the
    /// caller opens it at once. Otherwise `peer` is a proxy, and the turn in which its header is
    /// complete is [`Turn::Opened`].
    pub fn new(socket: S, peer: Peer, shared: &Shared) -> Self {
        let now = shared.clock.now();
        Self {
            conversation: Conversation::Plain(Box::new(NoSession)),
            input: Buffer::default(),
            output: Buffer::default(),
            socket,
            complete_len: 0,
            phase: Phase::Opening,
            stopping: Stopping::No,
            read_state: ReadState::Empty,
            writable: true,
            pending: Pending::Nothing,
            backpressure: false,
            announced: false,
            ends_messages_by_quiet: false,
            overdue: false,
            allowance: Allowance::Unlimited,
            demand: Demand::default(),
            grace_bytes: 0,
            last_received: now,
            last_sent: now,
            message_began: Moment::NEVER,
            received_bytes: 0,
            sent_bytes: 0,
            messages: 0,
            opened: now,
            peer,
        }
    }

    /// Remembers the readiness that an event reports. The connection acts on it in its next turn.
    pub const fn remember(&mut self, readiness: Readiness) {
        self.writable |= readiness.writable;
        self.read_state = match self.read_state {
            ReadState::Ended | ReadState::ReadToEnd => self.read_state,
            _ if readiness.read_to_end => ReadState::ReadToEnd,
            ReadState::Empty if readiness.readable => ReadState::Readable,
            ReadState::Empty | ReadState::Readable => self.read_state,
        };
    }

    /// Remembers that there may be more to read than events have reported.
    const fn expect_unreported_bytes(&mut self) {
        self.remember(Readiness { readable: true, writable: false, read_to_end: true });
    }

    /// Notes that the room of the connection has a new message. The connection sends it in its next
    /// turn, or once its output is low.
    pub fn note_news(&mut self) {
        if self.phase == Phase::Open && self.pending == Pending::Nothing {
            self.pending = Pending::News;
        }
    }

    /// Rejects a connection that was accepted over the limit of `reason`, with the error of the
    /// protocol instead of its greeting.
    pub fn reject(&mut self, protocol: &dyn Protocol, reason: CloseReason, shared: &mut Shared) {
        self.open(protocol, shared);
        self.allowance = Allowance::Rejected;
        self.output.release(&mut shared.pool);
        self.end(Farewell::ServerBusy, reason, shared);
    }

    /// Rejects a connection without an answer. The caller closes it, and the close is a reset: the
    /// kernel keeps no state of the connection.
    pub fn reject_with_reset(&mut self) {
        self.allowance = Allowance::Rejected;
        self.socket.reset_on_close();
    }

    /// Begins the shutdown of the connection: it answers what has arrived, and is then over. A
    /// second call changes nothing.
    pub const fn stop(&mut self) {
        if !matches!(self.stopping, Stopping::No) {
            return;
        }
        self.stopping = Stopping::Reading;
        // The kernel may hold bytes that no event has reported yet. Only a read that returns
        // `WouldBlock` proves that it holds none.
        self.expect_unreported_bytes();
    }

    /// Reads no more, though the peer may still be sending.
    pub const fn stop_reading(&mut self) {
        self.stopping = Stopping::Answering;
    }

    /// Runs one turn of the connection: moves bytes until nothing moves or the budget is spent.
    /// Returns what the loop does next with the connection. The storage that the connection does
    /// not need until its next turn goes back to the pool.
    pub fn drive(&mut self, shared: &mut Shared) -> Turn {
        let before = shared.moved_bytes;
        let turn = self.work(shared).unwrap_or_else(|error| Turn::Close(self.reason_of(&error)));
        self.demand.note(shared.moved_bytes - before);
        let turn = if self.overdue { self.enforce_deadline(turn, shared) } else { turn };
        self.shrink_buffers(shared);
        if !matches!(turn, Turn::Close(_)) {
            self.debug_assert_invariants();
        }
        turn
    }

    /// The invariants between two turns. Debug builds check them after each turn.
    ///
    /// ```text
    ///   backpressure                  =>  output > low-water mark
    ///   Open, output >= high-water    =>  backpressure
    ///   not Open                      =>  nothing pending, no incomplete message
    ///   Opening                       =>  no output held
    ///   Flushing, Lingering           =>  no input held
    ///   Lingering                     =>  no output held
    ///   overdue                       =>  in the run queue (not checked here)
    /// ```
    fn debug_assert_invariants(&self) {
        let is_open = self.phase == Phase::Open;
        debug_assert!(
            !self.backpressure || self.output.len() > LOW_WATER_BYTES,
            "backpressure with a low output"
        );
        debug_assert!(
            !is_open || self.output.len() < HIGH_WATER_BYTES || self.backpressure,
            "no backpressure with a full output"
        );
        debug_assert!(is_open || self.pending == Pending::Nothing, "runnable and not open");
        debug_assert!(
            matches!(self.phase, Phase::Opening | Phase::Open) || !self.has_incomplete_message(),
            "a message and not open"
        );
        debug_assert!(
            !matches!(self.phase, Phase::Flushing(_) | Phase::Lingering(_))
                || self.input.capacity() == 0,
            "ends and holds input"
        );
        debug_assert!(
            !matches!(self.phase, Phase::Opening | Phase::Lingering(_))
                || self.output.capacity() == 0,
            "holds output and sends nothing"
        );
    }

    /// Repeats the moves until none makes progress or the budget is spent. Each move returns
    /// whether it made progress.
    fn work(&mut self, shared: &mut Shared) -> io::Result<Turn> {
        let budget_end = shared.moved_bytes + TURN_BYTES_MAX.min(shared.read_bytes_max) as u64;
        // Under backpressure the output is sent first: that can end it, and then this turn reads.
        // Otherwise it is sent last: the answers of this turn leave with it in one write.
        if self.backpressure
            && self.wants_flush()
            && self.flush(shared)?
            && shared.moved_bytes >= budget_end
        {
            return Ok(Turn::Yield);
        }
        loop {
            let mut moved = false;
            if self.allowance.is_limited() {
                self.update_allowance(shared);
            }
            if self.wants_fill() {
                moved |= self.fill(shared)?;
            }
            if self.wants_advance() {
                moved |= self.advance(shared);
            }
            if self.wants_flush() {
                moved |= self.flush(shared)?;
            }
            moved |= match self.phase {
                Phase::Opening => return self.continue_opening(shared),
                Phase::Open => self.end_if_over(shared),
                Phase::Flushing(reason) | Phase::Lingering(reason) => {
                    match self.continue_closing(reason, shared)? {
                        Some(moved) => moved,
                        None => return Ok(Turn::Close(reason)),
                    }
                }
            };
            if !moved {
                // A read that is possible and moved nothing waits for memory.
                return Ok(if self.wants_fill() { Turn::Yield } else { Turn::Idle });
            }
            if shared.moved_bytes >= budget_end {
                return Ok(Turn::Yield);
            }
        }
    }

    /// Makes the moves of a connection that runs no more messages: it is in the phase `Flushing` or
    /// `Lingering`. Returns whether one made progress; `None` if the connection is to be closed.
    fn continue_closing(
        &mut self,
        reason: CloseReason,
        shared: &mut Shared,
    ) -> io::Result<Option<bool>> {
        match self.phase {
            Phase::Flushing(_) if !self.is_flushed() => Ok(Some(false)),
            Phase::Flushing(_) => Ok(self.finish_output(reason, shared).then_some(true)),
            _ if self.read_state == ReadState::Ended => Ok(None),
            // Beyond this bound the bytes of the peer stay unread, but the last answers still have
            // the rest of the timeout to arrive.
            _ if self.grace_bytes > LINGER_BYTES_MAX => Ok(Some(false)),
            _ => Ok(Some(self.is_readable() && self.discard(shared)?)),
        }
    }

    /// True if output waits and a write may succeed. No event is needed for that: a socket is
    /// writable until a write returns `WouldBlock`, and only then does an event follow. A
    /// connection that waited for a writable event before each write would wait for ever.
    const fn wants_flush(&self) -> bool {
        self.writable && !self.is_flushed()
    }

    /// True if the session is to be called now.
    ///
    /// Under backpressure it is called only for a frame whose length is known, to see whether the
    /// frame is complete: a session runs no message while the output is full. Messages of its room
    /// wait until the output is low, so that answers to its own requests go first.
    fn wants_advance(&self) -> bool {
        match self.pending {
            Pending::Nothing => false,
            Pending::News => self.output.len() < LOW_WATER_BYTES,
            Pending::Messages => !self.backpressure || self.complete_len > 0,
        }
    }

    /// True if the connection reads now.
    fn wants_fill(&self) -> bool {
        self.wants_read() && self.allowance != Allowance::Delayed
    }

    /// True if the connection should read: the complete messages of the input have been run. Under
    /// backpressure it reads only to the end of a frame that has begun, because a client may send a
    /// whole frame before it reads any answer.
    fn wants_read(&self) -> bool {
        self.may_read()
            && (self.pending != Pending::Messages || self.input.is_empty())
            && self.phase == Phase::Open
            && self.stopping != Stopping::Answering
            && (!self.backpressure || self.input.len() < self.complete_len as usize)
    }

    /// True if a read may return something, or the layer holds records that are not decrypted.
    #[inline]
    const fn may_read(&self) -> bool {
        self.is_readable() || self.has_unopened()
    }

    /// True if a read may return something.
    const fn is_readable(&self) -> bool {
        matches!(self.read_state, ReadState::Readable | ReadState::ReadToEnd)
    }

    /// The scheduling class, which follows from the size of the last turns.
    #[must_use]
    #[inline]
    pub const fn class(&self) -> Class {
        self.demand.class()
    }

    /// Writes the connection to the activity log as opened, unless it is there already.
    pub fn announce(&mut self, shared: &mut Shared) {
        if !self.announced {
            self.announced = true;
            shared.activity.opened(&self.peer, shared.clock.now().since(self.opened));
        }
    }

    /// True if the peer closed without sending a byte and before the log has shown the connection:
    /// a port scan or a health check.
    #[must_use]
    pub const fn is_probe(&self, reason: CloseReason) -> bool {
        !self.announced && matches!(reason, CloseReason::PeerClosed | CloseReason::Reset)
    }

    /// The address of the peer, and the index of the listener.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// True if the connection was rejected over the limit.
    #[must_use]
    pub const fn is_rejected(&self) -> bool {
        matches!(self.allowance, Allowance::Rejected)
    }

    /// Returns the summary for the log. All storage goes back to the pool, and the connection
    /// leaves its room and the count of its address. The caller then drops the connection, which
    /// closes the socket.
    pub fn close(&mut self, reason: CloseReason, shared: &mut Shared) -> Summary {
        self.input.release(&mut shared.pool);
        self.output.release(&mut shared.pool);
        self.leave_room(shared);
        if let Some(layer) = self.conversation.layer_mut() {
            layer.release(&mut shared.pool);
        }
        if self.allowance.is_limited() {
            shared.address_limits.leave(&self.peer, shared.clock.now());
        }
        Summary {
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes,
            messages: self.messages,
            duration: shared.clock.now().since(self.opened),
            reason,
        }
    }

    /// True while a message or a record has begun to arrive and has not ended.
    #[must_use]
    pub fn has_incomplete_message(&self) -> bool {
        self.incomplete_since() != Moment::NEVER
    }

    /// Returns when the incomplete message or record began; [`Moment::NEVER`] if there is none.
    fn incomplete_since(&self) -> Moment {
        self.message_began.min(self.conversation.record_began())
    }

    /// Returns the close reason of an I/O error. A connection that is no longer open keeps the
    /// reason that it has.
    fn reason_of(&self, error: &io::Error) -> CloseReason {
        match self.phase {
            Phase::Opening | Phase::Open => CloseReason::of_error(error),
            Phase::Flushing(reason) | Phase::Lingering(reason) => reason,
        }
    }
}
