//! A harness that runs a session without a network. A test decides how the input is split.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use super::{Accepted, ConnectionInfo, Context, Farewell, Output, Protocol, Session, Step};
use crate::buffers::buffer::Buffer;
use crate::buffers::pool::Pool;
use crate::close_reason::CloseReason;
use crate::limits::{HIGH_WATER_BYTES, Limits};
use crate::logging::activity::Activity;
use crate::metrics::line;
use crate::os::clock::{Clock, Reading};
use crate::os::moment::Moment;
use crate::os::peer::Peer;
use crate::os::table::Token;
use crate::rooms::Rooms;
use crate::status::Status;

/// The answers of a session, and the reason of its end.
#[derive(Clone, PartialEq, Eq)]
pub struct Transcript {
    /// All answers in order.
    pub answers: Vec<u8>,
    /// The reason of the end; `None` while the session is open.
    pub closed: Option<CloseReason>,
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\", closed: {:?}", self.answers.escape_ascii(), self.closed)
    }
}

/// A session, and all that a connection and the loop provide for it. The clock stands still.
///
/// Each call checks the contract of [`Session::advance`], and panics if the session violates it.
///
/// ```
/// use tinytcp::Limits;
/// use tinytcp::protocol::Text;
/// use tinytcp::testing::SessionHarness;
///
/// let mut harness = SessionHarness::new(&Text::new(), &Limits::default());
/// assert_eq!(harness.feed(b"ECHO hal").answers(), b"", "the line has no end yet");
/// assert_eq!(harness.feed(b"lo\n").answers(), b"ECHO hallo\n");
/// ```
pub struct SessionHarness {
    session: Box<dyn Session>,
    ends_messages_by_quiet: bool,
    /// The bytes that the session has not consumed.
    pub input: Vec<u8>,
    /// The length that the input must reach before its first message can be complete; 0 if unknown.
    complete_len: usize,
    output: Buffer,
    /// The most bytes that may wait in the output: a full output and one answer. The answer to
    /// `STATUS` does not depend on the length of its message.
    output_max: usize,
    pool: Pool,
    clock: Clock,
    activity: Activity,
    status: Status,
    rooms: Rooms,
    /// The bytes that the session has consumed.
    consumed_bytes: u64,
    /// The bytes of all answers.
    sent_bytes: u64,
    /// True if the output has room for only one more answer in each call.
    pub is_output_nearly_full: bool,
    /// The step that the last call has returned.
    pub step: Step,
    /// True if messages of a room wait until the output is low.
    pub has_news: bool,
    /// True if a message has ended in the last call.
    pub has_ended_a_message: bool,
    /// The messages received, including refused ones.
    pub messages: u64,
    answers: Vec<u8>,
}

impl fmt::Debug for SessionHarness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHarness")
            .field("input", &self.input.escape_ascii().to_string())
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

impl SessionHarness {
    /// Creates a session of `protocol` on a connection from 127.0.0.1:1. It has not sent its
    /// greeting.
    #[must_use]
    pub fn new(protocol: &dyn Protocol, limits: &Limits) -> Self {
        let clock = clock();
        let message_max = limits.line_bytes_max.max(limits.frame_bytes_max) as usize;
        Self {
            session: protocol.session(&Accepted::new(peer(), 1, *limits)),
            ends_messages_by_quiet: protocol.ends_messages_by_quiet(),
            input: Vec::new(),
            complete_len: 0,
            output: Buffer::default(),
            output_max: HIGH_WATER_BYTES + message_max.max(line::LEN_MAX) + Output::OVERHEAD_BYTES,
            pool: Pool::new(limits.memory_bytes_max),
            status: Status::new(&[protocol.name()], *limits, 1, clock.wall()),
            rooms: Rooms::new(limits),
            clock,
            activity: Activity::new(None, vec![protocol.name()]),
            consumed_bytes: 0,
            sent_bytes: 0,
            is_output_nearly_full: false,
            step: Step::Done,
            has_news: false,
            has_ended_a_message: false,
            messages: 0,
            answers: Vec::new(),
        }
    }

    /// Logs each message in the activity log.
    #[must_use]
    pub fn with_activity_log(mut self) -> Self {
        self.activity = Activity::new(
            Some(u32::MAX),
            self.status.listeners.iter().map(|listener| listener.protocol).collect(),
        );
        self.activity.tick(self.clock.now());
        self
    }

