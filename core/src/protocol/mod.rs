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

pub mod binary;
pub mod chat;
pub mod command;
mod command_table;
#[cfg(test)]
mod conversations;
pub mod echo;
#[cfg(any(test, feature = "testing"))]
pub mod harness;
pub mod output;
pub mod talk;
pub mod text;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::close_reason::CloseReason;
use crate::limits::Limits;
use crate::logging::activity::Activity;
use crate::os::clock::Clock;
use crate::os::moment::Moment;
use crate::os::peer::{Peer, PeerAddr};
use crate::status::Status;
use crate::wire::line::Lines;
pub use output::Output;

/// A protocol of a listener. It creates the sessions of its connections.
pub trait Protocol: Send + Sync {
    /// Returns the name, which is also the scheme of its URLs, as in `text://127.0.0.1:40000`.
    fn name(&self) -> &'static str;

    /// Creates the session of a new connection.
    fn session(&self, accepted: &Accepted) -> Box<dyn Session>;

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
/// - call [`Output::reserve`] before an answer that may be longer than [`ANSWER_OVERHEAD_BYTES`].
///   If it returns false, answer with the error [`SERVER_BUSY`] instead. A long answer without it
///   may exceed the memory limit, and the connection is then closed;
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
    ///   [`ANSWER_OVERHEAD_BYTES`], or with the length that was [reserved](Output::reserve);
    /// - the same answers and the same end, no matter how the network splits the input.
    ///
    /// `testing::SessionHarness`, in the feature `testing`, checks all rules except the last one,
    /// and makes a test of the last one short.
    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step);

    /// Runs `input` as a complete message, because the peer was quiet or its input has ended.
    /// Called only if [`Protocol::ends_messages_by_quiet`] is true. All of `input` is consumed.
    fn end_of_piece(&mut self, input: &[u8], context: &mut Context<'_>) -> Next {
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
        context.refused(SERVER_BUSY);
        input.len()
    }

    /// True if a connection of this protocol may begin with bytes that look like a TLS handshake
    /// (see [`tls::is_handshake`]). By default such a connection is closed with [`Notice::NotTls`],
    /// and the session does not get its bytes.
    ///
    /// [`tls::is_handshake`]: crate::wire::tls::is_handshake
    fn may_begin_as_tls(&self) -> bool {
        false
    }

    /// Appends the farewell of the protocol when the server ends the conversation; by default
    /// nothing.
    fn say(&mut self, notice: Notice, output: &mut Output<'_>) {
        let _ = (notice, output);
    }
}

/// What a session waits for after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    fn of_lines(lines: &Lines, rest: &[u8]) -> Self {
        if rest.is_empty() && !lines.is_dropping() {
            Self::Done
        } else {
            Self::Incomplete { missing: None }
        }
    }
}

/// Whether the conversation goes on after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The conversation goes on.
    Continue,
    /// The message ends the conversation.
    Close,
}

/// The reasons for which a server ends a conversation with a farewell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The server has as many connections as it may have.
    ServerBusy,
    /// The peer sent a TLS handshake, and the server has no TLS.
    NotTls,
    /// The connection was idle for too long.
    IdleTimeout,
    /// One message took too long.
    MessageTimeout,
    /// The server is shutting down.
    Shutdown,
}

impl Notice {
    /// Returns the upper-case token of the error; `None` for a shutdown, which is not an error.
    #[must_use]
    pub const fn token(self) -> Option<&'static str> {
        match self {
            Self::ServerBusy => Some(SERVER_BUSY),
            Self::NotTls => Some("NOT_TLS"),
            Self::IdleTimeout => Some("IDLE_TIMEOUT"),
            Self::MessageTimeout => Some("MESSAGE_TIMEOUT"),
            Self::Shutdown => None,
        }
    }
}

/// The error for a message without memory, and for a connection over the limit.
pub const SERVER_BUSY: &str = "SERVER_BUSY";
/// The error for a line over the limit.
pub const LINE_TOO_LONG: &str = "LINE_TOO_LONG";
/// The error for a command that is not in the table.
pub const UNKNOWN_COMMAND: &str = "UNKNOWN_COMMAND";

