//! A session of `chat`.

use tinytcp_core::close_reason::CloseReason;
use tinytcp_core::limits::Limits;
use tinytcp_core::protocol::chat;
use tinytcp_core::testing::{LoneMember, Transcript, clock};
use tinytcp_core::wire::http;

use crate::talk;

/// A message has the first answer of the table that fits, whatever is around its words.
pub fn check(data: &[u8]) {
    talk::check(&chat::protocol(), data, oracle);
}

/// Computes the transcript of `bursts` in a simple and slow way.
fn oracle(limits: &Limits, bursts: &[Vec<u8>]) -> Transcript {
    let (mut answers, mut member) = (Vec::new(), LoneMember::new(1, limits));
    let messages = bursts.iter().flat_map(|burst| burst.split_inclusive(|byte| *byte == b'\n'));
    for (index, message) in messages.enumerate() {
        let content =
            message.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let (content, ending) = message.split_at(content.map_or(message.len(), <[u8]>::len));
        let is_too_long = content.len() > limits.line_bytes_max as usize;
        let is_http = match is_too_long {
            true => index == 0 && http::is_request_front(content) == Some(true),
            false => http::is_request(content, index == 0),
        };
        let answer = match (is_http, is_too_long) {
            (true, _) => Some(b"ERROR NOT_HTTP".to_vec()),
            (_, true) => Some(b"ERROR LINE_TOO_LONG".to_vec()),
            _ => answer(content, &mut member),
        };
        let Some(answer) = answer else {
            return Transcript { answers, closed: Some(CloseReason::Quit) };
        };
        answers.extend(answer);
        let is_bare = ending.is_empty() && member.is_in_a_room();
        answers.extend(if is_bare { b"\n" } else { ending });
        if is_http {
            return Transcript { answers, closed: Some(CloseReason::WrongProtocol) };
        }
    }
    Transcript { answers, closed: None }
}

/// Returns the answer to one message; `None` for the one that closes.
fn answer(message: &[u8], member: &mut LoneMember) -> Option<Vec<u8>> {
    let lower: String = message.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    if lower == "exit" {
        return None;
    }
    if let Some(answer) = member.answer_message(message) {
        return Some(answer.into());
    }
    Some(match lower {
        _ if lower.contains("time") => format!("Server Time: {}", clock().time_of_day()).into(),
        _ if lower.contains("hello") => b"Hello from the server! Connection established.".to_vec(),
        _ if lower.contains("status") => b"Server is running smoothly on Rust.".to_vec(),
        _ => [b"ACK: Received '", message, b"'"].concat(),
    })
}
