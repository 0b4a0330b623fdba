//! The answers to lines: those of `text` by its model, those of `echo` and `chat` by [`talk`].
//!
//! [`talk`]: Oracle::talk

use super::{Language, Oracle, text_model};

/// The form of a local time. Its value is checked when the answer is sent.
const SOME_TIME: &str = "2025-09-12T17:24:13-05:00";

/// No client asks for the status.
const GIVEN: text_model::Given<'_> = text_model::Given { time: SOME_TIME, status: b"" };

impl Oracle {
    /// Answers all complete lines, and refuses an incomplete one that has exceeded the limit.
    pub(super) fn lines(&mut self) {
        let input = std::mem::take(&mut self.pending);
        let mut rest = &input[..];
        while let Some(newline) = rest.iter().position(|byte| *byte == b'\n')
            && !self.is_closed
        {
            let (line, after) = (&rest[..newline], &rest[newline + 1..]);
            self.line(line, self.received_len - after.len());
            rest = after;
            self.has_ended_one = true;
        }
        if self.is_closed {
            return;
        }
        self.pending = rest.to_vec();
        let content = rest.strip_suffix(b"\r").unwrap_or(rest);
        let carriage_return = &rest[content.len()..];
        let may_be_http = self.language == Language::Text && text_model::may_become_http(content);
        if self.dropped_line.is_none() && content.len() > self.bounds.line_max && !may_be_http {
            self.outgrow(content);
        }
        if self.dropped_line.is_some() {
            self.pending = carriage_return.to_vec();
        }
    }

    /// Answers the line that ends with the first `input_len` bytes of the input.
    fn line(&mut self, line: &[u8], input_len: usize) {
        let (line, ending): (_, &[u8]) = match line.strip_suffix(b"\r") {
            Some(line) => (line, b"\r\n"),
            None => (line, b"\n"),
        };
        if self.dropped_line.is_none() && line.len() > self.bounds.line_max {
            self.outgrow(line);
        }
        if self.is_closed {
            return;
        }
        match (self.dropped_line.take(), self.language) {
            (Some(_), Language::Text) => {}
            (Some(token), _) => self.talk_of_error(token, ending),
            (None, Language::Text) => self.command(line, input_len),
            (None, _) => self.talk(line, ending, input_len),
        }
    }

    fn outgrow(&mut self, line: &[u8]) {
        self.dropped_line = Some("LINE_TOO_LONG");
        if self.language == Language::Text {
            self.send(&text_model::answer_to_too_long(line));
        }
    }

    fn command(&mut self, line: &[u8], input_len: usize) {
        let line_max = self.bounds.line_max;
        if let Some((request, argument)) = text_model::room_command(line, line_max) {
            return self.ask(request, argument, input_len, b"\n");
        }
        let answer = text_model::answer_without_rooms(line, line_max, GIVEN);
        self.send(&answer);
        if answer.is_of_command {
            self.may_be_refused(line.len(), b"ERROR SERVER_BUSY\n");
        }
    }

    fn send(&mut self, answer: &text_model::Answer) {
        let time_start = if answer.line.starts_with(b"TIME ") { b"TIME ".len() } else { 0 };
        let time_len = if time_start == 0 { 0 } else { SOME_TIME.len() };
        self.answer_with_time(&answer.bytes(), time_start..time_start + time_len);
        self.is_closed |= answer.end.is_some();
    }
}
