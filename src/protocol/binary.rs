//! `binary`: commands and answers in frames.

use std::sync::Arc;

use super::command::{Call, Command, Outcome};
use super::{
    ANSWER_OVERHEAD_BYTES, Context, Next, Notice, Output, Protocol, SERVER_BUSY, Session, Step, UNKNOWN_COMMAND,
};
use crate::base::close_reason::CloseReason;
use crate::base::limits::Limits;
use crate::wire::frame::{self, HEADER_LEN, Header};

/// The code of `ECHO`, and of the answer to every command: clients of the first server expect that.
pub const ECHO: u8 = 1;
/// The code of `REVERSE`.
pub const REVERSE: u8 = 2;
/// The code of `QUIT`.
pub const QUIT: u8 = 3;
/// The code of an answer that is an error; its payload is an upper-case token.
pub const ERROR: u8 = 255;

/// The answer to a payload over the limit.
pub const FRAME_TOO_LARGE: &str = "FRAME_TOO_LARGE";
/// The answer to a `REVERSE` of bytes that are not UTF-8.
pub const INVALID_UTF8: &str = "INVALID_UTF8";

/// The protocol, with its table of commands.
#[derive(Debug)]
pub struct Binary {
    commands: Arc<[Command<u8>]>,
}

impl Binary {
    /// The protocol with its three commands.
    #[must_use]
    pub fn new() -> Self {
        Self::with_commands([])
    }

    /// The protocol with more commands behind its own; the first entry of a code counts. The answer is the payload of a
    /// frame with code 1.
    ///
    /// # Panics
    /// If a command's code is [`QUIT`] or [`ERROR`], which are not in the table.
    #[must_use]
    pub fn with_commands(more: impl IntoIterator<Item = Command<u8>>) -> Self {
        let mut commands = vec![Command::new(ECHO, "ECHO", echo), Command::new(REVERSE, "REVERSE", reverse)];
        commands.extend(more);
        assert!(commands.iter().all(|command| ![QUIT, ERROR].contains(&command.key)), "a command's code is taken");
        Self { commands: commands.into() }
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

    fn session(&self, limits: &Limits) -> Box<dyn Session> {
        let payload_max = u32::try_from(limits.frame_bytes_max).unwrap_or(u32::MAX);
        Box::new(BinarySession { commands: Arc::clone(&self.commands), payload_max, dropping: 0 })
    }
}

fn echo(call: &mut Call<'_, '_>) -> Outcome {
    call.output.append(call.argument);
    Ok(Next::Continue)
}

fn reverse(call: &mut Call<'_, '_>) -> Outcome {
    let text = std::str::from_utf8(call.argument).map_err(|_| INVALID_UTF8)?;
    // Gathered in a small block, because an append for each scalar value would cost more than turning it around.
    let mut block = [0; 1024];
    let mut len = 0;
    for scalar in text.chars().rev() {
        if block.len() - len < scalar.len_utf8() {
            call.output.append(block.get(..len).unwrap_or_default());
            len = 0;
        }
        len += scalar.encode_utf8(block.get_mut(len..).unwrap_or_default()).len();
    }
    call.output.append(block.get(..len).unwrap_or_default());
    Ok(Next::Continue)
}

struct BinarySession {
    commands: Arc<[Command<u8>]>,
    /// The longest payload that is taken.
    payload_max: u32,
    /// How many bytes of a refused payload are still to be dropped.
    dropping: u32,
}

/// What becomes of a frame, as its header alone decides.
enum Verdict<'a> {
    Run(&'a Command<u8>),
    Refuse(&'static str),
    Quit,
}

impl Session for BinarySession {
    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        let mut rest = input;
        while !context.output.is_full() {
            rest = self.drop_refused(rest, context);
            let consumed = input.len() - rest.len();
            if self.dropping > 0 {
                return (consumed, Step::Incomplete { missing: None });
            }
            let Some(header) = Header::decode(rest) else {
                let missing = HEADER_LEN.saturating_sub(rest.len());
                let step = if rest.is_empty() { Step::Done } else { Step::Incomplete { missing: Some(missing) } };
                return (consumed, step);
            };
            match self.judge(header) {
                Verdict::Run(command) => match frame::payload(rest, header) {
                    Ok(payload) => {
                        run(command, payload, context);
                        rest = rest.get(HEADER_LEN + payload.len()..).unwrap_or_default();
                    }
                    Err(missing) => return (consumed, Step::Incomplete { missing: Some(missing) }),
                },
                Verdict::Refuse(token) => {
                    context.received(token, b"");
                    append_error(&mut context.output, token);
                    self.dropping = header.payload_len;
                    rest = rest.get(HEADER_LEN..).unwrap_or_default();
                }
                Verdict::Quit => {
                    context.received("QUIT", b"");
                    return (consumed, Step::Close(CloseReason::Quit));
                }
            }
        }
        (input.len() - rest.len(), Step::Paused)
    }

    fn refuse(&mut self, input: &[u8], context: &mut Context<'_>) -> usize {
        let Some(header) = Header::decode(input) else {
            return 0;
        };
        let missing = frame::payload(input, header).err().unwrap_or(0);
        self.dropping = u32::try_from(missing).unwrap_or(u32::MAX);
        context.received(SERVER_BUSY, b"");
        append_error(&mut context.output, SERVER_BUSY);
        input.len()
    }

    fn say(&mut self, notice: Notice, output: &mut Output<'_>) {
        if let Some(token) = notice.token() {
            append_error(output, token);
        }
    }
}

impl BinarySession {
    #[inline]
    fn judge(&self, header: Header) -> Verdict<'_> {
        if header.code == QUIT {
            return Verdict::Quit;
        }
        if header.payload_len > self.payload_max {
            return Verdict::Refuse(FRAME_TOO_LARGE);
        }
        match self.commands.iter().find(|command| command.key == header.code) {
            Some(command) => Verdict::Run(command),
            None => Verdict::Refuse(UNKNOWN_COMMAND),
        }
    }

