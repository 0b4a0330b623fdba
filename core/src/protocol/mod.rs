//! The interface between a connection and a protocol, and the four built-in protocols.
//!
//! A [`Protocol`] creates one [`Session`] per connection. A session turns bytes into bytes: it
//! makes no system calls and reads no clock. So a test can run it without a network.
//!
//! ```text
//!   input ---> session.advance(input, context) ---> (bytes consumed, Step)
//!                         |
//!                         +--> context.output()     answers, encoded in place
//! ```
//!
//! A session is called once for a batch of bytes, not once per message. The bytes that it does not
//! consume are passed again in the next call, followed by the bytes that have arrived since.

// Bytes of a peer reach this code first: no value of them may cause a panic, and no length may be
// truncated.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable,
        clippy::cast_possible_truncation
    )
)]

pub mod admin;
pub mod agent;
pub mod binary;
pub mod chat;
pub mod command;
mod command_table;
mod context;
#[cfg(test)]
mod conversations;
pub mod echo;
pub mod errors;
#[cfg(any(test, feature = "testing"))]
pub mod harness;
mod line_or_pause;
pub mod output;
mod room_commands;
mod room_context;
#[cfg(test)]
mod tests;
pub mod text;

use std::sync::Arc;

use crate::close_reason::CloseReason;
use crate::rooms::Seat;
use crate::wire::line::LineDecoder;
pub(crate) use context::ConnectionInfo;
pub use context::{Accepted, Context};
pub use output::Output;

/// A protocol of a listener. It creates the sessions of its connections.
pub trait Protocol: Send + Sync {
    /// Returns the name, which is also the scheme of its URLs, as in `text://127.0.0.1:40000`.
    fn name(&self) -> &'static str;

    /// Creates the session of a new connection.
    fn session(&self, accepted: &Accepted) -> Box<dyn Session>;

    /// The number of connections that a listener of this protocol serves beside the limit of
    /// connections, for protocols that must answer while that limit is reached. The activity log
    /// does not show them. By default connections count against the limit.
    fn own_places(&self) -> Option<usize> {
        None
    }

    /// True if a message without an ending is complete after a quiet period of the peer, and at the
    /// end of its input.
    fn ends_messages_by_quiet(&self) -> bool {
        false
    }
}

/// The state of a protocol for one connection.
///
/// In each call a session must:
/// - call [`Context::received`] once per complete message, whether answered or refused, and
///   [`Context::refused`] once per message that it refuses before its end has arrived. Counters,
///   the activity log and the message timeout depend on it. Call [`Context::message_ended`] at the
///   end of a refused message, and after bytes that are not a message, such as a blank line;
/// - call [`Output::reserve`] before an answer that may be longer than [`Output::OVERHEAD_BYTES`].
///   If it returns false, answer with the error [`errors::SERVER_BUSY`] instead. A long answer
///   without it may exceed the memory limit, and the connection is then closed;
/// - check [`Output::is_full`] before each message, and return [`Step::Paused`] if it is true;
/// - answer malformed input with an error of the protocol. If the next message can still be found,
///   the conversation goes on. Otherwise end it with [`Step::Close`] and
///   [`CloseReason::WrongProtocol`].
///
/// No call may panic or take long: one thread serves all connections, so a panic ends the server.
pub trait Session: Send {
    /// Appends the greeting of the server; by default nothing.
    fn greet(&mut self, output: &mut Output<'_>) {
        let _ = output;
    }

    /// Runs the complete messages at the front of `input` and appends their answers, until the
    /// output is full. Returns how many bytes of `input` it has consumed, and what it waits for.
    ///
    /// It is called:
    /// - first without input, after the greeting, so that a session can send something unasked;
    /// - then when bytes have arrived, and after [`Step::Paused`] when the output has drained.
    ///   `input` begins with the first byte that was not consumed; bytes that were there in the
    ///   last call are unchanged, and more may follow them;
    /// - after [`Step::Incomplete`] with a number only when that many more bytes have arrived;
    /// - after [`Step::Close`] never again.
    ///
    /// It must return:
    /// - [`Step::Done`] only if all of `input` is consumed;
    /// - [`Step::Paused`] only if the output is full;
    /// - [`Step::Incomplete`] with `missing` above zero, or with `None`. Input that is not consumed
    ///   stays in memory, so a session refuses a message that is longer than [`Context::limits`]
    ///   allows: it consumes the bytes that are there, and further bytes until the message ends;
    /// - at most one answer beyond the full output, with at most the length of its message plus
    ///   [`Output::OVERHEAD_BYTES`], or with the length that was [reserved](Output::reserve);
    /// - the same answers and the same end, no matter how the network splits the input.
    ///
    /// `testing::SessionHarness`, in the feature `testing`, checks all rules except the last one,
    /// and makes a test of the last one short.
    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step);

    /// Runs `input` as a complete message, because the peer was quiet or its input has ended.
    /// Called only if [`Protocol::ends_messages_by_quiet`] is true. All of `input` is consumed.
    fn complete_piece(&mut self, input: &[u8], context: &mut Context<'_>) -> Next {
        let _ = (input, context);
        Next::Continue
    }

    /// Refuses the incomplete message in `input`, because there is no memory for it. The session
    /// appends an error and drops the rest of the message as it arrives. Returns how many bytes of
    /// `input` are dropped: all, or none if the session does not know yet where the message ends.
    ///
    /// By default all bytes are dropped without an answer. If a session drops nothing of a long
    /// message, its connection is closed.
    fn refuse(&mut self, input: &[u8], context: &mut Context<'_>) -> usize {
        context.refused(errors::SERVER_BUSY);
        input.len()
    }

    /// True if a connection of this protocol may begin with bytes that look like a TLS handshake
    /// (see [`tls::is_handshake`]). By default such a connection is closed with
    /// [`Farewell::NotTls`], and the session does not get its bytes.
    ///
    /// [`tls::is_handshake`]: crate::wire::tls::is_handshake
    fn may_begin_as_tls(&self) -> bool {
        false
    }

    /// Takes the place of the connection in a room from the session, because the conversation is
    /// over. A session that lends its seat to the context must return it here.
    #[doc(hidden)]
    fn take_seat(&mut self) -> Seat {
        Seat::nowhere()
    }

    /// Appends the farewell of the protocol when the server ends the conversation; by default
    /// nothing.
    fn append_farewell(&mut self, farewell: Farewell, output: &mut Output<'_>) {
        let _ = (farewell, output);
    }
}

