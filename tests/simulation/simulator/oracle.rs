//! The oracle: the answers that a server must send, computed in a simple way from `protocol.md`.
//!
//! It does not predict what depends on time or memory, such as the end of a quiet period or a
//! message without memory. The observer reports these to the oracle, after checking that they may
//! happen.

use std::collections::VecDeque;

use tinytcp_core::limits::Limits;
use tinytcp_core::os::moment::Moment;
use tinytcp_core::protocol::binary::ERROR;
use tinytcp_core::testing::LoneMember;

// The test program and the fuzzer each have the model at their root.
use crate::text_model;

mod binary;
pub mod http;
mod talk;
mod text;

/// One of the protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Text,
    Binary,
    Echo,
    Chat,
    /// `http`, whose listener has places of its own.
    Admin,
}

/// The protocols whose answers are known in advance.
pub const LANGUAGES: [Language; 4] =
    [Language::Text, Language::Binary, Language::Echo, Language::Chat];

impl Language {
    /// True if a quiet period completes a message without a newline.
    pub fn ends_messages_by_quiet(self) -> bool {
        matches!(self, Self::Echo | Self::Chat)
    }

    /// The greeting of the server.
    fn greeting(self) -> &'static [u8] {
        if self == Self::Text { text_model::BANNER } else { b"" }
    }

    /// An error in a message of its own, as in a farewell.
    fn error(self, token: &str) -> Vec<u8> {
        match self {
            Self::Binary => binary::frame(ERROR, token.as_bytes()),
            _ => format!("ERROR {token}\n").into_bytes(),
        }
    }
}

/// The reasons of a farewell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unasked {
    Busy,
    Idle,
    Late,
    Shutdown,
    Tls,
    NoTls,
}

/// One answer.
struct Answer {
    bytes: Vec<u8>,
    /// The place of a time in it, whose value the oracle does not know.
    time: std::ops::Range<usize>,
    /// The answer instead of it if there is no memory.
    or_else: Option<Vec<u8>>,
}

/// The largest messages, and whether memory may run out.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub line_max: usize,
    pub frame_max: usize,
    pub is_memory_short: bool,
}

/// A message of at most this length is always answered, even without memory.
const SMALL_MESSAGE_MAX: usize = 4096 - 256;

/// The expected conversation on one connection.
pub struct Oracle {
    language: Language,
    bounds: Bounds,
    /// The answers to its commands about rooms, except for the number of members.
    member: LoneMember,
    /// The bytes of an incomplete message; at most a carriage return while a line is dropped.
    pending: Vec<u8>,
    /// The error for the line whose rest is dropped.
    dropped_line: Option<&'static str>,
    /// How many more bytes of a refused payload are dropped.
    dropped_payload_len: usize,
    is_closed: bool,
    /// True from the first message of `echo` or `chat` on.
    has_talked: bool,
    /// True if its bytes are plaintext of TLS.
    is_encrypted: bool,
    received_len: usize,
    /// When the incomplete message began, as far as the server can know.
    began: Moment,
    has_ended_one: bool,
    answers: VecDeque<Answer>,
    /// How many bytes of the first answer have been sent.
    sent_len: usize,
}

impl Oracle {
    /// Creates a conversation that has just begun.
    pub fn new(language: Language, bounds: Bounds) -> Self {
        let mut oracle = Self {
            language,
            bounds,
            member: LoneMember::new(0, &Limits::default().with_say_rate_max(None)),
            pending: Vec::new(),
            dropped_line: None,
            dropped_payload_len: 0,
            is_closed: false,
            has_talked: false,
            is_encrypted: false,
            received_len: 0,
            began: Moment::NEVER,
            has_ended_one: false,
            answers: VecDeque::new(),
            sent_len: 0,
        };
        oracle.answer(language.greeting());
        oracle
    }

    /// The same conversation over TLS, in which a second handshake has no meaning.
    pub fn over_tls(self) -> Self {
        Self { is_encrypted: true, ..self }
    }

    /// Notes the next bytes of the client.
    pub fn receive(&mut self, bytes: &[u8], now: Moment) {
        if self.is_closed {
            return;
        }
        let was_within_message = self.is_within_message();
        self.has_ended_one = false;
        self.pending.extend_from_slice(bytes);
        self.received_len += bytes.len();
        if self.has_begun_as_tls() {
            return self.end(Unasked::Tls);
        }
        match self.language {
            Language::Binary => self.frames(),
            Language::Admin => return,
            _ => self.lines(),
        }
        if self.is_closed {
            self.pending.clear();
        }
        if !self.is_within_message() {
            self.began = Moment::NEVER;
        } else if self.has_ended_one || !was_within_message {
            self.began = now;
        }
    }

    /// True if the conversation begins as TLS. Three bytes decide, but in `binary` the server may
    /// wait for a whole header.
    fn has_begun_as_tls(&self) -> bool {
        let enough = if self.language == Language::Binary { 5 } else { 3 };
        self.received_len >= enough && self.may_be_tls()
    }

    /// True if the server may answer that this is TLS.
    pub fn may_be_tls(&self) -> bool {
        self.received_len == self.pending.len()
            && !self.is_encrypted
            && matches!(self.pending.as_slice(), [0x16, 3, 0..=4, ..])
    }

