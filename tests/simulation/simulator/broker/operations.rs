//! The operations of NATS, read in a simple way: those of the server, and those that it has read.

use tinytcp_core::bus::envelope::Origin;
use tinytcp_core::bus::settings::BusSettings;

use super::super::oracle::rooms::{Message, Rooms};
use super::{Link, PREFIX};

/// The number of the server on the bus, as a payload has it.
const ORIGIN: u64 = 0x3f9c_2d7a_1b0e_4c55;

/// The settings of the server.
pub fn settings() -> BusSettings {
    BusSettings::parse("nats://127.0.0.1").expect("a URL").with_origin(Origin(ORIGIN))
}

/// An operation of the server.
pub enum Operation {
    Ping,
    /// A subject, and the number of the subscription.
    Subscribe(String, String),
    Unsubscribe(String),
    /// A subject and a payload.
    Publish(String, String),
    /// `CONNECT` or `PONG`.
    Other,
    Malformed(String),
}

/// Returns the operation at the front of `bytes`, and its length; `None` if it is not whole.
pub fn first_operation(bytes: &[u8]) -> Option<(usize, Operation)> {
    let line_len = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let line = String::from_utf8_lossy(&bytes[..line_len]).into_owned();
    let words: Vec<&str> = line.split(' ').collect();
    let operation = match words[..] {
        ["PING"] => Operation::Ping,
        ["PONG"] | ["CONNECT", ..] => Operation::Other,
        ["SUB", subject, id] => Operation::Subscribe(subject.to_owned(), id.to_owned()),
        ["UNSUB", id] => Operation::Unsubscribe(id.to_owned()),
        ["PUB", subject, len] => {
            let Ok(len) = len.parse::<usize>() else {
                return Some((line_len + 2, Operation::Malformed(line)));
            };
            let payload = bytes.get(line_len + 2..line_len + 2 + len + 2)?;
            let payload = String::from_utf8_lossy(&payload[..len]).into_owned();
            return Some((line_len + 4 + len, Operation::Publish(subject.to_owned(), payload)));
        }
        _ => Operation::Malformed(line),
    };
    Some((line_len + 2, operation))
}

/// Returns a payload as a server with this number publishes it.
pub fn payload(origin: u64, name: &str, text: &str) -> String {
    format!("tinytcp1 {origin:016x} {name} {text}")
}

impl Link {
    /// Notes a message of the server. Those of one connection are messages of its members, in order
    /// and without a gap.
    pub fn note_published(
        &mut self,
        room: &str,
        published: &str,
        rooms: &Rooms,
    ) -> Result<(), String> {
        let is_it = |place: &usize| {
            rooms.said.get(*place).is_some_and(|(said_in, Message { name, text, .. })| {
                said_in == room && payload(ORIGIN, name, text) == published
            })
        };
        self.places = self.places.iter().filter(|place| is_it(place)).map(|it| it + 1).collect();
        match self.places.is_empty() {
            true => Err(format!("\"{published}\" is not the next message that was said here")),
            false => Ok(()),
        }
    }

    /// Notes bytes that the server has read, and delivers the messages in them.
    pub fn note_arrived(&mut self, bytes: &[u8], read_min: usize, rooms: &mut Rooms) {
        self.arrived.extend_from_slice(bytes);
        while let Some(line_len) = self.arrived.windows(2).position(|pair| pair == b"\r\n") {
            let line = String::from_utf8_lossy(&self.arrived[..line_len]).into_owned();
            let mut len = line_len + 2;
            if let Some(message) = line.strip_prefix("MSG ") {
                let fields: Vec<&str> = message.split(' ').collect();
                let payload_len: usize = fields[2].parse().expect("a length of our own");
                let Some(payload) = self.arrived.get(len..len + payload_len + 2) else { return };
                let payload = String::from_utf8_lossy(&payload[..payload_len]).into_owned();
                len += payload_len + 2;
                deliver(fields[0].strip_prefix(PREFIX).unwrap_or_default(), &payload, rooms);
            } else if line == "PONG" && self.opened_at.is_none() {
                self.opened_at = Some(rooms.said.len());
                self.places = (read_min..=rooms.said.len()).collect();
            }
            self.arrived.drain(..len);
        }
    }
}

/// Delivers a message that the server has read; one of its own is ignored.
fn deliver(room: &str, payload: &str, rooms: &mut Rooms) {
    let Some(marked) = payload.strip_prefix("tinytcp1 ") else {
        return rooms.deliver(room, "operator", payload);
    };
    let fields: Vec<&str> = marked.splitn(3, ' ').collect();
    if fields[0] != format!("{ORIGIN:016x}") {
        rooms.deliver(room, fields[1], fields[2]);
    }
}
