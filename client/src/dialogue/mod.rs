//! How each protocol asks, and how it knows which answer is due and when all of it is there.
//!
//! ```text
//!   a line of a script  --encode-->  bytes to send  +  what is Due
//!   bytes received      --Inbox----> the next answer, found by what is Due
//! ```
//!
//! Nothing here reads or writes: scripts, shell and demo share it, each with its own way of
//! waiting.

pub mod binary;
mod inbox;
mod messages;
mod text;
mod voice;

use std::time::Duration;

pub use inbox::{Answer, Extent, Found, Inbox};
pub use messages::Expected;
use tinytcp_cli::target::Protocol;
use tinytcp_core::display::escape::{front, shown};
pub use voice::Voice;

/// The longest answer that is taken: four times the longest that a server with default limits
/// gives.
///
/// Without a limit a server that never ends its line would fill our memory instead of an error
/// message.
pub const ANSWER_MAX: usize = 64 << 20;

/// How long a server must say nothing before an answer that we do not know counts as complete: well
/// over the pauses inside an answer that one `send` made, well under the patience of whoever waits.
///
/// It is the client's own measure of a server. The quiet period, after which a server of echo or
/// chat takes a piece for a message, is another.
pub const SILENCE: Duration = Duration::from_millis(250);

/// What one line of a script asks of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Nothing that would be answered.
    Silent,
    /// One answer.
    Answered(Due),
    /// The end of the session, after one last answer if there is one; what follows would not be
    /// run.
    Farewell(Option<Due>),
}

/// The answer that comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// A line.
    Line,
    /// A frame.
    Frame,
    /// An answer that may end without a newline, known by what it must contain.
    Message(Expected),
}

/// How a client talks in a protocol.
pub trait Dialogue: Sized {
    /// Appends what `line` (without its ending) sends to `output`, and says which answer is then
    /// due.
    ///
    /// # Errors
    /// A sentence about a line that means nothing to this client; nothing is appended then.
    fn encode(self, line: &[u8], output: &mut Vec<u8>) -> Result<Request, String>;

    /// What the server says before it is asked.
    #[must_use]
    fn banner(self) -> Option<Due>;

    /// What is wrong with `banner`, the first line of a server; `None` when it is one of this
    /// protocol.
    #[must_use]
    fn foreign_banner(self, banner: &[u8]) -> Option<String>;

    /// What the server says when it has not been asked, such as why it is about to close.
    #[must_use]
    fn unasked(self) -> Due;

    /// True exactly when several requests may be on the way at once.
    ///
    /// The original servers of echo and chat take whatever one `recv` gives them for one message,
    /// so two that arrive together would become one: there each message waits for the answer to
    /// the one before it.
    #[must_use]
    fn pipelines(self) -> bool;
}

impl Dialogue for Protocol {
    fn encode(self, line: &[u8], output: &mut Vec<u8>) -> Result<Request, String> {
        match self {
            Self::Text => Ok(text::encode(line, output)),
            Self::Binary => binary::encode(line, output),
            Self::Echo => Ok(messages::encode_echo(line, output)),
            Self::Chat => Ok(messages::encode_chat(line, output)),
        }
    }

    fn banner(self) -> Option<Due> {
        match self {
            Self::Text => Some(Due::Line),
            Self::Binary | Self::Echo | Self::Chat => None,
        }
    }

    fn foreign_banner(self, banner: &[u8]) -> Option<String> {
        const SHOWN_MAX: usize = 48;
        if self.banner().is_none() || banner.starts_with(b"WELCOME") {
            return None;
        }
        let shown = shown(front(banner, SHOWN_MAX));
        Some(format!("'{shown}' is no banner; does the server speak {}?", self.name()))
    }

    fn unasked(self) -> Due {
        match self {
            Self::Text => Due::Line,
            Self::Binary => Due::Frame,
            Self::Echo | Self::Chat => Due::Message(Expected::anything()),
        }
    }

    fn pipelines(self) -> bool {
        matches!(self, Self::Text | Self::Binary)
    }
}
