//! What a server has seen since it was started.

use std::fmt;

use crate::close_reason::{CloseReason, by_reason};
use crate::display::plural::plural;
use crate::logging::activity::Summary;

/// Sums over all connections. `accepted` is at all times the number of those that are open and those in `closed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted, those over the limit included.
    pub accepted: u64,
    /// Connections closed, by [`CloseReason`].
    pub closed: [u64; CloseReason::COUNT],
    /// Connections of these that ended without a byte, and before the activity log was told of them.
    pub probes: u64,
    /// Connections that were lost between the peer and `accept`.
    pub accepts_lost: u64,
    /// How often accepting was paused, because descriptors or memory had run out.
    pub accept_pauses: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Messages received.
    pub messages: u64,
    /// The most bytes that the buffers of all connections held together, in the middle of a turn too; known at the end only,
    /// and 0 before.
    pub held_bytes_most: usize,
}

impl Counters {
    /// How many connections were closed for `reason`.
    #[must_use]
    pub fn closed_for(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize]
    }

    /// How many connections were closed.
    #[must_use]
    pub fn closed_in_all(&self) -> u64 {
        self.closed.iter().sum()
    }

    pub(super) fn add(&mut self, summary: &Summary) {
        self.closed[summary.reason as usize] += 1;
        self.received_bytes += summary.received_bytes;
        self.sent_bytes += summary.sent_bytes;
        self.messages += summary.messages;
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} turned away, {}, {} in, {} out, at most {} in buffers",
            plural(self.accepted, "connection"),
            self.closed_for(CloseReason::ServerBusy),
            plural(self.messages, "message"),
            plural(self.received_bytes, "byte"),
            plural(self.sent_bytes, "byte"),
            plural(self.held_bytes_most as u64, "byte")
        )?;
        if self.closed_in_all() > 0 {
            write!(f, "; closed: {}", by_reason(&self.closed))?;
        }
        Ok(())
    }
}
