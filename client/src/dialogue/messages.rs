//! Echo and chat: messages whose answers may end with a newline or with nothing.
//!
//! Our server ends an answer as the message ended. The original servers read with one `recv`,
//! answer with one `send` and end it with nothing, and where the answer quotes the message, the
//! message's own newline may stand inside. No ending is therefore common to all of them; what is
//! known is which answer must come:
//!
//! ```text
//!   message    answer, complete with its last byte          then perhaps
//!   hi         Server received: hi                           \n
//!   hi         ACK: Received 'hi'   or   ACK: Received 'hi\n'    \n
//!   time       Server Time: 00:00:00   (any digits)          \n
//! ```
//!
//! So an answer is complete when it says what it had to say. The newline behind it usually comes in
//! the same segment and is taken with it; one that comes later is dropped before the next answer.
//! An answer that says something else is complete when the server falls quiet, and there is no
//! better sign of its end.

use super::{Due, Request};

/// What an answer must contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The whole answers that would do. None: anything will.
    patterns: Vec<Candidate>,
    /// Bytes of the input that are known to hold no newline.
    scanned: usize,
}

/// A whole answer that would do.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    pattern: Pattern,
    /// Bytes of the input that are known to agree, so that an answer in pieces is compared once.
    agreed: usize,
    /// True exactly when a byte of the input differs.
    is_out: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// These bytes.
    Exact(Vec<u8>),
    /// These bytes, where every `0` stands for any digit.
    Digits(&'static [u8]),
}

/// What some received bytes are, seen from what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The answer is the first `text_len` bytes; its ending follows, `ending_len` bytes.
    Complete {
        /// Bytes of the answer.
        text_len: usize,
        /// 0, 1 for `\n` or 2 for `\r\n`.
        ending_len: usize,
    },
    /// The start of the expected answer: there is more to come.
    Start,
    /// Something else: complete when the server falls quiet.
    Other,
}

impl Expected {
    /// An answer about which nothing is known.
    #[must_use]
    pub const fn anything() -> Self {
        Self { patterns: Vec::new(), scanned: 0 }
    }

    fn one_of(patterns: Vec<Pattern>) -> Self {
        let patterns = patterns
            .into_iter()
            .map(|pattern| Candidate { pattern, agreed: 0, is_out: false })
            .collect();
        Self { patterns, scanned: 0 }
    }

    /// Compares what has been received with what was expected.
    ///
    /// `input` is all that has been received of this answer, and begins with the input of the last
    /// call: what was compared then is not compared again.
    #[must_use]
    pub fn compare(&mut self, input: &[u8]) -> Match {
        let matches: Vec<Match> =
            self.patterns.iter_mut().map(|candidate| candidate.compare(input)).collect();
        let first = |wanted: fn(&Match) -> bool| matches.iter().copied().find(wanted);
        first(|found| matches!(found, Match::Complete { .. }))
            .or_else(|| first(|found| *found == Match::Start))
            .or_else(|| self.refusal(input))
            .unwrap_or(Match::Other)
    }

    /// A line that begins with `ERROR ` is an answer to anything.
    fn refusal(&mut self, input: &[u8]) -> Option<Match> {
        if !input.starts_with(b"ERROR ") {
            return None;
        }
        let Some(offset) = memchr::memchr(b'\n', input.get(self.scanned..)?) else {
            self.scanned = input.len();
            return None;
        };
        let newline = self.scanned + offset;
        let line = input.get(..newline)?;
        let text_len = line.strip_suffix(b"\r").unwrap_or(line).len();
        Some(Match::Complete { text_len, ending_len: newline + 1 - text_len })
    }
}

impl Candidate {
    fn compare(&mut self, input: &[u8]) -> Match {
        let unseen = |bytes| <[u8]>::get(bytes, self.agreed..).unwrap_or_default().iter();
        let pairs = unseen(input).zip(unseen(self.pattern.bytes()));
        let agreeing =
            pairs.take_while(|(byte, pattern)| self.pattern.agrees(**byte, **pattern)).count();
        self.agreed += agreeing;
        self.is_out |= self.agreed < input.len().min(self.pattern.bytes().len());
        if self.is_out { Match::Other } else { self.pattern.found(input) }
    }
}

impl Pattern {
    /// What `input` is, which agrees with the pattern as far as both go.
    fn found(&self, input: &[u8]) -> Match {
        let len = self.bytes().len();
        let Some(rest) = input.get(len..) else {
            // A server that trims its messages has then said all it will: only its silence can
            // tell.
            let trimmed = self.bytes().trim_ascii_end().len();
            return if input.len() >= trimmed && trimmed < len {
                Match::Other
            } else {
                Match::Start
            };
        };
        match rest {
            [] => Match::Complete { text_len: len, ending_len: 0 },
            [b'\n', ..] => Match::Complete { text_len: len, ending_len: 1 },
            [b'\r', b'\n', ..] => Match::Complete { text_len: len, ending_len: 2 },
            _ => Match::Other,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Exact(bytes) => bytes,
            Self::Digits(bytes) => bytes,
        }
    }

    fn agrees(&self, byte: u8, pattern: u8) -> bool {
        match (self, pattern) {
            (Self::Digits(_), b'0') => byte.is_ascii_digit(),
            _ => byte == pattern,
        }
    }
}

