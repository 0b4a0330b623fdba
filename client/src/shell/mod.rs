//! The shell: a person types, the server answers, and each may speak while the other does.
//!
//! ```text
//!   person --> [editor] --- Typed ---> [ one channel ] <--- Heard --- [listener] <--- server
//!                 ^                          |
//!                 |                      the caller -----> [printer] --> the terminal, above the prompt
//!                 `----- its turn -----------'
//! ```
//!
//! While the editor holds the terminal, text must go through it or it would land in the middle of
//! what is being typed. The editor takes such text only while it waits for a key, so handing it
//! over may have to wait, and the printer is a thread of its own for that reason alone. While the
//! editor does not hold the terminal, the caller writes to stdout itself; it gives the editor its
//! next turn when the answer is there, so that a quick server's answers stand where the original
//! clients printed them: between one prompt and the next.

mod connection;
mod editor;
mod history;
mod terminal;

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use connection::Connection;
use editor::Typed;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use terminal::SavedTerminal;
use tinytcp_cli::target::Target;

use super::connect::{Patience, connect};
use super::dialogue::{Dialogue, Due, Extent, Found, Inbox, Request, SILENCE, Voice};
use super::failure::{Failure, Verdict, reason, span};
use super::listener::{EVENTS_MAX, Heard, next};
use super::output::{Output, printable};
use super::worker;

/// How long the next prompt waits for the answer to the last line. A slower server is still heard,
/// above the prompt.
const PROMPT_DELAY: Duration = Duration::from_millis(250);

/// How long the last answer may take when the person leaves: long enough for any network, not for
/// patience.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

enum Event {
    Typed(Typed),
    /// By Ctrl-C while the editor did not hold the terminal, or by SIGINT from elsewhere.
    Interrupted,
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
    let voice = Voice::of(target.protocol);
    let mut output = Output::new();
    output.say(&voice.connecting(target))?;
    output.flush()?;
    let server = connect(target, patience)?;
    output.say(voice.greeting)?;

    let no_terminal =
        |error| Failure::Usage(format!("cannot use the terminal: {error}; send commands with -e"));
    // Outside the editor Ctrl-C is a signal; unless it is caught, it would end us without a
    // farewell.
    let mut interrupts = Signals::new([SIGINT]).map_err(|error| no_terminal(error.to_string()))?;
    let may_end = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(&may_end))
        .map_err(|error| no_terminal(error.to_string()))?;
    let terminal = SavedTerminal::save().map_err(no_terminal)?;
    let mut editor =
        editor::new(voice, terminal.stop_key()).map_err(|error| no_terminal(error.to_string()))?;
    let no_thread = |error: String| Failure::broken(target, &error);
    let printer = editor::start_printer(&mut editor).map_err(no_thread)?;
    terminal.obey_signals(printer.clone()).map_err(no_thread)?;
    let (events, received) = mpsc::sync_channel(EVENTS_MAX);
    let by_key = events.clone();
    worker::start("interrupts", move || {
        let _ = interrupts.forever().try_for_each(|_| by_key.send(Event::Interrupted));
    })
    .map_err(no_thread)?;
    let (turns, its_turn) = mpsc::sync_channel(1);
    let from_editor = events.clone();
    worker::start("editor", move || editor::run(editor, voice.prompt, &its_turn, &from_editor))
        .map_err(no_thread)?;
    let connection = Connection::new(target, patience, server, events, may_end)?;
    let is_interactive = printer.is_some() && io::stdin().is_terminal();
    let mut shell = Shell {
        connection,
        voice,
        inbox: Inbox::default(),
        asked: target.protocol.banner().into_iter().collect(),
        banner_is_due: target.protocol.banner().is_some(),
        answer_by: deadline(patience),
        unsent: VecDeque::new(),
        is_interactive,
        output,
        printer,
        turns,
        is_editing: false,
    };
    shell.run(&received)
}

/// When an answer that is asked for now is late.
fn deadline(patience: Patience) -> Option<Instant> {
    patience.timeout.map(|timeout| Instant::now() + timeout)
}

/// The caller's side.
struct Shell<'a> {
    connection: Connection<'a, Event>,
    voice: &'static Voice,
    inbox: Inbox,
    /// True exactly when the next answer is the banner.
    banner_is_due: bool,
    /// When the next answer is late; `None` when none is due, or when that has been said.
    answer_by: Option<Instant>,
    /// Lines of a paste that wait for the answer to the one before.
    unsent: VecDeque<String>,
    /// True exactly when a person sits at a terminal, who may connect again.
    is_interactive: bool,
    /// The answers that have been asked for, the next one first.
    asked: VecDeque<Due>,
    output: Output,
    /// Prints above the prompt.
    printer: Option<SyncSender<String>>,
    /// Gives the editor its next turn.
    turns: SyncSender<()>,
    /// True exactly when the editor holds the terminal.
    is_editing: bool,
}

