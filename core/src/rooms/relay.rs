//! The outbox of a bus: messages of members of this server, which other servers want.

use std::collections::VecDeque;
use std::sync::Arc;

/// How many bytes may wait. A bus takes them in each round.
const BYTES_MAX: usize = 1 << 20;

/// A message of a member of this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// The name of the room.
    pub room: Arc<str>,
    name_len: usize,
    /// The name, directly followed by the text.
    bytes: Box<[u8]>,
}

impl Relayed {
    /// The name of the member that said it.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.bytes.get(..self.name_len).unwrap_or_default()
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.bytes.get(self.name_len..).unwrap_or_default()
    }

    fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }
}

/// The outbox.
#[derive(Debug, Default)]
pub(super) struct Relay {
    is_on: bool,
    outgoing: VecDeque<Relayed>,
    held_bytes: usize,
    overflows: u64,
    /// The rooms that were opened or removed. A bus takes them in each round.
    changed: Vec<Arc<str>>,
}

impl Relay {
    /// Switches the relay on or off, and discards what waits.
    pub fn set(&mut self, is_on: bool) {
        self.is_on = is_on;
        self.outgoing = VecDeque::new();
        self.changed = Vec::new();
        self.held_bytes = 0;
    }

    /// Keeps a message while the relay is on. Discards it if too many bytes wait.
    pub fn note(&mut self, room: &Arc<str>, bytes: &[u8], name_len: usize) {
        if !self.is_on {
            return;
        }
        let message = Relayed { room: Arc::clone(room), name_len, bytes: bytes.into() };
        if self.held_bytes + message.held_bytes() > BYTES_MAX {
            self.overflows += 1;
            return;
        }
        self.held_bytes += message.held_bytes();
        self.outgoing.push_back(message);
    }

    /// Returns the messages that wait, and keeps none of them.
    pub fn take(&mut self) -> impl Iterator<Item = Relayed> + '_ {
        self.held_bytes = 0;
        self.outgoing.drain(..)
    }

    /// Returns how many messages it has discarded since the last call.
    pub const fn take_overflows(&mut self) -> u64 {
        std::mem::replace(&mut self.overflows, 0)
    }

    /// Notes that `room` was opened or removed.
    pub fn note_change(&mut self, room: &Arc<str>) {
        if self.is_on {
            self.changed.push(Arc::clone(room));
        }
    }

    pub fn take_changed(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.changed)
    }

    /// True if a bus has something to take.
    pub fn is_waiting(&self) -> bool {
        !self.outgoing.is_empty() || !self.changed.is_empty() || self.overflows > 0
    }
}
