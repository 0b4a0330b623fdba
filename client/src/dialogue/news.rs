//! News: what a server sends to the members of a room, without a request.
//!
//! ```text
//!   text      FROM <name> <TEXT>\n          MISSED <count>\n
//!   binary    code 19, "<name> <TEXT>"       code 23, "<count>"
//!   chat      <name>: <TEXT>\n              Missed <count> messages.\n
//! ```
//!
//! News may come before, between and after answers, never inside one, and only after a room was
//! joined on the same connection. What looks like news before that is an answer, as of a server
//! that has other commands and no rooms.

use tinytcp_core::rooms::words;

use super::binary;

/// News of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// A message of another member.
    Message {
        /// The name of its sender.
        name: &'a [u8],
        /// Its text.
        text: &'a [u8],
    },
    /// The room has dropped this number of messages that this member was too slow to read.
    Missed(u64),
}

impl<'a> News<'a> {
    /// Returns the news in a line of text without its ending; `None` for any other line.
    #[must_use]
    pub fn of_text(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.strip_prefix(b"FROM ") {
            Some(message) => Self::message(message),
            None => Self::missed(line.strip_prefix(b"MISSED ")?),
        }
    }

    /// Returns true if news may follow the answer `text`, in a frame of this code or in none: it
    /// answers a command that has joined a room.
    #[must_use]
    pub fn may_follow(code: Option<u8>, text: &[u8]) -> bool {
        match code {
            Some(code) => code == binary::JOIN,
            None => text.starts_with(b"JOINED ") || text.starts_with(b"Joined "),
        }
    }

    /// Returns the news in a line of chat without its ending; `None` for any other line.
    #[must_use]
    pub fn of_chat(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(count) = line.strip_prefix(b"Missed ") {
            let blank = memchr::memchr(b' ', count)?;
            return Self::missed(count.get(..blank)?);
        }
        let (name, rest) = line.split_at_checked(memchr::memchr(b':', line)?)?;
        let text = rest.strip_prefix(b": ")?;
        words::speaker(name).is_ok().then_some(Self::Message { name, text })
    }

    /// Returns the news in a frame; `None` for any other frame.
    #[must_use]
    pub fn of_frame(code: u8, payload: &'a [u8]) -> Option<Self> {
        match code {
            binary::MESSAGE => Self::message(payload),
            binary::MISSED => Self::missed(payload),
            _ => None,
        }
    }

    /// Returns the news as the line of `text`, without an ending.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        match self {
            Self::Message { name, text } => [b"FROM ", *name, b" ", *text].concat(),
            Self::Missed(count) => format!("MISSED {count}").into_bytes(),
        }
    }

    fn message(message: &'a [u8]) -> Option<Self> {
        let blank = memchr::memchr(b' ', message)?;
        let (name, text) = message.split_at_checked(blank)?;
        (!name.is_empty()).then(|| Self::Message { name, text: text.get(1..).unwrap_or_default() })
    }

    fn missed(count: &[u8]) -> Option<Self> {
        std::str::from_utf8(count).ok()?.parse().ok().map(Self::Missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_news_are_distinguished_from_answers() {
        let from = |name, text| Some(News::Message { name, text });
        let cases: [(&[u8], Option<News<'_>>); 9] = [
            (b"FROM ana hi there", from(b"ana", b"hi there")),
            (b"FROM ana  two \xff ", from(b"ana", b" two \xff ")),
            (b"FROM ana ", from(b"ana", b"")),
            (b"MISSED 17\r", Some(News::Missed(17))),
            (b"FROM ana", None),
            (b"FROM  hi", None),
            (b"MISSED some", None),
            (b"SAID 3", None),
            (b"ECHO FROM ana hi", None),
        ];
        for (line, expected) in cases {
            assert_eq!(News::of_text(line), expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn frames_of_news_are_recognised_by_their_code() {
        let message = News::Message { name: b"ana", text: b"hi" };
        assert_eq!(News::of_frame(binary::MESSAGE, b"ana hi"), Some(message));
        assert_eq!(News::of_frame(binary::MISSED, b"3"), Some(News::Missed(3)));
        assert_eq!(News::of_frame(binary::ECHO, b"ana hi"), None);
        assert_eq!(message.line(), b"FROM ana hi");
        assert_eq!(News::Missed(3).line(), b"MISSED 3");
    }

    #[test]
    fn lines_of_chat_news_are_distinguished_from_answers() {
        let ana = News::Message { name: b"ana", text: b"hi: there" };
        assert_eq!(News::of_chat(b"ana: hi: there"), Some(ana));
        assert_eq!(News::of_chat(b"Missed 1 message."), Some(News::Missed(1)));
        assert_eq!(News::of_chat(b"Missed 17 messages.\r"), Some(News::Missed(17)));
        for answer in [
            "Server Time: 17:24:13",
            "ACK: Received 'hi'",
            "Hello from the server! Connection established.",
            "Said to 3 members.",
            "2 members: ana, bo",
            "You are ana.",
            "ERROR TOO_FAST",
        ] {
            assert_eq!(News::of_chat(answer.as_bytes()), None, "{answer}");
        }
    }

    #[test]
    fn news_may_follow_the_answer_of_a_join() {
        assert!(News::may_follow(None, b"JOINED tea"));
        assert!(News::may_follow(None, b"Joined tea as ana."));
        assert!(News::may_follow(Some(binary::JOIN), b"tea"));
        assert!(!News::may_follow(None, b"ECHO JOINED tea"));
        assert!(!News::may_follow(None, b"ACK: Received 'Joined tea as ana.'"));
        assert!(!News::may_follow(Some(binary::ECHO), b"JOINED tea"));
    }
}
