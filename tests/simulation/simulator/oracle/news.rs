//! The news of one member of a room: the messages of the room's log since the member joined,
//! without its own, and without those of the announced gaps.

use std::collections::BTreeSet;

use tinytcp_core::protocol::binary::{MESSAGE, MISSED};

use super::Language;
use super::rooms::{Change, Message, Rooms};

/// What a member receives without a request.
#[derive(Debug)]
pub enum News {
    /// A message: the name of the sender, and the text.
    Message(String, String),
    /// This number of messages is lost.
    Gap(usize),
}

/// Returns whether `bytes`, which follow a whole answer, begin news; `None` if too few bytes decide
/// that. In `chat` it takes clients whose names are in lower case.
pub fn are_begun(language: Language, bytes: &[u8]) -> Option<bool> {
    let marks: &[&[u8]] = match language {
        Language::Text => &[b"FROM ", b"MISSED "],
        Language::Binary => return Some(matches!(bytes.first(), Some(&MESSAGE | &MISSED))),
        Language::Chat if bytes.first().is_some_and(u8::is_ascii_lowercase) => return Some(true),
        Language::Chat => &[b"Missed "],
        Language::Echo | Language::Admin => return Some(false),
    };
    let is_possible = marks.iter().any(|mark| mark.starts_with(bytes));
    let is_certain = marks.iter().any(|mark| bytes.starts_with(mark));
    (is_certain || !is_possible).then_some(is_certain)
}

/// Returns the length of the news at the front of `bytes`; `None` if they are not whole.
pub fn len(language: Language, bytes: &[u8]) -> Option<usize> {
    match language {
        Language::Binary => {
            let (header, payload) = bytes.split_first_chunk::<5>()?;
            let len = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
            (len <= payload.len()).then_some(5 + len)
        }
        _ => bytes.iter().position(|byte| *byte == b'\n').map(|newline| newline + 1),
    }
}

impl News {
    /// Reads whole news of a protocol, whose lines end with `ending`.
    pub fn parse(language: Language, bytes: &[u8], ending: &str) -> Option<Self> {
        let message = |text: &str, separator| {
            let (name, text) = text.split_once(separator)?;
            Some(Self::Message(name.to_owned(), text.to_owned()))
        };
        let gap = |number: &str| number.parse().ok().filter(|count| *count > 0).map(Self::Gap);
        if language == Language::Binary {
            let payload = str::from_utf8(bytes.get(5..)?).ok()?;
            return if bytes[0] == MESSAGE { message(payload, " ") } else { gap(payload) };
        }
        let line = str::from_utf8(bytes).ok()?.strip_suffix(ending)?;
        match (language, line.strip_prefix("MISSED "), line.strip_prefix("Missed ")) {
            (Language::Text, Some(number), _) => gap(number),
            (Language::Text, ..) => message(line.strip_prefix("FROM ")?, " "),
            (_, _, Some("1 message.")) => Some(Self::Gap(1)),
            (_, _, Some(rest)) => gap(rest.strip_suffix(" messages.")?),
            _ => message(line, ": "),
        }
    }
}

/// The stay of a connection in a room, as its client sees it.
#[derive(Debug)]
pub struct Stay {
    room: String,
    /// The places in the log that it can have: several after a gap, because it is open which of
    /// its own messages were passed over before the gap and which are counted in it.
    places: BTreeSet<usize>,
}

impl Stay {
    /// Returns what an answer makes of a stay.
    pub fn after(stay: Option<Self>, change: Change) -> Option<Self> {
        match change {
            Change::Nothing => stay,
            Change::Ends => None,
            Change::Begins(room, place) => Some(Self { room, places: [place].into() }),
        }
    }

    /// Notes news that is sent to the connection `id`.
    pub fn hear(&mut self, news: &News, id: usize, rooms: &Rooms) -> Result<(), String> {
        let log = rooms.log(&self.room);
        let before = std::mem::take(&mut self.places);
        self.places = match news {
            News::Gap(missed) => before
                .iter()
                .flat_map(|place| *place..=after_own(log, *place, id))
                .map(|place| place + missed)
                .filter(|place| *place <= log.len() && rooms.may_be_gone(&self.room, place - 1))
                .collect(),
            News::Message(name, text) => before
                .iter()
                .map(|place| after_own(log, *place, id))
                .filter(|place| {
                    let is_it = |it: &Message| it.name == *name && it.text == *text;
                    log.get(*place).is_some_and(is_it)
                })
                .map(|place| place + 1)
                .collect(),
        };
        match self.places.is_empty() {
            true => Err(format!("{news:?} is not what follows {before:?} in the log of its room")),
            false => Ok(()),
        }
    }

    /// True if the connection `id` has received all news.
    pub fn has_heard_all(&self, id: usize, rooms: &Rooms) -> bool {
        let log = rooms.log(&self.room);
        self.places.iter().any(|place| after_own(log, *place, id) == log.len())
    }
}

/// The next place in `log` of a message that is not from `id`.
fn after_own(log: &[Message], place: usize, id: usize) -> usize {
    let own = log.iter().skip(place).take_while(|message| message.from == Some(id)).count();
    place + own
}
