//! What a connection and a protocol are to each other: bytes in, bytes out, no input or output, no
//! clock of its own.
//!
//! ```text
//!   input ---> session.advance(input, context) ---> (bytes consumed, Step)
//!                         |
//!                         +--> context.output()     answers, encoded in place
//! ```
//!
//! A session is called once for a batch of bytes, not once for a message. What it does not consume
//! is presented again, from the same first byte, with whatever has arrived since behind it.

// What a peer sends reaches this code first: no value of it may panic, and no length of it may be
// cut.
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

/// A protocol that a listener speaks.
pub trait Protocol: Send + Sync {
    /// The scheme of its addresses, as in `text://127.0.0.1:40000`.
    fn name(&self) -> &'static str;

    /// The state of one new connection.
    fn session(&self, accepted: &Accepted) -> Box<dyn Session>;

    /// True exactly when a piece without its end is a message once the peer falls quiet, and when
    /// its input ends.
    fn ends_messages_by_quiet(&self) -> bool {
        false
    }
}

/// One connection's side of a protocol.
///
/// What it owes in each call:
/// - [`Context::received`] once for each whole message, answered or refused, and
///   [`Context::refused`] once for each that is refused before its end has come: the counters, the
///   activity log and the message timeout follow from it. [`Context::message_ended`] where the rest
///   of a refused message ends, and for what is no message, such as a blank line.
/// - [`Output::reserve`] before an answer that may be longer than [`ANSWER_OVERHEAD_BYTES`]; where
///   it says no, the answer is the error [`SERVER_BUSY`] instead. Without it a long answer may pass
///   the memory limit, and its peer is closed.
/// - To look at [`Output::is_full`] before each message, and to return [`Step::Paused`] when it is.
/// - For malformed input an error in the words of the protocol. Where the next message can still be
///   found, the conversation goes on; otherwise it ends with [`Step::Close`] and
///   [`CloseReason::WrongProtocol`].
///
/// No call may panic: one thread serves everybody, so a panic ends the server and not only the
/// connection. Nor may a call take long, for the same reason.
pub trait Session: Send {
    /// Appends what the server says first; by default nothing.
    fn greet(&mut self, output: &mut Output<'_>) {
        let _ = output;
    }

    /// Runs the whole messages at the front of `input` and appends their answers, until the output
    /// is full. Returns how many bytes of `input` it has consumed, and what it waits for.
    ///
    /// When it is called:
    /// - First with no input, after the greeting: a session that has something to say unasked
    ///   begins here.
    /// - Then whenever bytes have come, and after [`Step::Paused`] when the output has drained.
    ///   `input` begins with the first byte that was not consumed; what was there before is there
    ///   again, unchanged, with more after it or with nothing more.
    /// - After [`Step::Incomplete`] with a number, not before so many more bytes are there.
    /// - After [`Step::Close`], never again.
    ///
    /// What it must hold:
    /// - [`Step::Done`] only with all of `input` consumed.
    /// - [`Step::Paused`] only with a full output.
    /// - [`Step::Incomplete`] with `missing` above zero, or without it. Input that is not consumed
    ///   stays in memory: a session that waits for the rest of a message longer than
    ///   [`Context::limits`] allows refuses it instead, consumes what is there, and goes on
    ///   consuming until that message has ended.
    /// - At most one answer beyond the full output, of at most the length of its message and
    ///   [`ANSWER_OVERHEAD_BYTES`], or of as much as was [reserved](Output::reserve).
    /// - The same answers and the same end, however the input is cut into calls.
    ///
    /// `testing::SessionHarness`, behind the feature `testing`, checks all but the last, and makes
    /// that easy to check.
    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step);

    /// The piece at the front of `input` is a message now, because the peer fell quiet or its input
    /// ended. Called only where [`Protocol::ends_messages_by_quiet`] says so; all of `input` is
    /// consumed.
    fn end_of_piece(&mut self, input: &[u8], context: &mut Context<'_>) -> Next {
        let _ = (input, context);
        Next::Continue
    }

    /// The incomplete message that `input` is the front of cannot be stored: the session says so in
    /// its own words and drops the rest of it as it comes. Gives how many bytes of `input` are
    /// done with: all, or none when so little is there that the session does not know yet where
    /// the message ends.
    ///
    /// By default all of it is forgotten without a word. A session that gives up nothing of a long
    /// message loses its connection.
    fn refuse(&mut self, input: &[u8], context: &mut Context<'_>) -> usize {
        context.refused(SERVER_BUSY);
        input.len()
    }

    /// True exactly when peers of this protocol may begin as those of TLS do, with
    /// [`tls::is_handshake`]. By default they may not: such a connection is closed with
    /// [`Notice::NotTls`] before any of its bytes gets here.
    ///
    /// [`tls::is_handshake`]: crate::wire::tls::is_handshake
    fn may_begin_as_tls(&self) -> bool {
        false
    }

    /// Appends what the protocol has to say when the server ends the conversation; by default
    /// nothing.
    fn say(&mut self, notice: Notice, output: &mut Output<'_>) {
        let _ = (notice, output);
    }
}

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// For the next message: everything is done.
    Done,
    /// For the rest of a message that has begun. What is left of the input is the front of it, or
    /// nothing when the session drops it.
    Incomplete {
        /// How many bytes complete it, where the protocol knows.
        missing: Option<usize>,
    },
    /// For room in the output; whole messages may be left in the input.
    ///
    /// A session that talks unasked waits for this too, with all of its input consumed: it is
    /// called again as long as there is room, with whatever has arrived since.
    Paused,
    /// For nothing: the conversation is over, and what is left of the input is not run.
    Close(CloseReason),
}

