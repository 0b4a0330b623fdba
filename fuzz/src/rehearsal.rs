//! A session without a network, fed in whatever pieces the fuzzer likes and held to its contract at every call.

use std::time::{Duration, UNIX_EPOCH};

use tinytcp::buffers::buffer::Buffer;
use tinytcp::buffers::pool::Pool;
use tinytcp::close_reason::CloseReason;
use tinytcp::limits::{HIGH_WATER_BYTES, Limits};
use tinytcp::logging::activity::Activity;
use tinytcp::os::clock::{Clock, Reading};
use tinytcp::os::moment::Moment;
use tinytcp::os::peer::Peer;
use tinytcp::protocol::{ANSWER_OVERHEAD_BYTES, Context, Next, Notice, Output, Protocol, Session, Step};

use crate::log_lines;
use crate::plan::Piece;

/// What a session has said, and why it is over if it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    pub answers: Vec<u8>,
    pub closed: Option<CloseReason>,
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\", closed: {:?}", self.answers.escape_ascii(), self.closed)
    }
}

/// A session and everything that a connection would lend it.
pub struct Rehearsal {
    session: Box<dyn Session>,
    ends_messages_by_quiet: bool,
    /// The most that the output may hold: full, and one answer more.
    output_max: usize,
    /// What the session has not consumed.
    input: Vec<u8>,
    /// The length that the input must reach before its first message can be whole, if the session has said so.
    complete_len: usize,
    output: Buffer,
    /// An output in which earlier answers wait: one byte more, and it is full.
    crowded_output: Buffer,
    pool: Pool,
    clock: Clock,
    activity: Activity,
    step: Step,
    messages: u64,
    answers: Vec<u8>,
}

impl Rehearsal {
    pub fn new(protocol: &dyn Protocol, limits: &Limits) -> Self {
        log_lines::guard();
        let mut activity = Activity::new(Some(u32::MAX), vec!["fuzz"]);
        activity.round(Moment::START);
        let message_max = limits.line_bytes_max.max(limits.frame_bytes_max) as usize;
        let mut rehearsal = Self {
            session: protocol.session(limits),
            ends_messages_by_quiet: protocol.ends_messages_by_quiet(),
            output_max: HIGH_WATER_BYTES + message_max + ANSWER_OVERHEAD_BYTES,
            input: Vec::new(),
            complete_len: 0,
            output: Buffer::default(),
            crowded_output: Buffer::default(),
            pool: Pool::new(limits.memory_bytes_max),
            clock: clock(),
            activity,
            step: Step::Done,
            messages: 0,
            answers: Vec::new(),
        };
        rehearsal.advance(false);
        rehearsal
    }

    /// Plays all pieces, and after each burst the peer falls quiet.
    pub fn play(mut self, pieces: &[Piece<'_>]) -> Self {
        for piece in pieces {
            self.feed(piece.bytes, piece.is_crowded);
            if piece.is_last_of_burst {
                self.fall_quiet();
            }
        }
        self
    }

    /// Feeds one piece, and takes the answers as often as they fill the output.
    pub fn feed(&mut self, piece: &[u8], is_crowded: bool) {
        if !self.is_open() {
            return;
        }
        self.input.extend_from_slice(piece);
        self.advance(is_crowded);
        while self.step == Step::Paused {
            let before = (self.input.len(), self.answers.len());
            self.advance(is_crowded);
            let after = (self.input.len(), self.answers.len());
            assert!(self.step != Step::Paused || before != after, "there is room, and nothing moves");
        }
    }

    /// The peer falls quiet, or its input ends.
    pub fn fall_quiet(&mut self) {
        if self.is_open() && self.ends_messages_by_quiet {
            if self.call(false, |session, input, context| session.end_of_piece(input, context)) == Next::Close {
                self.step = Step::Close(CloseReason::Quit);
            }
            self.input.clear();
        }
    }

    /// There is no memory for the message at the front of the input.
    pub fn refuse(&mut self) {
        if !self.is_open() || self.input.is_empty() {
            return;
        }
        let consumed = self.call(false, |session, input, context| session.refuse(input, context));
        assert!(consumed == 0 || consumed == self.input.len(), "a message that is given up is given up whole");
        self.input.drain(..consumed);
        self.complete_len = 0;
    }

    /// The server ends the conversation; gives what the session says to that.
    pub fn say(&mut self, notice: Notice) -> Vec<u8> {
        self.session.say(notice, &mut Output::new(&mut self.output, &mut self.pool));
        let said = self.output.bytes().to_vec();
        self.output.release(&mut self.pool);
        said
    }

    pub fn is_open(&self) -> bool {
        !matches!(self.step, Step::Close(_))
    }

    /// How many messages were received, those refused included.
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// What has come of it by now.
    pub fn outcome(&self) -> Outcome {
        Outcome { answers: self.answers.clone(), closed: self.closed() }
    }

    /// What has been said since the last call of this.
    pub fn take_answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answers)
    }

    /// Why it is over, if it is.
    pub const fn closed(&self) -> Option<CloseReason> {
        if let Step::Close(reason) = self.step { Some(reason) } else { None }
    }

    /// Has the session run what it can, with room for everything or for one answer.
    fn advance(&mut self, is_crowded: bool) {
        let (consumed, step) = self.call(is_crowded, |session, input, context| {
            let (consumed, step) = session.advance(input, context);
            assert!(step != Step::Paused || context.output.is_full(), "paused though there is room");
            (consumed, step)
        });
        assert!(step != Step::Done || consumed == self.input.len(), "done, with bytes left");
        assert!(consumed == 0 || self.input.len() >= self.complete_len, "less has come than was missing");
        self.input.drain(..consumed);
        self.complete_len = 0;
        if let Step::Incomplete { missing: Some(missing) } = step {
            assert!(missing > 0, "a message that misses nothing is not incomplete");
            self.complete_len = self.input.len() + missing;
        }
        self.step = step;
    }

    fn call<T>(&mut self, is_crowded: bool, call: impl FnOnce(&mut dyn Session, &[u8], &mut Context<'_>) -> T) -> T {
        let buffer = if is_crowded { &mut self.crowded_output } else { &mut self.output };
        if is_crowded && buffer.is_empty() {
            Output::new(buffer, &mut self.pool).append(&[b'.'; HIGH_WATER_BYTES - 1]);
        }
        let waiting_len = buffer.len();
        let peer = Peer::new(([127, 0, 0, 1], 1).into(), 0);
        let output = Output::new(buffer, &mut self.pool);
        let mut context = Context::new(output, &mut self.clock, &mut self.activity, &peer);
        let result = call(self.session.as_mut(), &self.input, &mut context);
        self.messages += context.messages();
        assert!(buffer.len() <= self.output_max, "{} bytes wait in the output", buffer.len());
        self.answers.extend_from_slice(&buffer.bytes()[waiting_len..]);
        // The peer takes as much as was answered, so that as much waits as before.
        buffer.consume(buffer.len() - waiting_len);
        buffer.settle(&mut self.pool);
        result
    }
}

/// The clock of every rehearsal, which stands still.
pub fn clock() -> Clock {
    Clock::new(Reading { moment: Moment::START, wall: UNIX_EPOCH + Duration::from_secs(1_757_715_853) })
}
