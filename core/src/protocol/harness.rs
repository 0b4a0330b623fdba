//! A session without a network: fed by hand, in every way in which a network can cut its input.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use super::{
    ANSWER_OVERHEAD_BYTES, Accepted, ConnectionInfo, Context, Next, Notice, Output, Protocol,
    Session, Step,
};
use crate::buffers::buffer::Buffer;
use crate::buffers::pool::Pool;
use crate::close_reason::CloseReason;
use crate::limits::{HIGH_WATER_BYTES, Limits};
use crate::logging::activity::Activity;
use crate::os::clock::{Clock, Reading};
use crate::os::moment::Moment;
use crate::os::peer::Peer;
use crate::status::Status;

/// What a session has said, and why it is over if it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its answers, one behind the other.
    pub answers: Vec<u8>,
    /// Why it is over; `None` while it is not.
    pub closed: Option<CloseReason>,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\", closed: {:?}", self.answers.escape_ascii(), self.closed)
    }
}

/// A session and everything that a connection and the loop would lend it, with a clock that stands
/// still.
///
/// Each call is held to the contract of [`Session::advance`]: a session that breaks it panics here.
///
/// ```
/// use tinytcp::limits::Limits;
/// use tinytcp::protocol::text::Text;
/// use tinytcp::testing::SessionHarness;
///
/// let mut harness = SessionHarness::new(&Text::new(), &Limits::default());
/// assert_eq!(harness.feed(b"ECHO hal").answers(), b"", "the line has no end yet");
/// assert_eq!(harness.feed(b"lo\n").answers(), b"ECHO hallo\n");
/// ```
pub struct SessionHarness {
    session: Box<dyn Session>,
    ends_messages_by_quiet: bool,
    /// What the session has not consumed.
    pub input: Vec<u8>,
    /// The length that the input must reach before its first message can be whole; 0 where the
    /// session has not said it.
    complete_len: usize,
    output: Buffer,
    /// The most that may wait in the output: full, and one answer more.
    output_max: usize,
    pool: Pool,
    clock: Clock,
    activity: Activity,
    connection: ConnectionInfo,
    status: Status,
    /// True exactly when the output is always so full that it has room for one more answer only.
    pub is_crowded: bool,
    /// What the last call waits for.
    pub step: Step,
    /// True exactly when a message has ended in the last call: what follows is the start of
    /// another.
    pub has_ended_a_message: bool,
    /// How many messages were received, those refused included.
    pub messages: u64,
    answers: Vec<u8>,
}

impl SessionHarness {
    /// A session of `protocol` on a connection from 127.0.0.1:1, which has not been greeted.
    #[must_use]
    pub fn new(protocol: &dyn Protocol, limits: &Limits) -> Self {
        let clock = clock();
        let connection = ConnectionInfo {
            peer: Peer::new(([127, 0, 0, 1], 1).into(), 0),
            number: 1,
            opened: clock.now(),
            received_bytes: 0,
            sent_bytes: 0,
            messages: 0,
        };
        let message_max = limits.line_bytes_max.max(limits.frame_bytes_max) as usize;
        Self {
            session: protocol.session(&Accepted::new(connection.peer, connection.number, *limits)),
            ends_messages_by_quiet: protocol.ends_messages_by_quiet(),
            input: Vec::new(),
            complete_len: 0,
            output: Buffer::default(),
            output_max: HIGH_WATER_BYTES + message_max + ANSWER_OVERHEAD_BYTES,
            pool: Pool::new(limits.memory_bytes_max),
            status: Status::new(&[protocol.name()], *limits, 1, clock.wall()),
            clock,
            activity: Activity::new(None, vec![protocol.name()]),
            connection,
            is_crowded: false,
            step: Step::Done,
            has_ended_a_message: false,
            messages: 0,
            answers: Vec::new(),
        }
    }

    /// Logs every message, as a server does that is asked to.
    #[must_use]
    pub fn with_activity_log(mut self) -> Self {
        self.activity = Activity::new(
            Some(u32::MAX),
            self.status.listeners.iter().map(|listener| listener.protocol).collect(),
        );
        self.activity.round(self.clock.now());
        self
    }

    /// What the session says of [`Session::may_begin_as_tls`].
    #[must_use]
    pub fn may_begin_as_tls(&self) -> bool {
        self.session.may_begin_as_tls()
    }

    /// Has the session greet its peer.
    pub fn greet(&mut self) -> &mut Self {
        self.session.greet(&mut Output::new(&mut self.output, &mut self.pool));
        self.take_answers(0);
        self
    }

