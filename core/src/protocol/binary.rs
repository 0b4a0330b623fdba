//! The protocol `binary`: commands and answers in frames.

use std::io::Write;
use std::sync::Arc;

use super::command::{Call, Command, Outcome, status, whoami};
use super::room_commands;
use super::room_context::News;
use super::{Accepted, Context, Farewell, Next, Output, Protocol, Session, Step, errors};
use crate::close_reason::CloseReason;
use crate::rooms::Seat;
use crate::wire::frame::{self, HEADER_LEN, Header};
use crate::wire::tls;

/// The code of `ECHO`, and of the answers to all commands of the original server.
pub const ECHO: u8 = 1;
/// The code of `REVERSE`.
pub const REVERSE: u8 = 2;
/// The code of `QUIT`.
pub const QUIT: u8 = 3;
/// The code of `STATUS`, and of its answer.
pub const STATUS: u8 = 4;
/// The code of `WHOAMI`, and of its answer: the subject of the client's certificate.
pub const WHOAMI: u8 = 5;
/// The code of `JOIN`, and of its answer: the name of the room.
pub const JOIN: u8 = 16;
/// The code of `LEAVE`, and of its answer: the name of the room.
pub const LEAVE: u8 = 17;
/// The code of `SAY`, and of its answer: the number of other members on this server, as text.
pub const SAY: u8 = 18;
/// The code of a message of another member: its name, a blank, and the text. Only a server sends
/// it.
pub const MESSAGE: u8 = 19;
/// The code of `NICK`, and of its answer: the name of the member.
pub const NICK: u8 = 20;
/// The code of `WHO`, and of its answer: the number of members and their names, with blanks.
pub const WHO: u8 = 21;
/// The code of a number of missed messages, as text. Only a server sends it. Code 22 is not used,
/// because a TLS handshake begins with it.
pub const MISSED: u8 = 23;
/// The code of an error; its payload is an upper-case token.
pub const ERROR: u8 = 255;

/// The error for a payload over the limit.
pub const FRAME_TOO_LARGE: &str = "FRAME_TOO_LARGE";
/// The error for a `REVERSE` of bytes that are not UTF-8.
pub const INVALID_UTF8: &str = "INVALID_UTF8";

/// The protocol, with its table of commands.
#[derive(Debug)]
pub struct Binary {
    commands: Arc<Vec<Command<u8>>>,
}

impl Binary {
    /// Creates the protocol with its commands: `ECHO`, `REVERSE`, `QUIT`, `STATUS`, those about
    /// rooms, and `WHOAMI` for clients with a certificate.
    #[must_use]
    pub fn new() -> Self {
        Self::with_commands([])
    }

    /// Creates the protocol with more commands after its own. If a code occurs twice, the first
    /// entry counts. The answer of a command becomes the payload of a frame with code 1. Only the
    /// answers to `STATUS`, `WHOAMI` and the commands about rooms have the code of their command.
    ///
    /// # Panics
    /// If the code of a command is [`QUIT`] or [`ERROR`], which are reserved.
    #[must_use]
    pub fn with_commands(more: impl IntoIterator<Item = Command<u8>>) -> Self {
        let mut commands = vec![
            Command::new(ECHO, "ECHO", echo),
            Command::new(REVERSE, "REVERSE", reverse),
            Command::new(STATUS, "STATUS", status),
            Command::new(SAY, "SAY", room_commands::say),
            Command::new(JOIN, "JOIN", room_commands::join),
            Command::new(LEAVE, "LEAVE", room_commands::leave),
            Command::new(NICK, "NICK", room_commands::nick),
            Command::new(WHO, "WHO", room_commands::who),
        ];
        commands.extend(more);
        commands.push(Command::new(WHOAMI, "WHOAMI", whoami).for_named_clients());
        assert!(
            commands.iter().all(|command| ![QUIT, ERROR].contains(&command.key)),
            "the code of a command is reserved"
        );
        Self { commands: Arc::new(commands) }
    }

    /// Removes the first command of that code. A later command of the same code takes its place.
    ///
    /// # Panics
    /// If a session of the protocol exists.
    #[must_use]
    pub fn without_command(mut self, code: u8) -> Self {
        let commands = Arc::get_mut(&mut self.commands);
        assert!(commands.is_some(), "a protocol is set up before its first session");
        let _removed = commands.and_then(|commands| {
            let found = commands.iter().position(|command| command.key == code)?;
            Some(commands.remove(found))
        });
        self
    }
}

