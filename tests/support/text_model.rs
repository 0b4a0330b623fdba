//! The contract of `text`, derived from `protocol.md` in a simple and slow way.
//!
//! The tests with sockets, those of a session, the simulation and the fuzzer all compare the server
//! with this one model. It has every line in memory at once, and of the server's code it uses only
//! the table of HTTP methods.

// Each test program with this module uses only its part.
#![allow(dead_code)]

use tinytcp_core::limits::Limits;
use tinytcp_core::testing::{LoneMember, Request};
use tinytcp_core::wire::http;

/// The greeting of the server.
pub const BANNER: &[u8] = b"WELCOME, I'm TinyServer not pressure\n";

/// The answer to `HELP`, without its newline.
pub const HELP: &[u8] = b"HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT | \
    JOIN <ROOM> | LEAVE | SAY <TEXT> | NICK <NAME> | WHO";

const COMMANDS: [&[u8]; 10] =
    [b"TIME", b"ECHO", b"HELP", b"QUIT", b"STATUS", b"JOIN", b"LEAVE", b"SAY", b"NICK", b"WHO"];

/// The number of bytes of a line that decide whether it is a request of HTTP.
const DECIDING_LEN: usize = 32;

/// The parts of answers that the model cannot compute.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The local time in every answer.
    pub time: &'a str,
    /// The answer to `STATUS`, without its newline.
    pub status: &'a [u8],
}

/// The answer to one line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The line that is sent, without its newline; empty if none is.
    pub line: Vec<u8>,
    /// True exactly when a command answers. Such an answer fails if there is no memory for it.
    pub is_of_command: bool,
    /// The reason why the session ends with this answer; `None` if it continues.
    pub end: Option<End>,
}

/// The reason why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Quit,
    NotHttp,
}

impl Answer {
    fn of_command(line: impl Into<Vec<u8>>) -> Self {
        Self { line: line.into(), is_of_command: true, end: None }
    }

    fn error(token: &str) -> Self {
        Self { line: format!("ERROR {token}").into(), ..Self::default() }
    }

    fn not_http() -> Self {
        Self { end: Some(End::NotHttp), ..Self::error("NOT_HTTP") }
    }

    /// Returns the bytes that are sent: the line and its newline, or nothing.
    pub fn bytes(&self) -> Vec<u8> {
        let newline: &[u8] = if self.line.is_empty() { b"" } else { b"\n" };
        [&self.line, newline].concat()
    }
}

/// Returns all that is sent after the banner for `input` and the end of input, and the reason if
/// the session ends before that end.
pub fn conversation(input: &[u8], line_max: usize, given: Given<'_>) -> (Vec<u8>, Option<End>) {
    let mut answers = Vec::new();
    // The connection is the first one of the server.
    let mut member = LoneMember::new(1, &Limits::default());
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        let is_whole = line.ends_with(b"\n");
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !is_whole && (line.len() <= line_max || may_become_http(line)) {
            break;
        }
        let answer = answer(line, line_max, given, &mut member);
        answers.extend(answer.bytes());
        if answer.end.is_some() {
            return (answers, answer.end);
        }
    }
    (answers, None)
}

/// Returns the answer to a whole line, without its newline and the carriage return before it.
pub fn answer(line: &[u8], line_max: usize, given: Given<'_>, member: &mut LoneMember) -> Answer {
    match room_command(line, line_max) {
        Some((request, argument)) => Answer::of_command(member.answer_line(request, argument)),
        None => answer_without_rooms(line, line_max, given),
    }
}

/// Returns the room command of a whole line and its argument; `None` for another line.
pub fn room_command(line: &[u8], line_max: usize) -> Option<(Request, &[u8])> {
    let (word, argument) = words(line);
    let request = Request::of_word(&word)?;
    (line.len() <= line_max).then_some((request, argument))
}

/// Returns the answer to a whole line that is not a room command.
pub fn answer_without_rooms(line: &[u8], line_max: usize, given: Given<'_>) -> Answer {
    if line.len() > line_max {
        return answer_to_too_long(line);
    }
    let line = trim(line);
    let (word, argument) = words(line);
    match word.to_ascii_uppercase().as_slice() {
        b"" => Answer::default(),
        b"TIME" => Answer::of_command(format!("TIME {}", given.time)),
        b"ECHO" if argument.is_empty() => Answer::of_command("ERROR BAD_ARGUMENTS"),
        b"ECHO" => Answer::of_command([b"ECHO ", argument].concat()),
        b"HELP" => Answer::of_command(HELP),
        b"STATUS" => Answer::of_command(given.status),
        b"QUIT" => Answer { end: Some(End::Quit), ..Answer::of_command("BYE") },
        _ if ends_with_version(line) || is_method(&word, argument) => Answer::not_http(),
        _ => Answer::error("UNKNOWN_COMMAND"),
    }
}

/// Returns the answer to a line over the limit whose first bytes are `front`.
pub fn answer_to_too_long(front: &[u8]) -> Answer {
    let (word, argument) = words(&front[..front.len().min(DECIDING_LEN)]);
    let is_command = COMMANDS.iter().any(|command| word.eq_ignore_ascii_case(command));
    let has_path = argument.starts_with(b"/") && word.iter().all(u8::is_ascii_alphabetic);
    match is_method(&word, argument) || has_path && !is_command {
        true => Answer::not_http(),
        false => Answer::error("LINE_TOO_LONG"),
    }
}

/// True exactly when a line over the limit that begins with `front` has no answer yet: it is one
/// word so far, which may become a method.
pub fn may_become_http(front: &[u8]) -> bool {
    let (word, argument) = words(front);
    front.len() < DECIDING_LEN && argument.is_empty() && word.iter().all(u8::is_ascii_alphabetic)
}

fn ends_with_version(line: &[u8]) -> bool {
    let last = line.rsplit(|byte| is_blank(*byte)).next().unwrap_or_default();
    last.to_ascii_uppercase().starts_with(b"HTTP/")
}

fn is_method(word: &[u8], argument: &[u8]) -> bool {
    http::METHODS.contains(&word) && !argument.is_empty()
}

/// Returns the first word without the telnet negotiation before it and in it, and the rest of the
/// line without the blanks at both ends.
fn words(line: &[u8]) -> (Vec<u8>, &[u8]) {
    let (mut word, mut rest) = (Vec::new(), trim(line));
    loop {
        rest = match rest {
            // RFC 854: IAC SB ... IAC SE; IAC WILL, WONT, DO or DONT and an option; IAC command.
            [0xff, 0xfa, parameters @ ..] => {
                let end = parameters.windows(2).position(|pair| pair == [0xff, 0xf0]);
                end.map_or(&[][..], |end| &parameters[end + 2..])
            }
            [0xff, 0xfb..=0xfe, _option, rest @ ..] => rest,
            [0xff, 0xfb..=0xfe] => &[],
            [0xff, 0xf0..=0xf9 | 0xff, rest @ ..] | [0xff, rest @ ..] => rest,
            [byte, rest @ ..] if is_blank(*byte) && word.is_empty() => rest,
            [byte, ..] if is_blank(*byte) => return (word, trim(rest)),
            [] => return (word, rest),
            [byte, rest @ ..] => {
                word.push(*byte);
                rest
            }
        };
    }
}

fn trim(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