    /// Feeds one piece, and takes the answers as often as they fill the output.
    ///
    /// # Panics
    /// If the session breaks its contract, in particular if it pauses though there is room and
    /// nothing moves.
    pub fn feed(&mut self, piece: &[u8]) -> &mut Self {
        if self.is_open() {
            self.input.extend_from_slice(piece);
            let waiting_len = if self.is_crowded { HIGH_WATER_BYTES - 1 } else { 0 };
            self.advance(waiting_len);
            while self.step == Step::Paused {
                let before = (self.input.len(), self.answers.len());
                self.advance(waiting_len);
                let after = (self.input.len(), self.answers.len());
                assert!(
                    self.step != Step::Paused || before != after,
                    "there is room, and nothing moves"
                );
            }
        }
        self
    }

    /// Has the session run what it can while `waiting_len` bytes of earlier answers wait in the
    /// output.
    ///
    /// # Panics
    /// If the session breaks its contract.
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
            "less has come than was missing"
        );
        self.input.drain(..consumed);
        self.complete_len = 0;
        if let Step::Incomplete { missing: Some(missing) } = step {
            assert!(missing > 0, "a message that misses nothing is not incomplete");
            self.complete_len = self.input.len() + missing;
        }
        self.step = step;
    }

    /// The peer falls quiet, or its input ends.
    pub fn fall_quiet(&mut self) -> &mut Self {
        if self.is_open() && self.ends_messages_by_quiet {
            if self.call(0, |session, input, context| session.end_of_piece(input, context))
                == Next::Close
            {
                self.step = Step::Close(CloseReason::Quit);
            }
            self.input.clear();
        }
        self
    }

    /// There is no memory for the message at the front of the input.
    ///
    /// # Panics
    /// If the session gives up a part of it only.
    pub fn refuse(&mut self) -> &mut Self {
        let consumed = self.call(0, |session, input, context| session.refuse(input, context));
        assert!(
            consumed == 0 || consumed == self.input.len(),
            "a message that is given up is given up whole"
        );
        self.input.drain(..consumed);
        self.complete_len = 0;
        self
    }

    /// The server ends the conversation.
    pub fn say(&mut self, notice: Notice) -> &mut Self {
        self.session.say(notice, &mut Output::new(&mut self.output, &mut self.pool));
        self.take_answers(0);
        self
    }

    /// Has the session run the whole messages of `input`, and forgets the answers. Returns how many
    /// messages were received. For measurements: nothing is copied, and the contract is not
    /// checked.
    pub fn run(&mut self, input: &[u8]) -> u64 {
        let (mut rest, mut messages) = (input, 0);
        while !rest.is_empty() {
            let output = Output::new(&mut self.output, &mut self.pool);
            let mut context = Context::new(
                output,
                &mut self.clock,
                &mut self.activity,
                &self.connection,
                &self.status,
            );
            let (consumed, _) = self.session.advance(rest, &mut context);
            messages += context.messages();
            rest = rest.get(consumed..).unwrap_or_default();
            let answered = self.output.len();
            self.output.consume(answered);
            assert!(consumed + answered > 0, "the session takes something or says something");
        }
        self.output.settle(&mut self.pool);
        messages
    }

    /// What has been said since the last call of this.
    pub fn answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answers)
    }

    /// What has been said since the last call of this or of [`SessionHarness::answers`], and why it
    /// is over if it is.
    pub fn outcome(&mut self) -> Outcome {
        Outcome { answers: self.answers(), closed: self.closed() }
    }

    /// Why it is over; `None` while it is not.
    #[must_use]
    pub const fn closed(&self) -> Option<CloseReason> {
        if let Step::Close(reason) = self.step { Some(reason) } else { None }
    }

    /// True exactly when it is not over.
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
        self.connection.received_bytes =
            self.connection.received_bytes.max(self.input.len() as u64);
        self.connection.messages = self.messages;
        let output = Output::new(&mut self.output, &mut self.pool);
        let mut context = Context::new(
            output,
            &mut self.clock,
            &mut self.activity,
            &self.connection,
            &self.status,
        );
        let result = call(self.session.as_mut(), &self.input, &mut context);
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

    fn take_answers(&mut self, waiting_len: usize) {
        self.answers.extend_from_slice(self.output.bytes().get(waiting_len..).unwrap_or_default());
        self.output.release(&mut self.pool);
    }
}

/// The clock of every harness, which stands still at 2025-09-12T22:24:13Z.
#[must_use]
pub fn clock() -> Clock {
    Clock::new(Reading {
        moment: Moment::START,
        wall: UNIX_EPOCH + Duration::from_secs(1_757_715_853),
    })
}