impl Default for Binary {
    fn default() -> Self {
        Self::new()
    }
}

impl Protocol for Binary {
    fn name(&self) -> &'static str {
        "binary"
    }

    fn session(&self, _accepted: &Accepted) -> Box<dyn Session> {
        let commands = Arc::clone(&self.commands);
        Box::new(BinarySession { commands, dropping: 0, seat: Seat::nowhere() })
    }
}

fn echo(call: &mut Call<'_, '_>) -> Outcome {
    let payload = call.argument();
    call.output().append(payload);
    Ok(Next::Continue)
}

fn reverse(call: &mut Call<'_, '_>) -> Outcome {
    let text = std::str::from_utf8(call.argument()).map_err(|_| INVALID_UTF8)?;
    // Characters are collected in a small block: one append per character would cost more than the
    // reversal.
    let mut block = [0; 1024];
    if text.is_ascii() {
        // Here each byte is a character: 609 instructions instead of 972 for 18 characters (`cargo
        // bench --bench instructions`).
        for piece in call.argument().rchunks(block.len()) {
            block.iter_mut().zip(piece.iter().rev()).for_each(|(place, byte)| *place = *byte);
            call.output().append(block.get(..piece.len()).unwrap_or_default());
        }
        return Ok(Next::Continue);
    }
    let mut len = 0;
    for scalar in text.chars().rev() {
        if block.len() - len < scalar.len_utf8() {
            call.output().append(block.get(..len).unwrap_or_default());
            len = 0;
        }
        len += scalar.encode_utf8(block.get_mut(len..).unwrap_or_default()).len();
    }
    call.output().append(block.get(..len).unwrap_or_default());
    Ok(Next::Continue)
}

struct BinarySession {
    commands: Arc<Vec<Command<u8>>>,
    /// How many more bytes of a refused payload must be dropped.
    dropping: u32,
    seat: Seat,
}

// The allocator rounds up to 24 bytes: a million idle connections may have such a session.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<BinarySession>() <= 24);

/// The treatment of a frame, which follows from its header.
enum Action<'a> {
    Run(&'a Command<u8>),
    Refuse(&'static str),
    Quit,
}

impl Session for BinarySession {
    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        context.sit(self.seat, append_news);
        let result = self.run_frames(input, context);
        self.seat = context.seat;
        result
    }

    fn take_seat(&mut self) -> Seat {
        std::mem::take(&mut self.seat)
    }

    fn refuse(&mut self, input: &[u8], context: &mut Context<'_>) -> usize {
        let Some(header) = Header::decode(input) else {
            return 0;
        };
        input.len() - self.refuse_frame(errors::SERVER_BUSY, header, input, context).len()
    }

    fn may_begin_as_tls(&self) -> bool {
        // As a header, a TLS handshake is a frame of at least 48 MiB with a code that is not built
        // in.
        self.commands.iter().any(|command| command.key == tls::HANDSHAKE)
    }

    fn append_farewell(&mut self, farewell: Farewell, output: &mut Output<'_>) {
        if let Some(token) = farewell.token() {
            append_error(output, token);
        }
    }
}

impl BinarySession {
    /// Runs the complete frames of `input`: see [`Session::advance`].
    fn run_frames(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        let mut rest = self.drop_refused(input, context);
        let step = loop {
            if self.dropping > 0 {
                break Step::Incomplete { missing: None };
            }
            let Some(header) = Header::decode(rest) else {
                let missing = HEADER_LEN.saturating_sub(rest.len());
                break if rest.is_empty() {
                    Step::Done
                } else {
                    Step::Incomplete { missing: Some(missing) }
                };
            };
            // An incomplete frame is reported even if the output is full, so that the rest of it is
            // read: a client may send a whole frame before it reads any answer.
            match (self.judge(header, context), frame::payload(rest, header)) {
                (Action::Quit, _) => {
                    context.received("QUIT", b"");
                    break Step::Close(CloseReason::Quit);
                }
                (Action::Run(_), Err(missing)) => {
                    break Step::Incomplete { missing: Some(missing) };
                }
                _ if context.output.is_full() => break Step::Paused,
                (Action::Run(command), Ok(payload)) => {
                    rest = rest.get(HEADER_LEN + payload.len()..).unwrap_or_default();
                    if let Some(reason) = run(command, payload, context).close_reason() {
                        break Step::Close(reason);
                    }
                }
                (Action::Refuse(token), _) => {
                    rest = self.refuse_frame(token, header, rest, context)
                }
            }
        };
        (input.len() - rest.len(), step)
    }

