//! The framing of `echo` and `chat`: a line, or a pause, ends a message.
//!
//! The original clients of these protocols send text without a newline and print the result of one
//! `recv`. So bytes without a newline are a message after the quiet period. The answer has the same
//! ending as its message.

use super::room_context::News;
use super::{Accepted, Context, Farewell, Next, Output, Protocol, Session, Step, errors};
use crate::rooms::Seat;
use crate::wire::http;
use crate::wire::line::{Ending, Item, LineDecoder};

/// Appends the answer to one message, without an ending.
pub type Answer = fn(message: &[u8], context: &mut Context<'_>) -> Next;

/// Appends news for a member of a room, without an ending.
pub(super) type Tell = fn(output: &mut Output<'_>, news: News<'_>);

/// A protocol that answers each message with the result of a function.
#[derive(Clone, Copy, Debug)]
pub struct LineOrPause {
    name: &'static str,
    answer: Answer,
    tell: Option<Tell>,
}

impl LineOrPause {
    /// Creates the protocol `name` that answers with `answer`. That function must append nothing if
    /// it returns [`Next::Close`].
    #[must_use]
    pub const fn new(name: &'static str, answer: Answer) -> Self {
        Self { name, answer, tell: None }
    }

    /// Lets its connections join rooms, and appends their news with `tell`. A page in a browser
    /// must not reach a room, so an HTTP request ends the conversation.
    #[must_use]
    pub(super) const fn with_rooms(self, tell: Tell) -> Self {
        Self { tell: Some(tell), ..self }
    }
}

impl Protocol for LineOrPause {
    fn name(&self) -> &'static str {
        self.name
    }

    fn session(&self, accepted: &Accepted) -> Box<dyn Session> {
        Box::new(LineOrPauseSession {
            answer: self.answer,
            tell: self.tell,
            lines: LineDecoder::new(accepted.limits().line_bytes_max),
            seat: Seat::nowhere(),
            refusal: Refusal::TooLong,
            ending: Ending::Lf,
            has_begun: false,
        })
    }

    fn ends_messages_by_quiet(&self) -> bool {
        true
    }
}

struct LineOrPauseSession {
    answer: Answer,
    tell: Option<Tell>,
    lines: LineDecoder,
    seat: Seat,
    /// The error of the message that is being dropped. It is sent at the end of the message, with
    /// the same ending.
    refusal: Refusal,
    /// The ending of the last message. News have the same ending, or a newline.
    ending: Ending,
    /// True after the first message.
    has_begun: bool,
}

// The allocator rounds up to 40 bytes: a million idle connections may have such a session.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<LineOrPauseSession>() <= 40);

/// Why a message is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    TooLong,
    Busy,
    NotHttp,
}

impl Refusal {
    const fn token(self) -> &'static str {
        match self {
            Self::TooLong => errors::LINE_TOO_LONG,
            Self::Busy => errors::SERVER_BUSY,
            Self::NotHttp => errors::NOT_HTTP,
        }
    }
}

impl Session for LineOrPauseSession {
    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        self.sit(context);
        let result = self.run_lines(input, context);
        self.seat = context.seat;
        result
    }

    fn complete_piece(&mut self, input: &[u8], context: &mut Context<'_>) -> Next {
        self.sit(context);
        let next = self.run_piece(input, context);
        self.seat = context.seat;
        next
    }

    fn take_seat(&mut self) -> Seat {
        std::mem::take(&mut self.seat)
    }

    fn refuse(&mut self, input: &[u8], _context: &mut Context<'_>) -> usize {
        if !self.lines.is_dropping() {
            let Some(is_http) = self.is_http_front(input) else { return 0 };
            self.refusal = if is_http { Refusal::NotHttp } else { Refusal::Busy };
            self.lines.drop_line();
        }
        input.len()
    }

    fn append_farewell(&mut self, farewell: Farewell, output: &mut Output<'_>) {
        if let Some(token) = farewell.token() {
            output.append_error(token, Ending::Lf);
        }
    }
}

