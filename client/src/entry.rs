//! The commands with which a client enters a room, and the check of their answers.

use tinytcp_cli::target::Target;

use crate::dialogue::{RoomWords, ServerAnswer};
use crate::error::{ClientError, not_joined, refusal};

/// A command before the first message. Its answer is not printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryCommand {
    word: &'static str,
    argument: String,
    /// Its answer must show that a room was joined.
    joins: bool,
}

impl EntryCommand {
    /// The commands that take the name `nick`, if there is one, and join `room`, in this order.
    #[must_use]
    pub fn all(words: RoomWords, nick: Option<&str>, room: &str) -> Vec<Self> {
        let nick = nick.map(|nick| (words.nick, nick, false));
        let commands = nick.into_iter().chain([(words.join, room, true)]);
        let command = |(word, argument, joins): (_, &str, _)| Self {
            word,
            argument: argument.to_owned(),
            joins,
        };
        commands.map(command).collect()
    }

    /// Its line, without an ending.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.word, self.argument)
    }

    /// Checks its answer.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if the server refuses it, or has no rooms.
    pub fn check(&self, target: &Target, answer: &ServerAnswer<'_>) -> Result<(), ClientError> {
        if answer.is_error {
            return Err(refusal(target, self.word, answer.text));
        }
        match self.joins && !answer.has_joined {
            true => Err(not_joined(target, self.word, answer.text)),
            false => Ok(()),
        }
    }
}
