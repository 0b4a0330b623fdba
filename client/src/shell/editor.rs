//! The person's side of a shell: a line editor with history and completion, in a thread of its own.

use std::io::ErrorKind;
use std::sync::mpsc::{self, Receiver, SyncSender};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustyline::completion::Completer;
use rustyline::config::{CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, ConditionalEventHandler, Context, Editor, Event as Keys, EventContext, EventHandler,
    ExternalPrinter, Helper, KeyEvent, Modifiers, Movement, RepeatCount,
};

use super::history;
use crate::dialogue::Voice;
use crate::listener::EVENTS_MAX;
use crate::worker;

/// What the editor tells.
#[derive(Debug)]
pub enum Typed {
    /// A line, or the lines of a paste, without their endings.
    Lines(Vec<String>),
    /// A line with bytes that are no UTF-8, which the editor has dropped.
    Garbled,
    /// Ctrl-C, Ctrl-D, or the end of a stdin that is no terminal.
    Leave,
    /// The terminal is broken; why.
    Unreadable(String),
}

/// The line editor.
pub type LineEditor = Editor<Words, DefaultHistory>;

/// Completes the first word of a line.
#[derive(Debug)]
pub struct Words(&'static [&'static str]);

/// An editor that completes the words of `voice`, and stops the program at `stop_key`.
///
/// # Errors
/// Those of the terminal.
pub fn new(voice: &Voice, stop_key: Option<char>) -> rustyline::Result<LineEditor> {
    let config = Config::builder().completion_type(CompletionType::List).build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(Words(voice.words)));
    editor.bind_sequence(KeyEvent::ctrl('C'), EventHandler::Conditional(Box::new(ClearLine)));
    if let Some(key) = stop_key {
        let key = KeyEvent::new(key, Modifiers::NONE);
        editor.bind_sequence(key, EventHandler::Conditional(Box::new(Stop)));
    }
    Ok(editor)
}

/// Ctrl-C clears a line that has text; on an empty one it keeps its meaning, which is to leave.
struct ClearLine;

impl ConditionalEventHandler for ClearLine {
    fn handle(&self, _: &Keys, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        (!context.line().is_empty()).then_some(Cmd::Kill(Movement::WholeBuffer))
    }
}

/// Stops the program and those that share its job. The editor's own way sets the modes of the next
/// prompt without waiting for the stop, which comes too late then.
struct Stop;

impl ConditionalEventHandler for Stop {
    fn handle(&self, _: &Keys, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        let own_group = Pid::from_raw(0);
        kill(own_group, Signal::SIGTSTP).ok().map(|()| Cmd::Noop)
    }
}

/// Starts the thread that hands text to `editor`, if there is a terminal on both sides with a
/// prompt to write above.
///
/// # Errors
/// A sentence, when there is no thread for it.
pub fn start_printer(editor: &mut LineEditor) -> Result<Option<SyncSender<String>>, String> {
    let Ok(mut printer) = editor.create_external_printer() else { return Ok(None) };
    let (sender, texts) = mpsc::sync_channel(EVENTS_MAX);
    worker::start("printer", move || {
        for text in texts {
            // A terminal that has gone away is reported by the editor.
            let _ = printer.print(text);
        }
    })?;
    Ok(Some(sender))
}

/// Asks for a line whenever `turns` says so, and tells what was typed.
pub fn run<Event: From<Typed>>(
    mut editor: LineEditor,
    prompt: &str,
    turns: &Receiver<()>,
    events: &SyncSender<Event>,
) {
    let kept = history::open(&mut editor);
    while turns.recv().is_ok() {
        let typed = match editor.readline(prompt) {
            Ok(text) => {
                // A paste may be several lines: each is a request of its own.
                let lines: Vec<String> = text.split(['\n', '\r']).map(String::from).collect();
                lines.iter().for_each(|line| history::add(&mut editor, line, kept.as_deref()));
                Typed::Lines(lines)
            }
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => Typed::Leave,
            Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
                Typed::Garbled
            }
            Err(error) => Typed::Unreadable(error.to_string()),
        };
        if events.send(typed.into()).is_err() {
            return;
        }
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..pos).unwrap_or_default();
        let begins = |word: &&&str| {
            word.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed))
        };
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
    use rustyline::history::{History, MemHistory};
    use tinytcp_cli::target::Protocol;

    use super::*;

    #[test]
    fn the_first_word_is_completed_in_any_case() {
        let history = MemHistory::with_config(&Config::default());
        assert!(history.is_empty());
        let words = Words(Voice::of(Protocol::Text).words);
        let complete = |line: &str| {
            words.complete(line, line.len(), &Context::new(&history)).expect("no terminal").1
        };
        assert_eq!(complete("ec"), ["ECHO "]);
        assert_eq!(complete("").len(), 4);
        assert!(complete("ECHO h").is_empty());
    }
}