/// `quit` is the client's own word: it ends the session and is not sent, as in the original client.
pub fn encode_echo(line: &[u8], output: &mut Vec<u8>) -> Request {
    let (message, ending) = split_ending(line);
    if message.eq_ignore_ascii_case(b"quit") {
        return Request::Farewell(None);
    }
    output.extend([message, ending].concat());
    let answer = [b"Server received: ", message].concat();
    Request::Answered(Due::Message(Expected::one_of(vec![Pattern::Exact(answer)])))
}

/// `exit` is sent and gets no answer.
pub fn encode_chat(line: &[u8], output: &mut Vec<u8>) -> Request {
    let (message, ending) = split_ending(line);
    output.extend([message, ending].concat());
    let lower = message.to_ascii_lowercase();
    let contains = |word: &[u8]| lower.windows(word.len()).any(|window| window == word);
    let patterns = if lower == b"exit" {
        return Request::Farewell(None);
    } else if contains(b"time") {
        vec![Pattern::Digits(b"Server Time: 00:00:00")]
    } else if contains(b"hello") {
        vec![Pattern::Exact(b"Hello from the server! Connection established.".into())]
    } else if contains(b"status") {
        let on = |language: &str| {
            Pattern::Exact(format!("Server is running smoothly on {language}.").into())
        };
        vec![on("Rust"), on("Python")]
    } else {
        let quoting =
            |ending: &[u8]| Pattern::Exact([b"ACK: Received '", message, ending, b"'"].concat());
        vec![quoting(b""), quoting(ending)]
    };
    Request::Answered(Due::Message(Expected::one_of(patterns)))
}

/// The message that `line` is, and the ending with which it is sent: to the server, a carriage
/// return at the end of a line is half of its ending.
fn split_ending(line: &[u8]) -> (&[u8], &'static [u8]) {
    line.strip_suffix(b"\r").map_or((line, b"\n"), |message| (message, b"\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(encode: fn(&[u8], &mut Vec<u8>) -> Request, line: &str) -> Expected {
        match encode(line.as_bytes(), &mut Vec::new()) {
            Request::Answered(Due::Message(expected)) => expected,
            other => panic!("{other:?}"),
        }
    }

    const fn complete(text_len: usize, ending_len: usize) -> Match {
        Match::Complete { text_len, ending_len }
    }

    #[test]
    fn an_echo_is_complete_with_its_last_byte_whatever_ends_it() {
        let expected = expected(encode_echo, "hi");
        for (input, found) in [
            ("", Match::Start),
            ("Server rec", Match::Start),
            ("Server received: h", Match::Start),
            ("Server received: hi", complete(19, 0)),
            ("Server received: hi\n", complete(19, 1)),
            ("Server received: hi\r\nmore", complete(19, 2)),
            ("Server received: ho", Match::Other),
            ("Server received: hi there", Match::Other),
            ("ERROR LINE_TOO", Match::Other),
            ("ERROR LINE_TOO_LONG\n", complete(19, 1)),
        ] {
            assert_eq!(expected.clone().compare(input.as_bytes()), found, "{input:?}");
        }
    }

    #[test]
    fn a_server_that_trims_is_known_by_its_silence() {
        let expected = expected(encode_echo, "hi ");
        assert_eq!(expected.clone().compare(b"Server received: hi"), Match::Other);
        assert_eq!(expected.clone().compare(b"Server received: hi \n"), complete(20, 1));
    }

    #[test]
    fn chat_answers_are_known_by_the_first_word_that_fits() {
        let time = expected(encode_chat, "Hello, what TIME is it?");
        assert_eq!(time.clone().compare(b"Server Time: 09:08:0"), Match::Start);
        assert_eq!(time.clone().compare(b"Server Time: 09:08:07"), complete(21, 0));
        assert_eq!(time.clone().compare(b"Server Time: 9:08:07x"), Match::Other);
        let status = expected(encode_chat, "status?");
        assert_eq!(status.clone().compare(b"Server is running smoothly on "), Match::Start);
        assert_eq!(
            status.clone().compare(b"Server is running smoothly on Python."),
            complete(37, 0)
        );
        assert_eq!(encode_chat(b"EXIT", &mut Vec::new()), Request::Farewell(None));
    }

    #[test]
    fn a_carriage_return_at_the_end_of_a_line_is_half_of_its_ending() {
        let mut sent = Vec::new();
        assert_eq!(encode_chat(b"exit\r", &mut sent), Request::Farewell(None));
        assert_eq!(sent, b"exit\r\n");
        let echo = expected(encode_echo, "hi\r");
        assert_eq!(echo.clone().compare(b"Server received: hi\r\n"), complete(19, 2));
        let chat = expected(encode_chat, "hi\r");
        assert_eq!(chat.clone().compare(b"ACK: Received 'hi'\r\n"), complete(18, 2));
        assert_eq!(chat.clone().compare(b"ACK: Received 'hi\r\n'"), complete(20, 0));
    }

    #[test]
    fn an_acknowledgement_may_quote_the_newline_too() {
        let expected = expected(encode_chat, "hi");
        assert_eq!(expected.clone().compare(b"ACK: Received 'hi"), Match::Start);
        assert_eq!(expected.clone().compare(b"ACK: Received 'hi'\n"), complete(18, 1));
        assert_eq!(expected.clone().compare(b"ACK: Received 'hi\n"), Match::Start);
        assert_eq!(expected.clone().compare(b"ACK: Received 'hi\n'"), complete(19, 0));
    }
}
