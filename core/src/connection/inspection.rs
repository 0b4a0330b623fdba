//! What a connection remembers and holds, for tests and for who embeds the loop: to be looked at,
//! never to steer by.

use super::{Connection, Inlet, Phase, Stopping};
use crate::os::system::Socket;

/// What one connection remembers and holds.
#[derive(Clone, Copy, Debug)]
pub struct Inspection {
    /// How far it is on its way out.
    pub phase: Phase,
    /// True exactly when a read may give something, as far as it remembers.
    pub is_readable: bool,
    /// True exactly when a write may be taken, as far as it remembers.
    pub is_writable: bool,
    /// True exactly when the peer's end of input has been read.
    pub input_ended: bool,
    /// True exactly when the input may hold a whole message that was not run, or the session has
    /// more to say unasked.
    pub is_runnable: bool,
    /// True exactly when backpressure keeps it from reading and from running messages.
    pub is_paused: bool,
    /// True exactly when the server stops and takes nothing more from it.
    pub is_deaf: bool,
    /// True exactly when its deadline has passed and it waits for the turns in which it is judged.
    pub is_overdue: bool,
    /// Bytes that no session has consumed.
    pub input_len: usize,
    /// The storage that holds them, in bytes.
    pub input_held: usize,
    /// Bytes of answers that the kernel has not taken.
    pub output_len: usize,
    /// The storage that holds them, in bytes.
    pub output_held: usize,
    /// Bytes that were read past its deadline, or behind its end while it lingers.
    pub grace_bytes: u32,
}

impl<S: Socket> Connection<S> {
    /// What it remembers and holds now.
    #[must_use]
    pub fn inspect(&self) -> Inspection {
        Inspection {
            phase: self.phase,
            is_readable: self.is_readable(),
            is_writable: self.writable,
            input_ended: self.inlet == Inlet::Ended,
            is_runnable: self.runnable,
            is_paused: self.backpressure,
            is_deaf: self.stopping == Stopping::Read,
            is_overdue: self.overdue,
            input_len: self.input.len(),
            input_held: self.input.capacity(),
            output_len: self.output.len(),
            output_held: self.output.capacity(),
            grace_bytes: self.grace_bytes,
        }
    }
}
