//! The answers of `http`. Their bytes depend on the state of the server, so they are checked for
//! their form when the server sends them; the end of a request is that which the session reports.

use tinytcp_core::os::moment::Moment;
use tinytcp_core::protocol::Step;

use super::{Language, Oracle};

/// The longest head of a request.
pub const HEAD_BYTES_MAX: usize = 8 << 10;

impl Oracle {
    /// Notes a step of the session.
    ///
    /// # Errors
    /// When the step is wrong: a whole request is answered at once.
    pub fn note_step(&mut self, step: Step, now: Moment) -> Result<(), &'static str> {
        let has_whole_head = self.pending.windows(4).any(|bytes| bytes == b"\r\n\r\n");
        match step {
            Step::Close(_) => (self.is_closed, self.began) = (true, Moment::NEVER),
            _ if has_whole_head || self.pending.len() >= HEAD_BYTES_MAX => {
                return Err("a whole request is not answered");
            }
            _ => self.began = self.began.min(now),
        }
        Ok(())
    }

    /// True if the session has a request to wait for, of which no byte may have arrived.
    pub(super) fn awaits_request(&self) -> bool {
        self.language == Language::Admin && self.began != Moment::NEVER
    }

    /// Notes the whole output of a connection, before its first byte is sent.
    ///
    /// # Errors
    /// When the output is not one whole answer.
    pub fn note_answer(&mut self, output: &[u8]) -> Result<(), String> {
        let is_head = self.is_closed && self.pending.trim_ascii_start().starts_with(b"HEAD ");
        self.answer(output);
        check_form(&String::from_utf8_lossy(output), is_head)
    }
}

fn check_form(answer: &str, is_head: bool) -> Result<(), String> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("an answer has no end of its head")?;
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    let code = status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    if !code.is_some_and(|code| code.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(format!("\"{status}\" is not the status line of an answer"));
    }
    let len = lines
        .find_map(|line| line.strip_prefix("Content-Length:")?.trim().parse::<usize>().ok())
        .ok_or("an answer has no length")?;
    let expected_len = if is_head { 0 } else { len };
    if body.len() != expected_len {
        return Err(format!("an answer has {} bytes, not {expected_len}", body.len()));
    }
    Ok(())
}
