//! The messages of a command line: those of `-m`, `--mix`, `--script` or `--size`, with the
//! expected replies.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tinytcp_cli::target::ProtocolName;
use tinytcp_core::wire::frame::HEADER_LEN;

use super::arguments::Arguments;
use crate::error::{LoadError, UsageError};
use crate::measurement::format::plural;
use crate::traffic::messages::message::{ExpectedReply, Framing, ScriptMessage};
use crate::traffic::messages::template::TemplateMessage;
use crate::traffic::messages::{list, mix, protocols, raw, steps_file};
use crate::traffic::script::RunScript;
use crate::traffic::script::constant::{self, Script};
use crate::traffic::script::templates::{Step, Steps, TemplateScript};

/// The messages of a run.
#[derive(Debug)]
pub enum Messages {
    /// The same bytes for all connections.
    Constant(Vec<ScriptMessage>),
    /// Messages with values, a login or pauses.
    Templates(Steps),
}

impl Messages {
    /// Returns the messages of one of the four protocols.
    ///
    /// # Errors
    /// Fails with a sentence about an invalid message, or a file that cannot be read.
    pub fn of_protocol(arguments: &Arguments, protocol: ProtocolName) -> Result<Self, LoadError> {
        let parse = |text: &str| protocols::message(protocol, text);
        let messages = match &arguments.mix {
            Some(weighted) => mix::mix(weighted, parse)?,
            None if arguments.message.is_empty() => {
                return Ok(Self::Constant(numbered(protocol, arguments)?));
            }
            None => {
                let texts = list::expanded(&arguments.message)?;
                texts.iter().map(|text| parse(text)).collect::<Result<_, _>>()?
            }
        };
        // The reply of `rev` is its text backwards, with the values too.
        let is_reversed = |message: &ScriptMessage| match &message.reply {
            ExpectedReply::Exact(reply) => reply != &message.request,
            _ => false,
        };
        let is_framed = protocol == ProtocolName::Binary;
        let has_brace = |message: &ScriptMessage| {
            message.request.get(HEADER_LEN..).is_some_and(|text| text.contains(&b'{'))
        };
        if is_framed && messages.iter().any(|message| is_reversed(message) && has_brace(message)) {
            return Err(LoadError::Usage(
                "`rev` takes no values in braces: use `echo`, as in -m 'echo {n}'".into(),
            ));
        }
        Ok(Self::new(Vec::new(), plain(messages), false, is_framed)?)
    }

    /// Returns the messages of a raw run.
    ///
    /// # Errors
    /// Fails with a sentence about invalid bytes, or a file that cannot be read.
    pub fn raw(arguments: &Arguments) -> Result<Self, LoadError> {
        if let Some(path) = &arguments.script {
            return script_file(path);
        }
        let messages = match &arguments.mix {
            Some(weighted) => {
                let reply = replies(arguments, 1)?.pop().unwrap_or(RawReply::Itself);
                mix::mix(weighted, |text| raw::template(text).map(|bytes| reply.to(bytes)))?
            }
            None => {
                let texts = list::expanded(&arguments.message)?;
                let replies = replies(arguments, texts.len())?;
                let message = |(text, reply): (&String, RawReply)| {
                    raw::template(text).map(|bytes| reply.to(bytes))
                };
                texts.iter().zip(replies).map(message).collect::<Result<_, _>>()?
            }
        };
        if messages.is_empty() {
            return Err(LoadError::Usage(
                r"--raw needs the bytes to send, as in -m 'PING\r\n' --expect '+PONG\r\n'".into(),
            ));
        }
        Ok(Self::new(Vec::new(), plain(messages), false, false)?)
    }

    /// Parses the values of the messages.
    fn new(
        login: Vec<(ScriptMessage, Duration)>,
        messages: Vec<(ScriptMessage, Duration)>,
        is_in_order: bool,
        is_framed: bool,
    ) -> Result<Self, UsageError> {
        let unanswered =
            messages.iter().filter(|(message, _)| message.reply == ExpectedReply::Nothing).count();
        if unanswered > 0 && unanswered < messages.len() {
            return Err("some requests have a reply and others have none: give each of them a \
                        reply, or none of them"
                .into());
        }
        let step = |(message, pause): &(ScriptMessage, Duration)| {
            let message = TemplateMessage::parse(message, is_framed)?;
            Ok::<_, UsageError>(Step { message, pause: *pause })
        };
        let login: Vec<Step> = login.iter().map(step).collect::<Result<_, _>>()?;
        if login.iter().flat_map(|step| step.message.templates()).any(|one| one.has_number()) {
            return Err("a `once` step has no {n}: use {c}, the number of the connection".into());
        }
        let messages = messages.iter().map(step).collect::<Result<_, _>>()?;
        let steps = Steps { login, messages, is_in_order };
        Ok(steps.constant().map_or(Self::Templates(steps), Self::Constant))
    }

