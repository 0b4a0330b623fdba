//! The place of a connection in a room, and its cursor into the log of the room.

use crate::limits::Limits;

/// How many bits of a place are the number of the slot: 1,048,576 members per room.
const SLOT_BITS: u32 = 20;

// The last number of a room means no room.
const _: () = assert!(Limits::ROOM_MEMBERS_MAX == 1 << SLOT_BITS);
const _: () = assert!(Limits::ROOMS_MAX == (1 << (32 - SLOT_BITS)) - 1);

/// The place of a connection in a room; by default it is in none.
///
/// A session keeps it, so that a connection that has not joined takes no memory anywhere else.
// Eight bytes, because each idle connection has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The index of the room in the upper bits, and the slot in the others.
    place: u32,
    /// The number of the next message to send.
    cursor: u32,
}

impl Default for Seat {
    fn default() -> Self {
        Self::nowhere()
    }
}

impl Seat {
    /// Returns the seat of a connection that is in no room.
    #[must_use]
    pub const fn nowhere() -> Self {
        Self { place: u32::MAX, cursor: 0 }
    }

    pub(super) fn new(room: usize, slot: u32, cursor: u32) -> Self {
        let room = u32::try_from(room).unwrap_or(u32::MAX >> SLOT_BITS);
        Self { place: room << SLOT_BITS | slot, cursor }
    }

    /// True if the connection is in a room.
    #[must_use]
    #[inline]
    pub const fn is_taken(self) -> bool {
        self.place != u32::MAX
    }

    pub(super) fn place(self) -> Option<(usize, u32)> {
        self.room().map(|room| (room, self.place & (u32::MAX >> (32 - SLOT_BITS))))
    }

    pub(super) fn room(self) -> Option<usize> {
        self.is_taken().then_some((self.place >> SLOT_BITS) as usize)
    }

    pub(super) const fn cursor(self) -> u32 {
        self.cursor
    }

    pub(super) const fn pass(&mut self, count: u32) {
        self.cursor = self.cursor.wrapping_add(count);
    }
}

const _: () = assert!(size_of::<Seat>() == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_holds_the_largest_room_and_the_largest_slot() {
        let last = (Limits::ROOMS_MAX - 1, Limits::ROOM_MEMBERS_MAX as u32 - 1);
        for (room, slot) in [(0, 0), last, (7, 8)] {
            assert_eq!(Seat::new(room, slot, 9).place(), Some((room, slot)));
        }
        assert_eq!(Seat::default().place(), None);
    }
}
