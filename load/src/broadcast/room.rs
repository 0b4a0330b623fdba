//! The order of the messages of a room, which the first member to receive a message defines.

use super::payload::Payload;

/// A room.
#[derive(Debug, Default)]
pub struct Room {
    /// The message at each place after the start, as far as any member has received them.
    order: Vec<Option<(u32, u32)>>,
    /// Messages that the server has accepted, of each publisher.
    pub accepted: Vec<u64>,
    /// Members that have joined and are not lost.
    pub members: u64,
    /// It has members that never read, which the server may disconnect.
    pub has_silent: bool,
    /// A member was lost, so that the server may count another number of members for a while.
    pub has_changed: bool,
}

impl Room {
    /// Creates a room with this number of publishers.
    #[must_use]
    pub fn new(publishers: usize) -> Self {
        Self { accepted: vec![0; publishers], ..Self::default() }
    }

    /// Returns true if the message at `place` is this one. The first call for a place decides.
    pub fn agrees(&mut self, place: usize, message: Payload) -> bool {
        let name = (message.publisher, message.number);
        if place >= self.order.len() {
            self.order.resize(place + 1, None);
        }
        *self.order[place].get_or_insert(name) == name
    }

    /// Returns how many messages the server has accepted from publishers other than `own`.
    #[must_use]
    pub fn accepted_from_others(&self, own: Option<usize>) -> u64 {
        let all: u64 = self.accepted.iter().sum();
        all - own.map_or(0, |own| self.accepted[own])
    }
}