    /// Returns [`Session::may_begin_as_tls`] of the session.
    #[must_use]
    pub fn may_begin_as_tls(&self) -> bool {
        self.session.may_begin_as_tls()
    }

    /// Lets the session send its greeting.
    pub fn greet(&mut self) -> &mut Self {
        self.session.greet(&mut Output::new(&mut self.output, &mut self.pool));
        self.take_answers(0);
        self
    }

    /// Appends `piece` to the input and runs the session, and takes the answers whenever they fill
    /// the output.
    ///
    /// # Panics
    /// If the session violates its contract, for example if it pauses without progress while there
    /// is room.
    pub fn feed(&mut self, piece: &[u8]) -> &mut Self {
        if self.is_open() {
            self.input.extend_from_slice(piece);
            let waiting_len = if self.is_output_nearly_full { HIGH_WATER_BYTES - 1 } else { 0 };
            self.advance(waiting_len);
            while self.step == Step::Paused {
                let before = (self.input.len(), self.answers.len());
                self.advance(waiting_len);
                let after = (self.input.len(), self.answers.len());
                assert!(
                    self.step != Step::Paused || before != after,
                    "paused without progress though there is room"
                );
            }
        }
        self
    }

    /// Runs the session once while `waiting_len` bytes of earlier answers wait in the output.
    ///
    /// # Panics
    /// If the session violates its contract.
    pub fn advance(&mut self, waiting_len: usize) {
        let (consumed, step) = self.call(waiting_len, |session, input, context| {
            let (consumed, step) = session.advance(input, context);
            assert!(
                step != Step::Paused || context.output.is_full(),
                "paused though there is room"
            );
            (consumed, step)
        });
        assert!(step != Step::Done || consumed == self.input.len(), "done, with bytes left");
        assert!(
            consumed == 0 || self.input.len() >= self.complete_len,
            "consumed before the missing bytes had arrived"
        );
        self.consume(consumed);
        if let Step::Incomplete { missing: Some(missing) } = step {
            assert!(missing > 0, "incomplete, with no byte missing");
            self.complete_len = self.input.len() + missing;
        }
        self.step = step;
    }

    /// Delivers a message of another server to a room, and runs the session as the loop then does.
    /// The answers contain what the session appends if it is in that room.
    pub fn deliver(&mut self, room: &str, name: &str, text: &str) -> &mut Self {
        self.say_elsewhere(room, name, text);
        self.feed(b"")
    }

    /// Delivers a message of another server to a room. The session is not called.
    pub fn say_elsewhere(&mut self, room: &str, name: &str, text: &str) {
        // A message that is refused or has no reader is delivered to no member.
        let _ = self.rooms.deliver(room, name.as_bytes(), text.as_bytes());
    }

    /// Simulates a quiet period of the peer, or the end of its input.
    pub fn fall_quiet(&mut self) -> &mut Self {
        if self.is_open() && self.ends_messages_by_quiet {
            let next =
                self.call(0, |session, input, context| session.complete_piece(input, context));
            if let Some(reason) = next.close_reason() {
                self.step = Step::Close(reason);
            }
            self.consume(self.input.len());
        }
        self
    }

    /// Lets the session refuse the first message of the input, as if there were no memory for it.
    ///
    /// # Panics
    /// If the session drops only a part of the input.
    pub fn refuse(&mut self) -> &mut Self {
        let consumed = self.call(0, |session, input, context| session.refuse(input, context));
        assert!(consumed == 0 || consumed == self.input.len(), "refused a part of the input");
        self.consume(consumed);
        self
    }

    /// Lets the session send its farewell.
    pub fn append_farewell(&mut self, farewell: Farewell) -> &mut Self {
        self.session.append_farewell(farewell, &mut Output::new(&mut self.output, &mut self.pool));
        self.take_answers(0);
        self
    }

