//! A session of `text`.

use tinytcp_core::close_reason::CloseReason;
use tinytcp_core::limits::Limits;
use tinytcp_core::protocol::text::Text;
use tinytcp_core::testing::{Transcript, clock};

use crate::talk;
use crate::text_model::{End, conversation};

/// Every line has one answer in one line, or none where its page says so, whatever its bytes are.
pub fn check(data: &[u8]) {
    talk::check(&Text::new(), data, |limits, bursts| expected(limits, &bursts.concat()));
}

fn expected(limits: &Limits, input: &[u8]) -> Transcript {
    let time = clock().date_and_time().to_string();
    let (answers, end) = conversation(input, limits.line_bytes_max as usize, &time);
    let closed = end.map(|end| match end {
        End::Quit => CloseReason::Quit,
        End::NotHttp => CloseReason::WrongProtocol,
    });
    Transcript { answers, closed }
}
