//! Sessions without a network: fed by hand, in every way in which a network can cut their input.
//!
//! A [`Rehearsal`] also holds each call to the contract of [`Session::advance`], so that every test of a protocol is a
//! test of that too.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::{Context, Next, Notice, Output, Protocol, Session, Step};
use crate::buffers::buffer::Buffer;
use crate::buffers::pool::Pool;
use crate::close_reason::CloseReason;
use crate::limits::{HIGH_WATER_BYTES, Limits};
use crate::logging::activity::Activity;
use crate::os::clock::{Clock, Reading};
use crate::os::moment::Moment;
use crate::os::peer::Peer;

/// What a session has said, and why it is over if it is.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) answers: Vec<u8>,
    pub(super) closed: Option<CloseReason>,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\", closed: {:?}", self.answers.escape_ascii(), self.closed)
    }
}

/// A session and everything that a connection would lend it.
pub(super) struct Rehearsal {
    session: Box<dyn Session>,
    ends_messages_by_quiet: bool,
    /// What the session has not consumed.
    pub(super) input: Vec<u8>,
    /// The length that the input must reach before its first message can be whole, if the session has said so.
    complete_len: usize,
    output: Buffer,
    pool: Pool,
    clock: Clock,
    activity: Activity,
    /// True exactly when the output is always so full that it has room for one more answer only.
    is_crowded: bool,
    /// What the last call waits for.
    pub(super) step: Step,
    /// What the last call says of the message timeout.
    pub(super) has_ended_a_message: bool,
    /// How many messages were received.
    pub(super) messages: u64,
    answers: Vec<u8>,
}

impl Rehearsal {
    pub(super) fn new(protocol: &dyn Protocol, limits: &Limits) -> Self {
        Self {
            session: protocol.session(limits),
            ends_messages_by_quiet: protocol.ends_messages_by_quiet(),
            input: Vec::new(),
            complete_len: 0,
            output: Buffer::default(),
            pool: Pool::new(limits.memory_bytes_max),
            clock: clock(),
            activity: Activity::new(None, vec!["test"]),
            is_crowded: false,
            step: Step::Done,
            has_ended_a_message: false,
            messages: 0,
            answers: Vec::new(),
        }
    }

    /// The same with an output that takes one answer and is full.
    fn crowded(protocol: &dyn Protocol, limits: &Limits) -> Self {
        Self { is_crowded: true, ..Self::new(protocol, limits) }
    }

    /// Feeds one piece, and takes the answers as often as they fill the output.
    pub(super) fn feed(&mut self, piece: &[u8]) -> &mut Self {
        if self.is_open() {
            self.input.extend_from_slice(piece);
            let waiting_len = if self.is_crowded { HIGH_WATER_BYTES - 1 } else { 0 };
            self.advance(waiting_len);
            while self.step == Step::Paused {
                self.advance(waiting_len);
            }
        }
        self
    }

