//! The commands of rooms and what a server sends to a member, in each protocol.

use std::error::Error;
use std::fmt;

use tinytcp_cli::target::ProtocolName;
use tinytcp_core::display::escape::{front, shown};
use tinytcp_core::protocol::binary::{ERROR, JOIN, MESSAGE, MISSED, NICK, SAY, WHO};
use tinytcp_core::rooms::words;
use tinytcp_core::wire::frame::{Front, HEADER_LEN, Header};

/// The longest line or frame that is accepted.
const ARRIVAL_MAX: usize = 64 << 10;

/// What a server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival<'a> {
    /// The text of a message of another member.
    Message(&'a [u8]),
    /// The number of messages that the member was too slow to read.
    Missed(u64),
    /// An answer, or the banner.
    Answer(&'a [u8]),
    /// The token of an error.
    Error(&'a [u8]),
}

/// Bytes that no server of the protocol sends to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArrivalError {
    /// More than 64 KiB without the end of a message: the first bytes, readable.
    Endless(String),
    /// The count of a `MISSED` is no number.
    NoCount,
    /// A frame with a code that is not for members.
    UnknownCode(u8),
}

impl fmt::Display for ArrivalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endless(start) => write!(f, "a message has no end: '{start}'"),
            Self::NoCount => f.write_str("the count of a MISSED is no number"),
            Self::UnknownCode(code) => write!(f, "no frame for a member has the code {code}"),
        }
    }
}

impl Error for ArrivalError {}

/// Returns true if a server of `protocol` sends a banner.
#[must_use]
pub fn speaks_first(protocol: ProtocolName) -> bool {
    protocol == ProtocolName::Text
}

/// Appends the command that enters `room`.
pub fn append_join(protocol: ProtocolName, room: &str, output: &mut Vec<u8>) {
    append(protocol, JOIN, ["JOIN ", "/join "], room.as_bytes(), output);
}

/// Appends the command that sends `text`.
pub fn append_say(protocol: ProtocolName, text: &[u8], output: &mut Vec<u8>) {
    append(protocol, SAY, ["SAY ", "/say "], text, output);
}

/// Appends a command: a frame, or a line with the word of text or of chat.
fn append(
    protocol: ProtocolName,
    code: u8,
    [text, chat]: [&str; 2],
    argument: &[u8],
    output: &mut Vec<u8>,
) {
    let word = match protocol {
        ProtocolName::Binary => {
            let payload_len = u32::try_from(argument.len()).unwrap_or(u32::MAX);
            output.extend_from_slice(&Header { code, payload_len }.encode());
            return output.extend_from_slice(argument);
        }
        ProtocolName::Chat => chat,
        ProtocolName::Text | ProtocolName::Echo => text,
    };
    output.extend_from_slice(word.as_bytes());
    output.extend_from_slice(argument);
    output.push(b'\n');
}

/// Returns what is at the front of `input`, and its length; `None` while it is incomplete.
///
/// # Errors
/// For bytes that no server of `protocol` sends to a member.
pub fn next(
    protocol: ProtocolName,
    input: &[u8],
) -> Result<Option<(Arrival<'_>, usize)>, ArrivalError> {
    let found = match protocol {
        ProtocolName::Binary => frame(input)?,
        ProtocolName::Text | ProtocolName::Echo => line(input, text_arrival),
        ProtocolName::Chat => line(input, chat_arrival),
    };
    if found.is_none() && input.len() > ARRIVAL_MAX {
        return Err(ArrivalError::Endless(shown(front(input, 32)).to_string()));
    }
    Ok(found)
}

/// Returns the number in the answer to the command that sends a text.
#[must_use]
pub fn reached(answer: &[u8]) -> Option<u64> {
    let mut words = answer.split(|byte| *byte == b' ');
    words.find_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
}

fn line(input: &[u8], arrival: fn(&[u8]) -> Arrival<'_>) -> Option<(Arrival<'_>, usize)> {
    let end = memchr::memchr(b'\n', input)?;
    let line = &input[..end];
    Some((arrival(line.strip_suffix(b"\r").unwrap_or(line)), end + 1))
}

fn text_arrival(line: &[u8]) -> Arrival<'_> {
    if let Some(message) = line.strip_prefix(b"FROM ") {
        return Arrival::Message(after_name(message));
    }
    let missed = line.strip_prefix(b"MISSED ").and_then(number).map(Arrival::Missed);
    missed.unwrap_or_else(|| answer(line))
}