impl Step {
    /// What a session of lines waits for when `rest` holds no whole line.
    fn of_lines(lines: &Lines, rest: &[u8]) -> Self {
        if rest.is_empty() && !lines.is_dropping() {
            Self::Done
        } else {
            Self::Incomplete { missing: None }
        }
    }
}

/// Whether the conversation goes on behind a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It goes on.
    Continue,
    /// The peer asked for its end.
    Close,
}

/// Why the server ends a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It has as many connections as it may.
    ServerBusy,
    /// The peer speaks TLS, and the server does not.
    NotTls,
    /// Nothing was said for too long.
    IdleTimeout,
    /// One message took too long.
    MessageTimeout,
    /// It is shutting down.
    Shutdown,
}

impl Notice {
    /// The upper-case token that the protocols say; none for a shutdown, which is no error.
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

/// The answer to a message for which there is no memory, and to a connection for which there is no
/// place.
pub const SERVER_BUSY: &str = "SERVER_BUSY";
/// The answer to a line over the limit.
pub const LINE_TOO_LONG: &str = "LINE_TOO_LONG";
/// The answer to a command that is in no table.
pub const UNKNOWN_COMMAND: &str = "UNKNOWN_COMMAND";

/// How many bytes the answer of a built-in command may need beyond those of its message: prefixes,
/// line ends, a time.
pub const ANSWER_OVERHEAD_BYTES: usize = 256;

/// A connection that was accepted: what its session is made from.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    peer: Peer,
    number: u64,
    limits: Limits,
}

impl Accepted {
    /// The connection with that number from `peer`.
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

    /// How much the connection may send.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// What the connection knows of itself during a call of its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionInfo {
    pub peer: Peer,
    pub number: u64,
    pub opened: Moment,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub messages: u64,
}

/// A session's only window during one call: its output, the time, its connection, and the server
/// around it.
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
    /// A context for one call on behalf of `connection`.
    pub(crate) const fn new(
        output: Output<'a>,
        clock: &'a mut Clock,
        activity: &'a mut Activity,
        connection: &'a ConnectionInfo,
        status: &'a Status,
    ) -> Self {
        Self { output, clock, activity, connection, status, messages: 0, ended: false }
    }

    /// Where answers go.
    #[inline]
    pub const fn output(&mut self) -> &mut Output<'a> {
        &mut self.output
    }

    /// The monotonic time of this round.
    #[must_use]
    pub const fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The wall clock of this round, which people set and which may jump.
    #[must_use]
    pub const fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    /// Appends the local time in whole seconds with a numeric offset: `2025-09-12T17:24:13-05:00`.
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

    /// The number of the connection: 1 for the first that the server accepted, 2 for the second.
    /// After 4 billion it begins anew.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.connection.number
    }

    /// How long ago the connection was accepted.
    #[must_use]
    pub const fn age(&self) -> Duration {
        self.clock.now().since(self.connection.opened)
    }

    /// How many bytes have come on this connection, those that wait to be run included.
    #[must_use]
    pub const fn received_bytes(&self) -> u64 {
        self.connection.received_bytes
    }

    /// How many bytes the kernel has taken for the peer.
    #[must_use]
    pub const fn sent_bytes(&self) -> u64 {
        self.connection.sent_bytes
    }

    /// How many messages the connection has sent, those of this call included.
    #[must_use]
    pub const fn messages_so_far(&self) -> u64 {
        self.connection.messages + self.messages
    }

    /// How much the connection may send.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.status.limits
    }

    /// The state of the server. What this call has received is not yet counted.
    #[must_use]
    pub const fn status(&self) -> &'a Status {
        self.status
    }

    /// A message has been received: it is counted, and shown in the activity log as `name` and its
    /// bytes.
    #[inline]
    pub fn received(&mut self, name: &str, message: &[u8]) {
        self.messages += 1;
        self.ended = true;
        self.activity.command(&self.connection.peer, name, message);
    }

    /// A message is refused before it has ended: it is counted, and shown in the activity log as
    /// `token`.
    #[cold]
    pub fn refused(&mut self, token: &str) {
        self.messages += 1;
        self.activity.command(&self.connection.peer, token, b"");
    }

    /// Something has ended that was refused before, or is no message, such as a blank line: what
    /// follows is the start of another.
    pub const fn message_ended(&mut self) {
        self.ended = true;
    }

    /// How many messages were received in this call.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// True exactly when a message has ended: an incomplete one behind it has only begun.
    #[must_use]
    pub const fn has_ended_a_message(&self) -> bool {
        self.ended
    }
}