    /// What of `rest` does not belong to a refused payload.
    fn drop_refused<'a>(&mut self, rest: &'a [u8], context: &mut Context<'_>) -> &'a [u8] {
        if self.dropping == 0 {
            return rest;
        }
        let dropped = rest.len().min(self.dropping as usize);
        self.dropping -= dropped as u32;
        if self.dropping == 0 {
            context.message_ended();
        }
        rest.get(dropped..).unwrap_or_default()
    }
}

fn run(command: &Command<u8>, payload: &[u8], context: &mut Context<'_>) {
    context.received(command.usage, payload);
    if !context.output.has_room_for(payload.len() + ANSWER_OVERHEAD_BYTES) {
        return append_error(&mut context.output, SERVER_BUSY);
    }
    let mark = context.output.len();
    context.output.append(&Header { code: ECHO, payload_len: 0 }.encode());
    let mut call = Call { argument: payload, output: &mut context.output, clock: context.clock, usages: "" };
    let outcome = (command.run)(&mut call);
    let answer_len = context.output.len() - mark - HEADER_LEN;
    match (outcome, u32::try_from(answer_len)) {
        (Ok(_), Ok(payload_len)) => context.output.overwrite(mark, &Header { code: ECHO, payload_len }.encode()),
        (Err(token), _) => {
            context.output.truncate(mark);
            append_error(&mut context.output, token);
        }
        (Ok(_), Err(_)) => {
            context.output.truncate(mark);
            append_error(&mut context.output, FRAME_TOO_LARGE);
        }
    }
}

fn append_error(output: &mut Output<'_>, token: &'static str) {
    // Tokens are a few bytes long.
    output.append(&Header { code: ERROR, payload_len: token.len() as u32 }.encode());
    output.append(token.as_bytes());
}