fn chat_arrival(line: &[u8]) -> Arrival<'_> {
    if let Some(missed) = line.strip_prefix(b"Missed ").and_then(reached) {
        return Arrival::Missed(missed);
    }
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    let (name, rest) = line.split_at(colon);
    match rest.strip_prefix(b": ") {
        Some(text) if words::name(name).is_ok() => Arrival::Message(text),
        _ => answer(line),
    }
}

fn answer(line: &[u8]) -> Arrival<'_> {
    line.strip_prefix(b"ERROR ").map_or(Arrival::Answer(line), Arrival::Error)
}

fn frame(input: &[u8]) -> Result<Option<(Arrival<'_>, usize)>, ArrivalError> {
    let Front::Frame { code, payload } = tinytcp_core::wire::frame::front(input) else {
        return Ok(None);
    };
    let arrival = match code {
        MESSAGE => Arrival::Message(after_name(payload)),
        MISSED => Arrival::Missed(number(payload).ok_or(ArrivalError::NoCount)?),
        ERROR => Arrival::Error(payload),
        JOIN..=SAY | NICK | WHO => Arrival::Answer(payload),
        _ => return Err(ArrivalError::UnknownCode(code)),
    };
    Ok(Some((arrival, HEADER_LEN + payload.len())))
}

/// Returns what follows the name and the blank after it.
fn after_name(message: &[u8]) -> &[u8] {
    let blank = memchr::memchr(b' ', message).unwrap_or(message.len());
    message.get(blank + 1..).unwrap_or_default()
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The arrivals of `input`, which must be whole.
    fn all(protocol: ProtocolName, mut input: &[u8]) -> Vec<Arrival<'_>> {
        let mut found = Vec::new();
        while let Some((arrival, len)) = next(protocol, input).expect("well made") {
            found.push(arrival);
            input = &input[len..];
        }
        assert_eq!(input, b"");
        found
    }

    #[test]
    fn news_and_answers_are_distinguished_in_each_protocol() {
        let expected = |said| {
            vec![
                Arrival::Message(b"a: b"),
                Arrival::Missed(3),
                Arrival::Answer(said),
                Arrival::Error(b"TOO_FAST"),
            ]
        };
        let text = b"FROM guest-1 a: b\nMISSED 3\nSAID 5\r\nERROR TOO_FAST\n";
        assert_eq!(all(ProtocolName::Text, text), expected(b"SAID 5"));
        let chat = b"guest-1: a: b\nMissed 3 messages.\nSaid to 5 members.\nERROR TOO_FAST\n";
        assert_eq!(all(ProtocolName::Chat, chat), expected(b"Said to 5 members."));
        let binary = b"\x13\0\0\0\x0cguest-1 a: b\x17\0\0\0\x013\x12\0\0\0\x015\
                       \xff\0\0\0\x08TOO_FAST";
        assert_eq!(all(ProtocolName::Binary, binary), expected(b"5"));
        for answer in [&b"SAID 5"[..], b"Said to 5 members.", b"5"] {
            assert_eq!(reached(answer), Some(5));
        }
    }

    #[test]
    fn incomplete_bytes_wait_and_endless_ones_are_refused() {
        assert_eq!(next(ProtocolName::Text, b"FROM a"), Ok(None));
        assert_eq!(next(ProtocolName::Binary, b"\x13\0\0\0\x0cg"), Ok(None));
        let endless = ArrivalError::Endless("x".repeat(32));
        assert_eq!(next(ProtocolName::Text, &[b'x'; ARRIVAL_MAX + 1]), Err(endless));
        for (frame, error) in [
            (&b"\x07\0\0\0\0"[..], ArrivalError::UnknownCode(7)),
            (b"\x17\0\0\0\x01x", ArrivalError::NoCount),
        ] {
            assert_eq!(next(ProtocolName::Binary, frame), Err(error));
        }
    }

    #[test]
    fn commands_have_the_words_of_their_protocol() {
        for (protocol, expected) in [
            (ProtocolName::Text, &b"JOIN r\nSAY t\n"[..]),
            (ProtocolName::Chat, b"/join r\n/say t\n"),
            (ProtocolName::Binary, b"\x10\0\0\0\x01r\x12\0\0\0\x01t"),
        ] {
            let mut output = Vec::new();
            append_join(protocol, "r", &mut output);
            append_say(protocol, b"t", &mut output);
            assert_eq!(output, expected);
        }
    }
}
