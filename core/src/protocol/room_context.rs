//! The part of the context that reaches the rooms.

use std::sync::Arc;

use super::{Context, Output, errors};
use crate::limits::{LOW_WATER_BYTES, Limits};
use crate::rooms::ring::Read;
use crate::rooms::words::NAME_BYTES_MAX;
use crate::rooms::{Refusal, Seat};

/// Something that a member of a room is sent without a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum News<'a> {
    /// A message of another member.
    Message {
        /// The name of that member, which holds no blank.
        name: &'a [u8],
        /// The text, which holds no control character.
        text: &'a [u8],
    },
    /// The number of messages that were overwritten before the member was sent them.
    Missed(u32),
}

/// The most bytes that a protocol adds to a name and a text, and the ten digits of the number of
/// missed messages that may precede them.
const ADDED_BYTES_MAX: usize = 16 + 10;

/// The most names in the answer to `WHO`, which then has at most 3.5 KB.
const NAMES_MAX: usize = 100;

impl Context<'_> {
    /// Takes the seat of the session for this call, and appends the news of its room, below the
    /// low-water mark. The session takes the seat back at the end of the call.
    #[inline]
    pub(super) fn sit(&mut self, seat: Seat, append: impl Fn(&mut Output<'_>, News<'_>)) {
        self.seat = seat;
        if seat.is_taken() {
            self.append_news(append);
        }
    }

    // Inlined into the loop over lines, it would take registers from each request.
    #[inline(never)]
    fn append_news(&mut self, append: impl Fn(&mut Output<'_>, News<'_>)) {
        let number = self.number();
        let Self { output, rooms, seat, .. } = self;
        let is_told = rooms.tell(number, seat, |read| {
            let (news, len) = match read {
                Read::Message(message) => {
                    let (name, text) = (message.name(), message.text());
                    (News::Message { name, text }, message.bytes_len())
                }
                // A gap is reported when a message fits after it: one gap instead of many.
                Read::Missed(count) => (News::Missed(count), Limits::SAY_BYTES_MAX as usize),
            };
            let has_room = output.len() + len + ADDED_BYTES_MAX <= LOW_WATER_BYTES;
            if has_room {
                append(output, news);
            }
            has_room
        });
        self.has_news |= !is_told;
    }

    /// Joins a room: see [`Rooms::join`](crate::rooms::Rooms::join).
    pub(super) fn join(&mut self, room: &[u8]) -> Result<(), &'static str> {
        let (before, now) = (self.seat, self.now());
        self.rooms.join(self.token(), &mut self.seat, room, now).map_err(Refusal::token)?;
        // A member that stays in its room still gets the messages that wait.
        self.has_news &= self.seat == before;
        Ok(())
    }

    /// Leaves the room. Returns its name.
    pub(super) fn leave(&mut self) -> Result<Arc<str>, &'static str> {
        self.has_news = false;
        self.rooms.leave(self.token(), &mut self.seat).ok_or(Refusal::NoRoom.token())
    }

    /// Says a text to the other members of the room. Returns their number on this server.
    pub(super) fn say(&mut self, text: &[u8]) -> Result<usize, &'static str> {
        self.rooms.say(self.token(), self.seat, text, self.now()).map_err(Refusal::token)
    }

    /// Sets the name of the connection.
    pub(super) fn rename(&mut self, name: &[u8]) -> Result<(), &'static str> {
        self.rooms.rename(self.token(), self.seat, name).map_err(Refusal::token)
    }

    /// Appends the name of the connection.
    pub(super) fn append_own_name(&mut self) {
        self.rooms.append_name(self.number(), &mut self.output);
    }

    /// Returns the number of members of the room.
    pub(super) fn member_count(&self) -> Result<usize, &'static str> {
        self.rooms.member_count(self.seat).map_err(Refusal::token)
    }

    /// Makes room for the names of [`Context::append_member_names`].
    pub(super) fn reserve_for_names(&mut self) -> Result<(), &'static str> {
        let len = (NAMES_MAX + 2) * (NAME_BYTES_MAX + 2);
        if self.output.reserve(len) { Ok(()) } else { Err(errors::SERVER_BUSY) }
    }

    /// Appends the names of the members, its own first, at most [`NAMES_MAX`], each after
    /// `separator`; then dots if there are more.
    pub(super) fn append_member_names(&mut self, separator: &str) {
        let own = self.number();
        let others = self.rooms.members(self.seat).filter(|number| *number != own);
        let mut listed = 0;
        for number in std::iter::once(own).chain(others).take(NAMES_MAX) {
            if listed > 0 {
                self.output.append(separator.as_bytes());
            }
            self.rooms.append_name(number, &mut self.output);
            listed += 1;
        }
        if self.rooms.member_count(self.seat).is_ok_and(|count| count > listed) {
            self.output.append(separator.as_bytes());
            self.output.append(b"...");
        }
    }
}
