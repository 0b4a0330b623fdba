//! The oracle: the answers that a server must send, computed in a simple way from `protocol.md`.
//!
//! It does not predict what depends on time or memory, such as the end of a quiet period or a
//! message without memory. The observer reports these to the oracle, after checking that they may
//! happen.

use std::collections::VecDeque;
use std::ops::Range;

use tinytcp_core::os::moment::Moment;
use tinytcp_core::protocol::binary::ERROR;

use self::answer::Answer;
use self::news::Stay;
use self::rooms::Rooms;
// The test program and the fuzzer each have the model at their root.
use crate::text_model;

mod answer;
mod asking;
pub mod binary;
mod checking;
pub mod http;
pub mod news;
pub mod rooms;
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
    /// How many of the answers are to commands about rooms that were not run.
    questions: usize,
    /// How many bytes of the first answer have been sent.
    sent_len: usize,
    /// True if its last command about rooms has left it in a room.
    is_member: bool,
    /// Its stay in a room, as its client sees it.
    stay: Option<Stay>,
    /// True if the last answer has ended with a carriage return and a newline: so do news of
    /// `chat`.
    ends_with_crlf: bool,
    /// The bytes of news that are not whole, or that may begin news.
    begun_news: Vec<u8>,
}

impl Oracle {
    /// Creates a conversation that has just begun.
    pub fn new(language: Language, bounds: Bounds) -> Self {
        let mut oracle = Self {
            language,
            bounds,
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
            questions: 0,
            sent_len: 0,
            is_member: false,
            stay: None,
            ends_with_crlf: false,
            begun_news: Vec::new(),
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

    /// Notes that the server looks at bytes that it has read in an earlier turn, which ended before
    /// them because the output was full.
    pub fn look_again(&mut self, now: Moment) {
        if self.began != Moment::NEVER {
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
            Some(token) => self.talk_of_error(token, b""),
            None if piece.is_empty() => {}
            None if piece.len() > self.bounds.line_max => {
                self.talk_of_error("LINE_TOO_LONG", b"");
            }
            None => self.talk(&piece, b"", self.received_len),
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
        if matches!(why, Unasked::Busy | Unasked::NoTls) {
            self.answers.clear();
        }
        let token = match why {
            Unasked::Busy => "SERVER_BUSY",
            Unasked::Tls => "NOT_TLS",
            Unasked::NoTls => "TLS_REQUIRED",
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
        self.answers.is_empty() && self.begun_news.is_empty()
    }

    /// True if its client has received all messages of its room.
    pub fn has_heard_all(&self, id: usize, rooms: &Rooms) -> bool {
        self.stay.as_ref().is_none_or(|stay| stay.has_heard_all(id, rooms))
    }

    fn answer(&mut self, bytes: &[u8]) {
        self.answer_with_time(bytes, 0..0);
    }

    fn answer_with_time(&mut self, bytes: &[u8], time: Range<usize>) {
        if !bytes.is_empty() {
            let answer = Answer { open: time, ..Answer::new(bytes.to_vec()) };
            self.answers.push_back(answer);
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