/// How many bytes longer than its message an answer may be without [`Output::reserve`]: room for a
/// prefix, a line ending, a time.
pub const ANSWER_OVERHEAD_BYTES: usize = 256;

/// A new connection, for which a protocol creates a session.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    peer: Peer,
    number: u64,
    limits: Limits,
}

impl Accepted {
    /// Describes connection `number` from `peer`.
    pub(crate) const fn new(peer: Peer, number: u64, limits: Limits) -> Self {
        Self { peer, number, limits }
    }

    /// The address at the other end, as it came with the connection.
    #[must_use]
    pub fn peer(&self) -> PeerAddr {
        self.peer.addr()
    }

    /// The index of the listener, in the order of [`Status::listeners`].
    #[must_use]
    pub fn listener(&self) -> usize {
        self.peer.listener()
    }

    /// The number of the connection: see [`Context::number`].
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The limits on message length and memory.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// The facts about a connection that its session can read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionInfo {
    pub peer: Peer,
    pub number: u64,
    pub opened: Moment,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub messages: u64,
}

/// Everything that a session can use during one call: its output, the time, its connection, and the
/// state of the server.
#[derive(Debug)]
pub struct Context<'a> {
    output: Output<'a>,
    clock: &'a mut Clock,
    activity: &'a mut Activity,
    connection: &'a ConnectionInfo,
    status: &'a Status,
    messages: u64,
    ended: bool,
}

impl<'a> Context<'a> {
    /// Creates the context of one call.
    pub(crate) const fn new(
        output: Output<'a>,
        clock: &'a mut Clock,
        activity: &'a mut Activity,
        connection: &'a ConnectionInfo,
        status: &'a Status,
    ) -> Self {
        Self { output, clock, activity, connection, status, messages: 0, ended: false }
    }

    /// The output, to which answers are appended.
    #[inline]
    pub const fn output(&mut self) -> &mut Output<'a> {
        &mut self.output
    }

    /// The monotonic time of this round.
    #[must_use]
    pub const fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The wall clock time of this round, which may jump.
    #[must_use]
    pub const fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    /// Appends the local time in seconds with a numeric offset: `2025-09-12T17:24:13-05:00`.
    pub fn append_date_and_time(&mut self) {
        self.output.append(self.clock.date_and_time().as_bytes());
    }

    /// The address at the other end, as it came with the connection.
    #[must_use]
    pub fn peer(&self) -> PeerAddr {
        self.connection.peer.addr()
    }

    /// The index of the listener, in the order of [`Status::listeners`].
    #[must_use]
    pub fn listener(&self) -> usize {
        self.connection.peer.listener()
    }

    /// The number of the connection: 1 for the first accepted connection, 2 for the second. It
    /// wraps around after 4 billion.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.connection.number
    }

    /// The time since the connection was accepted.
    #[must_use]
    pub const fn age(&self) -> Duration {
        self.clock.now().since(self.connection.opened)
    }

    /// The bytes received on this connection, including those that are not consumed yet.
    #[must_use]
    pub const fn received_bytes(&self) -> u64 {
        self.connection.received_bytes
    }

    /// The bytes sent on this connection: those that the kernel has accepted.
    #[must_use]
    pub const fn sent_bytes(&self) -> u64 {
        self.connection.sent_bytes
    }

    /// The messages received on this connection, including those of this call.
    #[must_use]
    pub const fn messages_so_far(&self) -> u64 {
        self.connection.messages + self.messages
    }

    /// The limits on message length and memory.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.status.limits
    }

    /// The state of the server. It does not count the messages of this call yet.
    #[must_use]
    pub const fn status(&self) -> &'a Status {
        self.status
    }

    /// Counts a complete message, and logs it as `name` and its bytes.
    #[inline]
    pub fn received(&mut self, name: &str, message: &[u8]) {
        self.messages += 1;
        self.ended = true;
        self.activity.message(&self.connection.peer, name, message);
    }

    /// Counts a message that is refused before its end has arrived, and logs it as `token`.
    #[cold]
    pub fn refused(&mut self, token: &str) {
        self.messages += 1;
        self.activity.message(&self.connection.peer, token, b"");
    }

    /// Notes the end of a refused message, or of bytes that are not a message, such as a blank
    /// line: the next byte begins a message.
    pub const fn message_ended(&mut self) {
        self.ended = true;
    }

    /// The messages received in this call.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// True if a message has ended in this call: an incomplete message after it has just begun.
    #[must_use]
    pub const fn has_ended_a_message(&self) -> bool {
        self.ended
    }
}

