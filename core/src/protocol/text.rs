//! The protocol `text`: commands and answers of one line each.

use std::io::Write;
use std::sync::Arc;

use super::command::{Call, Command, Outcome, status, whoami};
use super::command_table::CommandTable;
pub use super::command_table::WORD_BYTES_MAX;
use super::room_commands;
use super::room_context::News;
use super::{Accepted, Context, Farewell, Next, Output, Protocol, Session, Step, errors};
use crate::close_reason::CloseReason;
use crate::rooms::Seat;
use crate::wire::line::{Ending, Item, LineDecoder, is_blank, skip_blanks};
use crate::wire::{http, telnet};

/// The greeting.
pub const BANNER: &str = "WELCOME, I'm TinyServer not pressure";

/// The protocol, with its banner and its table of commands.
///
/// ```
/// use tinytcp::Limits;
/// use tinytcp::protocol::{Command, Next, Text};
/// use tinytcp::testing::SessionHarness;
///
/// let ping = Command::new("PING", "PING", |call| {
///     call.output().append(b"PONG");
///     Ok(Next::Continue)
/// });
/// let text = Text::with_commands([ping]).with_banner("HELLO").without_command("TIME");
///
/// let mut harness = SessionHarness::new(&text, &Limits::default());
/// harness.greet().feed(b"PING\nTIME\n");
/// assert_eq!(harness.answers(), b"HELLO\nPONG\nERROR UNKNOWN_COMMAND\n");
/// ```
#[derive(Debug)]
pub struct Text {
    shared: Arc<Shared>,
}

/// The data that all sessions of the protocol share.
#[derive(Debug)]
struct Shared {
    banner: String,
    table: CommandTable,
}

impl Text {
    /// Creates the protocol with its commands: `TIME`, `ECHO`, `HELP`, `QUIT`, `STATUS`, those
    /// about rooms, and `WHOAMI` for clients with a certificate.
    #[must_use]
    pub fn new() -> Self {
        Self::with_commands([])
    }

    /// Creates the protocol with more commands after its own. If a word occurs twice, the first
    /// command counts. A key is a word in upper case, which matches any case. An answer is one
    /// line; the protocol adds its ending.
    ///
    /// # Panics
    /// If a key is longer than [`WORD_BYTES_MAX`].
    #[must_use]
    pub fn with_commands(more: impl IntoIterator<Item = Command<&'static str>>) -> Self {
        let mut commands = vec![
            Command::new("TIME", "TIME", time),
            Command::new("ECHO", "ECHO <TEXT>", echo),
            Command::new("HELP", "HELP", help),
            Command::new("QUIT", "QUIT", quit),
            Command::new("JOIN", "JOIN <ROOM>", |call| {
                answer(call, "JOINED ", room_commands::join)
            }),
            Command::new("LEAVE", "LEAVE", |call| answer(call, "LEFT ", room_commands::leave)),
            Command::new("SAY", "SAY <TEXT>", |call| answer(call, "SAID ", room_commands::say)),
            Command::new("NICK", "NICK <NAME>", |call| answer(call, "NICK ", room_commands::nick)),
            Command::new("WHO", "WHO", |call| answer(call, "MEMBERS ", room_commands::who)),
            // `HELP` does not show it: it is for operators and not for clients.
            Command::new("STATUS", "", status),
        ];
        commands.extend(more);
        let whoami = |call: &mut Call<'_, '_>| answer(call, "WHOAMI ", whoami);
        commands.push(Command::new("WHOAMI", "", whoami).for_named_clients());
        Self {
            shared: Arc::new(Shared { banner: BANNER.into(), table: CommandTable::new(commands) }),
        }
    }

    /// Replaces the banner: the line that the server sends first.
    ///
    /// # Panics
    /// If `banner` has a line break, or if a session of the protocol exists.
    #[must_use]
    pub fn with_banner(self, banner: impl Into<String>) -> Self {
        let banner = banner.into();
        assert!(!banner.contains(['\r', '\n']), "a banner is one line");
        self.set_up(|shared| shared.banner = banner)
    }