impl LineOrPauseSession {
    /// Lends the seat to the context for a call, and appends the news of its room.
    #[inline]
    fn sit(&self, context: &mut Context<'_>) {
        let ending = member_ending(self.ending);
        context.sit(self.seat, |output, news| {
            if let Some(tell) = self.tell {
                tell(output, news);
                output.append(ending.bytes());
            }
        });
    }

    /// Runs the complete messages of `input`: see [`Session::advance`].
    fn run_lines(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        // The call was only for news.
        if input.is_empty() {
            return (0, Step::of_lines(&self.lines, input));
        }
        self.lines.set_line_max(context.limits().line_bytes_max);
        let mut rest = input;
        while !context.output.is_full() {
            let (after, item) = self.lines.next(rest);
            let front = std::mem::replace(&mut rest, after);
            let next = match item {
                None => return (input.len() - rest.len(), Step::of_lines(&self.lines, rest)),
                Some(Item::Line(line, ending)) => self.answer(line, ending, context),
                Some(Item::TooLong) => match self.is_http_front(front) {
                    Some(is_http) => {
                        self.refusal = if is_http { Refusal::NotHttp } else { Refusal::TooLong };
                        Next::Continue
                    }
                    // Too few bytes to decide: the line is not dropped before more have arrived.
                    None => {
                        self.lines.restart();
                        return (input.len() - front.len(), Step::Incomplete { missing: None });
                    }
                },
                Some(Item::Dropped(ending)) => self.answer_refused(ending, context),
            };
            if let Some(reason) = next.close_reason() {
                return (input.len() - rest.len(), Step::Close(reason));
            }
        }
        (input.len() - rest.len(), Step::Paused)
    }

    /// Runs `input` as a message: see [`Session::complete_piece`].
    fn run_piece(&mut self, input: &[u8], context: &mut Context<'_>) -> Next {
        self.lines.set_line_max(context.limits().line_bytes_max);
        let next = match (self.lines.is_dropping(), input) {
            (true, _) => self.answer_refused(Ending::Nothing, context),
            (false, []) => Next::Continue,
            (false, piece) if self.lines.is_too_long(piece) => {
                let is_http = self.is_http_front(piece) == Some(true);
                self.refusal = if is_http { Refusal::NotHttp } else { Refusal::TooLong };
                self.answer_refused(Ending::Nothing, context)
            }
            (false, piece) => self.answer(piece, Ending::Nothing, context),
        };
        self.lines.restart();
        next
    }

    #[inline]
    fn answer(&mut self, message: &[u8], ending: Ending, context: &mut Context<'_>) -> Next {
        if self.tell.is_some() && http::is_request(message, !self.has_begun) {
            self.refusal = Refusal::NotHttp;
            return self.answer_refused(ending, context);
        }
        self.note_ending(ending);
        if !context.output.reserve(message.len() + Output::OVERHEAD_BYTES) {
            context.received(errors::SERVER_BUSY, message);
            context.output.append_error(errors::SERVER_BUSY, ending);
            return Next::Continue;
        }
        context.received("", message);
        let next = (self.answer)(message, context);
        if next == Next::Continue {
            match ending {
                // The usual ending: storing one known byte costs less than copying a slice.
                Ending::Lf => context.output.append(b"\n"),
                Ending::CrLf => context.output.append(b"\r\n"),
                // News can follow the answer to a member at any time.
                Ending::Nothing if context.seat.is_taken() => context.output.append(b"\n"),
                Ending::Nothing => {}
            }
        }
        next
    }

    fn answer_refused(&mut self, ending: Ending, context: &mut Context<'_>) -> Next {
        self.note_ending(ending);
        let token = self.refusal.token();
        context.received(token, b"");
        let ending = if context.seat.is_taken() { member_ending(ending) } else { ending };
        context.output.append_error(token, ending);
        if self.refusal == Refusal::NotHttp { Next::WrongProtocol } else { Next::Continue }
    }

