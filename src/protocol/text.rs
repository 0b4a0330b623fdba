//! `text`: commands and answers of one line each.

use std::sync::Arc;

use super::command::{Call, Command, Outcome};
use super::{
    ANSWER_OVERHEAD_BYTES, Context, LINE_TOO_LONG, Next, Notice, Output, Protocol, SERVER_BUSY, Session, Step,
    UNKNOWN_COMMAND,
};
use crate::base::close_reason::CloseReason;
use crate::base::limits::Limits;
use crate::wire::line::{Item, Lines};
use crate::wire::telnet;

/// What the server says on accept.
pub const BANNER: &str = "WELCOME, I'm TinyServer not pressure";
/// The answer to a command that misses its argument.
pub const BAD_ARGUMENTS: &str = "BAD_ARGUMENTS";
/// The answer to an HTTP request line.
pub const NOT_HTTP: &str = "NOT_HTTP";

/// The longest word that can be a command, in bytes.
pub const WORD_BYTES_MAX: usize = 32;

/// The protocol, with its table of commands.
#[derive(Debug)]
pub struct Text {
    commands: Arc<Commands>,
}

#[derive(Debug)]
struct Commands {
    entries: Vec<Command<&'static str>>,
    usages: String,
}

impl Text {
    /// The protocol with its four commands.
    #[must_use]
    pub fn new() -> Self {
        Self::with_commands([])
    }

    /// The protocol with more commands behind its own; the first entry of a name counts. A key is a word in upper case,
    /// which is compared in any case; an answer is one line, and the line's end is added to it.
    ///
    /// # Panics
    /// If a key is longer than [`WORD_BYTES_MAX`].
    #[must_use]
    pub fn with_commands(more: impl IntoIterator<Item = Command<&'static str>>) -> Self {
        let mut entries = vec![
            Command::new("TIME", "TIME", time),
            Command::new("ECHO", "ECHO <TEXT>", echo),
            Command::new("HELP", "HELP", help),
            Command::new("QUIT", "QUIT", quit),
        ];
        entries.extend(more);
        assert!(entries.iter().all(|entry| entry.key.len() <= WORD_BYTES_MAX), "a command's name is too long");
        let usages: Vec<_> = entries.iter().map(|entry| entry.usage).collect();
        let usages = usages.join(" | ");
        Self { commands: Arc::new(Commands { entries, usages }) }
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

    fn session(&self, limits: &Limits) -> Box<dyn Session> {
        Box::new(TextSession { commands: Arc::clone(&self.commands), lines: Lines::new(limits.line_bytes_max) })
    }
}

fn time(call: &mut Call<'_, '_>) -> Outcome {
    call.output.append(b"TIME ");
    call.output.append(call.clock.date_and_time().as_bytes());
    Ok(Next::Continue)
}

fn echo(call: &mut Call<'_, '_>) -> Outcome {
    if call.argument.is_empty() {
        return Err(BAD_ARGUMENTS);
    }
    call.output.append(b"ECHO ");
    call.output.append(call.argument);
    Ok(Next::Continue)
}

fn help(call: &mut Call<'_, '_>) -> Outcome {
    call.output.append(b"HELP COMMANDS: ");
    call.output.append(call.usages.as_bytes());
    Ok(Next::Continue)
}

fn quit(call: &mut Call<'_, '_>) -> Outcome {
    call.output.append(b"BYE");
    Ok(Next::Close)
}

struct TextSession {
    commands: Arc<Commands>,
    lines: Lines,
}

impl Session for TextSession {
    fn greet(&mut self, output: &mut Output<'_>) {
        append_line(output, BANNER);
    }

    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        let mut rest = input;
        while !context.output.is_full() {
            let (consumed, item) = self.lines.next(rest);
            rest = rest.get(consumed..).unwrap_or_default();
            let reason = match item {
                None => return (input.len() - rest.len(), self.step(rest)),
                Some(Item::Line(line, _)) => self.run(line, context),
                Some(Item::TooLong) => {
                    context.refused(LINE_TOO_LONG);
                    append_error(&mut context.output, LINE_TOO_LONG);
                    None
                }
                Some(Item::Dropped(_)) => {
                    context.message_ended();
                    None
                }
            };
            if let Some(reason) = reason {
                return (input.len() - rest.len(), Step::Close(reason));
            }
        }
        (input.len() - rest.len(), Step::Paused)
    }

