//! The state of a connection, for tests and for programs that embed the loop.

use super::{Allowance, Connection, Pending, Phase, ReadState, Stopping};
use crate::os::system::Socket;

/// The state of one connection. It is read-only.
#[derive(Clone, Copy, Debug)]
pub struct Inspection {
    /// Its phase.
    pub phase: Phase,
    /// True if a read may return something, by remembered readiness.
    pub is_readable: bool,
    /// True if a write may succeed, by remembered readiness.
    pub is_writable: bool,
    /// True if the end of the peer's input has been read.
    pub input_ended: bool,
    /// True if the input may hold a complete message that was not run, or the session has more to
    /// send unasked.
    pub is_runnable: bool,
    /// True if the session has messages of a room to send, once the output is low.
    pub has_news: bool,
    /// True if backpressure stops reading and running.
    pub is_paused: bool,
    /// True if it reads nothing because its address has sent too many messages.
    pub is_delayed: bool,
    /// True if the server stops and reads no more from this connection.
    pub reads_no_more: bool,
    /// True if the deadline has passed and is not yet enforced.
    pub is_overdue: bool,
    /// Received bytes that the session has not consumed.
    pub input_len: usize,
    /// The storage that holds them, in bytes.
    pub input_held: usize,
    /// Bytes of answers that the kernel has not accepted.
    pub output_len: usize,
    /// The storage that holds them, in bytes.
    pub output_held: usize,
    /// True if the layer of an encrypted connection holds bytes that the TLS library has not seen.
    pub has_unopened: bool,
    /// The storage of the layer, in bytes.
    pub layer_held: usize,
    /// Bytes read after the deadline, or discarded while the connection lingers.
    pub grace_bytes: u32,
}

impl<S: Socket> Connection<S> {
    /// Returns the present state.
    #[must_use]
    pub fn inspect(&self) -> Inspection {
        Inspection {
            phase: self.phase,
            is_readable: self.is_readable(),
            is_writable: self.writable,
            input_ended: self.read_state == ReadState::Ended,
            is_runnable: self.pending == Pending::Messages,
            has_news: self.pending == Pending::News,
            is_paused: self.backpressure,
            is_delayed: self.allowance == Allowance::Delayed,
            reads_no_more: self.stopping == Stopping::Answering,
            is_overdue: self.overdue,
            input_len: self.input.len(),
            input_held: self.input.capacity(),
            output_len: self.output.len(),
            output_held: self.output.capacity(),
            has_unopened: self.has_unopened(),
            layer_held: self.held_bytes() - self.input.capacity() - self.output.capacity(),
            grace_bytes: self.grace_bytes,
        }
    }
}
