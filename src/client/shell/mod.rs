//! The shell: a person types, the server answers, and each may speak while the other does.
//!
//! ```text
//!   person --> [editor] --- Typed ---> [ one channel ] <--- Heard --- [listener] <--- server
//!                 ^                          |
//!                 |                      the caller -----> [printer] --> the terminal, above the prompt
//!                 `----- its turn -----------'
//! ```
//!
//! While the editor holds the terminal, text must go through it or it would land in the middle of what is being
//! typed. The editor takes such text only while it waits for a key, so handing it over may have to wait, and the
//! printer is a thread of its own for that reason alone. While the editor does not hold the terminal, the caller
//! writes to stdout itself; it gives the editor its next turn when the answer is there, so that a quick server's
//! answers stand where the original clients printed them: between one prompt and the next.

mod editor;

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use rustyline::ExternalPrinter;
use signal_hook::consts::SIGINT;

use super::connect::{Patience, connect};
use super::dialogue::{Due, Extent, Found, Inbox, Request, SILENCE, Voice};
use super::failure::{Failure, Verdict, reason};
use super::listener::{EVENTS_MAX, Heard, listen, next};
use super::output::{Output, printable};
use super::worker;
use crate::wire::target::Target;

/// How long the next prompt waits for the answer to the last line. A slower server is still heard, above the prompt.
const PROMPT_DELAY: Duration = Duration::from_millis(250);

/// How long the last answer may take when the person leaves: long enough for any network, not for patience.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// How long the editor gets to draw what it was handed last, before it is called away. It tells nobody when it has
/// drawn; waiting for a key, as it nearly always is, it takes well under a millisecond.
const DRAW_DELAY: Duration = Duration::from_millis(50);

/// What the editor tells.
#[derive(Debug)]
pub enum Typed {
    /// A line, without its ending.
    Line(String),
    /// Ctrl-C, Ctrl-D, or the end of a stdin that is no terminal.
    Leave,
    /// The terminal is broken; why.
    Unreadable(String),
}

enum Event {
    Typed(Typed),
    Heard(Heard),
}

impl From<Typed> for Event {
    fn from(typed: Typed) -> Self {
        Self::Typed(typed)
    }
}

impl From<Heard> for Event {
    fn from(heard: Heard) -> Self {
        Self::Heard(heard)
    }
}

/// Connects to `target` and lets the person at stdin talk to it, until one of the two leaves.
///
/// Answers that are errors do not count as a failure here: the person has read them.
///
/// # Errors
/// As [`Failure`] says; also when the server closes with an answer missing.
pub fn run(target: &Target, patience: Patience) -> Result<Verdict, Failure> {
    let voice = target.protocol.voice();
    let mut output = Output::new();
    output.say(&voice.connecting(target))?;
    output.flush()?;
    let server = connect(target, patience)?;
    output.say(&voice.connected(target))?;

    let prepared = server.set_write_timeout(patience.timeout).and_then(|()| server.try_clone());
    let from_server = prepared.map_err(|error| Failure::broken(target, &reason(&error)))?;
    let no_terminal = |error| Failure::Usage(format!("cannot use the terminal: {error}; send commands with -e"));
    // Outside the editor Ctrl-C is a signal; unless it is caught, it would end us without a farewell.
    let interrupted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&interrupted)).map_err(|error| no_terminal(error.to_string()))?;

    let mut editor = editor::new(voice).map_err(|error| no_terminal(error.to_string()))?;
    let no_thread = |error: String| Failure::broken(target, &error);
    // Without a terminal on both sides there is no prompt to write above.
    let printer = editor.create_external_printer().ok().map(start_printer).transpose().map_err(no_thread)?;
    let (events, received) = mpsc::sync_channel(EVENTS_MAX);
    let (turns, its_turn) = mpsc::sync_channel(1);
    let from_editor = events.clone();
    worker::start("editor", move || editor::run(editor, voice.prompt, &its_turn, &from_editor)).map_err(no_thread)?;
    worker::start("listener", move || listen(from_server, &events)).map_err(no_thread)?;
    let mut shell = Shell {
        target,
        voice,
        server,
        inbox: Inbox::default(),
        asked: target.protocol.banner().into_iter().collect(),
        output,
        printer,
        turns,
        is_editing: false,
        interrupted,
    };
    shell.run(&received)
}

