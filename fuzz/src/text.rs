//! A session of `text`.

use tinytcp_core::close_reason::CloseReason;
use tinytcp_core::limits::Limits;
use tinytcp_core::protocol::text::Text;
use tinytcp_core::testing::{SessionHarness, Transcript, clock};

use crate::talk;
use crate::text_model::{End, Given, conversation};

/// Every line has one answer of one line, or none where `protocol.md` says so, whatever its bytes
/// are.
pub fn check(data: &[u8]) {
    talk::check(&Text::new(), data, |limits, bursts| expected(limits, &bursts.concat()));
}

fn expected(limits: &Limits, input: &[u8]) -> Transcript {
    let mut clock = clock();
    let status = SessionHarness::new(&Text::new(), limits).feed(b"STATUS\n").answers();
    let status = status.strip_suffix(b"\n").expect("an answer is a line");
    let given = Given { time: clock.date_and_time(), status };
    let (answers, end) = conversation(input, limits.line_bytes_max as usize, given);
    let closed = end.map(|end| match end {
        End::Quit => CloseReason::Quit,
        End::NotHttp => CloseReason::WrongProtocol,
    });
    Transcript { answers, closed }
}