/// A built-in protocol: its scheme, its default port, and its constructor.
#[derive(Clone, Copy)]
pub struct BuiltIn {
    /// The scheme of its URLs.
    pub scheme: &'static str,
    /// The port of its default listener.
    pub default_port: u16,
    /// Creates the protocol.
    pub build: fn() -> Arc<dyn Protocol>,
}

/// Several listeners can share a protocol.
impl<P: Protocol + ?Sized> Protocol for Arc<P> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn session(&self, accepted: &Accepted) -> Box<dyn Session> {
        (**self).session(accepted)
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

#[cfg(test)]
mod tests {
    use super::conversations::{SessionHarness, small_limits};
    use super::*;

    #[test]
    fn every_built_in_protocol_has_its_name_as_scheme_and_a_port() {
        let named: Vec<_> =
            BUILT_IN.iter().map(|entry| (entry.scheme, entry.default_port)).collect();
        assert_eq!(named, [("text", 40_000), ("binary", 65_432), ("echo", 8_888), ("chat", 9_999)]);
        for entry in &BUILT_IN {
            assert_eq!((entry.build)().name(), entry.scheme);
        }
    }

    #[test]
    fn only_echo_and_chat_end_messages_by_quiet() {
        let by_quiet: Vec<_> = BUILT_IN
            .iter()
            .filter(|entry| (entry.build)().ends_messages_by_quiet())
            .map(|entry| entry.scheme)
            .collect();
        assert_eq!(by_quiet, ["echo", "chat"]);
    }

    /// A protocol that implements only the required methods. It waits for a message that never
    /// ends.
    struct Plain;

    impl Protocol for Plain {
        fn name(&self) -> &'static str {
            "plain"
        }

        fn session(&self, _accepted: &Accepted) -> Box<dyn Session> {
            Box::new(Self)
        }

        fn ends_messages_by_quiet(&self) -> bool {
            true
        }
    }

    impl Session for Plain {
        fn advance(&mut self, _input: &[u8], _context: &mut Context<'_>) -> (usize, Step) {
            (0, Step::Incomplete { missing: None })
        }
    }

    #[test]
    fn a_session_is_silent_and_drops_refused_messages_by_default() {
        // An `Arc` behaves as the protocol in it.
        let plain: Arc<dyn Protocol> = Arc::new(Plain);
        assert_eq!((plain.name(), plain.ends_messages_by_quiet()), ("plain", true));
        let mut harness = SessionHarness::new(&plain, &small_limits());
        harness.greet().feed(b"half").fall_quiet();
        assert_eq!((harness.step, harness.messages), (Step::Incomplete { missing: None }, 0));
        harness.feed(b"another").refuse().say(Notice::IdleTimeout);
        assert_eq!((harness.input.as_slice(), harness.messages), (&b""[..], 1));
        assert_eq!(harness.answers(), b"");
    }

    #[test]
    fn the_end_of_input_does_not_run_half_a_line_or_frame() {
        let halves: [(&dyn Protocol, &[u8]); 2] =
            [(&text::Text::new(), b"TIME"), (&binary::Binary::new(), &[2, 0, 0])];
        for (protocol, half) in halves {
            let mut harness = SessionHarness::new(protocol, &small_limits());
            assert_eq!(harness.feed(half).fall_quiet().answers(), b"");
        }
    }

