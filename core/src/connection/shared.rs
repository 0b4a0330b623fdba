//! The resources that all connections share during their turns, and the result of a turn.

use crate::address_limits::AddressLimits;
use crate::buffers::pool::Pool;
use crate::close_reason::CloseReason;
use crate::limits::Timeouts;
use crate::logging::activity::Activity;
use crate::os::clock::Clock;
use crate::os::table::Token;
use crate::rooms::Rooms;
use crate::status::Status;

/// How many bytes a connection may read and write in one turn: a full read, and half as many bytes
/// of answers. The move that exceeds the bound is the last one, so most turns are one read and one
/// write. With two thirds of this value, a line that is longer than a block costs a third more
/// (`cargo bench --bench versus -- text large`). [`Shared::read_bytes_max`] can lower it.
pub const TURN_BYTES_MAX: usize = 96 << 10;

/// The resources that all connections share and use in their turns.
#[derive(Debug)]
pub struct Shared {
    /// Lends storage to buffers.
    pub pool: Pool,
    /// The state of the server. Every byte and message is counted here as it moves.
    pub status: Status,
    /// The connection that has its turn. Its number is that of
    /// [`Context::number`](crate::protocol::Context::number).
    pub turn_of: Token,
    /// Bytes received and sent since the start, plus the price of each step of a handshake. The
    /// difference over a turn is the work of the turn.
    pub moved_bytes: u64,
    /// The most bytes that one read may return, never 0. A turn that has moved this number of bytes
    /// is over.
    pub read_bytes_max: usize,
    /// The time of this round.
    pub clock: Clock,
    /// The log of connections and messages.
    pub activity: Activity,
    /// The timeouts of connections, and the times of a drain and a stop.
    pub timeouts: Timeouts,
    /// What each address has used of the limits per address.
    pub address_limits: AddressLimits,
    /// The rooms, and the connections in them.
    pub rooms: Rooms,
}

/// What a turn in the phase [`Opening`](super::Phase::Opening) has found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The peer is known: the header of its proxy is complete.
    Peer,
    /// The keys are known: the handshake is complete.
    Encrypted,
    /// The peer has begun without TLS on an encrypted listener.
    Unencrypted,
}

/// The result of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The connection has nothing to do before the next event or deadline.
    Idle,
    /// The connection has more to do and needs another turn: the budget of this one is spent, or a
    /// read waits for memory.
    Yield,
    /// The connection needs its handshake or its session, and then another turn.
    Opened(Opened),
    /// The connection is over and must be closed.
    Close(CloseReason),
}
