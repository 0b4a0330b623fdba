//! The framing of `echo` and `chat`: a message ends at a newline, or where the peer falls quiet.
//!
//! The first clients of these protocols send text without a newline and print what one `recv` gives them. So a piece
//! that has no newline behind it for the quiet period is a message too, and the answer ends as its message ended.

use super::{
    ANSWER_OVERHEAD_BYTES, Context, LINE_TOO_LONG, Next, Notice, Output, Protocol, SERVER_BUSY, Session, Step,
};
use crate::base::clock::Clock;
use crate::base::close_reason::CloseReason;
use crate::base::limits::Limits;
use crate::wire::line::{Ending, Item, Lines};

/// Appends the answer to one message, without an ending.
pub type Answer = fn(message: &[u8], output: &mut Output<'_>, clock: &mut Clock) -> Next;

/// A protocol that answers each message by a function.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    name: &'static str,
    answer: Answer,
}

impl Talk {
    /// The protocol `name` that answers with `answer`, which appends nothing when it gives [`Next::Close`].
    #[must_use]
    pub const fn new(name: &'static str, answer: Answer) -> Self {
        Self { name, answer }
    }
}

impl Protocol for Talk {
    fn name(&self) -> &'static str {
        self.name
    }

    fn session(&self, limits: &Limits) -> Box<dyn Session> {
        Box::new(TalkSession { answer: self.answer, lines: Lines::new(limits.line_bytes_max), refusal: LINE_TOO_LONG })
    }

    fn ends_messages_by_quiet(&self) -> bool {
        true
    }
}

struct TalkSession {
    answer: Answer,
    lines: Lines,
    /// Why the message that is being dropped was refused. It is said where the message ends, as it ends.
    refusal: &'static str,
}

impl Session for TalkSession {
    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        let mut rest = input;
        while !context.output.is_full() {
            let (consumed, item) = self.lines.next(rest);
            rest = rest.get(consumed..).unwrap_or_default();
            let next = match item {
                None => return (input.len() - rest.len(), self.step(rest)),
                Some(Item::Line(line, ending)) => self.answer(line, ending, context),
                Some(Item::TooLong) => {
                    self.refusal = LINE_TOO_LONG;
                    Next::Continue
                }
                Some(Item::Dropped(ending)) => self.answer_refused(ending, context),
            };
            if next == Next::Close {
                return (input.len() - rest.len(), Step::Close(CloseReason::Quit));
            }
        }
        (input.len() - rest.len(), Step::Paused)
    }

    fn end_of_piece(&mut self, input: &[u8], context: &mut Context<'_>) -> Next {
        let next = match (self.lines.is_dropping(), input) {
            (true, _) => self.answer_refused(Ending::Nothing, context),
            (false, []) => Next::Continue,
            (false, piece) => self.answer(piece, Ending::Nothing, context),
        };
        self.lines.restart();
        next
    }

    fn refuse(&mut self, input: &[u8], _context: &mut Context<'_>) -> usize {
        self.lines.drop_line();
        self.refusal = SERVER_BUSY;
        input.len()
    }

    fn say(&mut self, notice: Notice, output: &mut Output<'_>) {
        if let Some(token) = notice.token() {
            append_error(output, token, Ending::Lf);
        }
    }
}

impl TalkSession {
    /// What the session waits for when `rest` holds no whole line.
    fn step(&self, rest: &[u8]) -> Step {
        if rest.is_empty() && !self.lines.is_dropping() { Step::Done } else { Step::Incomplete { missing: None } }
    }

    #[inline]
    fn answer(&self, message: &[u8], ending: Ending, context: &mut Context<'_>) -> Next {
        context.received("", message);
        let output = &mut context.output;
        if !output.has_room_for(message.len() + ANSWER_OVERHEAD_BYTES) {
            append_error(output, SERVER_BUSY, ending);
            return Next::Continue;
        }
        let next = (self.answer)(message, output, context.clock);
        if next == Next::Continue {
            output.append(ending.bytes());
        }
        next
    }

    fn answer_refused(&self, ending: Ending, context: &mut Context<'_>) -> Next {
        context.received(self.refusal, b"");
        append_error(&mut context.output, self.refusal, ending);
        Next::Continue
    }
}

fn append_error(output: &mut Output<'_>, token: &str, ending: Ending) {
    output.append(b"ERROR ");
    output.append(token.as_bytes());
    output.append(ending.bytes());
}
