//! The answers of `echo` and `chat` to one message.

use super::{Language, Oracle};

impl Oracle {
    pub(super) fn talk(&mut self, message: &[u8], ending: &[u8]) {
        let lower = message.to_ascii_lowercase();
        let contains = |word: &[u8]| lower.windows(word.len()).any(|place| place == word);
        match self.language {
            Language::Echo => self.answer(&[b"Server received: ", message, ending].concat()),
            // A browser must not reach a room.
            _ if contains(b" http/1.") && message.last().is_some_and(u8::is_ascii_digit) => {
                self.answer(&[b"ERROR NOT_HTTP", ending].concat());
                self.is_closed = true;
                return;
            }
            _ if lower == b"exit" => {
                self.is_closed = true;
                return;
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
}