    /// Notes that the bytes without an ending are a message now.
    pub fn complete_piece(&mut self) {
        let piece = std::mem::take(&mut self.pending);
        match self.dropped_line.take() {
            Some(token) => {
                self.has_talked = true;
                self.answer(format!("ERROR {token}").as_bytes());
            }
            None if piece.is_empty() => {}
            None if piece.len() > self.bounds.line_max => {
                self.has_talked = true;
                self.answer(b"ERROR LINE_TOO_LONG");
            }
            None => self.talk(&piece, b""),
        }
        self.began = Moment::NEVER;
    }

    /// Notes that the incomplete message is refused, without memory.
    pub fn refuse(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        match self.language {
            Language::Binary => self.refuse_frame(&pending),
            Language::Text if self.dropped_line.is_some() => {}
            Language::Text => {
                self.dropped_line = Some("");
                self.answer(b"ERROR SERVER_BUSY\n");
            }
            Language::Echo | Language::Chat | Language::Admin => {
                self.dropped_line = Some("SERVER_BUSY");
            }
        }
    }

    /// Notes that the server ends the conversation.
    pub fn end(&mut self, why: Unasked) {
        self.is_closed = true;
        self.pending.clear();
        (self.dropped_line, self.dropped_payload_len, self.began) = (None, 0, Moment::NEVER);
        let token = match why {
            Unasked::Busy => {
                self.answers.clear();
                "SERVER_BUSY"
            }
            Unasked::Tls => "NOT_TLS",
            Unasked::NoTls => {
                self.answers.clear();
                "TLS_REQUIRED"
            }
            Unasked::Idle => "IDLE_TIMEOUT",
            Unasked::Late => "MESSAGE_TIMEOUT",
            Unasked::Shutdown if self.language == Language::Text => return self.answer(b"BYE\n"),
            Unasked::Shutdown => return,
        };
        // A farewell of `http` is checked when it is sent, as its answers are.
        if self.language == Language::Admin {
            return;
        }
        self.answer(&self.language.error(token));
    }

    /// True if no more messages are run.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// True if a message is incomplete.
    pub fn is_within_message(&self) -> bool {
        !self.is_closed
            && (self.awaits_request()
                || !self.pending.is_empty()
                || self.dropped_line.is_some()
                || self.dropped_payload_len > 0)
    }

    /// True if a frame that is not refused is incomplete.
    pub fn is_within_frame(&self) -> bool {
        self.language == Language::Binary && !self.is_closed && !self.pending.is_empty()
    }

    /// When the incomplete message began; [`Moment::NEVER`] if there is none.
    pub fn began(&self) -> Moment {
        self.began
    }

    /// True if all answers have been sent.
    pub fn is_all_sent(&self) -> bool {
        self.answers.is_empty()
    }

    /// Checks `bytes` that the server sends: they must be the next bytes of the answers. `is_time`
    /// checks a time.
    pub fn check_sent(
        &mut self,
        mut bytes: &[u8],
        is_time: impl Fn(&str) -> bool,
    ) -> Result<(), String> {
        while !bytes.is_empty() {
            let Some(answer) = self.answers.front_mut() else {
                return Err(format!(
                    "no answer is due, and the server sends \"{}\"",
                    excerpt(bytes)
                ));
            };
            let len = bytes.len().min(answer.bytes.len() - self.sent_len);
            let place = self.sent_len..self.sent_len + len;
            if !answer.takes(place.clone(), &bytes[..len]) {
                match answer.or_else.take() {
                    Some(other) if other.starts_with(&answer.bytes[..self.sent_len]) => {
                        (answer.bytes, answer.time) = (other, 0..0);
                        continue;
                    }
                    _ => {
                        let expected = &answer.bytes[place];
                        return Err(format!(
                            "\"{}\" was expected, not \"{}\"",
                            excerpt(expected),
                            excerpt(bytes)
                        ));
                    }
                }
            }
            bytes = &bytes[len..];
            self.sent_len += len;
            if self.sent_len == answer.bytes.len() {
                let time = String::from_utf8_lossy(&answer.bytes[answer.time.clone()]).into_owned();
                if !time.is_empty() && !is_time(&time) {
                    return Err(format!("\"{time}\" is not a time of the wall clock"));
                }
                self.answers.pop_front();
                self.sent_len = 0;
            }
        }
        Ok(())
    }

    fn answer(&mut self, bytes: &[u8]) {
        self.answer_with_time(bytes, 0..0);
    }

    fn answer_with_time(&mut self, bytes: &[u8], time: std::ops::Range<usize>) {
        if !bytes.is_empty() {
            self.answers.push_back(Answer { bytes: bytes.to_vec(), time, or_else: None });
        }
    }

    /// Notes that the last answer may be an error instead, if its message is long.
    fn may_be_refused(&mut self, message_len: usize, refusal: &[u8]) {
        if self.bounds.is_memory_short
            && message_len > SMALL_MESSAGE_MAX
            && let Some(answer) = self.answers.back_mut()
        {
            answer.or_else = Some(refusal.to_vec());
        }
    }
}

impl Answer {
    /// True if `bytes` are allowed at `place`. A time is stored and checked later.
    fn takes(&mut self, place: std::ops::Range<usize>, bytes: &[u8]) -> bool {
        if self.time.is_empty() {
            return self.bytes[place] == *bytes;
        }
        place.zip(bytes).all(|(index, byte)| {
            if self.time.contains(&index) {
                self.bytes[index] = *byte;
            }
            self.bytes[index] == *byte
        })
    }
}

fn excerpt(bytes: &[u8]) -> String {
    format!(
        "{}{}",
        bytes[..bytes.len().min(60)].escape_ascii(),
        if bytes.len() > 60 { "..." } else { "" }
    )
}