    #[inline]
    fn judge(&self, header: Header, context: &Context<'_>) -> Action<'_> {
        if header.code == QUIT {
            return Action::Quit;
        }
        if header.payload_len > context.limits().frame_bytes_max {
            return Action::Refuse(FRAME_TOO_LARGE);
        }
        match self.commands.iter().find(|command| command.key == header.code) {
            Some(command) if command.is_for(context) => Action::Run(command),
            _ => Action::Refuse(errors::UNKNOWN_COMMAND),
        }
    }

    /// Refuses the frame at the front of `rest`. Returns the bytes after the frame.
    #[cold]
    fn refuse_frame<'a>(
        &mut self,
        token: &'static str,
        header: Header,
        rest: &'a [u8],
        context: &mut Context<'_>,
    ) -> &'a [u8] {
        context.refused(token);
        append_error(&mut context.output, token);
        self.dropping = header.payload_len;
        if header.payload_len == 0 {
            context.message_ended();
        }
        self.drop_refused(rest.get(HEADER_LEN..).unwrap_or_default(), context)
    }

    /// Drops the bytes of `rest` that belong to a refused payload. Returns the bytes after it.
    fn drop_refused<'a>(&mut self, rest: &'a [u8], context: &mut Context<'_>) -> &'a [u8] {
        if self.dropping == 0 {
            return rest;
        }
        let dropped = u32::try_from(rest.len()).unwrap_or(u32::MAX).min(self.dropping);
        self.dropping -= dropped;
        if self.dropping == 0 {
            context.message_ended();
        }
        rest.get(dropped as usize..).unwrap_or_default()
    }
}

/// Runs one frame and counts it. Returns whether the conversation goes on.
fn run(command: &Command<u8>, payload: &[u8], context: &mut Context<'_>) -> Next {
    let outcome = answer(command, payload, context);
    context.received(outcome.err().unwrap_or(command.usage), payload);
    outcome.unwrap_or_else(|token| {
        append_error(&mut context.output, token);
        Next::Continue
    })
}

/// Runs a command and appends its answer; if it fails, nothing is appended.
fn answer(command: &Command<u8>, payload: &[u8], context: &mut Context<'_>) -> Outcome {
    if !context.output.reserve(payload.len() + Output::OVERHEAD_BYTES) {
        return Err(errors::SERVER_BUSY);
    }
    let mark = context.output.len();
    let code = match command.key {
        STATUS | WHOAMI | JOIN | LEAVE | SAY | NICK | WHO => command.key,
        _ => ECHO,
    };
    context.output.append(&Header { code, payload_len: 0 }.encode());
    let outcome = (command.run)(&mut Call::new(payload, context, ""));
    let answer_len = u32::try_from(context.output.len() - mark - HEADER_LEN);
    let outcome =
        outcome.and_then(|next| answer_len.map(|len| (next, len)).map_err(|_| FRAME_TOO_LARGE));
    match outcome {
        Ok((_, payload_len)) => {
            context.output.overwrite(mark, &Header { code, payload_len }.encode())
        }
        Err(_) => context.output.truncate(mark),
    }
    outcome.map(|(next, _)| next)
}

/// Appends news for a member of a room.
fn append_news(output: &mut Output<'_>, news: News<'_>) {
    let mark = output.len();
    let code = if matches!(news, News::Missed(_)) { MISSED } else { MESSAGE };
    output.append(&Header { code, payload_len: 0 }.encode());
    match news {
        News::Message { name, text } => output.append_all([name, b" ", text]),
        // Writing to an output never fails.
        News::Missed(count) => drop(write!(output, "{count}")),
    }
    let payload_len = u32::try_from(output.len() - mark - HEADER_LEN).unwrap_or(u32::MAX);
    output.overwrite(mark, &Header { code, payload_len }.encode());
}

fn append_error(output: &mut Output<'_>, token: &'static str) {
    let payload_len = u32::try_from(token.len()).unwrap_or(u32::MAX);
    output.append(&Header { code: ERROR, payload_len }.encode());
    output.append(token.as_bytes());
}

#[cfg(test)]
mod tests;
