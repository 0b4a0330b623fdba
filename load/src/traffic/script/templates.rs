//! A script with values, a login or pauses: each connection renders its own messages.

use std::time::Duration;

use crate::error::UsageError;
use crate::traffic::messages::message::{ExpectedReply, Framing, ScriptMessage};
use crate::traffic::messages::template::{TemplateMessage, TemplateReply, Values};

/// A message and the pause before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The request and the expected reply.
    pub message: TemplateMessage,
    /// The pause between the reply before it and the request.
    pub pause: Duration,
}

/// The steps of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// The steps that each connection takes once, before the others.
    pub login: Vec<Step>,
    /// The steps that each connection repeats.
    pub messages: Vec<Step>,
    /// True if each connection starts with the first message, and all messages of a pass have the
    /// same values.
    pub is_in_order: bool,
}

impl Steps {
    /// Returns the messages if all are constant and nothing else is to be done; `None` otherwise.
    #[must_use]
    pub fn constant(&self) -> Option<Vec<ScriptMessage>> {
        let is_constant = |step: &Step| {
            step.pause.is_zero() && step.message.templates().all(|template| template.is_constant())
        };
        let is_plain =
            self.login.is_empty() && !self.is_in_order && self.messages.iter().all(is_constant);
        is_plain.then(|| self.samples())
    }

    /// Returns all messages with the first, and shortest, values.
    #[must_use]
    pub fn samples(&self) -> Vec<ScriptMessage> {
        let first = Values { seed: 0, number: 0, connection: 0 };
        let steps = self.login.iter().chain(&self.messages);
        steps.map(|step| step.message.message(first)).collect()
    }

    /// Returns true if any value is random.
    #[must_use]
    pub fn is_random(&self) -> bool {
        let mut steps = self.login.iter().chain(&self.messages);
        steps.any(|step| step.message.templates().any(|template| template.is_random()))
    }

    /// Returns true if any step has a pause.
    #[must_use]
    pub fn has_pauses(&self) -> bool {
        self.messages.iter().any(|step| !step.pause.is_zero())
    }
}

/// The script.
#[derive(Debug)]
pub struct TemplateScript {
    steps: Steps,
    seed: u32,
    greeting: Vec<u8>,
    framing: Framing,
    request_bytes_max: usize,
    reply_bytes_max: usize,
    is_answered: bool,
}

impl TemplateScript {
    /// Creates the script of `steps`.
    ///
    /// # Errors
    /// Fails if there is no message, an empty request, or a reply to some requests only.
    pub fn new(
        steps: Steps,
        seed: u32,
        greeting: &[u8],
        framing: Framing,
    ) -> Result<Self, UsageError> {
        // Numbers of 20 digits: no other ones are longer.
        let longest = Values { seed, number: u64::MAX, connection: u64::MAX };
        let all: Vec<ScriptMessage> = steps
            .login
            .iter()
            .chain(&steps.messages)
            .map(|step| step.message.message(longest))
            .collect();
        if steps.messages.is_empty() || all.iter().any(|message| message.request.is_empty()) {
            return Err("there is nothing to send: a message has at least 1 byte".into());
        }
        let exact = all.iter().map(|message| match &message.reply {
            ExpectedReply::Exact(bytes) => bytes.len(),
            _ => 0,
        });
        let has_reply = |step: &Step| step.message.reply != TemplateReply::Nothing;
        Ok(Self {
            request_bytes_max: all.iter().map(|message| message.request.len()).max().unwrap_or(0),
            reply_bytes_max: exact.max().unwrap_or(0),
            is_answered: steps.messages.iter().all(has_reply),
            steps,
            seed,
            greeting: greeting.to_vec(),
            framing,
        })
    }

    /// Returns the index of the message with which a connection starts. Without an order,
    /// connections start at different messages.
    #[must_use]
    pub fn first_message(&self, connection: usize) -> usize {
        if self.steps.is_in_order { 0 } else { connection % self.steps.messages.len() }
    }

    /// Returns the steps of the login.
    #[must_use]
    pub fn login(&self) -> &[Step] {
        &self.steps.login
    }

    /// Returns the repeated steps.
    #[must_use]
    pub fn messages(&self) -> &[Step] {
        &self.steps.messages
    }

    /// Returns a step by its index: the login comes first.
    #[must_use]
    pub fn step(&self, index: usize) -> &Step {
        match index.checked_sub(self.steps.login.len()) {
            Some(index) => &self.steps.messages[index],
            None => &self.steps.login[index],
        }
    }

    /// Returns true if each connection starts with the first message.
    #[must_use]
    pub const fn is_in_order(&self) -> bool {
        self.steps.is_in_order
    }

    /// Returns the seed of the random values.
    #[must_use]
    pub const fn seed(&self) -> u32 {
        self.seed
    }

    /// Returns the greeting of the server.
    #[must_use]
    pub fn greeting(&self) -> &[u8] {
        &self.greeting
    }

    /// Returns how to find the end of a wrong reply.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// Returns the size of the longest request.
    #[must_use]
    pub const fn request_bytes_max(&self) -> usize {
        self.request_bytes_max
    }

    /// Returns the size of the longest reply with known bytes.
    #[must_use]
    pub const fn reply_bytes_max(&self) -> usize {
        self.reply_bytes_max
    }

    /// Returns true if all requests get a reply, except for those of the login.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.is_answered
    }
}
