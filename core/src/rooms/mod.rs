//! Rooms: a message to a room reaches all other members, each in the words of its own protocol.
//!
//! A message is stored once, in the [ring](ring::Ring) of its room. A member has no queue, only a
//! cursor into the ring:
//!
//! ```text
//!   say ------> [ seq 41 | 42 | 43 | 44 | 45 ]   ring: bounded, the oldest message is overwritten
//!                    ^A        ^B       ^C       cursors: what precedes one was sent
//!
//!   wave        32 members per round get a turn, until each one had a turn since the last message
//!   turn        the session appends messages from its cursor on, below the low-water mark
//! ```
//!
//! So publishing costs the same for any number of members, a burst of messages costs each member
//! one turn and one `send`, and all members get the messages in the same order. A member that does
//! not read holds its output up to the low-water mark and a cursor. When the messages at its cursor
//! are overwritten, the member is sent the number of messages that it has missed. (Disruptor, Kafka
//! and JetStream bound slow consumers in this way; queues per consumer, as in redis and
//! nats-server, hold what all slow consumers together have not read.)
//!
//! There is no I/O here and no clock. The loop owns [`Rooms`], sessions reach it through their
//! [`Context`](crate::protocol::Context), and a bus between servers reads [`Rooms::take_outgoing`]
//! and calls [`Rooms::deliver`].

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

mod full;
#[cfg(any(test, feature = "testing"))]
pub mod model;
mod relay;
pub mod ring;
mod room;
mod seat;
mod speakers;
pub mod words;

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::sync::Arc;

use slab::Slab;

use crate::limits::Limits;
use crate::os::moment::Moment;
use crate::os::table::Token;
use crate::status::RoomStatus;
use full::FullWarnings;
use relay::Relay;
pub use relay::Relayed;
use ring::{Message, Read};
use room::Room;
pub use seat::Seat;
use speakers::Speakers;

/// Why a request to the rooms was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The connection is in no room.
    NoRoom,
    /// The name breaks the rules of [`words::name`], or no member may choose it.
    BadName,
    /// Another member of the room has the name.
    NameTaken,
    /// [`Limits::rooms_max`] rooms exist already.
    TooManyRooms,
    /// The room has [`Limits::room_members_max`] members already.
    RoomFull,
    /// The text is empty, is not UTF-8, or has a control character.
    BadText,
    /// The text is longer than [`Limits::say_bytes_max`].
    TextTooLong,
    /// The connection exceeds [`Limits::say_rate_max`].
    TooFast,
}

impl Refusal {
    /// Returns the upper-case token of the error.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::NoRoom => "NO_ROOM",
            Self::BadName => "BAD_NAME",
            Self::NameTaken => "NAME_TAKEN",
            Self::TooManyRooms => "TOO_MANY_ROOMS",
            Self::RoomFull => "ROOM_FULL",
            Self::BadText => "BAD_TEXT",
            Self::TextTooLong => "TEXT_TOO_LONG",
            Self::TooFast => "TOO_FAST",
        }
    }
}

/// The number of the connection of a message that was said on another server. No connection has it.
const ELSEWHERE: u64 = 0;

/// All rooms, and the members in them.
#[derive(Debug)]
pub struct Rooms {
    rooms: Slab<Room>,
    by_name: HashMap<Arc<str>, usize>,
    /// The names that members have chosen, by the number of the connection. A name stays when its
    /// owner leaves a room.
    chosen: HashMap<u64, Arc<str>>,
    speakers: Speakers,
    /// The rooms with a wave, each once. They take turns, so that a small room does not wait for
    /// the members of a large one.
    waves: VecDeque<usize>,
    relay: Relay,
    limits: Limits,
    status: RoomStatus,
    warnings: FullWarnings,
    /// The name and the text of the message that is being said.
    scratch: Vec<u8>,
}

