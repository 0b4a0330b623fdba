//! The subject of a room: a prefix, and the name of the room as one token.
//!
//! A dot separates the tokens of a subject, `*` and `>` are wildcards, and blanks end it. So bytes
//! of a name other than ASCII letters, digits, `-` and `_` are percent-encoded.

use std::fmt::{self, Display};

use super::percent::{Encoded, decoded};

/// Displays the subject of a room.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What precedes the name, such as `tinytcp.room.`.
    pub prefix: &'a str,
    /// The name of the room.
    pub room: &'a [u8],
}

impl Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix, Encoded(self.room))
    }
}

/// Returns the name of the room whose subject is `subject`; `None` if it is no subject of a room.
#[must_use]
pub fn room_of(prefix: &str, subject: &[u8]) -> Option<Vec<u8>> {
    decoded(subject.strip_prefix(prefix.as_bytes())?).filter(|room| !room.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "tinytcp.room.";

    #[test]
    fn a_name_is_one_token_and_comes_back() {
        for (room, subject) in [
            ("tea", "tinytcp.room.tea"),
            ("Tea_2-x", "tinytcp.room.Tea_2-x"),
            ("a.b", "tinytcp.room.a%2Eb"),
            (">", "tinytcp.room.%3E"),
            ("*", "tinytcp.room.%2A"),
            ("té 1", "tinytcp.room.t%C3%A9%201"),
        ] {
            let shown = Subject { prefix: PREFIX, room: room.as_bytes() }.to_string();
            assert_eq!(shown, subject);
            assert_eq!(room_of(PREFIX, shown.as_bytes()).as_deref(), Some(room.as_bytes()));
        }
    }

    #[test]
    fn another_subject_has_no_room() {
        for subject in ["tinytcp.room.", "tinytcp.news.tea", "tea", "tinytcp.room.%2"] {
            assert_eq!(room_of(PREFIX, subject.as_bytes()), None, "{subject}");
        }
    }
}
