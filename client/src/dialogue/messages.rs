//! Echo and chat: messages whose answers may end with a newline or with nothing.
//!
//! tinytcp-server ends an answer as the message ended. The original servers read with one `recv`,
//! answer with one `send` and add no ending; if the answer quotes the message, it may contain the
//! message's own newline. So no ending is common to all servers, but the text of the answer is
//! known:
//!
//! ```text
//!   message    answer, complete with its last byte          then perhaps
//!   hi         Server received: hi                           \n
//!   hi         ACK: Received 'hi'   or   ACK: Received 'hi\n'    \n
//!   time       Server Time: 00:00:00   (any digits)          \n
//! ```
//!
//! So an answer is complete with the last byte of the expected text. A newline usually arrives in
//! the same segment and is taken with it; one that arrives later is dropped before the next answer.
//! Any other answer is complete when the server is silent: there is no better sign of its end.

use super::{DueAnswer, Request};

/// The texts that the next answer may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedAnswer {
    /// The expected answers. Empty: any answer.
    patterns: Vec<Candidate>,
    /// Bytes of the input that contain no newline.
    scanned: usize,
    /// Any line is an answer.
    is_line: bool,
}

/// One expected answer, and the progress of its comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    pattern: Pattern,
    /// Bytes of the input that agree, so that an answer in pieces is compared once.
    agreed: usize,
    /// A byte of the input differs.
    is_out: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// These bytes.
    Exact(Vec<u8>),
    /// These bytes, with any digit for each `0`.
    Digits(&'static [u8]),
}

/// The result of comparing received bytes with the expected answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchState {
    /// The answer is the first `text_len` bytes; its ending follows, `ending_len` bytes.
    Complete {
        /// Bytes of the answer.
        text_len: usize,
        /// 0, 1 for `\n` or 2 for `\r\n`.
        ending_len: usize,
    },
    /// The start of an expected answer: more bytes are needed.
    Start,
    /// Another answer: complete when the server is silent.
    Other,
}

impl ExpectedAnswer {
    /// Any answer.
    #[must_use]
    pub const fn anything() -> Self {
        Self { patterns: Vec::new(), scanned: 0, is_line: false }
    }

    /// The same answer, or any line.
    fn or_line(self) -> Self {
        Self { is_line: true, ..self }
    }

    fn one_of(patterns: Vec<Pattern>) -> Self {
        let patterns = patterns
            .into_iter()
            .map(|pattern| Candidate { pattern, agreed: 0, is_out: false })
            .collect();
        Self { patterns, ..Self::anything() }
    }

    /// Compares `input`, the received bytes of this answer, with the expected ones.
    ///
    /// `input` begins with the input of the last call, which is not compared again.
    #[must_use]
    pub fn compare(&mut self, input: &[u8]) -> MatchState {
        let matches: Vec<MatchState> =
            self.patterns.iter_mut().map(|candidate| candidate.compare(input)).collect();
        let first = |wanted: fn(&MatchState) -> bool| matches.iter().copied().find(wanted);
        first(|found| matches!(found, MatchState::Complete { .. }))
            .or_else(|| first(|found| *found == MatchState::Start))
            .or_else(|| self.line(input))
            .unwrap_or(MatchState::Other)
    }

    /// A line that is no expected answer: an error, which is an answer to anything, or another
    /// answer if any line is one.
    fn line(&mut self, input: &[u8]) -> Option<MatchState> {
        if !self.is_line && !input.starts_with(b"ERROR ") {
            return None;
        }
        let Some(offset) = memchr::memchr(b'\n', input.get(self.scanned..)?) else {
            self.scanned = input.len();
            return None;
        };
        let newline = self.scanned + offset;
        let line = input.get(..newline)?;
        let text_len = line.strip_suffix(b"\r").unwrap_or(line).len();
        Some(MatchState::Complete { text_len, ending_len: newline + 1 - text_len })
    }

    /// Forgets the input so far: the answer begins after it.
    pub fn restart(&mut self) {
        self.scanned = 0;
        for candidate in &mut self.patterns {
            (candidate.agreed, candidate.is_out) = (0, false);
        }
    }
}

impl Candidate {
    fn compare(&mut self, input: &[u8]) -> MatchState {
        let unseen = |bytes| <[u8]>::get(bytes, self.agreed..).unwrap_or_default().iter();
        let pairs = unseen(input).zip(unseen(self.pattern.bytes()));
        let agreeing =
            pairs.take_while(|(byte, pattern)| self.pattern.agrees(**byte, **pattern)).count();
        self.agreed += agreeing;
        self.is_out |= self.agreed < input.len().min(self.pattern.bytes().len());
        if self.is_out { MatchState::Other } else { self.pattern.state(input) }
    }
}

