//! The rooms as the oracle sees them: the members and the log of each one.
//!
//! A command about rooms is run here at the moment when a session has run it, because its answer
//! depends on the other members.

use std::collections::{BTreeMap, BTreeSet};

use tinytcp_core::limits::Limits;
use tinytcp_core::testing::{LoneMember, Request};

/// The most bytes that a message takes in the ring in addition to its own.
const RING_OVERHEAD_MAX: usize = 200;

/// A message in the log of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The connection that sent it; `None` if it comes from another server.
    pub from: Option<usize>,
    pub name: String,
    pub text: String,
}

/// A connection that has sent a command about rooms.
struct Person {
    /// The state of this member, without the other members.
    alone: LoneMember,
    has_chosen_name: bool,
    room: Option<String>,
}

/// All rooms.
pub struct Rooms {
    limits: Limits,
    people: BTreeMap<usize, Person>,
    /// The messages of each room since the beginning of the world.
    logs: BTreeMap<String, Vec<Message>>,
    /// The messages of this server's members, each with its room, in order.
    pub said: Vec<(String, Message)>,
    /// How many messages from other servers a room has taken.
    pub taken: u64,
    /// How many joins were refused, because there were too many rooms, or members of one.
    pub refused: Refused,
}

/// Counters of refused joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    pub rooms: u64,
    pub members: u64,
}

/// What a command has done.
pub struct Outcome {
    pub answer: Result<Reply, &'static str>,
    /// The name of the connection after it.
    pub name: String,
    /// True if the connection is in a room after it.
    pub is_member: bool,
    pub change: Change,
}

/// A successful answer, without the words of a protocol.
pub enum Reply {
    Word(String),
    Count(usize),
    /// The other members, in no order.
    Others(Vec<String>),
}

/// The change of a connection's stay in a room, once the client has read the answer.
pub enum Change {
    Nothing,
    Ends,
    /// It is in this room, and receives its log from this place on.
    Begins(String, usize),
}

impl Rooms {
    /// Creates no rooms.
    pub fn new(limits: Limits) -> Self {
        let (people, logs, said) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { limits, people, logs, said, taken: 0, refused: Refused::default() }
    }

    /// Runs a command of the connection `id`, which has the number `number`.
    pub fn run(&mut self, id: usize, number: u64, request: Request, argument: &[u8]) -> Outcome {
        self.people.entry(id).or_insert_with(|| Person {
            alone: LoneMember::new(number, &self.limits),
            has_chosen_name: false,
            room: None,
        });
        let mut change = Change::Nothing;
        let answer = self.answer(id, request, argument, &mut change);
        let person = &self.people[&id];
        let (name, is_member) = (person.alone.name().to_owned(), person.room.is_some());
        Outcome { answer, name, is_member, change }
    }

    fn answer(
        &mut self,
        id: usize,
        request: Request,
        argument: &[u8],
        change: &mut Change,
    ) -> Result<Reply, &'static str> {
        let person = &self.people[&id];
        let mut alone = person.alone.clone();
        let word = alone.answer(request, argument)?;
        let room = if request == Request::Join { Some(word.clone()) } else { person.room.clone() };
        let is_named = person.has_chosen_name || request == Request::Nick && !argument.is_empty();
        let others = self.others(id, room.as_deref());
        if request == Request::Join && person.room != room {
            self.check_limits(id, others.len())?;
        }
        if matches!(request, Request::Join | Request::Nick)
            && is_named
            && others.iter().any(|name| name == alone.name())
        {
            return Err("NAME_TAKEN");
        }
        let person = self.people.get_mut(&id).expect("it has an entry");
        (person.alone, person.has_chosen_name) = (alone, is_named);
        let before = match request {
            Request::Leave => person.room.take(),
            _ => std::mem::replace(&mut person.room, room.clone()),
        };
        let room = room.unwrap_or_default();
        match request {
            Request::Join => {
                if before.as_ref() != Some(&room) {
                    *change = Change::Begins(room.clone(), self.log(&room).len());
                }
                Ok(Reply::Word(room))
            }
            Request::Leave => {
                *change = Change::Ends;
                Ok(Reply::Word(word))
            }
            Request::Nick => Ok(Reply::Word(word)),
            Request::Who => Ok(Reply::Others(others)),
            Request::Say => {
                let name = person.alone.name().to_owned();
                let text = String::from_utf8_lossy(argument).into_owned();
                let message = Message { from: Some(id), name, text };
                self.said.push((room.clone(), message.clone()));
                self.append(room, message, others.len());
                Ok(Reply::Count(others.len()))
            }
        }
    }

    /// Returns why the connection `id` cannot join a room with this many members, if it is full, or
    /// if it is a new one beyond the limit. The room that the connection leaves for it may end.
    fn check_limits(&mut self, id: usize, members: usize) -> Result<(), &'static str> {
        if members >= self.limits.room_members_max {
            self.refused.members += 1;
            return Err("ROOM_FULL");
        }
        let elsewhere = self.people.iter().filter(|(other, _)| **other != id);
        let rooms: BTreeSet<_> = elsewhere.filter_map(|(_, person)| person.room.as_ref()).collect();
        if members == 0 && rooms.len() >= self.limits.rooms_max {
            self.refused.rooms += 1;
            return Err("TOO_MANY_ROOMS");
        }
        Ok(())
    }

    /// Delivers a message from another server.
    pub fn deliver(&mut self, room: &str, name: &str, text: &str) {
        let members = self.others(usize::MAX, Some(room)).len();
        let message = Message { from: None, name: name.to_owned(), text: text.to_owned() };
        self.taken += u64::from(members > 0);
        self.append(room.to_owned(), message, members);
    }

    /// A message that has no reader is not stored.
    fn append(&mut self, room: String, message: Message, readers: usize) {
        if readers > 0 {
            self.logs.entry(room).or_default().push(message);
        }
    }

    /// Notes that the connection `id` is over.
    pub fn forget(&mut self, id: usize) {
        self.people.remove(&id);
    }

    /// True if the connection `id` is in a room.
    pub fn has(&self, id: usize) -> bool {
        self.people.get(&id).is_some_and(|person| person.room.is_some())
    }

    /// The rooms that have members.
    pub fn wanted(&self) -> impl Iterator<Item = &str> {
        self.people.values().filter_map(|person| person.room.as_deref())
    }

    /// The messages of a room.
    pub fn log(&self, room: &str) -> &[Message] {
        self.logs.get(room).map_or(&[], Vec::as_slice)
    }

    /// True if the ring of `room` may have removed the message at `place`.
    pub fn may_be_gone(&self, room: &str, place: usize) -> bool {
        let len = |message: &Message| message.name.len() + message.text.len() + RING_OVERHEAD_MAX;
        let held: usize = self.log(room).iter().skip(place).map(len).sum();
        held > self.limits.room_memory_bytes_max
    }

    /// The names of the members of `room` except that of `id`.
    fn others(&self, id: usize, room: Option<&str>) -> Vec<String> {
        let is_in_it = |person: &Person| room.is_some() && person.room.as_deref() == room;
        let others = self.people.iter().filter(|(other, person)| **other != id && is_in_it(person));
        others.map(|(_, person)| person.alone.name().to_owned()).collect()
    }
}