    /// Runs the complete messages of `input` and discards the answers. Returns the number of
    /// messages. It is for measurements: it copies no bytes and does not check the contract.
    pub fn run(&mut self, input: &[u8]) -> u64 {
        let (mut rest, mut messages) = (input, 0);
        let connection = self.connection();
        while !rest.is_empty() {
            let output = Output::new(&mut self.output, &mut self.pool);
            let mut context = Context::new(
                output,
                &mut self.clock,
                &mut self.activity,
                &connection,
                &self.status,
                &mut self.rooms,
            );
            let (consumed, _) = self.session.advance(rest, &mut context);
            messages += context.messages();
            rest = rest.get(consumed..).unwrap_or_default();
            let answered = self.output.len();
            self.output.consume(answered);
            assert!(consumed + answered > 0, "the session neither consumes nor answers");
        }
        self.output.shrink(&mut self.pool);
        messages
    }

    /// Returns the answers since the last call.
    pub fn answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answers)
    }

    /// Returns the answers since the last call of this method or of [`SessionHarness::answers`],
    /// and the reason of the end.
    pub fn transcript(&mut self) -> Transcript {
        Transcript { answers: self.answers(), closed: self.closed() }
    }

    /// Returns the reason of the end; `None` while the session is open.
    #[must_use]
    pub const fn closed(&self) -> Option<CloseReason> {
        if let Step::Close(reason) = self.step { Some(reason) } else { None }
    }

    /// True while the session is open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.closed().is_none()
    }

    fn call<T>(
        &mut self,
        waiting_len: usize,
        call: impl FnOnce(&mut dyn Session, &[u8], &mut Context<'_>) -> T,
    ) -> T {
        Output::new(&mut self.output, &mut self.pool).append(&vec![b'.'; waiting_len]);
        let connection = self.connection();
        let output = Output::new(&mut self.output, &mut self.pool);
        let mut context = Context::new(
            output,
            &mut self.clock,
            &mut self.activity,
            &connection,
            &self.status,
            &mut self.rooms,
        );
        let result = call(self.session.as_mut(), &self.input, &mut context);
        self.has_news = context.has_news();
        self.has_ended_a_message = context.has_ended_a_message();
        self.messages += context.messages();
        assert!(
            self.output.len() <= self.output_max.max(waiting_len),
            "{} bytes wait in the output",
            self.output.len()
        );
        self.take_answers(waiting_len);
        result
    }

    /// The facts about the connection, as of now.
    fn connection(&self) -> ConnectionInfo {
        ConnectionInfo {
            peer: peer(),
            token: Token::new(0, 1),
            opened: self.clock.now(),
            received_bytes: self.consumed_bytes + self.input.len() as u64,
            sent_bytes: self.sent_bytes,
            messages: self.messages,
        }
    }

    fn consume(&mut self, count: usize) {
        self.input.drain(..count);
        self.consumed_bytes += count as u64;
        self.complete_len = 0;
    }

    fn take_answers(&mut self, waiting_len: usize) {
        let answers = self.output.bytes().get(waiting_len..).unwrap_or_default();
        self.sent_bytes += answers.len() as u64;
        self.answers.extend_from_slice(answers);
        self.output.release(&mut self.pool);
    }
}

fn peer() -> Peer {
    Peer::new(([127, 0, 0, 1], 1).into(), 0)
}

/// Returns the clock of a harness, which stands still at 2025-09-12T22:24:13Z.
#[must_use]
pub fn clock() -> Clock {
    Clock::new(Reading {
        moment: Moment::START,
        wall: UNIX_EPOCH + Duration::from_secs(1_757_715_853),
        stall: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session that answers each byte with what its context counts.
    struct Counting;

    impl Protocol for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }

        fn session(&self, _accepted: &Accepted) -> Box<dyn Session> {
            Box::new(Self)
        }
    }

    impl Session for Counting {
        fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
            for byte in input {
                context.received("", &[*byte]);
            }
            let (received, sent) = (context.received_bytes(), context.sent_bytes());
            let counts = format!("{received} in, {sent} out, {}. ", context.messages_so_far());
            context.output().append(counts.as_bytes());
            (input.len(), Step::Done)
        }
    }

    #[test]
    fn the_context_counts_all_bytes_and_messages_of_the_session() {
        let mut harness = SessionHarness::new(&Counting, &Limits::default());
        harness.feed(b"abc").feed(b"d");
        assert_eq!(harness.answers(), b"3 in, 0 out, 3. 4 in, 16 out, 4. ");
        assert_eq!(harness.feed(b"e").answers(), b"5 in, 33 out, 5. ");
    }
}
