//! The input of a shell: a thread with a line editor, which has history and completion.

use std::io::ErrorKind;
use std::sync::mpsc::{Receiver, SyncSender};

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
use super::printer::Printer;
use crate::dialogue::Wording;
use crate::threads::{self, ThreadError};

/// What the editor reports.
#[derive(Debug)]
pub enum Typed {
    /// A line, or the lines of a paste, without their endings.
    Lines(Vec<String>),
    /// A line with bytes that are not UTF-8, which the editor has dropped.
    Garbled,
    /// Ctrl-C, Ctrl-D, or the end of a stdin that is no terminal.
    Leave,
    /// The terminal cannot be read; the reason.
    Unreadable(String),
}

/// The line editor.
pub type LineEditor = Editor<WordCompleter, DefaultHistory>;

/// Completes the first word of a line.
#[derive(Debug)]
pub struct WordCompleter(&'static [&'static str]);

/// An editor that completes the words of `wording`; `stop_key` suspends the program.
///
/// # Errors
/// Those of the terminal.
pub fn new(wording: &Wording, stop_key: Option<char>) -> rustyline::Result<LineEditor> {
    let config = Config::builder().completion_type(CompletionType::List).build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(WordCompleter(wording.words)));
    editor.bind_sequence(KeyEvent::ctrl('C'), EventHandler::Conditional(Box::new(ClearLine)));
    if let Some(key) = stop_key {
        let key = KeyEvent::new(key, Modifiers::NONE);
        editor.bind_sequence(key, EventHandler::Conditional(Box::new(Suspend)));
    }
    Ok(editor)
}

/// Ctrl-C clears a line that has text; on an empty one it leaves the shell.
struct ClearLine;

impl ConditionalEventHandler for ClearLine {
    fn handle(&self, _: &Keys, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        (!context.line().is_empty()).then_some(Cmd::Kill(Movement::WholeBuffer))
    }
}

/// Suspends the program and the others of its job. The editor itself would set the modes of the
/// next prompt without waiting for the suspension.
struct Suspend;

impl ConditionalEventHandler for Suspend {
    fn handle(&self, _: &Keys, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        let own_group = Pid::from_raw(0);
        kill(own_group, Signal::SIGTSTP).ok().map(|()| Cmd::Noop)
    }
}

/// Starts the thread that passes text to `editor`, which prints it above the prompt.
///
/// Returns `None` unless stdin and stdout are terminals: there is no prompt then.
///
/// # Errors
/// When no thread can be started.
pub fn start_printer(editor: &mut LineEditor) -> Result<Option<Printer>, ThreadError> {
    let Ok(mut above_prompt) = editor.create_external_printer() else { return Ok(None) };
    let printer = Printer::default();
    let texts = printer.clone();
    threads::start("printer", move || {
        loop {
            // The editor reports a terminal that is gone.
            let _ = above_prompt.print(texts.wait());
        }
    })?;
    Ok(Some(printer))
}

/// Reads a line for each message of `turns`, and sends what was typed to `events`. `printer` gets
/// to know first that no line is read any more.
pub fn run<E: From<Typed>>(
    mut editor: LineEditor,
    prompt: &str,
    printer: Option<&Printer>,
    turns: &Receiver<()>,
    events: &SyncSender<E>,
) {
    let kept = history::open(&mut editor);
    while turns.recv().is_ok() {
        let typed = match editor.readline(prompt) {
            Ok(text) => {
                // Each line of a paste is a request.
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
        if let Some(printer) = printer {
            printer.set_reading(false);
        }
        if events.send(typed.into()).is_err() {
            return;
        }
    }
}

impl Completer for WordCompleter {
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

impl Helper for WordCompleter {}
impl Highlighter for WordCompleter {}
impl Hinter for WordCompleter {
    type Hint = String;
}
impl Validator for WordCompleter {}

#[cfg(test)]
mod tests {
    use super::*;
    use rustyline::history::{History, MemHistory};
    use tinytcp_cli::target::ProtocolName;

    #[test]
    fn the_first_word_is_completed_in_any_case() {
        let history = MemHistory::with_config(&Config::default());
        assert!(history.is_empty());
        let words = WordCompleter(Wording::of(ProtocolName::Text).words);
        let complete = |line: &str| {
            words.complete(line, line.len(), &Context::new(&history)).expect("no terminal").1
        };
        assert_eq!(complete("ec"), ["ECHO "]);
        assert_eq!(complete("s"), ["SAY "]);
        assert_eq!(complete("").len(), 9);
        assert!(complete("ECHO h").is_empty());
    }
}