/// What a session waits for after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The next message. All input is consumed.
    Done,
    /// The rest of a message. The remaining input is its beginning, or empty if the session drops
    /// the message.
    Incomplete {
        /// How many bytes are missing, if the protocol knows it.
        missing: Option<usize>,
    },
    /// Room in the output. The remaining input may hold complete messages.
    ///
    /// A session that sends unasked returns this too, with all input consumed. It is called again
    /// when there is room, with the bytes that have arrived since.
    Paused,
    /// Nothing: the conversation is over, and the remaining input is not run.
    Close(CloseReason),
}

impl Step {
    /// Returns the step of a session of lines when `rest` holds no complete line.
    fn of_lines(lines: &LineDecoder, rest: &[u8]) -> Self {
        if rest.is_empty() && !lines.is_dropping() {
            Self::Done
        } else {
            Self::Incomplete { missing: None }
        }
    }
}

/// Whether the conversation goes on after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// The conversation goes on.
    Continue,
    /// The message ends the conversation.
    Close,
    /// The message ends the conversation, because it belongs to another protocol.
    WrongProtocol,
}

impl Next {
    /// Returns why the conversation ends; `None` if it goes on.
    #[must_use]
    pub const fn close_reason(self) -> Option<CloseReason> {
        match self {
            Self::Continue => None,
            Self::Close => Some(CloseReason::Quit),
            Self::WrongProtocol => Some(CloseReason::WrongProtocol),
        }
    }
}

/// The reasons for which a server ends a conversation with a farewell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Farewell {
    /// The server, or the address of the peer, has as many connections as its limit allows.
    ServerBusy,
    /// The peer sent a TLS handshake, and the listener is not encrypted.
    NotTls,
    /// The peer began without TLS, and the listener is encrypted.
    TlsRequired,
    /// The connection was idle for too long.
    IdleTimeout,
    /// One message took too long.
    MessageTimeout,
    /// The server is shutting down.
    Shutdown,
}

impl Farewell {
    /// Returns the upper-case token of the error; `None` for a shutdown, which is not an error.
    #[must_use]
    pub const fn token(self) -> Option<&'static str> {
        match self {
            Self::ServerBusy => Some(errors::SERVER_BUSY),
            Self::NotTls => Some("NOT_TLS"),
            Self::TlsRequired => Some("TLS_REQUIRED"),
            Self::IdleTimeout => Some("IDLE_TIMEOUT"),
            Self::MessageTimeout => Some("MESSAGE_TIMEOUT"),
            Self::Shutdown => None,
        }
    }
}

/// A built-in protocol: its scheme, its default port, and its constructor.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// The scheme of its URLs.
    pub scheme: &'static str,
    /// The port of its default listener.
    pub default_port: u16,
    /// Creates the protocol.
    pub build: fn() -> Arc<dyn Protocol>,
}

/// An `Arc` behaves as the protocol in it, so that several listeners can share a protocol.
impl<P: Protocol + ?Sized> Protocol for Arc<P> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn session(&self, accepted: &Accepted) -> Box<dyn Session> {
        (**self).session(accepted)
    }

    fn own_places(&self) -> Option<usize> {
        (**self).own_places()
    }

    fn ends_messages_by_quiet(&self) -> bool {
        (**self).ends_messages_by_quiet()
    }
}

/// The built-in protocols. A new one is a file in this directory and a line here.
pub static BUILT_IN: [BuiltIn; 4] = [
    BuiltIn { scheme: "text", default_port: 40_000, build: || Arc::new(text::Text::new()) },
    BuiltIn { scheme: "binary", default_port: 65_432, build: || Arc::new(binary::Binary::new()) },
    BuiltIn { scheme: "echo", default_port: 8_888, build: || Arc::new(echo::protocol()) },
    BuiltIn { scheme: "chat", default_port: 9_999, build: || Arc::new(chat::protocol()) },
];
