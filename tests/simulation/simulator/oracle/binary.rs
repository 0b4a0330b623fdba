//! The answers of `binary` to frames.

use tinytcp_core::protocol::binary::{ECHO, ERROR, QUIT, REVERSE};
use tinytcp_core::testing::Request;

use super::Oracle;

/// A frame.
pub fn frame(code: u8, payload: &[u8]) -> Vec<u8> {
    [&[code][..], &(payload.len() as u32).to_be_bytes(), payload].concat()
}

impl Oracle {
    /// Answers all complete frames, and refuses others by their headers alone.
    pub(super) fn frames(&mut self) {
        let input = std::mem::take(&mut self.pending);
        let mut rest = &input[..];
        loop {
            let dropped = self.dropped_payload_len.min(rest.len());
            rest = &rest[dropped..];
            self.dropped_payload_len -= dropped;
            self.has_ended_one |= dropped > 0 && self.dropped_payload_len == 0;
            let Some((&[code, a, b, c, d], after)) = rest.split_first_chunk() else { break };
            let len = u32::from_be_bytes([a, b, c, d]) as usize;
            let request = Request::of_code(code);
            let input_len = self.received_len - after.len();
            match (code, after.get(..len)) {
                (QUIT, _) => {
                    self.is_closed = true;
                    break;
                }
                _ if len > self.bounds.frame_max => {
                    rest = self.refuse_payload("FRAME_TOO_LARGE", len, after)
                }
                (ECHO | REVERSE, None) => break,
                (_, None) if request.is_some() => break,
                (_, Some(payload)) if let Some(request) = request => {
                    self.ask(request, payload, input_len + len, b"");
                    self.has_ended_one = true;
                    rest = &after[len..];
                }
                (ECHO | REVERSE, Some(payload)) => {
                    self.run(code, payload);
                    self.has_ended_one = true;
                    rest = &after[len..];
                }
                _ => rest = self.refuse_payload("UNKNOWN_COMMAND", len, after),
            }
        }
        self.pending = rest.to_vec();
    }

    fn refuse_payload<'a>(&mut self, token: &str, len: usize, after: &'a [u8]) -> &'a [u8] {
        self.answer(&frame(ERROR, token.as_bytes()));
        self.dropped_payload_len = len;
        self.has_ended_one |= len == 0;
        after
    }

    /// Refuses the frame at the front of `pending`, without memory.
    pub(super) fn refuse_frame(&mut self, pending: &[u8]) {
        let len = u32::from_be_bytes([pending[1], pending[2], pending[3], pending[4]]) as usize;
        self.refuse_payload("SERVER_BUSY", len, b"");
        self.dropped_payload_len -= pending.len() - 5;
    }

    fn run(&mut self, code: u8, payload: &[u8]) {
        match (code, std::str::from_utf8(payload)) {
            (ECHO, _) => self.answer(&frame(ECHO, payload)),
            (_, Ok(text)) => {
                self.answer(&frame(ECHO, text.chars().rev().collect::<String>().as_bytes()))
            }
            (_, Err(_)) => self.answer(&frame(ERROR, b"INVALID_UTF8")),
        }
        self.may_be_refused(payload.len(), &frame(ERROR, b"SERVER_BUSY"));
    }
}