    fn refuse(&mut self, input: &[u8], context: &mut Context<'_>) -> usize {
        self.lines.drop_line();
        context.refused(SERVER_BUSY);
        append_error(&mut context.output, SERVER_BUSY);
        input.len()
    }

    fn say(&mut self, notice: Notice, output: &mut Output<'_>) {
        match notice.token() {
            Some(token) => append_error(output, token),
            None => append_line(output, "BYE"),
        }
    }
}

impl TextSession {
    /// What the session waits for when `rest` holds no whole line.
    fn step(&self, rest: &[u8]) -> Step {
        if rest.is_empty() && !self.lines.is_dropping() { Step::Done } else { Step::Incomplete { missing: None } }
    }

    /// Runs one line; gives the reason if it is the last one.
    #[inline]
    fn run(&self, line: &[u8], context: &mut Context<'_>) -> Option<CloseReason> {
        let line = trim_blanks(line);
        if line.is_empty() {
            context.message_ended();
            return None;
        }
        context.received("", line);
        let (word, argument) = split_word(line);
        match self.find(word) {
            Some(command) => self.call(command, argument, context),
            None => self.run_unknown(line, word, argument, context),
        }
    }

    #[inline]
    fn find(&self, word: &[u8]) -> Option<&Command<&'static str>> {
        self.commands.entries.iter().find(|command| command.key.as_bytes().eq_ignore_ascii_case(word))
    }

    #[inline]
    fn call(&self, command: &Command<&'static str>, argument: &[u8], context: &mut Context<'_>) -> Option<CloseReason> {
        let output = &mut context.output;
        if !output.has_room_for(argument.len() + ANSWER_OVERHEAD_BYTES) {
            append_error(output, SERVER_BUSY);
            return None;
        }
        let mark = output.len();
        let mut call = Call { argument, output, clock: context.clock, usages: &self.commands.usages };
        match (command.run)(&mut call) {
            Ok(next) => {
                context.output.append(b"\n");
                (next == Next::Close).then_some(CloseReason::Quit)
            }
            Err(token) => {
                context.output.truncate(mark);
                append_error(&mut context.output, token);
                None
            }
        }
    }

    /// Runs a line whose first word is no command as it stands.
    #[cold]
    fn run_unknown(&self, line: &[u8], word: &[u8], argument: &[u8], context: &mut Context<'_>) -> Option<CloseReason> {
        if line.contains(&0xFF) {
            let mut place = [0; WORD_BYTES_MAX + 1];
            let (word, argument) = telnet::split_word(line, &mut place);
            match self.find(word) {
                Some(command) => return self.call(command, argument, context),
                None if word.is_empty() => return None,
                None => {}
            }
        }
        if is_http(word, argument) {
            // A page in a browser can send lines of its choice in the body that follows: nothing of it is run.
            append_error(&mut context.output, NOT_HTTP);
            return Some(CloseReason::WrongProtocol);
        }
        append_error(&mut context.output, UNKNOWN_COMMAND);
        None
    }
}

fn append_line(output: &mut Output<'_>, line: &str) {
    output.append(line.as_bytes());
    output.append(b"\n");
}

fn append_error(output: &mut Output<'_>, token: &str) {
    output.append(b"ERROR ");
    append_line(output, token);
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[inline]
fn trim_blanks(mut line: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = line
        && is_blank(*first)
    {
        line = rest;
    }
    while let [rest @ .., last] = line
        && is_blank(*last)
    {
        line = rest;
    }
    line
}

/// The first word of a trimmed line, and what follows the blanks behind it.
#[inline]
fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|byte| is_blank(*byte)).unwrap_or(line.len());
    let (word, argument) = line.split_at_checked(end).unwrap_or((line, &[]));
    (word, trim_blanks(argument))
}

/// True exactly when these are the words of an HTTP request line: the last one names the version, or the first one is a
/// method with something behind it.
fn is_http(word: &[u8], argument: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] =
        [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"];
    let last = argument.rsplit(|byte| is_blank(*byte)).next().unwrap_or_default();
    last.starts_with(b"HTTP/") || (!argument.is_empty() && METHODS.contains(&word))
}