impl Shell<'_> {
    fn run(&mut self, events: &Receiver<Event>) -> Result<Verdict, Failure> {
        let mut prompt_at = Instant::now() + PROMPT_DELAY;
        loop {
            let may_be_complete = match self.show_answers() {
                Err(Failure::Broken(text)) => {
                    self.lose(text)?;
                    false
                }
                shown => shown?,
            };
            let is_ready = self.asked.is_empty() || Instant::now() >= prompt_at;
            if !self.is_editing && is_ready {
                match self.unsent.pop_front() {
                    Some(line) => {
                        prompt_at = Instant::now() + PROMPT_DELAY;
                        if self.ask_or_lose(&line)? {
                            return self.leave(events);
                        }
                        continue;
                    }
                    None => self.give_turn()?,
                }
            }
            let until = match (may_be_complete, self.is_editing) {
                (true, _) => Some(Instant::now() + SILENCE),
                (false, true) => self.answer_by,
                (false, false) => Some(prompt_at),
            };
            match next(events, until) {
                Ok(Event::Typed(typed)) => {
                    self.is_editing = false;
                    prompt_at = Instant::now() + PROMPT_DELAY;
                    match typed {
                        Typed::Lines(lines) => self.unsent.extend(lines),
                        // The line editor of a terminal drops all that it has read with them.
                        Typed::Garbled if self.is_interactive => {
                            self.say(
                                "bytes that are no UTF-8 came: the line and the rest of its burst were dropped\n",
                            )?;
                        }
                        Typed::Garbled => {
                            self.say("bytes that are no UTF-8 came, and the line was dropped\n")?
                        }
                        Typed::Leave => return self.take_leave(events),
                        Typed::Unreadable(error) => {
                            return Err(Failure::Broken(format!(
                                "cannot read the terminal: {error}; send commands with -e"
                            )));
                        }
                    }
                }
                Ok(Event::Interrupted) => return self.take_leave(events),
                Ok(Event::Heard(heard)) if self.connection.is_stale(&heard) => {}
                Ok(Event::Heard(Heard::Received(piece))) => self.inbox.append(&piece),
                Ok(Event::Heard(Heard::Ended(error))) => self.end(error.as_ref())?,
                Err(_) if may_be_complete => self.show(self.inbox.rest())?,
                Err(_) => {}
            }
            self.tell_silence()?;
        }
    }

    /// As [`Shell::ask`], on a new connection if the server has gone away.
    fn ask_or_lose(&mut self, line: &str) -> Result<bool, Failure> {
        let asked = if self.connection.is_lost() && !line.trim().is_empty() {
            self.reconnect().and_then(|()| self.ask(line))
        } else {
            self.ask(line)
        };
        match asked {
            Err(Failure::Broken(text) | Failure::Unreachable(text)) if self.is_interactive => {
                self.lose(text)?;
                Ok(false)
            }
            asked => asked,
        }
    }

    /// Connects again, and begins anew.
    fn reconnect(&mut self) -> Result<(), Failure> {
        self.connection.reopen()?;
        let target = self.connection.target;
        self.inbox = Inbox::default();
        self.asked = target.protocol.banner().into_iter().collect();
        self.banner_is_due = !self.asked.is_empty();
        self.answer_by = deadline(self.connection.patience);
        self.say(&format!("Connected again to {target}.\n"))
    }

    /// The connection is of no more use: says so once, and lets a person connect again.
    ///
    /// # Errors
    /// The same as a failure where no person sits at a terminal.
    fn lose(&mut self, text: String) -> Result<(), Failure> {
        if !self.is_interactive {
            return Err(Failure::Broken(text));
        }
        self.connection.give_up();
        self.inbox = Inbox::default();
        self.asked.clear();
        self.unsent.clear();
        self.answer_by = None;
        self.say(&format!("{}; the next command connects again\n", printable(text.as_bytes())))
    }

    /// Says once that the answer that is due does not come.
    fn tell_silence(&mut self) -> Result<(), Failure> {
        if self.asked.is_empty() || self.answer_by.is_none_or(|late| Instant::now() < late) {
            return Ok(());
        }
        self.answer_by = None;
        let what = if self.banner_is_due { "banner" } else { "answer" };
        let timeout = span(self.connection.patience.timeout.unwrap_or_default());
        self.say(&format!(
            "no {what} within {timeout}; does the server speak {}?\n",
            self.connection.target.protocol.name()
        ))
    }

    /// Sends what was typed; true when it was the last.
    fn ask(&mut self, line: &str) -> Result<bool, Failure> {
        let mut request = Vec::new();
        let asked = match self.connection.target.protocol.encode(line.as_bytes(), &mut request) {
            Ok(asked) => asked,
            Err(error) => {
                self.output.say(&format!("{error}\n"))?;
                return Ok(false);
            }
        };
        if self.connection.is_lost() {
            return Ok(false);
        }
        let sent = self.connection.send(&request)?;
        let is_last = matches!(asked, Request::Farewell(_));
        if self.asked.is_empty() {
            self.answer_by = deadline(self.connection.patience);
        }
        match asked {
            Request::Answered(due) | Request::Farewell(Some(due)) => self.asked.push_back(due),
            Request::Farewell(None) if sent => self.output.say(self.voice.left)?,
            Request::Silent | Request::Farewell(None) => {}
        }
        Ok(is_last)
    }

    /// Leaves as the person wants it, with the protocol's own word where there is a server to hear
    /// it.
    fn take_leave(&mut self, events: &Receiver<Event>) -> Result<Verdict, Failure> {
        if self.connection.is_lost() {
            return self.close(Verdict::Lost);
        }
        self.ask(self.voice.leave)?;
        self.leave(events)
    }

    /// Waits for the answers that are still due, and says goodbye.
    fn leave(&mut self, events: &Receiver<Event>) -> Result<Verdict, Failure> {
        let deadline = Instant::now() + FAREWELL_MAX;
        self.show_answers()?;
        while !self.asked.is_empty() {
            match next(events, Some(deadline)) {
                Ok(Event::Heard(Heard::Received(piece))) => self.inbox.append(&piece),
                Ok(Event::Typed(_) | Event::Interrupted) => {}
                Ok(Event::Heard(Heard::Ended(_))) | Err(_) => break,
            }
            self.show_answers()?;
        }
        self.close(Verdict::Fine)
    }

    /// The server has left first.
    fn end(&mut self, error: Option<&io::Error>) -> Result<(), Failure> {
        if !self.inbox.is_empty() {
            self.show(self.inbox.rest())?;
        }
        let happened = error.map_or("the server closed the connection".into(), reason);
        let missing = if self.asked.is_empty() { "" } else { " with an answer missing" };
        self.connection.ended();
        let Failure::Broken(text) = Failure::broken(
            self.connection.target,
            &format!("{happened}{missing}; look at the server's log"),
        ) else {
            return Ok(());
        };
        self.lose(text)
    }

    fn close(&mut self, verdict: Verdict) -> Result<Verdict, Failure> {
        self.output.say(self.voice.closing)?;
        self.output.flush()?;
        Ok(verdict)
    }

    /// Lets the editor ask for the next line.
    fn give_turn(&mut self) -> Result<(), Failure> {
        self.output.flush()?;
        self.is_editing = true;
        // An editor that has gone has told why.
        let _ = self.turns.send(());
        Ok(())
    }

    /// Shows every answer that is complete; true when the rest is one too if the server falls
    /// quiet.
    fn show_answers(&mut self) -> Result<bool, Failure> {
        loop {
            if self.inbox.is_empty() {
                return Ok(false);
            }
            let mut due =
                self.asked.front().cloned().unwrap_or(self.connection.target.protocol.unasked());
            let found = self.inbox.find(&mut due).map_err(|error| {
                let protocol = self.connection.target.protocol.name();
                Failure::broken(
                    self.connection.target,
                    &format!("{error}; does the server speak {protocol}?"),
                )
            });
            match found? {
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
        let is_banner = mem::take(&mut self.banner_is_due) && !answer.is_error;
        let complaint =
            self.connection.target.protocol.foreign_banner(answer.text).filter(|_| is_banner);
        self.answer_by = deadline(self.connection.patience);
        self.say(&line)?;
        complaint.map_or(Ok(()), |complaint| self.say(&format!("{complaint}\n")))
    }

    /// Shows lines, above the prompt if there is one.
    fn say(&mut self, lines: &str) -> Result<(), Failure> {
        match &self.printer {
            Some(printer) if self.is_editing => {
                // A printer that has gone went with the terminal, which the editor reports.
                let _ = printer.send(lines.into());
                Ok(())
            }
            _ => self.output.say(lines).and_then(|()| self.output.flush()),
        }
    }
}
