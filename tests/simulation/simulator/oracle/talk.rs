//! The answers of `echo` and `chat` to one message.

use tinytcp_core::testing::Request;
use tinytcp_core::wire::http;

use super::{Language, Oracle};

impl Oracle {
    /// Answers the message that ends with the first `input_len` bytes of the input.
    pub(super) fn talk(&mut self, message: &[u8], ending: &[u8], input_len: usize) {
        let is_first = !std::mem::replace(&mut self.has_talked, true);
        let lower = message.to_ascii_lowercase();
        let contains = |word: &[u8]| lower.windows(word.len()).any(|place| place == word);
        let last_ending = ending;
        let ending = self.answer_ending(ending);
        match self.language {
            Language::Echo => self.answer(&[b"Server received: ", message, ending].concat()),
            // A browser must not reach a room.
            _ if http::is_request(message, is_first) => {
                self.answer(&[b"ERROR NOT_HTTP", ending].concat());
                self.is_closed = true;
                return;
            }
            _ if lower == b"exit" => {
                self.is_closed = true;
                return;
            }
            _ if let Some((request, argument)) = Request::of_message(message) => {
                return self.ask(request, argument, input_len, last_ending);
            }
            _ if contains(b"time") => {
                self.answer_with_time(&[b"Server Time: 17:24:13", ending].concat(), 13..21)
            }
            _ if contains(b"hello") => {
                self.answer(&[b"Hello from the server! Connection established.", ending].concat());
            }
            _ if contains(b"status") => {
                self.answer(&[b"Server is running smoothly on Rust.", ending].concat())
            }
            _ => self.answer(&[b"ACK: Received '", message, b"'", ending].concat()),
        }
        self.may_be_refused(message.len(), &[b"ERROR SERVER_BUSY", ending].concat());
    }
    /// Answers a message that is dropped.
    pub(super) fn talk_of_error(&mut self, token: &str, ending: &[u8]) {
        self.has_talked = true;
        let ending = self.answer_ending(ending);
        self.answer(&[b"ERROR ", token.as_bytes(), ending].concat());
    }

    /// Returns the ending of the answer to a message with this ending. A member of a room always
    /// needs one, so that news can follow.
    pub(super) fn answer_ending<'a>(&self, ending: &'a [u8]) -> &'a [u8] {
        if ending.is_empty() && self.is_member { b"\n" } else { ending }
    }
}
