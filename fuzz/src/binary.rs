//! A session of `binary`.

use tinytcp_core::close_reason::CloseReason;
use tinytcp_core::limits::Limits;
use tinytcp_core::protocol::binary::{Binary, ECHO, ERROR, QUIT, REVERSE, STATUS};
use tinytcp_core::testing::{LoneMember, Request, SessionHarness, Transcript};

use crate::talk;

/// Every frame has one answer or ends the session, for every claim of its header.
pub fn check(data: &[u8]) {
    talk::check(&Binary::new(), data, |limits, bursts| oracle(limits, &bursts.concat()));
}

fn oracle(limits: &Limits, mut input: &[u8]) -> Transcript {
    let mut answers = Vec::new();
    let mut member = LoneMember::new(1, limits);
    while input.len() >= 5 {
        let code = input[0];
        let claimed = input[1..5].iter().fold(0, |claimed, byte| claimed << 8 | u64::from(*byte));
        let received = input[5..].len().min(usize::try_from(claimed).unwrap_or(usize::MAX));
        let payload = &input[5..5 + received];
        let is_whole = received as u64 == claimed;
        let answer = match code {
            QUIT => return Transcript { answers, closed: Some(CloseReason::Quit) },
            _ if claimed > u64::from(limits.frame_bytes_max) => error("FRAME_TOO_LARGE"),
            ECHO | REVERSE | STATUS if !is_whole => break,
            _ if Request::of_code(code).is_some() && !is_whole => break,
            ECHO => frame(ECHO, payload),
            STATUS => status(limits),
            REVERSE => match String::from_utf8(payload.to_vec()) {
                Ok(text) => frame(ECHO, text.chars().rev().collect::<String>().as_bytes()),
                Err(_) => error("INVALID_UTF8"),
            },
            _ => match Request::of_code(code).map(|request| member.answer(request, payload)) {
                Some(Ok(answer)) => frame(code, answer.as_bytes()),
                Some(Err(token)) => error(token),
                None => error("UNKNOWN_COMMAND"),
            },
        };
        answers.extend(answer);
        input = &input[5 + received..];
    }
    Transcript { answers, closed: None }
}

/// Returns the answer to `STATUS`. The state of a harness does not change.
fn status(limits: &Limits) -> Vec<u8> {
    SessionHarness::new(&Binary::new(), limits).feed(&frame(STATUS, b"")).answers()
}

fn error(token: &str) -> Vec<u8> {
    frame(ERROR, token.as_bytes())
}

fn frame(code: u8, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a short payload");
    [&[code], &len.to_be_bytes()[..], payload].concat()
}