    #[test]
    fn bytes_that_do_not_complete_a_message_do_not_end_it() {
        // Pieces of messages, and whether a message ends in each piece.
        type Pieces = &'static [(&'static [u8], bool)];
        let cases: [(&str, Pieces); 9] = [
            ("text", &[(b"TI", false), (b"M", false), (b"E", false), (b"\n", true)]),
            ("text", &[(b"TIME\nTI", true), (b"ME", false), (b"\r", false), (b"\n", true)]),
            ("text", &[(b" \nTI", true), (b"ME", false)]),
            ("text", &[(&[b'x'; 41], false), (b"more", false), (b"\nx", true), (b"x", false)]),
            ("binary", &[(&[1, 0], false), (&[0, 0, 2, 7], false), (&[7, 1], true), (&[0], false)]),
            ("binary", &[(&[9, 0, 0, 0, 3, 7], false), (&[7], false), (&[7, 1], true)]),
            ("binary", &[(&[9, 0, 0, 0, 0, 1], true), (&[0], false)]),
            ("echo", &[(b"he", false), (b"llo", false), (b"\nhe", true), (b"llo", false)]),
            ("chat", &[(&[b'x'; 41], false), (b"more", false), (b"\n", true)]),
        ];
        for (scheme, pieces) in cases {
            let entry = BUILT_IN.iter().find(|entry| entry.scheme == scheme).expect("built in");
            let mut harness = SessionHarness::new(&*(entry.build)(), &small_limits());
            for (piece, ends) in pieces {
                harness.feed(piece);
                assert_eq!(
                    harness.has_ended_a_message,
                    *ends,
                    "{scheme} at \"{}\"",
                    piece.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn a_cut_between_any_two_bytes_changes_no_answer() {
        // The critical places of each protocol: inside a word, before an ending, in a header.
        let places: [(&str, &[u8], &[u8]); 4] = [
            ("text", b"ECH", b"O x\nECHO y\n"),
            ("text", b"ECHO x", b"\nECHO y\n"),
            ("binary", b"\x01\0\0", b"aaaaaaaaaaaaa\x01\0\0\0\x01b"),
            ("echo", b"x", b"\ny\n"),
        ];
        for (scheme, before, after) in places {
            let entry = BUILT_IN.iter().find(|entry| entry.scheme == scheme).expect("built in");
            let protocol = (entry.build)();
            let heard = |pieces: [&[u8]; 2]| {
                let mut harness = SessionHarness::new(&*protocol, &small_limits());
                for piece in pieces {
                    harness.feed(piece);
                }
                harness.fall_quiet().outcome()
            };
            for pair in 0..=u16::MAX {
                let [first, second] = pair.to_be_bytes();
                let (front, back) = ([before, &[first]].concat(), [&[second], after].concat());
                let whole = heard([&[front.as_slice(), &back].concat(), b""]);
                assert_eq!(heard([&front, &back]), whole, "{scheme}: {first:#x} {second:#x}");
            }
        }
    }

    #[test]
    fn every_protocol_pauses_while_the_output_is_full() {
        let frame: &[u8] = &[1, 0, 0, 0, 1, b'a'];
        let cases: [(&str, &[u8], &[u8]); 4] = [
            ("text", b"ECHO a\n", b"ECHO a\n"),
            ("binary", frame, frame),
            ("echo", b"a\n", b"Server received: a\n"),
            ("chat", b"a\n", b"ACK: Received 'a'\n"),
        ];
        for (scheme, message, answer) in cases {
            let entry = BUILT_IN.iter().find(|entry| entry.scheme == scheme).expect("built in");
            let mut harness = SessionHarness::new(&*(entry.build)(), &small_limits());
            harness.input = message.repeat(3);
            harness.advance(crate::limits::HIGH_WATER_BYTES);
            assert_eq!((harness.step, harness.answers()), (Step::Paused, vec![]), "{scheme}");
            harness.advance(crate::limits::HIGH_WATER_BYTES - 1);
            assert_eq!(
                (harness.step, harness.answers()),
                (Step::Paused, answer.to_vec()),
                "{scheme}"
            );
            harness.advance(0);
            assert_eq!(
                (harness.step, harness.answers()),
                (Step::Done, answer.repeat(2)),
                "{scheme}"
            );
        }
    }
}
