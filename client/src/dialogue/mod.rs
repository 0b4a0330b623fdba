//! Requests and answers of each protocol: how a line becomes a request, which answer is due, and
//! when that answer is complete.
//!
//! ```text
//!   a line of a script  --encode-------->  bytes to send, and the DueAnswer
//!   received bytes      --AnswerBuffer-->  the next answer, found with its DueAnswer,
//!                                          or news of a room, which no request asked for
//! ```
//!
//! Nothing here reads or writes. Scripts, shell and demo share it, and each waits in its own way.

mod answer_buffer;
pub mod binary;
mod messages;
mod news;
mod rooms;
mod text;
mod wording;

use std::time::Duration;

pub use answer_buffer::{AnswerBuffer, AnswerState, Extent, ServerAnswer};
pub use messages::ExpectedAnswer;
pub use news::News;
pub use rooms::RoomWords;
use tinytcp_cli::UsageError;
use tinytcp_cli::target::ProtocolName;
use tinytcp_core::display::escape::{front, shown};
pub use wording::Wording;

/// The longest answer that is accepted: four times the longest of a server with default limits.
///
/// Without a limit, a server that never ends its line would fill the memory of the client.
pub const ANSWER_MAX: usize = 64 << 20;

/// The silence of a server after which an unexpected answer counts as complete. It is well over the
/// pauses inside an answer that one `send` made, and short for a waiting person.
///
/// This is the client's measure. The quiet period, after which a server of echo or chat takes a
/// piece for a message, is the server's.
pub const SILENCE: Duration = Duration::from_millis(250);

/// The request that a line becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A request without an answer.
    Unanswered,
    /// A request with one answer.
    Answered(DueAnswer),
    /// The request that ends the session, and its answer if it has one. The server runs nothing
    /// after it.
    Last(Option<DueAnswer>),
}

/// The form of the answer that comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueAnswer {
    /// A line.
    Line,
    /// A frame.
    Frame,
    /// An answer that may end without a newline, recognised by its text.
    Message(ExpectedAnswer),
}

/// Appends the request for `line`, which has no ending, to `output`. Returns which answer is
/// then due.
///
/// # Errors
/// For a line that is no command of this client; nothing is appended then.
pub fn encode(
    protocol: ProtocolName,
    line: &[u8],
    output: &mut Vec<u8>,
) -> Result<Request, UsageError> {
    match protocol {
        ProtocolName::Text => Ok(text::encode(line, output)),
        ProtocolName::Binary => binary::encode(line, output),
        ProtocolName::Echo => Ok(messages::encode_echo(line, output)),
        ProtocolName::Chat => Ok(messages::encode_chat(line, output)),
    }
}

/// Returns the form of the banner, which the server sends before the first request.
#[must_use]
pub const fn banner(protocol: ProtocolName) -> Option<DueAnswer> {
    match protocol {
        ProtocolName::Text => Some(DueAnswer::Line),
        ProtocolName::Binary | ProtocolName::Echo | ProtocolName::Chat => None,
    }
}

/// Returns what is wrong with `line`, the first one of a server; `None` for a banner of this
/// protocol.
#[must_use]
pub fn foreign_banner(protocol: ProtocolName, line: &[u8]) -> Option<String> {
    const SHOWN_MAX: usize = 48;
    if banner(protocol).is_none() || line.starts_with(b"WELCOME") {
        return None;
    }
    let shown = shown(front(line, SHOWN_MAX));
    Some(format!("'{shown}' is no banner; does the server speak {}?", protocol.name()))
}

/// Returns the form of what the server sends without a request, such as the reason of a close.
#[must_use]
pub const fn unasked(protocol: ProtocolName) -> DueAnswer {
    match protocol {
        ProtocolName::Text => DueAnswer::Line,
        ProtocolName::Binary => DueAnswer::Frame,
        ProtocolName::Echo | ProtocolName::Chat => DueAnswer::Message(ExpectedAnswer::anything()),
    }
}

/// Returns true if several requests may be on the way at once.
///
/// The original servers of echo and chat take what one `recv` returns for one message, so two
/// that arrive together would become one. There each message waits for the answer to the one
/// before it.
#[must_use]
pub const fn pipelines(protocol: ProtocolName) -> bool {
    matches!(protocol, ProtocolName::Text | ProtocolName::Binary)
}