/// Starts the thread that hands text to the editor.
fn start_printer(mut printer: impl ExternalPrinter + Send + 'static) -> Result<SyncSender<String>, String> {
    let (sender, texts) = mpsc::sync_channel(EVENTS_MAX);
    worker::start("printer", move || {
        for text in texts {
            // A terminal that has gone away is reported by the editor.
            let _ = printer.print(text);
        }
    })?;
    Ok(sender)
}

/// The caller's side.
struct Shell<'a> {
    target: &'a Target,
    voice: &'static Voice,
    server: TcpStream,
    inbox: Inbox,
    /// The answers that have been asked for, the next one first.
    asked: VecDeque<Due>,
    output: Output,
    /// Prints above the prompt.
    printer: Option<SyncSender<String>>,
    /// Gives the editor its next turn.
    turns: SyncSender<()>,
    /// True exactly when the editor holds the terminal.
    is_editing: bool,
    /// Set by Ctrl-C while the editor does not hold the terminal.
    interrupted: Arc<AtomicBool>,
}

impl Shell<'_> {
    fn run(&mut self, events: &Receiver<Event>) -> Result<Verdict, Failure> {
        let mut prompt_at = Instant::now() + PROMPT_DELAY;
        loop {
            let may_be_complete = self.show_answers()?;
            if !self.is_editing && (self.asked.is_empty() || Instant::now() >= prompt_at) {
                self.give_turn()?;
            }
            let until = match (may_be_complete, self.is_editing) {
                (true, _) => Some(Instant::now() + SILENCE),
                (false, true) => None,
                (false, false) => Some(prompt_at),
            };
            match next(events, until) {
                Ok(Event::Typed(typed)) => {
                    self.is_editing = false;
                    prompt_at = Instant::now() + PROMPT_DELAY;
                    match typed {
                        Typed::Line(line) if self.ask(&line)? => return self.leave(events),
                        Typed::Line(_) => {}
                        Typed::Leave => {
                            self.ask(self.voice.leave)?;
                            return self.leave(events);
                        }
                        Typed::Unreadable(error) => {
                            return Err(Failure::Broken(format!(
                                "cannot read the terminal: {error}; send commands with -e"
                            )));
                        }
                    }
                }
                Ok(Event::Heard(Heard::Received(piece))) => self.inbox.append(&piece),
                Ok(Event::Heard(Heard::Ended(error))) => return self.end(error.as_ref(), events),
                Err(_) if may_be_complete => self.show(self.inbox.rest())?,
                Err(_) => {}
            }
            if self.interrupted.swap(false, Ordering::Relaxed) {
                self.ask(self.voice.leave)?;
                return self.leave(events);
            }
        }
    }

    /// Sends what was typed; true when it was the last.
    fn ask(&mut self, line: &str) -> Result<bool, Failure> {
        let mut request = Vec::new();
        let asked = match self.target.protocol.encode(line.as_bytes(), &mut request) {
            Ok(asked) => asked,
            Err(error) => {
                self.output.say(&format!("{error}\n"))?;
                return Ok(false);
            }
        };
        let sent = match self.server.write_all(&request) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(Failure::broken(self.target, "the server takes no more; look at its log"));
            }
            // The listener meets the same broken connection, after what the server said before it broke.
            sent => sent.is_ok(),
        };
        let is_last = matches!(asked, Request::Farewell(_));
        match asked {
            Request::Answered(due) | Request::Farewell(Some(due)) => self.asked.push_back(due),
            Request::Farewell(None) if sent => self.output.say(self.voice.left)?,
            Request::Silent | Request::Farewell(None) => {}
        }
        Ok(is_last)
    }

    /// Waits for the answers that are still due, and says goodbye.
    fn leave(&mut self, events: &Receiver<Event>) -> Result<Verdict, Failure> {
        let deadline = Instant::now() + FAREWELL_MAX;
        self.show_answers()?;
        while !self.asked.is_empty() {
            match next(events, Some(deadline)) {
                Ok(Event::Heard(Heard::Received(piece))) => self.inbox.append(&piece),
                Ok(Event::Typed(_)) => {}
                Ok(Event::Heard(Heard::Ended(_))) | Err(_) => break,
            }
            self.show_answers()?;
        }
        self.close()
    }

    /// The server has left first.
    fn end(&mut self, error: Option<&io::Error>, events: &Receiver<Event>) -> Result<Verdict, Failure> {
        self.take_the_terminal(events);
        if !self.inbox.is_empty() {
            self.show(self.inbox.rest())?;
        }
        if let Some(error) = error {
            return Err(Failure::broken(self.target, &format!("{}; look at the server's log", reason(error))));
        }
        if !self.asked.is_empty() {
            return Err(Failure::broken(
                self.target,
                "the server closed the connection with an answer missing; look at its log",
            ));
        }
        self.output.say("The server closed the connection.\n")?;
        self.close()
    }

    fn close(&mut self) -> Result<Verdict, Failure> {
        self.output.say(self.voice.closing)?;
        self.output.flush()?;
        Ok(Verdict::Fine)
    }

    /// Makes the editor give back the terminal, in the state in which it found it.
    ///
    /// The editor waits for a key and can be called away only by the signal of Ctrl-C. A signal that comes just
    /// before the editor is ready for it is lost, hence more than one; it never ends us, since `run` catches it.
    fn take_the_terminal(&mut self, events: &Receiver<Event>) {
        const ATTEMPTS_MAX: usize = 50;
        // Without a terminal nothing needs to be given back, and no signal wakes a read from a pipe.
        if !self.is_editing || !io::stdin().is_terminal() {
            return;
        }
        thread::sleep(DRAW_DELAY);
        for _ in 0..ATTEMPTS_MAX {
            // The operating system knows this signal, so raising it cannot fail.
            let _ = signal_hook::low_level::raise(SIGINT);
            if let Ok(Event::Typed(_)) = next(events, Some(Instant::now() + Duration::from_millis(20))) {
                self.is_editing = false;
                return;
            }
        }
    }

    /// Lets the editor ask for the next line.
    fn give_turn(&mut self) -> Result<(), Failure> {
        self.output.flush()?;
        self.is_editing = true;
        // An editor that has gone has told why.
        let _ = self.turns.send(());
        Ok(())
    }

    /// Shows every answer that is complete; true when the rest is one too if the server falls quiet.
    fn show_answers(&mut self) -> Result<bool, Failure> {
        loop {
            if self.inbox.is_empty() {
                return Ok(false);
            }
            let mut due = self.asked.front().cloned().unwrap_or(self.target.protocol.unasked());
            match self.inbox.find(&mut due).map_err(|error| Failure::broken(self.target, &error))? {
                Found::Complete(extent) => self.show(extent)?,
                Found::Incomplete => return Ok(false),
                Found::IfSilent => return Ok(true),
            }
        }
    }

    /// Shows an answer, above the prompt if there is one.
    fn show(&mut self, extent: Extent) -> Result<(), Failure> {
        let answer = self.inbox.take(extent);
        self.asked.pop_front();
        let text = printable(answer.text);
        let text = if answer.is_error { self.output.red(&text) } else { text.into() };
        let line = format!("{}{text}\n", self.voice.answer);
        match &self.printer {
            Some(printer) if self.is_editing => {
                // A printer that has gone went with the terminal, which the editor reports.
                let _ = printer.send(line);
                Ok(())
            }
            _ => self.output.say(&line).and_then(|()| self.output.flush()),
        }
    }
}