impl Pattern {
    /// The result for `input`, which agrees with the pattern as far as both go.
    fn state(&self, input: &[u8]) -> MatchState {
        let len = self.bytes().len();
        let Some(rest) = input.get(len..) else {
            // The answer of a server that trims its messages ends here: only its silence shows it.
            let trimmed = self.bytes().trim_ascii_end().len();
            return if input.len() >= trimmed && trimmed < len {
                MatchState::Other
            } else {
                MatchState::Start
            };
        };
        match rest {
            [] => MatchState::Complete { text_len: len, ending_len: 0 },
            [b'\n', ..] => MatchState::Complete { text_len: len, ending_len: 1 },
            [b'\r', b'\n', ..] => MatchState::Complete { text_len: len, ending_len: 2 },
            _ => MatchState::Other,
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

/// `quit` is a word of the client: it ends the session and is not sent, as in the original client.
pub fn encode_echo(line: &[u8], output: &mut Vec<u8>) -> Request {
    let (message, ending) = split_ending(line);
    if message.eq_ignore_ascii_case(b"quit") {
        return Request::Last(None);
    }
    output.extend([message, ending].concat());
    let answer = [b"Server received: ", message].concat();
    Request::Answered(DueAnswer::Message(ExpectedAnswer::one_of(vec![Pattern::Exact(answer)])))
}

/// `exit` is sent and has no answer.
pub fn encode_chat(line: &[u8], output: &mut Vec<u8>) -> Request {
    let (message, ending) = split_ending(line);
    output.extend([message, ending].concat());
    let lower = message.to_ascii_lowercase();
    let contains = |word: &[u8]| lower.windows(word.len()).any(|window| window == word);
    let patterns = if lower == b"exit" {
        return Request::Last(None);
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
    let expected = ExpectedAnswer::one_of(patterns);
    // An original server answers a command of rooms as any other message.
    let expected = if is_command_of_rooms(message) { expected.or_line() } else { expected };
    Request::Answered(DueAnswer::Message(expected))
}

/// Returns true if tinytcp-server takes `message` for a room command, whatever other words it has.
fn is_command_of_rooms(message: &[u8]) -> bool {
    message.starts_with(b"/")
}

/// The message of `line`, and the ending with which it is sent: a carriage return at the end of a
/// line belongs to its ending.
fn split_ending(line: &[u8]) -> (&[u8], &'static [u8]) {
    line.strip_suffix(b"\r").map_or((line, b"\n"), |message| (message, b"\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(encode: fn(&[u8], &mut Vec<u8>) -> Request, line: &str) -> ExpectedAnswer {
        match encode(line.as_bytes(), &mut Vec::new()) {
            Request::Answered(DueAnswer::Message(expected)) => expected,
            other => panic!("{other:?}"),
        }
    }

    const fn complete(text_len: usize, ending_len: usize) -> MatchState {
        MatchState::Complete { text_len, ending_len }
    }

    #[test]
    fn an_echo_is_complete_with_its_last_byte() {
        let expected = expected(encode_echo, "hi");
        for (input, result) in [
            ("", MatchState::Start),
            ("Server rec", MatchState::Start),
            ("Server received: h", MatchState::Start),
            ("Server received: hi", complete(19, 0)),
            ("Server received: hi\n", complete(19, 1)),
            ("Server received: hi\r\nmore", complete(19, 2)),
            ("Server received: ho", MatchState::Other),
            ("Server received: hi there", MatchState::Other),
            ("ERROR LINE_TOO", MatchState::Other),
            ("ERROR LINE_TOO_LONG\n", complete(19, 1)),
        ] {
            assert_eq!(expected.clone().compare(input.as_bytes()), result, "{input:?}");
        }
    }

    #[test]
    fn a_trimmed_answer_is_complete_after_a_silence() {
        let expected = expected(encode_echo, "hi ");
        assert_eq!(expected.clone().compare(b"Server received: hi"), MatchState::Other);
        assert_eq!(expected.clone().compare(b"Server received: hi \n"), complete(20, 1));
    }

    #[test]
    fn the_words_of_a_message_decide_which_answer_is_expected() {
        let time = expected(encode_chat, "Hello, what TIME is it?");
        assert_eq!(time.clone().compare(b"Server Time: 09:08:0"), MatchState::Start);
        assert_eq!(time.clone().compare(b"Server Time: 09:08:07"), complete(21, 0));
        assert_eq!(time.clone().compare(b"Server Time: 9:08:07x"), MatchState::Other);
        let status = expected(encode_chat, "status?");
        assert_eq!(status.clone().compare(b"Server is running smoothly on "), MatchState::Start);
        assert_eq!(
            status.clone().compare(b"Server is running smoothly on Python."),
            complete(37, 0)
        );
        assert_eq!(encode_chat(b"EXIT", &mut Vec::new()), Request::Last(None));
    }

    #[test]
    fn a_carriage_return_at_the_end_belongs_to_the_ending() {
        let mut sent = Vec::new();
        assert_eq!(encode_chat(b"exit\r", &mut sent), Request::Last(None));
        assert_eq!(sent, b"exit\r\n");
        let echo = expected(encode_echo, "hi\r");
        assert_eq!(echo.clone().compare(b"Server received: hi\r\n"), complete(19, 2));
        let chat = expected(encode_chat, "hi\r");
        assert_eq!(chat.clone().compare(b"ACK: Received 'hi'\r\n"), complete(18, 2));
        assert_eq!(chat.clone().compare(b"ACK: Received 'hi\r\n'"), complete(20, 0));
    }

    #[test]
    fn an_acknowledgement_may_quote_the_newline() {
        let expected = expected(encode_chat, "hi");
        assert_eq!(expected.clone().compare(b"ACK: Received 'hi"), MatchState::Start);
        assert_eq!(expected.clone().compare(b"ACK: Received 'hi'\n"), complete(18, 1));
        assert_eq!(expected.clone().compare(b"ACK: Received 'hi\n"), MatchState::Start);
        assert_eq!(expected.clone().compare(b"ACK: Received 'hi\n'"), complete(19, 0));
    }
}