    /// Removes the first command of that name, in any case of letters. A later command of the same
    /// name takes its place.
    ///
    /// # Panics
    /// If a session of the protocol exists.
    #[must_use]
    pub fn without_command(self, name: &str) -> Self {
        self.set_up(|shared| shared.table.remove(name))
    }

    /// Changes the data before a session shares it.
    fn set_up(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        let shared = Arc::get_mut(&mut self.shared);
        assert!(shared.is_some(), "a protocol is set up before its first session");
        let _changed = shared.map(change);
        self
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

impl Protocol for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn session(&self, accepted: &Accepted) -> Box<dyn Session> {
        Box::new(TextSession {
            shared: Arc::clone(&self.shared),
            lines: LineDecoder::new(accepted.limits().line_bytes_max),
            seat: Seat::nowhere(),
        })
    }
}

fn time(call: &mut Call<'_, '_>) -> Outcome {
    call.output().append(b"TIME ");
    call.context().append_date_and_time();
    Ok(Next::Continue)
}

fn echo(call: &mut Call<'_, '_>) -> Outcome {
    let text = call.argument();
    if text.is_empty() {
        return Err(errors::BAD_ARGUMENTS);
    }
    call.output().append(b"ECHO ");
    call.output().append(text);
    Ok(Next::Continue)
}

fn help(call: &mut Call<'_, '_>) -> Outcome {
    let usages = call.usages();
    call.output().append(b"HELP COMMANDS: ");
    call.output().append(usages.as_bytes());
    Ok(Next::Continue)
}

/// Runs a command, and appends its answer after `word`.
fn answer(call: &mut Call<'_, '_>, word: &str, run: fn(&mut Call<'_, '_>) -> Outcome) -> Outcome {
    call.output().append(word.as_bytes());
    run(call)
}

/// Appends news for a member of a room.
fn append_news(output: &mut Output<'_>, news: News<'_>) {
    match news {
        News::Message { name, text } => {
            output.append_all([b"FROM ", name, b" ", text, b"\n"]);
        }
        // Writing to an output never fails.
        News::Missed(count) => drop(writeln!(output, "MISSED {count}")),
    }
}

fn quit(call: &mut Call<'_, '_>) -> Outcome {
    call.output().append(b"BYE");
    Ok(Next::Close)
}

struct TextSession {
    shared: Arc<Shared>,
    lines: LineDecoder,
    seat: Seat,
}

// The allocator rounds up to 24 bytes: a million idle connections may have such a session.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<TextSession>() <= 24);

impl Session for TextSession {
    fn greet(&mut self, output: &mut Output<'_>) {
        append_line(output, &self.shared.banner);
    }

    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        // An HTTP request was refused: no line after it is run.
        if self.lines.has_ended() {
            return (input.len(), Step::Close(CloseReason::WrongProtocol));
        }
        context.sit(self.seat, append_news);
        let result = self.run_lines(input, context);
        self.seat = context.seat;
        result
    }

    fn take_seat(&mut self) -> Seat {
        std::mem::take(&mut self.seat)
    }

    fn refuse(&mut self, input: &[u8], context: &mut Context<'_>) -> usize {
        // A line that is dropped has had its answer. At most a carriage return of it is in `input`.
        if !self.lines.is_dropping() && !self.lines.has_ended() {
            let Some(is_http) = self.is_http_front(input) else { return 0 };
            let token = if is_http { errors::NOT_HTTP } else { errors::SERVER_BUSY };
            if is_http {
                self.lines.end();
            } else {
                self.lines.drop_line();
            }
            refuse_front(token, context);
        }
        input.len()
    }

    fn append_farewell(&mut self, farewell: Farewell, output: &mut Output<'_>) {
        match farewell.token() {
            Some(token) => append_error(output, token),
            None => append_line(output, "BYE"),
        }
    }
}

