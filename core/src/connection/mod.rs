//! One peer: its socket, its session, and the bytes between them.
//!
//! ```text
//!    kernel --fill--> input --advance--> session --append--> output --flush--> kernel
//!
//!             a session closes, the input ends,       all is flushed,          end of input,
//!             a deadline falls due, the server stops  the output is shut       or 2 s
//!    Open -----------------------------------------> Draining ----> Lingering ------------> closed
//! ```
//!
//! A connection never waits: [`Connection::drive`] moves bytes until nothing moves, or until its
//! share of the turn is spent. Here is what it remembers and which move comes next; the moves
//! themselves are in `transfer` (the kernel's side) and `conversation` (the session's side), what
//! it waits for in between is in [`expiry`], and what it holds meanwhile in `holdings`.

// What a peer sends reaches this code first: no value of it may panic, and no length of it may be
// cut.
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

mod conversation;
pub mod expiry;
mod holdings;
pub mod inspection;
mod transfer;

use std::io;
use std::mem::offset_of;

use crate::buffers::buffer::Buffer;
use crate::buffers::pool::{BLOCK_LEN, Pool};
use crate::close_reason::CloseReason;
use crate::limits::{HIGH_WATER_BYTES, LINGER_BYTES_MAX, LOW_WATER_BYTES, Timeouts};
use crate::logging::activity::{Activity, Summary};
use crate::os::clock::Clock;
use crate::os::moment::Moment;
use crate::os::peer::Peer;
use crate::os::system::{Readiness, Socket};
use crate::protocol::{Accepted, Notice, Output, Protocol, Session};
use crate::queues::run_queue::{Class, Load};
use crate::status::Status;

/// How many bytes a connection may read and write in one turn before the next one is served: what
/// one read gives, and half as much of answers. The move that passes the bound is the last one, so
/// that a turn is mostly one read and one write. At two thirds of it, a line that is longer than a
/// block costs a third more. [`Shared::read_bytes_max`] may make it less.
pub const TURN_BYTES_MAX: usize = BLOCK_LEN + BLOCK_LEN / 2;

/// What all connections share and work with during their turns.
#[derive(Debug)]
pub struct Shared {
    /// Storage.
    pub pool: Pool,
    /// The state of the server, in which every byte and every message is counted as it moves.
    pub status: Status,
    /// The number of the connection that has its turn: see
    /// [`Context::number`](crate::protocol::Context::number).
    pub turn_of: u64,
    /// Bytes that were received and sent since the start: what the work of a turn is measured by.
    pub moved_bytes: u64,
    /// The most that one read may give, never 0. A turn that has moved as much is over.
    pub read_bytes_max: usize,
    /// The time of this round.
    pub clock: Clock,
    /// The log of what people do.
    pub activity: Activity,
    /// How long a connection may take.
    pub timeouts: Timeouts,
}

/// What came of a turn: all that the loop needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing more can be done before an event or a deadline.
    Idle,
    /// The turn was too short: there is more to do.
    Yield,
    /// It is over.
    Close(CloseReason),
}

/// How far a connection is on its way out, and the reason that started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for messages, or running them.
    Open,
    /// Waiting for the peer to take its last answers; nothing more is run.
    Draining(CloseReason),
    /// Waiting for the end of the peer's input, so that closing resets nothing that is under way.
    Lingering(CloseReason),
}

/// What the next read may find, as far as it is known: remembered readiness, which may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inlet {
    /// Nothing, until an event says otherwise: at first, because registration announces what is
    /// there, and after a read said that nothing is there, or was short with nothing behind it.
    Empty,
    /// Bytes, the end of input, or an error. A short read empties the socket.
    Readable,
    /// The same, and a short read does not empty the socket. See [`Readiness::read_to_end`].
    ReadToEnd,
    /// Nothing ever again: the peer's end of input has been read.
    Ended,
}

/// How far the server's shutdown has come for this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    /// The server is not shutting down.
    No,
    /// What has arrived is being read and answered; then it is over.
    Reading,
    /// Nothing more is read.
    Read,
}

/// One connection.
///
/// Most connections are idle, and there may be a million: so this is 136 bytes, in the order in
/// which they are used. All that a request touches is in front of `opened`, 104 bytes: two cache
/// lines, or three where these begin in the middle of one.
#[repr(C)]
pub struct Connection<S> {
    session: Box<dyn Session>,
    /// Bytes that no session has consumed. At most one message and a block.
    input: Buffer,
    /// Answers that the kernel has not taken. At most the high-water mark and one answer.
    output: Buffer,
    socket: S,
    /// The length that the input must reach before its first message can be whole; 0 when that is
    /// not known.
    complete_len: u32,

