//! The person's side of a shell: a line editor with history and completion, in a thread of its own.

use std::sync::mpsc::{Receiver, SyncSender};

use rustyline::completion::Completer;
use rustyline::config::Config;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};

use super::Typed;
use crate::client::dialogue::Voice;

/// The line editor. Its history lasts as long as the shell.
pub type LineEditor = Editor<Words, MemHistory>;

/// Completes the first word of a line.
#[derive(Debug)]
pub struct Words(&'static [&'static str]);

/// An editor that completes the words of `voice`.
///
/// # Errors
/// Those of the terminal.
pub fn new(voice: &Voice) -> rustyline::Result<LineEditor> {
    let config = Config::builder().auto_add_history(true).build();
    let history = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history)?;
    editor.set_helper(Some(Words(voice.words)));
    Ok(editor)
}

/// Asks for a line whenever `turns` says so, and tells what was typed.
pub fn run<Event: From<Typed>>(mut editor: LineEditor, prompt: &str, turns: &Receiver<()>, events: &SyncSender<Event>) {
    while turns.recv().is_ok() {
        let typed = match editor.readline(prompt) {
            Ok(line) => Typed::Line(line),
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => Typed::Leave,
            Err(error) => Typed::Unreadable(error.to_string()),
        };
        if events.send(typed.into()).is_err() {
            return;
        }
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..pos).unwrap_or_default();
        let begins = |word: &&&str| word.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed));
        Ok((0, self.0.iter().filter(begins).map(|word| (*word).to_string()).collect()))
    }
}

impl Helper for Words {}
impl Highlighter for Words {}
impl Hinter for Words {
    type Hint = String;
}
impl Validator for Words {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::target::Protocol;
    use rustyline::history::History;

    #[test]
    fn the_first_word_is_completed_in_any_case() {
        let history = MemHistory::with_config(&Config::default());
        assert!(history.is_empty());
        let words = Words(Protocol::Text.voice().words);
        let complete = |line: &str| words.complete(line, line.len(), &Context::new(&history)).expect("no terminal").1;
        assert_eq!(complete("ec"), ["ECHO "]);
        assert_eq!(complete("").len(), 4);
        assert!(complete("ECHO h").is_empty());
    }
}