impl TextSession {
    /// Runs the complete lines of `input`: see [`Session::advance`].
    fn run_lines(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        // The call was only for news.
        if input.is_empty() {
            return (0, Step::of_lines(&self.lines, input));
        }
        self.lines.set_line_max(context.limits().line_bytes_max);
        let mut rest = input;
        let step = loop {
            if context.output.is_full() {
                break Step::Paused;
            }
            let (after, item) = self.lines.next(rest);
            let front = std::mem::replace(&mut rest, after);
            match item {
                Some(Item::Line(line, _)) => {
                    if let Some(reason) = self.run(line, context) {
                        break Step::Close(reason);
                    }
                }
                // A long HTTP request line must not be mistaken for a line that is dropped.
                Some(Item::TooLong) => match self.is_http_front(front) {
                    Some(true) => {
                        refuse_front(errors::NOT_HTTP, context);
                        break Step::Close(CloseReason::WrongProtocol);
                    }
                    Some(false) => refuse_front(errors::LINE_TOO_LONG, context),
                    None => {
                        self.lines.restart();
                        rest = front;
                        break Step::Incomplete { missing: None };
                    }
                },
                Some(Item::Dropped(_)) => context.message_ended(),
                None => break Step::of_lines(&self.lines, rest),
            }
        };
        (input.len() - rest.len(), step)
    }

    /// Returns whether the first line of `input` is an HTTP request and not a command; `None` while
    /// there are too few bytes to decide.
    #[cold]
    fn is_http_front(&self, input: &[u8]) -> Option<bool> {
        let line = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let is_whole = line.len() < input.len();
        match http::is_request_front(line) {
            None if is_whole => Some(false),
            is_http => is_http
                .map(|is_http| is_http && self.shared.table.find(trim_blanks(line)).is_none()),
        }
    }

    /// Runs one line. Returns the close reason if it is the last one.
    #[inline]
    fn run(&self, line: &[u8], context: &mut Context<'_>) -> Option<CloseReason> {
        let line = trim_blanks(line);
        if line.is_empty() {
            context.message_ended();
            return None;
        }
        let outcome = match self.shared.table.find(line) {
            Some((command, argument)) if command.is_for(context) => {
                self.call(command, argument, context)
            }
            _ => refusal_of_unknown(line).map_or(Ok(Next::Continue), Err),
        };
        context.received(outcome.err().unwrap_or_default(), line);
        match outcome {
            Ok(next) => next.close_reason(),
            Err(token) => {
                append_error(&mut context.output, token);
                (token == errors::NOT_HTTP).then_some(CloseReason::WrongProtocol)
            }
        }
    }

    /// Runs a command and appends its answer; if it fails, nothing is appended.
    #[inline]
    fn call(
        &self,
        command: &Command<&'static str>,
        argument: &[u8],
        context: &mut Context<'_>,
    ) -> Outcome {
        if !context.output.reserve(argument.len() + Output::OVERHEAD_BYTES) {
            return Err(errors::SERVER_BUSY);
        }
        let mark = context.output.len();
        let outcome = (command.run)(&mut Call::new(argument, context, &self.shared.table.usages));
        match outcome {
            Ok(_) => context.output.append(b"\n"),
            Err(_) => context.output.truncate(mark),
        }
        outcome
    }
}

/// Returns the error for a line that is not a command; `None` for telnet negotiation alone, which
/// has no answer.
#[cold]
fn refusal_of_unknown(line: &[u8]) -> Option<&'static str> {
    if line.starts_with(&[telnet::IAC]) && telnet::split_word(line, &mut [0]).0.is_empty() {
        return None;
    }
    let is_http = http::is_request_line(line);
    Some(if is_http { errors::NOT_HTTP } else { errors::UNKNOWN_COMMAND })
}

/// Refuses a line of which only the beginning has arrived. After an HTTP request no line is run,
/// because a page in a browser chooses the lines of the body that follows.
#[cold]
fn refuse_front(token: &'static str, context: &mut Context<'_>) {
    context.refused(token);
    append_error(&mut context.output, token);
}