    fn note_ending(&mut self, ending: Ending) {
        self.ending = ending;
        self.has_begun = true;
    }

    /// Returns whether the message that begins with `front`, and whose end is not stored, is an
    /// HTTP request; `None` while there are too few bytes to decide.
    #[cold]
    fn is_http_front(&self, front: &[u8]) -> Option<bool> {
        if self.has_begun || self.tell.is_none() {
            return Some(false);
        }
        let line = front.split(|byte| *byte == b'\n').next().unwrap_or_default();
        match http::is_request_front(line) {
            None if line.len() < front.len() => Some(false),
            is_http => is_http,
        }
    }
}

/// Returns the ending of an answer to a member of a room, and of news. News can follow an answer at
/// once, so a pause does not separate them.
const fn member_ending(ending: Ending) -> Ending {
    match ending {
        Ending::CrLf => Ending::CrLf,
        Ending::Lf | Ending::Nothing => Ending::Lf,
    }
}

#[cfg(test)]
mod tests {
    use super::super::conversations::{
        SessionHarness, assert_answers, assert_last_answers, small_limits,
    };
    use super::*;
    use crate::close_reason::CloseReason;
    use crate::limits::Limits;

    /// Answers with the message in brackets, and closes after `bye`.
    fn bracketing() -> LineOrPause {
        LineOrPause::new("bracketing", |message, context| {
            if message == b"bye" {
                return Next::Close;
            }
            let output = context.output();
            output.append(b"[");
            output.append(message);
            output.append(b"]");
            Next::Continue
        })
    }

    fn answers(input: impl AsRef<[u8]>, answers: impl AsRef<[u8]>) {
        assert_answers(&bracketing(), &small_limits(), input.as_ref(), answers.as_ref());
    }

    /// Returns the answers to each of `bursts`, each followed by a quiet period.
    fn answers_to_bursts<const N: usize>(bursts: [&[u8]; N]) -> [String; N] {
        let mut harness = SessionHarness::new(&bracketing(), &small_limits());
        bursts.map(|burst| harness.feed(burst).fall_quiet().answers().escape_ascii().to_string())
    }

    #[test]
    fn an_answer_has_the_ending_of_its_message() {
        answers("a\nb\r\n", "[a]\n[b]\r\n");
        assert_eq!(answers_to_bursts([b"c"]), ["[c]"]);
    }

    #[test]
    fn an_empty_line_is_a_message_and_a_pause_alone_is_not() {
        answers("\n\r\n", "[]\n[]\r\n");
        assert_eq!(answers_to_bursts([b"a\n", b"", b"b"]), [r"[a]\n", "", "[b]"]);
    }

    #[test]
    fn bytes_without_an_ending_are_a_message_after_the_quiet_period() {
        let mut harness = SessionHarness::new(&bracketing(), &small_limits());
        assert_eq!(harness.feed(b"he").feed(b"llo").answers(), b"");
        assert_eq!(harness.step, Step::Incomplete { missing: None });
        assert_eq!(harness.fall_quiet().answers(), b"[hello]");
    }

    #[test]
    fn bytes_after_the_quiet_period_are_another_message() {
        assert_eq!(
            answers_to_bursts([b"a", b"\n", b"b\nc", b"\r", b"d\r\n"]),
            ["[a]", r"[]\n", r"[b]\n[c]", r"[\r]", r"[d]\r\n"]
        );
    }

    #[test]
    fn a_message_over_the_limit_gets_its_error_at_its_end() {
        let long = "x".repeat(41);
        answers(format!("{long}\na\n"), "ERROR LINE_TOO_LONG\n[a]\n");
        answers(format!("{long}\r\n"), "ERROR LINE_TOO_LONG\r\n");
        assert_eq!(answers_to_bursts([long.as_bytes(), b"a"]), ["ERROR LINE_TOO_LONG", "[a]"]);
        assert_eq!(
            answers_to_bursts([[long.as_bytes(), b"\r"].concat().as_slice()]),
            ["ERROR LINE_TOO_LONG"]
        );
    }