    phase: Phase,
    stopping: Stopping,
    inlet: Inlet,
    /// Remembered readiness: false only after a write that would have blocked.
    writable: bool,
    /// True exactly when the input may hold a whole message that was not run, or the session has
    /// more to say unasked; never on its way out.
    runnable: bool,
    /// True exactly when the output has passed the high-water mark and not yet sunk to the low
    /// one.
    backpressure: bool,
    /// True exactly when the activity log has been told of it.
    announced: bool,
    /// True exactly when a piece is a message once the peer falls quiet.
    ends_messages_by_quiet: bool,
    /// True exactly when its deadline has passed and it reads what had arrived by then, before it
    /// is judged.
    overdue: bool,
    /// True exactly when it was turned away over the limit.
    rejected: bool,
    load: Load,
    /// Bytes that were read past its deadline, while it is overdue, or behind its end, while it
    /// lingers.
    grace_bytes: u32,

    last_received: Moment,
    /// When the peer last took all that waited, or when bytes began to wait for it; while they
    /// wait, each byte that is taken moves it by the time of a byte at the least rate, never
    /// beyond now.
    last_sent: Moment,
    /// When the first byte of the incomplete message came; [`Moment::NEVER`] when there is none.
    message_began: Moment,
    received_bytes: u64,
    sent_bytes: u64,
    messages: u64,

    opened: Moment,
    peer: Peer,
}

// An idle connection also has its session, 32 bytes with what the allocator adds; its entry in the
// table, 8; its deadline, 16; its place in the run queue, 1; how much it holds, 1: 194 bytes in
// all. A field that goes over the size costs 8.
#[cfg(all(unix, target_pointer_width = "64"))]
const _: () = assert!(
    size_of::<Connection<std::os::fd::RawFd>>() == 136
        && offset_of!(Connection<std::os::fd::RawFd>, opened) == 104
);

impl<S: Socket> Connection<S> {
    /// A connection that has just been accepted, with its greeting waiting to be sent.
    pub fn new(socket: S, peer: Peer, protocol: &dyn Protocol, shared: &mut Shared) -> Self {
        let now = shared.clock.now();
        let mut connection = Self {
            session: protocol.session(&Accepted::new(peer, shared.turn_of, shared.status.limits)),
            input: Buffer::default(),
            output: Buffer::default(),
            socket,
            complete_len: 0,
            phase: Phase::Open,
            stopping: Stopping::No,
            inlet: Inlet::Empty,
            writable: true,
            // A session may have something to say that nobody asked for.
            runnable: true,
            backpressure: false,
            announced: false,
            ends_messages_by_quiet: protocol.ends_messages_by_quiet(),
            overdue: false,
            rejected: false,
            load: Load::default(),
            grace_bytes: 0,
            last_received: now,
            last_sent: now,
            message_began: Moment::NEVER,
            received_bytes: 0,
            sent_bytes: 0,
            messages: 0,
            opened: now,
            peer,
        };
        connection.session.greet(&mut Output::new(&mut connection.output, &mut shared.pool));
        connection
    }

    /// Remembers what the poller said. Nothing is done before the connection's turn.
    pub const fn remember(&mut self, readiness: Readiness) {
        self.writable |= readiness.writable;
        self.inlet = match self.inlet {
            Inlet::Ended | Inlet::ReadToEnd => self.inlet,
            _ if readiness.read_to_end => Inlet::ReadToEnd,
            Inlet::Empty if readiness.readable => Inlet::Readable,
            Inlet::Empty | Inlet::Readable => self.inlet,
        };
    }

    /// Remembers that there may be more to read than any event has said.
    const fn read_to_end(&mut self) {
        self.remember(Readiness { readable: true, writable: false, read_to_end: true });
    }

    /// Turns a connection away that was accepted over the limit.
    pub fn reject(&mut self, shared: &mut Shared) {
        self.rejected = true;
        self.output.release(&mut shared.pool);
        self.end(Notice::ServerBusy, CloseReason::ServerBusy, shared);
    }

    /// Answers what has arrived by now, and then ends the conversation.
    pub const fn stop(&mut self) {
        self.stopping = Stopping::Reading;
        // The kernel may hold what no event has announced yet: only a read that would block says
        // that it does not.
        self.read_to_end();
    }

    /// Takes nothing more from a peer that keeps on sending while the server is shutting down.
    pub const fn stop_reading(&mut self) {
        self.stopping = Stopping::Read;
    }

    /// Moves bytes until nothing moves or the turn is over, and gives storage back that is not
    /// needed meanwhile.
    pub fn drive(&mut self, shared: &mut Shared) -> Turn {
        let before = shared.moved_bytes;
        let turn = self.work(shared).unwrap_or_else(|error| Turn::Close(self.reason_of(&error)));
        self.load.note(shared.moved_bytes - before);
        let turn = if self.overdue { self.judge(turn, shared) } else { turn };
        self.settle(shared);
        if !matches!(turn, Turn::Close(_)) {
            self.debug_assert_invariants();
        }
        turn
    }

