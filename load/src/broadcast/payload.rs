//! The text of a message: `0 17 1250000 rrrr...`: the publisher, the number of the message, and
//! when it was due, in nanoseconds since the start of the run. A letter that depends on the number
//! fills it up to its size, so that a text which was cut or mixed with another one is recognised.

use std::io::Write;

/// The shortest text of any message.
pub const SIZE_MIN: usize = 48;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Its publisher, among those of the room.
    pub publisher: u32,
    /// Its number among those of the publisher.
    pub number: u32,
    /// When it was due.
    pub due_ns: u64,
}

impl Payload {
    /// Returns its text, of `size` bytes.
    #[must_use]
    pub fn text(&self, size: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(size);
        // Writing to a vector never fails.
        let _ = write!(text, "{} {} {} ", self.publisher, self.number, self.due_ns);
        text.resize(size.max(text.len()), self.filler());
        text
    }

    /// Returns the message of a text; `None` unless it is whole and has `size` bytes.
    #[must_use]
    pub fn parse(text: &[u8], size: usize) -> Option<Self> {
        let mut words = text.splitn(4, |byte| *byte == b' ');
        let payload = Self {
            publisher: number(words.next()?)?,
            number: number(words.next()?)?,
            due_ns: number(words.next()?)?,
        };
        let is_whole =
            text.len() == size && words.next()?.iter().all(|byte| *byte == payload.filler());
        is_whole.then_some(payload)
    }

    const fn filler(&self) -> u8 {
        b'a' + (self.number % 26) as u8
    }
}

fn number<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_its_message_and_any_change_is_seen() {
        let message = Payload { publisher: 3, number: 1_000_000, due_ns: u64::MAX };
        for size in [SIZE_MIN, 100] {
            let text = message.text(size);
            assert_eq!(text.len(), size);
            assert_eq!(Payload::parse(&text, size), Some(message));
            assert_eq!(Payload::parse(&text[..size - 1], size), None);
            for at in 0..size {
                let mut other = text.clone();
                other[at] ^= 1;
                assert_ne!(Payload::parse(&other, size), Some(message), "byte {at}");
            }
        }
        assert_eq!(Payload::parse(b"hello", 5), None);
    }
}