    #[test]
    fn the_limit_is_exact_for_each_ending_and_split() {
        for len in 38..=42 {
            let text = "x".repeat(len);
            for (ending, counted) in [("\n", len), ("\r\n", len), ("", len), ("\r", len + 1)] {
                let message = format!("{text}{ending}");
                let answer = match (counted <= 40, ending) {
                    (true, "\r") => format!("[{text}\r]"),
                    (true, _) => format!("[{text}]{ending}"),
                    (false, "\r") => "ERROR LINE_TOO_LONG".to_owned(),
                    (false, _) => format!("ERROR LINE_TOO_LONG{ending}"),
                };
                for piece_len in [1, len - 1, len, message.len()] {
                    let mut harness = SessionHarness::new(&bracketing(), &small_limits());
                    for piece in message.as_bytes().chunks(piece_len) {
                        harness.feed(piece);
                    }
                    let heard = harness.fall_quiet().answers();
                    assert_eq!(heard, answer.as_bytes(), "{message:?} in pieces of {piece_len}");
                    assert_eq!(harness.feed(b"a\n").answers(), b"[a]\n");
                }
            }
        }
    }

    #[test]
    fn a_message_that_closes_is_the_last_one_and_has_no_answer() {
        assert_last_answers(
            &bracketing(),
            &small_limits(),
            b"a\nbye\nb\n",
            b"[a]\n",
            CloseReason::Quit,
        );
        assert_eq!(answers_to_bursts([b"a", b"bye", b"b"]), ["[a]", "", ""]);
    }

    #[test]
    fn a_message_without_memory_gets_its_error_at_its_end() {
        let mut harness = SessionHarness::new(&bracketing(), &small_limits());
        assert_eq!(harness.feed(b"aaa").refuse().feed(b"aaa").answers(), b"");
        assert_eq!(harness.feed(b"a\r\nb\n").answers(), b"ERROR SERVER_BUSY\r\n[b]\n");
        assert_eq!(harness.feed(b"aaa").refuse().fall_quiet().answers(), b"ERROR SERVER_BUSY");
        assert_eq!(harness.feed(b"b").fall_quiet().answers(), b"[b]");
    }

    #[test]
    fn an_answer_without_memory_becomes_an_error_in_its_place() {
        let limits = Limits { line_bytes_max: 1 << 20, memory_bytes_max: 0, ..Limits::default() };
        let mut harness = SessionHarness::new(&bracketing(), &limits);
        let line = "x".repeat(1 << 17);
        assert_eq!(
            harness.feed(format!("{line}\r\na\n").as_bytes()).answers(),
            b"ERROR SERVER_BUSY\r\n[a]\n"
        );
        assert_eq!(harness.feed(line.as_bytes()).fall_quiet().answers(), b"ERROR SERVER_BUSY");
    }

    #[test]
    fn a_small_answer_is_sent_with_the_smallest_memory_limit() {
        let limits = Limits { line_bytes_max: 1 << 20, memory_bytes_max: 0, ..Limits::default() };
        let line = "x".repeat(30_000);
        let mut harness = SessionHarness::new(&bracketing(), &limits);
        assert!(
            harness.feed(format!("{line}\n").as_bytes()).answers()
                == format!("[{line}]\n").as_bytes()
        );
    }

    #[test]
    fn a_farewell_is_an_error_line_and_a_shutdown_has_none() {
        let mut harness = SessionHarness::new(&bracketing(), &small_limits());
        for (farewell, line) in [
            (Farewell::ServerBusy, "ERROR SERVER_BUSY\n"),
            (Farewell::IdleTimeout, "ERROR IDLE_TIMEOUT\n"),
            (Farewell::MessageTimeout, "ERROR MESSAGE_TIMEOUT\n"),
            (Farewell::Shutdown, ""),
        ] {
            assert_eq!(
                harness.append_farewell(farewell).answers(),
                line.as_bytes(),
                "{farewell:?}"
            );
        }
    }
}