    /// What holds between any two turns; debug builds check it after each.
    ///
    /// ```text
    ///   backpressure                  =>  output > low-water mark
    ///   Open, output >= high-water    =>  backpressure
    ///   Draining, Lingering           =>  not runnable, no incomplete message, no input held
    ///   Lingering                     =>  no output held
    ///   overdue                       =>  it stands in the run queue (which only the loop knows)
    /// ```
    fn debug_assert_invariants(&self) {
        let is_open = self.phase == Phase::Open;
        debug_assert!(
            !self.backpressure || self.output.len() > LOW_WATER_BYTES,
            "backpressure without answers"
        );
        debug_assert!(
            !is_open || self.output.len() < HIGH_WATER_BYTES || self.backpressure,
            "no backpressure"
        );
        debug_assert!(is_open || !self.runnable, "runs on its way out");
        debug_assert!(is_open || !self.has_incomplete_message(), "a message on its way out");
        debug_assert!(is_open || self.input.capacity() == 0, "input is held on its way out");
        debug_assert!(
            !matches!(self.phase, Phase::Lingering(_)) || self.output.capacity() == 0,
            "lingers with output"
        );
    }

    /// Each move says whether it moved anything; a turn in which none did is over.
    fn work(&mut self, shared: &mut Shared) -> io::Result<Turn> {
        let budget_end = shared.moved_bytes + TURN_BYTES_MAX.min(shared.read_bytes_max) as u64;
        // What waits goes first: that may end backpressure.
        if self.wants_flush() && self.flush(shared)? && shared.moved_bytes >= budget_end {
            return Ok(Turn::Yield);
        }
        loop {
            let mut moved = false;
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
                Phase::Open => self.end_if_over(shared),
                Phase::Draining(reason) if self.output.is_empty() => {
                    if !self.finish_output(reason, shared) {
                        return Ok(Turn::Close(reason));
                    }
                    true
                }
                Phase::Draining(_) => false,
                Phase::Lingering(reason) if self.inlet == Inlet::Ended => {
                    return Ok(Turn::Close(reason));
                }
                // Beyond its bound the peer's bytes stay unread, but ours still have their time to
                // get through.
                Phase::Lingering(_) if self.grace_bytes > LINGER_BYTES_MAX => false,
                Phase::Lingering(_) => self.is_readable() && self.discard(shared)?,
            };
            if !moved {
                // A read that could be made and was not waits for memory.
                return Ok(if self.wants_fill() { Turn::Yield } else { Turn::Idle });
            }
            if shared.moved_bytes >= budget_end {
                return Ok(Turn::Yield);
            }
        }
    }

    const fn wants_flush(&self) -> bool {
        self.writable && !self.output.is_empty()
    }

    /// Under backpressure it only looks whether a frame that has begun is complete: the session
    /// runs none while the output is full.
    fn wants_advance(&self) -> bool {
        self.runnable && (!self.backpressure || self.complete_len > 0)
    }

    /// Reads only when all that was read has been run. Under backpressure it reads no further than
    /// to the end of a frame that has begun: its sender may not read before it has sent the
    /// whole of it.
    fn wants_fill(&self) -> bool {
        self.is_readable()
            && (!self.runnable || self.input.is_empty())
            && self.phase == Phase::Open
            && self.stopping != Stopping::Read
            && (!self.backpressure || self.input.len() < self.complete_len as usize)
    }

    /// True exactly when a read may find something.
    const fn is_readable(&self) -> bool {
        matches!(self.inlet, Inlet::Readable | Inlet::ReadToEnd)
    }

    /// What it asks for, as far as its last turns show.
    #[must_use]
    #[inline]
    pub const fn class(&self) -> Class {
        self.load.class()
    }

    /// Tells the activity log of this connection, if it has not been told.
    pub fn announce(&mut self, shared: &mut Shared) {
        if !self.announced {
            self.announced = true;
            shared.activity.opened(&self.peer, shared.clock.now().since(self.opened));
        }
    }

    /// True exactly when the peer left without a byte and before anybody was told of it: it only
    /// looked whether the port is open.
    #[must_use]
    pub const fn is_probe(&self, reason: CloseReason) -> bool {
        !self.announced && matches!(reason, CloseReason::PeerClosed | CloseReason::Reset)
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// True exactly when it was turned away over the limit.
    #[must_use]
    pub const fn is_rejected(&self) -> bool {
        self.rejected
    }

    /// Gives all storage back and sums up; the caller drops the connection, which closes the
    /// socket.
    pub fn close(&mut self, reason: CloseReason, shared: &mut Shared) -> Summary {
        self.input.release(&mut shared.pool);
        self.output.release(&mut shared.pool);
        Summary {
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes,
            messages: self.messages,
            duration: shared.clock.now().since(self.opened),
            reason,
        }
    }

    const fn has_incomplete_message(&self) -> bool {
        !matches!(self.message_began, Moment::NEVER)
    }

    /// On its way out a connection is closed for what started that, whatever the peer does
    /// meanwhile.
    fn reason_of(&self, error: &io::Error) -> CloseReason {
        match self.phase {
            Phase::Open => CloseReason::of_error(error),
            Phase::Draining(reason) | Phase::Lingering(reason) => reason,
        }
    }
}
