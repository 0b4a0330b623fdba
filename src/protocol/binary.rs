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
        let commands = Arc::clone(&self.commands);
        Box::new(BinarySession { commands, payload_max: limits.frame_bytes_max, dropping: 0 })
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
        let mut rest = self.drop_refused(input, context);
        let step = loop {
            if self.dropping > 0 {
                break Step::Incomplete { missing: None };
            }
            let Some(header) = Header::decode(rest) else {
                let missing = HEADER_LEN.saturating_sub(rest.len());
                break if rest.is_empty() { Step::Done } else { Step::Incomplete { missing: Some(missing) } };
            };
            // An incomplete frame says so even when the output is full: its sender may not read before all of it is sent.
            match (self.judge(header), frame::payload(rest, header)) {
                (Verdict::Quit, _) => {
                    context.received("QUIT", b"");
                    break Step::Close(CloseReason::Quit);
                }
                (Verdict::Run(_), Err(missing)) => break Step::Incomplete { missing: Some(missing) },
                _ if context.output.is_full() => break Step::Paused,
                (Verdict::Run(command), Ok(payload)) => {
                    run(command, payload, context);
                    rest = rest.get(HEADER_LEN + payload.len()..).unwrap_or_default();
                }
                (Verdict::Refuse(token), _) => rest = self.refuse_frame(token, header, rest, context),
            }
        };
        (input.len() - rest.len(), step)
    }

    fn refuse(&mut self, input: &[u8], context: &mut Context<'_>) -> usize {
        let Some(header) = Header::decode(input) else {
            return 0;
        };
        input.len() - self.refuse_frame(SERVER_BUSY, header, input, context).len()
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

    /// Refuses the frame at the front of `rest`, and gives what does not belong to it.
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

    /// What of `rest` does not belong to a payload that was refused.
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
