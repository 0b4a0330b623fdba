//! The requests of the client and the answers of our own server. Both must agree on the boundaries
//! of messages.

use tinytcp_cli::target::ProtocolName;
use tinytcp_client::dialogue::{AnswerBuffer, AnswerState, DueAnswer, Request, encode};
use tinytcp_core::close_reason::CloseReason;
use tinytcp_core::limits::Limits;
use tinytcp_core::protocol::BUILT_IN;
use tinytcp_core::testing::SessionHarness;

use crate::plan::Plan;

/// Every line of the stream is a line of a script. It has exactly one answer, of the kind that the
/// client expects. A line without an answer, as the client sees it, has none, and the farewell ends
/// the session.
pub fn check(data: &[u8]) {
    let plan = Plan::new(data);
    let place = plan.knobs() % ProtocolName::ALL.len();
    let mut server = SessionHarness::new(&*(BUILT_IN[place].build)(), &Limits::default());
    let mut buffer = AnswerBuffer::default();
    for line in plan.stream.split(|byte| *byte == b'\n') {
        if !ask(ProtocolName::ALL[place], line, &mut server, &mut buffer) {
            return;
        }
    }
}

/// Sends one line; returns false if it was the last one.
fn ask(
    protocol: ProtocolName,
    line: &[u8],
    server: &mut SessionHarness,
    buffer: &mut AnswerBuffer,
) -> bool {
    let mut request = Vec::new();
    let Ok(due) = encode(protocol, line, &mut request) else {
        assert!(request.is_empty(), "a line that means nothing is not sent");
        return true;
    };
    server.feed(&request);
    buffer.append(&server.answers());
    let shown = line.escape_ascii();
    match &due {
        Request::Answered(due) => assert_answered(buffer, due, line),
        Request::Last(Some(due)) => assert_answered(buffer, due, line),
        Request::Unanswered | Request::Last(None) => {}
    }
    assert!(buffer.is_empty(), "\"{shown}\" is answered by more than was due");
    if server.closed() == Some(CloseReason::WrongProtocol) {
        return false;
    }
    let is_last = matches!(due, Request::Last(_));
    let is_said = !request.is_empty();
    assert_eq!(server.is_open(), !(is_last && is_said), "after \"{shown}\"");
    !is_last
}

fn assert_answered(buffer: &mut AnswerBuffer, due: &DueAnswer, line: &[u8]) {
    match buffer.find(&mut due.clone()) {
        Ok(AnswerState::Complete(extent)) => drop(buffer.take(extent).text.len()),
        other => panic!("\"{}\" is answered by {other:?}", line.escape_ascii()),
    }
}