impl Rooms {
    /// Creates the state of a server without rooms. It takes no memory until a connection joins a
    /// room.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            rooms: Slab::new(),
            by_name: HashMap::new(),
            chosen: HashMap::new(),
            speakers: Speakers::default(),
            waves: VecDeque::new(),
            relay: Relay::default(),
            limits: *limits,
            status: RoomStatus::default(),
            warnings: FullWarnings::default(),
            scratch: Vec::new(),
        }
    }

    /// Replaces the limits. Rooms and members beyond them stay.
    pub const fn set_limits(&mut self, limits: &Limits) {
        self.limits = *limits;
    }

    /// Returns the counters and gauges.
    #[must_use]
    pub const fn status(&self) -> &RoomStatus {
        &self.status
    }

    /// Lets the connection `member` join the room `name`, and leave the one that it is in. It gets
    /// the messages from then on.
    ///
    /// # Errors
    /// If the name is bad, the member's own name is taken there, or a limit is reached. Then
    /// nothing changes.
    pub fn join(
        &mut self,
        member: Token,
        seat: &mut Seat,
        name: &[u8],
        now: Moment,
    ) -> Result<(), Refusal> {
        let name = words::name(name)?;
        let joined = self.enter(member, seat, name);
        if let Err(refusal) = joined {
            self.warnings.note(refusal, name, &self.limits, now, &mut self.status);
        }
        joined
    }

    fn enter(&mut self, member: Token, seat: &mut Seat, name: &str) -> Result<(), Refusal> {
        let found = self.by_name.get(name).copied();
        if found.is_some() && found == seat.room() {
            return Ok(());
        }
        let chosen = self.chosen.get(&member.number()).cloned();
        match found.and_then(|index| self.rooms.get(index)) {
            Some(room) if room.len() >= self.limits.room_members_max => {
                return Err(Refusal::RoomFull);
            }
            Some(room) if chosen.as_ref().is_some_and(|name| room.names.contains(name)) => {
                return Err(Refusal::NameTaken);
            }
            None if self.rooms.len() >= self.limits.rooms_max + usize::from(self.is_last(seat)) => {
                return Err(Refusal::TooManyRooms);
            }
            _ => {}
        }
        self.leave(member, seat);
        let index = found.unwrap_or_else(|| self.open(name));
        let Some(room) = self.rooms.get_mut(index) else { return Err(Refusal::NoRoom) };
        room.names.extend(chosen);
        *seat = Seat::new(index, room.add(member), room.ring.head());
        self.status.members += 1;
        Ok(())
    }

    /// Lets `member` leave its room. Returns the name of the room; `None` if it was in none. A room
    /// without members is removed.
    pub fn leave(&mut self, member: Token, seat: &mut Seat) -> Option<Arc<str>> {
        let (index, slot) = std::mem::take(seat).place()?;
        let room = self.rooms.get_mut(index)?;
        if !room.remove(slot, member) {
            return None;
        }
        if let Some(chosen) = self.chosen.get(&member.number()) {
            room.names.remove(chosen);
        }
        self.status.members -= 1;
        let name = Arc::clone(&room.name);
        if room.len() == 0 {
            self.close(index);
        }
        Some(name)
    }

    /// Forgets the connection `member`, which is over.
    pub fn forget(&mut self, member: Token, seat: &mut Seat) {
        self.leave(member, seat);
        if !self.chosen.is_empty() {
            self.chosen.remove(&member.number());
        }
        self.speakers.forget(member.number());
    }

    /// Sets the name of `member` to `name`, in its room and in those that it joins later.
    ///
    /// # Errors
    /// If the name is bad or taken.
    pub fn rename(&mut self, member: Token, seat: Seat, name: &[u8]) -> Result<(), Refusal> {
        let name = words::chosen_name(name)?;
        let number = member.number();
        if self.chosen.get(&number).is_some_and(|chosen| **chosen == *name) {
            return Ok(());
        }
        let name: Arc<str> = name.into();
        if let Some(room) = seat.room().and_then(|index| self.rooms.get_mut(index)) {
            if !room.names.insert(Arc::clone(&name)) {
                return Err(Refusal::NameTaken);
            }
            if let Some(before) = self.chosen.get(&number) {
                room.names.remove(before);
            }
        }
        self.chosen.insert(number, name);
        Ok(())
    }

    /// Says `text` to all other members of the room of `member`. Returns the number of these
    /// members on this server. It costs the same for any number of members.
    ///
    /// # Errors
    /// If the connection is in no room, the text is bad or too long, or the connection says too
    /// many messages.
    pub fn say(
        &mut self,
        member: Token,
        seat: Seat,
        text: &[u8],
        now: Moment,
    ) -> Result<usize, Refusal> {
        let Some(index) = seat.room() else { return Err(Refusal::NoRoom) };
        let text = words::text(text, self.limits.say_bytes_max as usize)?;
        let number = member.number();
        if !self.speakers.may_say(number, self.limits.say_rate_max, now) {
            self.status.too_fast += 1;
            return Err(Refusal::TooFast);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        self.append_name(number, &mut scratch);
        let name_len = scratch.len();
        scratch.extend_from_slice(text);
        let others = self.publish(index, number, name_len, &scratch);
        if let Some(room) = self.rooms.get(index) {
            self.relay.note(&room.name, &scratch, name_len);
        }
        self.scratch = scratch;
        self.status.said += 1;
        Ok(others)
    }

    /// Delivers a message that was said on another server to the members of `room`. Returns how
    /// many members there are. The message is not relayed.
    ///
    /// # Errors
    /// If the name is bad, or the text is bad or too long.
    pub fn deliver(&mut self, room: &str, name: &[u8], text: &[u8]) -> Result<usize, Refusal> {
        let name = words::speaker(name)?;
        let text = words::text(text, self.limits.say_bytes_max as usize)?;
        let Some(index) = self.by_name.get(room).copied() else { return Ok(0) };
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend_from_slice(name.as_bytes());
        scratch.extend_from_slice(text);
        let reached = self.publish(index, ELSEWHERE, name.len(), &scratch);
        self.scratch = scratch;
        Ok(reached)
    }

    /// Switches the relay on or off. While it is on, messages of members of this server are kept
    /// for [`Rooms::take_outgoing`], up to a bound. Switching it off discards them.
    pub fn set_relay(&mut self, is_on: bool) {
        self.relay.set(is_on);
    }

    /// Returns the messages that members of this server have said since the last call, in their
    /// order. Messages that the caller does not take are discarded.
    pub fn take_outgoing(&mut self) -> impl Iterator<Item = Relayed> + '_ {
        self.relay.take()
    }

    /// Returns how many messages the relay has discarded since the last call, because too many were
    /// waiting.
    pub const fn take_overflows(&mut self) -> u64 {
        self.relay.take_overflows()
    }

    /// Returns the names of the rooms that got their first member on this server or lost their last
    /// one since the last call, in the order of the changes. [`Rooms::has`] is true for those that
    /// have members now.
    pub fn take_changed(&mut self) -> Vec<Arc<str>> {
        self.relay.take_changed()
    }

    /// True if the room `name` has members on this server: messages to it are wanted.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// True if the bus has something to take.
    #[must_use]
    pub fn has_outgoing(&self) -> bool {
        self.relay.is_waiting()
    }

    /// True while members have not had a turn since the last message.
    #[must_use]
    pub fn has_wave(&self) -> bool {
        !self.waves.is_empty()
    }

    /// Returns the next member that gets a turn; `None` if the step has only passed empty slots.
    /// Successive steps take a member of each room by turns.
    pub fn wake_next(&mut self) -> Option<Token> {
        let index = self.waves.pop_front()?;
        let room = self.rooms.get_mut(index)?;
        let member = room.wake_next();
        if room.has_wave() {
            self.waves.push_back(index);
        }
        member
    }

    /// Calls `tell` with each message for the connection `number`, or how many it has missed, until
    /// it has been told everything or `tell` returns false, which refuses the rest. Messages that
    /// the connection has said itself are passed over. Returns false if there is a rest.
    #[inline]
    pub fn tell(
        &mut self,
        number: u64,
        seat: &mut Seat,
        mut tell: impl FnMut(Read<'_>) -> bool,
    ) -> bool {
        let Some(room) = seat.room().and_then(|index| self.rooms.get(index)) else { return true };
        while let Some(read) = room.ring.read(seat.cursor()) {
            match read {
                Read::Message(message) if message.from() == number => seat.pass(1),
                _ if !tell(read) => return false,
                Read::Message(_) => {
                    seat.pass(1);
                    self.status.delivered += 1;
                }
                Read::Missed(count) => {
                    seat.pass(count);
                    self.status.missed += u64::from(count);
                }
            }
        }
        true
    }

    /// Returns the number of members of the room of `seat`.
    ///
    /// # Errors
    /// If the connection is in no room.
    pub fn member_count(&self, seat: Seat) -> Result<usize, Refusal> {
        let room = seat.room().and_then(|index| self.rooms.get(index));
        room.map(Room::len).ok_or(Refusal::NoRoom)
    }

    /// Returns the connection numbers of members of the room of `seat`. In a large room only the
    /// first 1,024 slots are searched.
    pub fn members(&self, seat: Seat) -> impl Iterator<Item = u64> {
        let room = seat.room().and_then(|index| self.rooms.get(index));
        room.into_iter().flat_map(Room::members).map(Token::number)
    }

    /// Appends the name of the connection `number`: the chosen one, or `guest-` and the number.
    pub fn append_name(&self, number: u64, output: &mut impl Write) {
        // Writing to a vector or to an output never fails.
        let _ = match self.chosen.get(&number) {
            Some(name) => output.write_all(name.as_bytes()),
            None => write!(output, "{}{number}", words::GUEST),
        };
    }

    /// Appends a message of a member, or from [`ELSEWHERE`], to the log of a room and begins its
    /// wave. Returns the number of members that are to be sent it: not the one that has said it.
    fn publish(&mut self, index: usize, from: u64, name_len: usize, bytes: &[u8]) -> usize {
        let Some(room) = self.rooms.get_mut(index) else { return 0 };
        let others = room.len().saturating_sub(usize::from(from != ELSEWHERE));
        // A message that has no reader is not stored.
        if others > 0 {
            let name_len = u8::try_from(name_len).unwrap_or(u8::MAX);
            let message = Message::new(from, name_len, bytes);
            if room.publish(message, self.limits.room_memory_bytes_max) {
                self.waves.push_back(index);
            }
        }
        others
    }

    /// True if the connection in `seat` is the only member of its room.
    fn is_last(&self, seat: &Seat) -> bool {
        self.member_count(*seat) == Ok(1)
    }

    fn open(&mut self, name: &str) -> usize {
        let name: Arc<str> = name.into();
        let index = self.rooms.insert(Room::new(Arc::clone(&name)));
        self.relay.note_change(&name);
        self.by_name.insert(name, index);
        self.status.rooms = self.rooms.len();
        index
    }

    fn close(&mut self, index: usize) {
        let room = self.rooms.remove(index);
        self.by_name.remove(&room.name);
        self.waves.retain(|wave| *wave != index);
        self.status.rooms = self.rooms.len();
        self.relay.note_change(&room.name);
    }
}
