//! One room: its log, its members, and how far the wave that wakes them has come.

use std::collections::HashSet;
use std::sync::Arc;

use super::ring::{Message, Ring};
use crate::os::table::Token;

/// How many empty slots one step of a wave passes. After a crowd has left, a wave takes a few steps
/// more, and no step takes longer than a turn.
const PASSED_MAX: usize = 1024;

/// The token in an empty slot. No table has an entry with it.
const EMPTY: Token = Token::from_usize(usize::MAX);

/// A room.
#[derive(Debug)]
pub(super) struct Room {
    pub name: Arc<str>,
    pub ring: Ring,
    /// The chosen names of its members.
    pub names: HashSet<Arc<str>>,
    /// The members by slot. A member keeps its slot until it leaves.
    slots: Vec<Token>,
    /// The empty slots.
    empty: Vec<u32>,
    /// The wave: the next slot, and how many slots are left.
    next: usize,
    left: usize,
}

impl Room {
    pub fn new(name: Arc<str>) -> Self {
        Self {
            name,
            ring: Ring::default(),
            names: HashSet::new(),
            slots: Vec::new(),
            empty: Vec::new(),
            next: 0,
            left: 0,
        }
    }

    /// The number of members.
    pub const fn len(&self) -> usize {
        self.slots.len() - self.empty.len()
    }

    /// Adds a member. Returns its slot.
    pub fn add(&mut self, member: Token) -> u32 {
        if let Some(slot) = self.empty.pop() {
            if let Some(place) = self.slots.get_mut(slot as usize) {
                *place = member;
            }
            return slot;
        }
        // Growing by 1/32 wastes less memory than doubling, which would take up to 16 bytes per
        // member. The allocator mostly remaps a large block and does not copy it.
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact(self.slots.len() / 32 + 4);
        }
        self.slots.push(member);
        // A wave may still pass the new slot, and must then not end one slot too early.
        self.left += usize::from(self.has_wave());
        u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
    }

    /// Removes the member in `slot`, if it is there.
    pub fn remove(&mut self, slot: u32, member: Token) -> bool {
        match self.slots.get_mut(slot as usize) {
            Some(place) if *place == member => {
                *place = EMPTY;
                self.empty.push(slot);
                true
            }
            _ => false,
        }
    }

    /// The members in the first [`PASSED_MAX`] slots, in the order of the slots.
    pub fn members(&self) -> impl Iterator<Item = Token> {
        self.slots.iter().take(PASSED_MAX).filter(|member| **member != EMPTY).copied()
    }

    /// Appends a message, and begins another wave. Returns true if there was none before.
    pub fn publish(&mut self, message: Message, bytes_max: usize) -> bool {
        self.ring.append(message, bytes_max);
        let is_first = self.left == 0;
        self.left = self.slots.len();
        is_first
    }

    /// True while members have not been woken since the last message.
    pub const fn has_wave(&self) -> bool {
        self.left > 0
    }

    /// Returns the next member that the wave wakes; `None` if this step has passed empty slots
    /// only.
    pub fn wake_next(&mut self) -> Option<Token> {
        for _ in 0..self.left.min(PASSED_MAX) {
            if self.next >= self.slots.len() {
                self.next = 0;
            }
            let member = self.slots.get(self.next).copied();
            self.next += 1;
            self.left -= 1;
            if member.is_some_and(|member| member != EMPTY) {
                return member;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(key: usize) -> Token {
        Token::from_usize(key)
    }

    fn room_of(count: usize) -> Room {
        let mut room = Room::new("lobby".into());
        (0..count).for_each(|key| assert_eq!(room.add(token(key)) as usize, key));
        room
    }

    fn publish(room: &mut Room) -> bool {
        room.publish(Message::new(1, 0, b"x"), 1 << 20)
    }

    fn wave(room: &mut Room) -> Vec<usize> {
        std::iter::from_fn(|| room.wake_next().map(Token::key)).collect()
    }

    #[test]
    fn a_wave_wakes_each_member_once() {
        let mut room = room_of(5);
        assert!(publish(&mut room));
        assert_eq!(wave(&mut room), [0, 1, 2, 3, 4]);
        assert!(!room.has_wave());
    }

    #[test]
    fn a_message_during_a_wave_continues_it_for_one_more_round() {
        let mut room = room_of(4);
        publish(&mut room);
        assert_eq!([(); 3].map(|()| room.wake_next().map(Token::key)), [Some(0), Some(1), Some(2)]);
        assert!(!publish(&mut room), "the wave is under way");
        assert_eq!(wave(&mut room), [3, 0, 1, 2]);
    }

    #[test]
    fn a_member_that_joins_in_a_wave_is_woken_for_later_messages() {
        let mut room = room_of(2);
        publish(&mut room);
        room.wake_next();
        room.add(token(2));
        publish(&mut room);
        assert_eq!(wave(&mut room), [1, 2, 0]);
    }

    #[test]
    fn a_member_that_joins_during_a_wave_takes_the_turn_of_no_other() {
        let mut room = room_of(3);
        publish(&mut room);
        room.wake_next();
        publish(&mut room);
        room.add(token(3));
        assert_eq!(wave(&mut room), [1, 2, 3, 0]);
    }

    #[test]
    fn a_member_that_left_is_not_woken_and_its_slot_is_reused() {
        let mut room = room_of(3);
        assert!(room.remove(1, token(1)) && !room.remove(1, token(1)));
        publish(&mut room);
        assert_eq!(wave(&mut room), [0, 2]);
        assert_eq!((room.len(), room.add(token(7)), room.len()), (2, 1, 3));
        assert_eq!(room.members().map(Token::key).collect::<Vec<_>>(), [0, 7, 2]);
    }

    #[test]
    fn a_step_of_a_wave_passes_a_bounded_number_of_empty_slots() {
        let count = 3 * PASSED_MAX;
        let mut room = room_of(count);
        (0..count - 1).for_each(|key| assert!(room.remove(key as u32, token(key))));
        publish(&mut room);
        assert_eq!([(); 4].map(|()| room.wake_next()), [None, None, Some(token(count - 1)), None]);
    }

    #[test]
    fn ten_thousand_members_take_eight_bytes_each_and_three_percent() {
        let room = room_of(10_000);
        assert!(room.slots.capacity() * size_of::<Token>() <= 82_500);
    }
}