/// A protocol that is built in: its scheme, its port, and how to make it.
#[derive(Clone, Copy)]
pub struct BuiltIn {
    /// The scheme of its addresses.
    pub scheme: &'static str,
    /// The port of its default listener.
    pub default_port: u16,
    /// Makes the protocol.
    pub build: fn() -> Arc<dyn Protocol>,
}

/// A protocol that several listeners share.
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

/// The built-in protocols. For the server, a new one is a file beside this one and a line here.
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
    fn every_built_in_protocol_has_the_scheme_it_calls_itself_and_a_port() {
        let named: Vec<_> =
            BUILT_IN.iter().map(|entry| (entry.scheme, entry.default_port)).collect();
        assert_eq!(named, [("text", 40_000), ("binary", 65_432), ("echo", 8_888), ("chat", 9_999)]);
        for entry in &BUILT_IN {
            assert_eq!((entry.build)().name(), entry.scheme);
        }
    }

    #[test]
    fn only_the_framing_without_an_end_takes_a_piece_for_a_message() {
        let by_quiet: Vec<_> = BUILT_IN
            .iter()
            .filter(|entry| (entry.build)().ends_messages_by_quiet())
            .map(|entry| entry.scheme)
            .collect();
        assert_eq!(by_quiet, ["echo", "chat"]);
    }

    /// A protocol of somebody who writes no more than is needed: it waits for the end of a message
    /// that never ends.
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
    fn a_session_without_words_of_its_own_is_silent_and_forgets_what_finds_no_memory() {
        // Shared, as several listeners share a protocol: that changes nothing.
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
    fn the_end_of_input_runs_no_half_of_a_line_or_frame() {
        let halves: [(&dyn Protocol, &[u8]); 2] =
            [(&text::Text::new(), b"TIME"), (&binary::Binary::new(), &[2, 0, 0])];
        for (protocol, half) in halves {
            let mut harness = SessionHarness::new(protocol, &small_limits());
            assert_eq!(harness.feed(half).fall_quiet().answers(), b"");
        }
    }

    #[test]
    fn a_message_that_receives_more_bytes_has_not_ended_and_its_time_runs_on() {
        // Halves of one message each, and whether the last of them ends it.
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
    fn no_two_bytes_mean_something_else_when_the_network_cuts_between_them() {
        // Where each protocol looks closest: inside a word, before an ending, in a header.
        let places: [(&str, &[u8], &[u8]); 4] = [
            ("text", b"ECH", b"O x\nECHO y\n"),
            ("text", b"ECHO x", b"\nECHO y\n"),
            ("binary", b"\x01\0\0", b"aaaaaaaaaaaaa\x01\0\0\0\x01b"),
            ("echo", b"x", b"\ny\n"),
        ];
        for (scheme, before, behind) in places {
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
                let (front, back) = ([before, &[first]].concat(), [&[second], behind].concat());
                let whole = heard([&[front.as_slice(), &back].concat(), b""]);
                assert_eq!(heard([&front, &back]), whole, "{scheme}: {first:#x} {second:#x}");
            }
        }
    }

    #[test]
    fn every_protocol_pauses_while_the_output_is_full_and_answers_everything_later() {
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