fn append_line(output: &mut Output<'_>, line: &str) {
    output.append(line.as_bytes());
    output.append(b"\n");
}

fn append_error(output: &mut Output<'_>, token: &str) {
    output.append_error(token, Ending::Lf);
}

#[inline]
fn trim_blanks(line: &[u8]) -> &[u8] {
    let mut line = skip_blanks(line);
    while let [rest @ .., last] = line
        && is_blank(*last)
    {
        line = rest;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::super::conversations::{
        self, SessionHarness, Transcript, assert_answers, assert_last_answers, small_limits,
    };
    use super::*;
    use crate::limits::{HIGH_WATER_BYTES, LOW_WATER_BYTES, Limits};
    use crate::metrics::line;

    const HELP_LINE: &str = "HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT | \
        JOIN <ROOM> | LEAVE | SAY <TEXT> | NICK <NAME> | WHO\n";

    fn answers(input: impl AsRef<[u8]>, answers: impl AsRef<[u8]>) {
        assert_answers(&Text::new(), &small_limits(), input.as_ref(), answers.as_ref());
    }

    fn last_answers(input: &[u8], answers: &[u8], reason: CloseReason) {
        assert_last_answers(&Text::new(), &small_limits(), input, answers, reason);
    }

    fn time_line() -> String {
        format!("TIME {}\n", conversations::clock().date_and_time())
    }

    #[test]
    fn status_is_one_line_of_the_state_and_its_words_are_ignored() {
        let mut harness = SessionHarness::new(&Text::new(), &small_limits());
        let answer = harness.feed(b"status please\n").answers();
        let line = std::str::from_utf8(&answer).expect("a line is ASCII");
        assert!(line.starts_with("STATUS version=") && line.ends_with('\n'), "{line}");
        assert!(line.len() <= line::LEN_MAX && line.lines().count() == 1, "{line}");
        let counted = harness.messages;
        assert_eq!(counted, 1);
    }

    #[test]
    fn status_can_be_removed() {
        let mut harness =
            SessionHarness::new(&Text::new().without_command("STATUS"), &small_limits());
        assert_eq!(harness.feed(b"STATUS\n").answers(), b"ERROR UNKNOWN_COMMAND\n");
    }

    #[test]
    fn the_server_sends_a_greeting() {
        let mut harness = SessionHarness::new(&Text::new(), &small_limits());
        assert_eq!(harness.greet().answers(), b"WELCOME, I'm TinyServer not pressure\n");
    }

    #[test]
    fn time_is_answered_with_the_local_time() {
        answers("TIME\n", time_line());
        answers("TIME whatever\n", time_line());
    }

    #[test]
    fn echo_returns_its_argument() {
        answers("ECHO hi\n", "ECHO hi\n");
    }

    #[test]
    fn an_argument_keeps_all_bytes_between_the_blanks_around_it() {
        answers("ECHO \t a  b\t c \t\n", "ECHO a  b\t c\n");
        answers(b"ECHO \0\xc3\x28\xff\x80 \r x\n", b"ECHO \0\xc3\x28\xff\x80 \r x\n");
        answers("ECHO \rx\n", "ECHO \rx\n");
    }

    #[test]
    fn echo_of_nothing_is_an_error() {
        answers("ECHO\n", "ERROR BAD_ARGUMENTS\n");
        answers("ECHO  \t\n", "ERROR BAD_ARGUMENTS\n");
    }

    #[test]
    fn help_lists_the_commands_in_one_line() {
        answers("HELP\n", HELP_LINE);
    }

    #[test]
    fn quit_is_answered_and_no_line_after_it_is_run() {
        last_answers(b"QUIT\n", b"BYE\n", CloseReason::Quit);
        let mut harness = SessionHarness::new(&Text::new(), &small_limits());
        assert_eq!(harness.feed(b"ECHO a\nquit now\nECHO b\n").answers(), b"ECHO a\nBYE\n");
        assert_eq!((harness.messages, harness.input.as_slice()), (2, &b"ECHO b\n"[..]));
    }

    #[test]
    fn any_other_word_is_an_unknown_command() {
        for line in ["NOPE", "TIMES", "TIM", "ECHO\0 x", "E C H O", &"X".repeat(40), "\u{661}"] {
            answers(format!("{line}\n"), "ERROR UNKNOWN_COMMAND\n");
        }
    }

    #[test]
    fn a_command_is_known_in_any_case() {
        for line in ["echo x\n", "Echo x\n", "eChO x\n"] {
            answers(line, "ECHO x\n");
        }
    }

    #[test]
    fn blanks_around_a_request_and_one_carriage_return_are_dropped() {
        answers(" \tECHO x \t\n", "ECHO x\n");
        answers("ECHO x \r\n", "ECHO x\n");
        answers("ECHO x\r\r\n", "ECHO x\r\n");
    }

    #[test]
    fn an_empty_line_gets_no_answer() {
        for line in ["\n", "\r\n", " \t \n"] {
            answers(line, "");
        }
    }

    #[test]
    fn pipelined_requests_are_answered_in_order() {
        answers(
            "ECHO 1\nNOPE\n\nECHO 2\r\nHELP\n",
            format!("ECHO 1\nERROR UNKNOWN_COMMAND\nECHO 2\n{HELP_LINE}"),
        );
    }

    #[test]
    fn the_request_that_fills_the_output_is_the_last_one_run() {
        for line in ["ECHO a\n", "echo a\n"] {
            let count = HIGH_WATER_BYTES.div_ceil(line.len());
            let mut harness = SessionHarness::new(&Text::new(), &small_limits());
            harness.input = line.repeat(count + 1).into();
            harness.advance(0);
            assert_eq!((harness.step, harness.messages), (Step::Paused, count as u64));
            assert!(
                harness.answers() == "ECHO a\n".repeat(count).as_bytes(),
                "{count} answers to {line:?}"
            );
        }
    }

    #[test]
    fn the_limit_counts_the_line_without_its_ending() {
        for ending in ["\n", "\r\n"] {
            for len in [39, 40] {
                let text = "x".repeat(len - 5);
                answers(format!("ECHO {text}{ending}"), format!("ECHO {text}\n"));
            }
            answers(format!("ECHO {}{ending}", "x".repeat(36)), "ERROR LINE_TOO_LONG\n");
        }
    }

    #[test]
    fn a_line_over_the_limit_is_one_error_and_the_next_is_run() {
        answers(format!("{}\nECHO x\n", "TIME ".repeat(100)), "ERROR LINE_TOO_LONG\nECHO x\n");
        let mut harness = SessionHarness::new(&Text::new(), &small_limits());
        assert_eq!(
            harness.feed(&[b'x'; 41]).answers(),
            b"ERROR LINE_TOO_LONG\n",
            "sent before the line ends"
        );
        assert!(harness.input.is_empty(), "no byte of it is kept");
    }

    #[test]
    fn an_http_request_line_ends_the_conversation() {
        let lines = [
            "GET / HTTP/1.1",
            "POST /ECHO HTTP/1.0",
            "BREW /pot HTTP/1.1",
            "GET /",
            "PRI * HTTP/2.0",
            "HTTP/1.1",
            "OPTIONS *",
            "post /x http/1.1",
        ];
        for line in lines {
            let request = format!("{line}\r\nECHO x\r\n");
            last_answers(request.as_bytes(), b"ERROR NOT_HTTP\n", CloseReason::WrongProtocol);
        }
    }

    #[test]
    fn an_http_request_line_of_any_length_is_found_with_any_limit() {
        for line_bytes_max in [1, 4, 5, 16, 40] {
            let limits = Limits { line_bytes_max, ..small_limits() };
            for start in [
                "GET /",
                "OPTIONS *",
                "PRI *",
                "POST /",
                "\u{20}POST /",
                "BREW /",
                "post /",
                "PROPFIND /",
            ] {
                let request =
                    format!("{start}{} HTTP/1.1\r\nHost: x\r\n\r\nECHO x\nQUIT\n", "a".repeat(100));
                assert_last_answers(
                    &Text::new(),
                    &limits,
                    request.as_bytes(),
                    b"ERROR NOT_HTTP\n",
                    CloseReason::WrongProtocol,
                );
                let mut harness = SessionHarness::new(&Text::new(), &limits);
                for byte in request.as_bytes() {
                    harness.feed(&[*byte]);
                    if matches!(harness.step, Step::Close(_)) {
                        break;
                    }
                }
                assert_eq!(harness.answers(), b"ERROR NOT_HTTP\n", "{line_bytes_max}: {request:?}");
            }
        }
    }

    #[test]
    fn no_line_runs_after_an_http_request_without_memory() {
        let mut harness = SessionHarness::new(&Text::new(), &small_limits());
        harness.feed(b"POST /aaaa").refuse().feed(b"aaa\nECHO x\n");
        assert_eq!(harness.answers(), b"ERROR NOT_HTTP\n");
        assert_eq!(harness.step, Step::Close(CloseReason::WrongProtocol));
    }

    #[test]
    fn an_added_command_named_like_a_method_is_not_http() {
        let get = Command::new("GET", "GET <KEY>", |call: &mut Call<'_, '_>| {
            call.output().append(b"GOT");
            Ok(Next::Continue)
        });
        let text = Text::with_commands([get]);
        let long = [b"GET ".as_slice(), &[b'x'; 60]].concat();
        let input = [b"GET a\n", long.as_slice(), b"\nGET b\n"].concat();
        assert_answers(&text, &small_limits(), &input, b"GOT\nERROR LINE_TOO_LONG\nGOT\n");
    }

    #[test]
    fn negotiation_before_an_http_request_line_does_not_hide_it() {
        for negotiation in TELNET {
            let request = [negotiation, b"POST /\nECHO x\n"].concat();
            last_answers(&request, b"ERROR NOT_HTTP\n", CloseReason::WrongProtocol);
        }
    }

    #[test]
    fn a_word_that_only_begins_with_a_method_is_unknown() {
        for line in ["OPTIONS_ x", "CONNECTED x", "GETHTTP/1.1 x", "XXXXXXXXHTTP/1.1"] {
            answers(format!("{line}\n"), "ERROR UNKNOWN_COMMAND\n");
        }
    }

    #[test]
    fn a_method_alone_is_not_an_http_request() {
        answers("GET\n", "ERROR UNKNOWN_COMMAND\n");
        answers("get lost\n", "ERROR UNKNOWN_COMMAND\n");
    }

    #[test]
    fn telnet_negotiation_before_or_in_a_command_word_is_ignored() {
        for negotiation in TELNET {
            for at in 0..=4 {
                let line = [&b"ECHO"[..at], negotiation, &b"ECHO"[at..], b" \r\xff x\n"].concat();
                answers(line, b"ECHO \r\xff x\n");
            }
            answers([negotiation, b"\n"].concat(), "");
        }
    }

    #[test]
    fn a_small_answer_is_sent_with_the_smallest_memory_limit() {
        let limits = Limits { memory_bytes_max: 0, ..Limits::default() };
        let text = "x".repeat(30_000);
        let mut harness = SessionHarness::new(&Text::default(), &limits);
        assert!(
            harness.feed(format!("echo {text}\n").as_bytes()).answers()
                == format!("ECHO {text}\n").as_bytes()
        );
    }

    #[test]
    fn half_a_line_is_not_run() {
        let mut harness = SessionHarness::new(&Text::new(), &small_limits());
        assert_eq!(
            harness.feed(b"QUIT").fall_quiet().transcript(),
            Transcript { answers: vec![], closed: None }
        );
        assert_eq!(harness.step, Step::Incomplete { missing: None });
    }

    #[test]
    fn a_line_without_memory_is_refused_and_its_rest_dropped() {
        let mut harness = SessionHarness::new(&Text::new(), &small_limits());
        assert_eq!(harness.feed(b"ECHO aaa").refuse().answers(), b"ERROR SERVER_BUSY\n");
        assert_eq!(harness.feed(b"aaaa\nECHO x\n").answers(), b"ECHO x\n");
    }

    #[test]
    fn a_refused_line_is_not_refused_again() {
        let mut harness = SessionHarness::new(&Text::new(), &small_limits());
        assert_eq!(harness.feed(&[b'x'; 41]).answers(), b"ERROR LINE_TOO_LONG\n");
        assert_eq!(harness.feed(b"\r").refuse().answers(), b"");
        assert_eq!(harness.feed(b"\nECHO x\n").answers(), b"ECHO x\n");
    }

    #[test]
    fn an_answer_without_memory_becomes_an_error_in_its_place() {
        let limits = Limits { line_bytes_max: 1 << 20, memory_bytes_max: 0, ..Limits::default() };
        let line = format!("ECHO {}\nECHO x\n", "x".repeat(1 << 17));
        let mut harness = SessionHarness::new(&Text::new(), &limits);
        assert_eq!(harness.feed(line.as_bytes()).answers(), b"ERROR SERVER_BUSY\nECHO x\n");
    }

    #[test]
    fn a_farewell_is_one_line() {
        let mut harness = SessionHarness::new(&Text::new(), &small_limits());
        for (farewell, line) in [
            (Farewell::ServerBusy, "ERROR SERVER_BUSY\n"),
            (Farewell::IdleTimeout, "ERROR IDLE_TIMEOUT\n"),
            (Farewell::MessageTimeout, "ERROR MESSAGE_TIMEOUT\n"),
            (Farewell::Shutdown, "BYE\n"),
        ] {
            assert_eq!(
                harness.append_farewell(farewell).answers(),
                line.as_bytes(),
                "{farewell:?}"
            );
        }
    }

    #[test]
    fn a_member_is_told_a_message_in_a_line_between_its_answers() {
        let mut harness = SessionHarness::new(&Text::new(), &small_limits());
        harness.feed(b"JOIN tea\nECHO ha").deliver("tea", "ann", "hi").feed(b"lf\n");
        assert_eq!(harness.answers(), b"JOINED tea\nFROM ann hi\nECHO half\n");
        harness.feed(b"leave\n").deliver("tea", "ann", "hi");
        assert_eq!(harness.answers(), b"LEFT tea\n");
    }

    #[test]
    fn a_connection_that_has_not_joined_is_told_nothing() {
        let mut harness = SessionHarness::new(&Text::new(), &small_limits());
        harness.feed(b"NICK ann\n").deliver("tea", "bob", "hi");
        assert_eq!(harness.answers(), b"NICK ann\n");
    }

    #[test]
    fn a_member_that_was_too_slow_is_told_how_many_it_has_missed() {
        let limits = Limits { room_memory_bytes_max: 1000, ..small_limits() };
        let mut harness = SessionHarness::new(&Text::new(), &limits);
        harness.feed(b"JOIN tea\n").answers();
        harness.advance(LOW_WATER_BYTES);
        (0..100).for_each(|number| harness.say_elsewhere("tea", "ann", &format!("{number}")));
        let told = String::from_utf8(harness.feed(b"").answers()).expect("ASCII");
        let (missed, told) = told.split_once('\n').expect("two lines");
        let missed: usize = missed.strip_prefix("MISSED ").expect("a gap").parse().expect("digits");
        let expected: String = (missed..100).map(|number| format!("FROM ann {number}\n")).collect();
        assert!(missed > 0 && missed < 100);
        assert_eq!(told, expected);
    }

    #[test]
    fn messages_wait_while_the_output_is_above_the_low_water_mark() {
        let mut harness = SessionHarness::new(&Text::new(), &small_limits());
        harness.feed(b"JOIN tea\n").answers();
        harness.say_elsewhere("tea", "ann", "hi");
        harness.input.extend_from_slice(b"ECHO x\n");
        harness.advance(LOW_WATER_BYTES - 1);
        assert_eq!(harness.answers(), b"ECHO x\n", "its own requests go first");
        assert!(harness.has_news);
        harness.advance(0);
        assert_eq!(harness.answers(), b"FROM ann hi\n");
        assert!(!harness.has_news);
    }

    #[test]
    fn a_join_that_changes_nothing_forgets_no_waiting_messages() {
        for join in ["JOIN two words\n", "JOIN tea\n", "JOIN\n"] {
            let mut harness = SessionHarness::new(&Text::new(), &small_limits());
            harness.feed(b"JOIN tea\n").answers();
            harness.say_elsewhere("tea", "ann", "hi");
            harness.input.extend_from_slice(join.as_bytes());
            harness.advance(LOW_WATER_BYTES - 1);
            assert!(harness.has_news, "{join}");
        }
    }

    #[test]
    fn an_added_command_is_run_and_listed() {
        let text = Text::with_commands([
            Command::new("ADD", "ADD <A> <B>", |call: &mut Call<'_, '_>| {
                call.output().append(b"ADD half an answer");
                let _ = std::str::from_utf8(call.argument()).map_err(|_| errors::BAD_ARGUMENTS)?;
                Ok(Next::Continue)
            }),
            Command::new("TIME", "TIME", |_: &mut Call<'_, '_>| Err("NEVER_CALLED")),
        ]);
        assert_answers(&text, &small_limits(), b"add 1\n", b"ADD half an answer\n");
        assert_answers(&text, &small_limits(), b"ADD \xc3\x28\n", b"ERROR BAD_ARGUMENTS\n");
        assert_answers(&text, &small_limits(), b"TIME\n", time_line().as_bytes());
        let help = HELP_LINE.replace("WHO\n", "WHO | ADD <A> <B> | TIME\n");
        assert_answers(&text, &small_limits(), b"HELP\n", help.as_bytes());
    }

    #[test]
    fn a_banner_can_be_replaced_by_another_line() {
        let text = Text::new().with_banner("HI");
        assert_eq!(SessionHarness::new(&text, &small_limits()).greet().answers(), b"HI\n");
    }

    #[test]
    #[should_panic(expected = "a banner is one line")]
    fn a_banner_of_two_lines_panics() {
        let _ = Text::new().with_banner("HI\nTHERE");
    }

    #[test]
    fn a_removed_command_is_unknown_and_no_longer_listed() {
        let text = Text::new().without_command("echo").without_command("NEVER_THERE");
        assert_answers(&text, &small_limits(), b"ECHO x\n", b"ERROR UNKNOWN_COMMAND\n");
        let help = HELP_LINE.replace(" | ECHO <TEXT>", "");
        assert_answers(&text, &small_limits(), b"HELP\n", help.as_bytes());
    }

    #[test]
    fn a_later_command_takes_the_place_of_a_removed_one() {
        let time = Command::new("TIME", "TIME", |call: &mut Call<'_, '_>| {
            call.output().append(b"LATE");
            Ok(Next::Continue)
        });
        let text = Text::with_commands([time]).without_command("TIME");
        assert_answers(&text, &small_limits(), b"TIME\n", b"LATE\n");
    }

    #[test]
    #[should_panic(expected = "the word of a command is too long")]
    fn an_added_command_with_too_long_a_word_panics() {
        let _ = Text::with_commands([Command::new(
            "A_WORD_OF_MORE_THAN_THIRTY_TWO_BYTES",
            "",
            |_: &mut Call<'_, '_>| Ok(Next::Continue),
        )]);
    }

    const TELNET: [&[u8]; 6] = [
        b"\xff\xfb\x20",
        b"\xff\xfd\x06",
        b"\xff\xf4",
        b"\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0",
        b"\xff\xff",
        b"\xff",
    ];
}
