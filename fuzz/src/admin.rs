//! A request to the administrative listener, and its answer.

use tinytcp_core::limits::Limits;
use tinytcp_core::protocol::admin::Admin;
use tinytcp_core::testing::{SessionHarness, Transcript};

use crate::plan::Plan;

/// The longest head that the listener reads.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// A request has one answer of the length that it claims, for every cut of the stream, and none
/// before its head is complete. It needs no memory in addition to that of the turn.
pub fn check(data: &[u8]) {
    let plan = Plan::new(data);
    let limits = Limits::default();
    let whole = play(&limits, [plan.stream]);
    let pieces = plan.pieces();
    let cut = play(&limits, pieces.iter().map(|piece| piece.bytes));
    assert_eq!(cut, whole, "cut and whole");
    assert_eq!(whole.closed.is_some(), !whole.answers.is_empty(), "one answer, then the end");
    if whole.closed.is_none() {
        assert!(plan.stream.len() < HEAD_BYTES_MAX && !has_whole_head(plan.stream), "no answer");
    } else {
        check_answer(&whole.answers, plan.stream);
        // An answer fits into the working block of the turn.
        let poor = play(&limits.with_memory_bytes_max(0), [plan.stream]);
        assert_eq!(poor.closed, whole.closed, "without memory");
        check_answer(&poor.answers, plan.stream);
    }
}

fn play<'a>(limits: &Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Transcript {
    let admin = Admin::with_hosts(["tinytcp.example".to_owned()]);
    let mut harness = SessionHarness::new(&admin, limits);
    harness.advance(0);
    for piece in pieces {
        harness.feed(piece);
    }
    harness.transcript()
}

/// True if an empty line follows a line that is not empty.
fn has_whole_head(stream: &[u8]) -> bool {
    let start = stream.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(stream.len());
    stream[start..].windows(4).any(|window| window == b"\r\n\r\n")
}

fn check_answer(answer: &[u8], request: &[u8]) {
    let answer = std::str::from_utf8(answer).expect("an answer is UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    assert!(head.starts_with("HTTP/1.1 "), "{head}");
    let len = head.lines().find_map(|line| line.strip_prefix("Content-Length:"));
    let len: usize = len.expect("a length").trim().parse().expect("a number");
    let is_head = body.is_empty() && request.trim_ascii_start().starts_with(b"HEAD ");
    assert!(is_head || body.len() == len, "{} bytes, not {len}", body.len());
}