    /// Has the session run what it can while `waiting_len` bytes of earlier answers wait in the output.
    pub(super) fn advance(&mut self, waiting_len: usize) {
        let (consumed, step) = self.call(waiting_len, |session, input, context| {
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

    /// The peer falls quiet, or its input ends.
    pub(super) fn fall_quiet(&mut self) -> &mut Self {
        if self.is_open() && self.ends_messages_by_quiet {
            if self.call(0, |session, input, context| session.end_of_piece(input, context)) == Next::Close {
                self.step = Step::Close(CloseReason::Quit);
            }
            self.input.clear();
        }
        self
    }

    /// There is no memory for the message at the front of the input.
    pub(super) fn refuse(&mut self) -> &mut Self {
        let consumed = self.call(0, |session, input, context| session.refuse(input, context));
        self.input.drain(..consumed);
        self.complete_len = 0;
        self
    }

    /// The server ends the conversation.
    pub(super) fn say(&mut self, notice: Notice) -> &mut Self {
        self.session.say(notice, &mut Output::new(&mut self.output, &mut self.pool));
        self.take_answers(0);
        self
    }

    /// The session is greeted by nobody: it speaks first.
    pub(super) fn greet(&mut self) -> &mut Self {
        self.session.greet(&mut Output::new(&mut self.output, &mut self.pool));
        self.take_answers(0);
        self
    }

    /// What has been said since the last call.
    pub(super) fn answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answers)
    }

    pub(super) fn outcome(&mut self) -> Outcome {
        let closed = if let Step::Close(reason) = self.step { Some(reason) } else { None };
        Outcome { answers: self.answers(), closed }
    }

    fn is_open(&self) -> bool {
        !matches!(self.step, Step::Close(_))
    }

    fn call<T>(&mut self, waiting_len: usize, call: impl FnOnce(&mut dyn Session, &[u8], &mut Context<'_>) -> T) -> T {
        Output::new(&mut self.output, &mut self.pool).append(&vec![b'.'; waiting_len]);
        let peer = Peer::new(([127, 0, 0, 1], 1).into(), 0);
        let output = Output::new(&mut self.output, &mut self.pool);
        let mut context = Context::new(output, &mut self.clock, &mut self.activity, &peer);
        let result = call(self.session.as_mut(), &self.input, &mut context);
        self.has_ended_a_message = context.has_ended_a_message();
        self.messages += context.messages();
        self.take_answers(waiting_len);
        result
    }

    fn take_answers(&mut self, waiting_len: usize) {
        self.answers.extend_from_slice(&self.output.bytes()[waiting_len..]);
        self.output.release(&mut self.pool);
    }
}

/// Asserts that `input`, which is whole messages, is answered by `answers` and nothing else, however it comes: whole, byte
/// by byte, cut at every place, with room for one answer at a time, with the front of another message behind it, and,
/// unless that is the end, twice.
pub(super) fn assert_answers(protocol: &dyn Protocol, limits: &Limits, input: &[u8], answers: &[u8]) {
    assert_outcome(protocol, limits, input, answers, None);
    let twice = Rehearsal::new(protocol, limits).feed(&[input, input].concat()).outcome();
    assert_eq!(twice, Outcome { answers: [answers, answers].concat(), closed: None }, "twice");
    let trailed = Rehearsal::new(protocol, limits).feed(&[input, b"\x01"].concat()).outcome();
    assert_eq!(trailed, Outcome { answers: answers.into(), closed: None }, "with a byte behind it");
}

/// As [`assert_answers`], and then the conversation is over: what is sent behind `input` changes nothing.
pub(super) fn assert_last_answers(
    protocol: &dyn Protocol,
    limits: &Limits,
    input: &[u8],
    answers: &[u8],
    reason: CloseReason,
) {
    assert_outcome(protocol, limits, input, answers, Some(reason));
    assert_outcome(protocol, limits, &[input, input].concat(), answers, Some(reason));
}

fn assert_outcome(protocol: &dyn Protocol, limits: &Limits, input: &[u8], answers: &[u8], closed: Option<CloseReason>) {
    let expected = Outcome { answers: answers.into(), closed };
    let shown = input.escape_ascii().to_string();
    for (how, mut rehearsal) in
        [("roomy", Rehearsal::new(protocol, limits)), ("crowded", Rehearsal::crowded(protocol, limits))]
    {
        assert_eq!(rehearsal.feed(input).outcome(), expected, "{shown}: {how}");
    }
    let mut rehearsal = Rehearsal::new(protocol, limits);
    for byte in input {
        rehearsal.feed(&[*byte]);
    }
    assert_eq!(rehearsal.outcome(), expected, "{shown}: byte by byte");
    for cut in 1..input.len() {
        let (front, back) = input.split_at(cut);
        let mut rehearsal = Rehearsal::new(protocol, limits);
        assert_eq!(rehearsal.feed(front).feed(back).outcome(), expected, "{shown}: cut at {cut}");
    }
}

/// What comes of `bursts`, after each of which the peer falls quiet, when each is cut at `cuts`; with an output that has
/// room for everything, and with one that has room for an answer.
pub(super) fn outcomes(protocol: &dyn Protocol, limits: &Limits, bursts: &[Vec<u8>], cuts: &[usize]) -> [Outcome; 2] {
    [Rehearsal::new(protocol, limits), Rehearsal::crowded(protocol, limits)].map(|mut rehearsal| {
        for burst in bursts {
            for piece in pieces(burst, cuts) {
                rehearsal.feed(piece);
            }
            rehearsal.fall_quiet();
        }
        rehearsal.outcome()
    })
}

fn pieces<'a>(input: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).chain([0, input.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &input[cut[0]..cut[1]]).collect()
}

/// The clock of every rehearsal, which stands still.
pub(super) fn clock() -> Clock {
    Clock::new(Reading { moment: Moment::START, wall: UNIX_EPOCH + Duration::from_secs(1_757_715_853) })
}

/// Limits at which a short test reaches them.
pub(super) fn small_limits() -> Limits {
    Limits { line_bytes_max: 40, frame_bytes_max: 40, ..Limits::default() }
}

/// What a protocol that ends messages by quiet makes of `bursts`, the slow and obvious way: `answer` gives the answer to
/// one message, `None` to the one that closes.
pub(super) fn talk_oracle(limits: &Limits, bursts: &[Vec<u8>], answer: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Outcome {
    let mut answers = Vec::new();
    for burst in bursts {
        let mut messages: Vec<(&[u8], &[u8])> = burst
            .split_inclusive(|byte| *byte == b'\n')
            .map(|message| {
                let content = message.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
                message.split_at(content.map_or(message.len(), <[u8]>::len))
            })
            .collect();
        messages.retain(|(message, ending)| !message.is_empty() || !ending.is_empty());
        for (message, ending) in messages {
            if message.len() > limits.line_bytes_max as usize {
                answers.extend(b"ERROR LINE_TOO_LONG");
            } else if let Some(answer) = answer(message) {
                answers.extend(answer);
            } else {
                return Outcome { answers, closed: Some(CloseReason::Quit) };
            }
            answers.extend(ending);
        }
    }
    Outcome { answers, closed: None }
}

/// Bursts of `words` and what else the peers of such a protocol may send.
pub(super) fn talk_bursts(words: &'static [&'static str]) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let part = prop_oneof![
        4 => proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        4 => proptest::sample::select(vec!["\n", "\r\n", "\n\n", "\r", " "]).prop_map(|end| end.as_bytes().to_vec()),
        2 => (38usize..=42).prop_map(|len| vec![b'x'; len]),
        2 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    let burst = proptest::collection::vec(part, 0..10).prop_map(|parts| parts.concat());
    proptest::collection::vec(burst, 0..4)
}