    /// Returns true if any value is random.
    #[must_use]
    pub fn is_random(&self) -> bool {
        match self {
            Self::Constant(_) => false,
            Self::Templates(steps) => steps.is_random(),
        }
    }

    /// Returns true if a script has pauses.
    #[must_use]
    pub fn has_pauses(&self) -> bool {
        match self {
            Self::Constant(_) => false,
            Self::Templates(steps) => steps.has_pauses(),
        }
    }

    /// Returns how replies of a raw run are framed.
    #[must_use]
    pub fn raw_framing(&self) -> Framing {
        match self {
            Self::Constant(messages) => raw::raw_framing(messages),
            Self::Templates(steps) => raw::raw_framing(&steps.samples()),
        }
    }

    /// Returns the size of the shortest request, with the shortest values.
    #[must_use]
    pub fn request_bytes(&self) -> usize {
        let shortest = |messages: &[ScriptMessage]| {
            messages.iter().map(|message| message.request.len()).min().unwrap_or(0)
        };
        match self {
            Self::Constant(messages) => shortest(messages),
            Self::Templates(steps) => shortest(&steps.samples()),
        }
    }

    /// Returns the script of a run.
    ///
    /// # Errors
    /// Fails if there is nothing to send.
    pub fn script(
        &self,
        depth: usize,
        seed: u32,
        greeting: &[u8],
        framing: Framing,
    ) -> Result<RunScript, UsageError> {
        Ok(match self {
            Self::Constant(messages) => {
                RunScript::Constant(Arc::new(Script::new(messages, depth, greeting, framing)?))
            }
            Self::Templates(steps) => RunScript::Templates(Arc::new(TemplateScript::new(
                steps.clone(),
                seed,
                greeting,
                framing,
            )?)),
        })
    }
}

fn plain(messages: Vec<ScriptMessage>) -> Vec<(ScriptMessage, Duration)> {
    messages.into_iter().map(|message| (message, Duration::ZERO)).collect()
}

fn script_file(path: &Path) -> Result<Messages, LoadError> {
    let steps = steps_file::steps(&list::read(path)?)
        .map_err(|error| UsageError::new(format_args!("{}: {error}", path.display())))?;
    let (login, messages): (Vec<_>, Vec<_>) = steps.into_iter().partition(|step| step.is_once);
    let steps = |steps: Vec<steps_file::FileStep>| {
        steps.into_iter().map(|step| (step.message, step.pause)).collect()
    };
    let messages = Messages::new(steps(login), steps(messages), true, false)
        .map_err(|error| UsageError::new(format_args!("{}: {error}", path.display())))?;
    Ok(messages)
}

/// The expected reply to a raw request.
#[derive(Clone)]
enum RawReply {
    Itself,
    Bytes(Vec<u8>),
    End(Vec<u8>),
}

impl RawReply {
    fn to(&self, request: Vec<u8>) -> ScriptMessage {
        let reply = match self {
            Self::Itself => ExpectedReply::Exact(request.clone()),
            Self::Bytes(bytes) if bytes.is_empty() => ExpectedReply::Nothing,
            Self::Bytes(bytes) => ExpectedReply::Exact(bytes.clone()),
            Self::End(end) => ExpectedReply::Until(end.clone()),
        };
        ScriptMessage { request, reply }
    }
}

/// Returns the expected replies to `count` messages: one for all of them, or one for each.
fn replies(arguments: &Arguments, count: usize) -> Result<Vec<RawReply>, LoadError> {
    let parse = |text: &String| raw::template(text);
    let exact = list::expanded(&arguments.expect)?;
    let exact = exact.iter().map(|text| Ok(RawReply::Bytes(parse(text)?)));
    let ends = list::expanded(&arguments.expect_end)?;
    let ends = ends.iter().map(|text| match parse(text)? {
        end if end.is_empty() => Err(UsageError::from(r"--expect-end needs a byte, as in '\n'")),
        end => Ok(RawReply::End(end)),
    });
    let replies: Vec<RawReply> = exact.chain(ends).collect::<Result<_, UsageError>>()?;
    match replies.len() {
        0 => Ok(vec![RawReply::Itself; count]),
        1 => Ok(vec![replies[0].clone(); count]),
        given if given == count => Ok(replies),
        given => Err(LoadError::Usage(
            format!(
                "{} have {given} expected replies: give one for all of them, or one for each",
                plural(count as u64, "message")
            )
            .into(),
        )),
    }
}

/// Returns distinct messages, as many as a round of the script has room for.
fn numbered(
    protocol: ProtocolName,
    arguments: &Arguments,
) -> Result<Vec<ScriptMessage>, UsageError> {
    let first = protocols::numbered(protocol, arguments.size, 0)?;
    let count = constant::round_len(first.request.len(), arguments.pipeline);
    (0..count).map(|number| protocols::numbered(protocol, arguments.size, number)).collect()
}
