//! The caller's side of a shell: sends the typed lines, prints the answers, and reconnects.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use super::ShellEvent;
use super::connection::ShellConnection;
use super::editor::Typed;
use super::printer::Printer;
use crate::connect::ConnectOptions;
use crate::dialogue::{
    self, AnswerBuffer, AnswerState, DueAnswer, Extent, Request, SILENCE, Wording,
};
use crate::error::{ClientError, Completion, advice, end_of_connection, readable_duration};
use crate::receiver::{Received, next_event};
use crate::stdout::{StdoutWriter, printable};

/// The time that the next prompt waits for the answer to the last line. A later answer is printed
/// above the prompt.
const PROMPT_DELAY: Duration = Duration::from_millis(250);

/// The time that the last answer may take when the person leaves: long for any network, and short
/// for a person.
const LAST_ANSWER_MAX: Duration = Duration::from_secs(1);

/// The state of a session.
pub struct ShellSession<'a> {
    connection: ShellConnection<'a, ShellEvent>,
    wording: &'static Wording,
    buffer: AnswerBuffer,
    /// The next answer is the banner.
    banner_is_due: bool,
    /// The time at which the next answer is late; `None` if none is due, or if that has been
    /// reported.
    answer_by: Option<Instant>,
    /// Lines of a paste that wait for the answer to the one before.
    unsent: VecDeque<String>,
    /// A person sits at a terminal, and may connect again.
    is_interactive: bool,
    /// The due answers, the next one first.
    due: VecDeque<DueAnswer>,
    output: StdoutWriter,
    /// Prints above the prompt.
    printer: Option<Printer>,
    /// Lets the editor read its next line.
    turns: SyncSender<()>,
    /// The editor reads a line.
    is_editing: bool,
}

impl<'a> ShellSession<'a> {
    /// A session on `connection`, on which nothing was sent or received yet.
    pub fn new(
        connection: ShellConnection<'a, ShellEvent>,
        output: StdoutWriter,
        printer: Option<Printer>,
        turns: SyncSender<()>,
        is_interactive: bool,
    ) -> Self {
        let protocol = connection.target.protocol;
        Self {
            wording: Wording::of(protocol),
            buffer: AnswerBuffer::default(),
            due: dialogue::banner(protocol).into_iter().collect(),
            banner_is_due: dialogue::banner(protocol).is_some(),
            answer_by: deadline(connection.options),
            connection,
            unsent: VecDeque::new(),
            is_interactive,
            output,
            printer,
            turns,
            is_editing: false,
        }
    }

    /// Runs until the person or the server ends the session.
    ///
    /// # Errors
    /// See [`ClientError`]; also when the server closes with an answer missing.
    pub fn run(&mut self, events: &Receiver<ShellEvent>) -> Result<Completion, ClientError> {
        let mut prompt_at = Instant::now() + PROMPT_DELAY;
        loop {
            let may_be_complete = match self.show_answers() {
                Err(ClientError::Broken(text)) => {
                    self.lose(text)?;
                    false
                }
                shown => shown?,
            };
            let is_ready = self.due.is_empty() || Instant::now() >= prompt_at;
            if !self.is_editing && is_ready {
                match self.unsent.pop_front() {
                    Some(line) => {
                        prompt_at = Instant::now() + PROMPT_DELAY;
                        if self.send_or_lose(&line)? {
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
            // Once for all that has arrived: a terminal takes many short writes slowly.
            self.output.flush()?;
            match next_event(events, until) {
                Ok(ShellEvent::Typed(typed)) => {
                    self.end_turn()?;
                    prompt_at = Instant::now() + PROMPT_DELAY;
                    match typed {
                        Typed::Lines(lines) => self.unsent.extend(lines),
                        Typed::Garbled => self.report_garbled()?,
                        Typed::Leave => return self.send_leave(events),
                        Typed::Unreadable(error) => {
                            return Err(ClientError::Broken(format!(
                                "cannot read the terminal: {error}; send commands with -e"
                            )));
                        }
                    }
                }
                Ok(ShellEvent::Interrupted) => return self.send_leave(events),
                Ok(ShellEvent::Received(received)) if self.connection.is_stale(&received) => {}
                Ok(ShellEvent::Received(Received::Bytes(piece))) => self.buffer.append(&piece),
                Ok(ShellEvent::Received(Received::Ended(error))) => self.end(error.as_ref())?,
                Err(_) if may_be_complete => self.show(self.buffer.rest())?,
                Err(_) => {}
            }
            self.report_silence()?;
        }
    }

    /// Sends a line, on a new connection if the last one is lost. Returns true if it was the last
    /// line of the session.
    fn send_or_lose(&mut self, line: &str) -> Result<bool, ClientError> {
        let sent = if self.connection.is_lost() && !line.trim().is_empty() {
            self.reconnect().and_then(|()| self.send(line))
        } else {
            self.send(line)
        };
        match sent {
            Err(ClientError::Broken(text) | ClientError::Unreachable(text))
                if self.is_interactive =>
            {
                self.lose(text)?;
                Ok(false)
            }
            sent => sent,
        }
    }

    /// Opens a new connection.
    fn reconnect(&mut self) -> Result<(), ClientError> {
        self.output.flush()?;
        self.connection.reopen()?;
        let target = self.connection.target;
        self.buffer = AnswerBuffer::default();
        self.due = dialogue::banner(target.protocol).into_iter().collect();
        self.banner_is_due = !self.due.is_empty();
        self.answer_by = deadline(self.connection.options);
        self.print(&format!("Connected again to {target}.\n"))
    }

    /// Reports once that the connection is lost. The next command connects again.
    ///
    /// # Errors
    /// The same report, if no person sits at a terminal.
    fn lose(&mut self, text: String) -> Result<(), ClientError> {
        if !self.is_interactive {
            return Err(ClientError::Broken(text));
        }
        self.connection.abandon();
        self.buffer = AnswerBuffer::default();
        self.due.clear();
        self.unsent.clear();
        self.answer_by = None;
        self.print(&format!("{}; the next command connects again\n", printable(text.as_bytes())))
    }

    /// Reports once that the due answer is late.
    fn report_silence(&mut self) -> Result<(), ClientError> {
        if self.due.is_empty() || self.answer_by.is_none_or(|late| Instant::now() < late) {
            return Ok(());
        }
        self.answer_by = None;
        let item = if self.banner_is_due { "banner" } else { "answer" };
        let timeout = readable_duration(self.connection.options.timeout.unwrap_or_default());
        self.print(&format!(
            "no {item} within {timeout}; does the server speak {}?\n",
            self.connection.target.protocol.name()
        ))
    }

    /// Reports that the editor dropped a line. On a terminal it drops all that it has read with it.
    fn report_garbled(&mut self) -> Result<(), ClientError> {
        let dropped = match self.is_interactive {
            true => "the line and the rest of its burst were dropped",
            false => "the line was dropped",
        };
        self.print(&format!("the input has bytes that are not UTF-8: {dropped}\n"))
    }

    /// Sends a line. Returns true if it was the last one of the session.
    fn send(&mut self, line: &str) -> Result<bool, ClientError> {
        let protocol = self.connection.target.protocol;
        let mut bytes = Vec::new();
        let request = match dialogue::encode(protocol, line.as_bytes(), &mut bytes) {
            Ok(request) => request,
            Err(error) => {
                self.output.write(&format!("{error}\n"))?;
                return Ok(false);
            }
        };
        if self.connection.is_lost() {
            return Ok(false);
        }
        let is_sent = self.connection.send(&bytes)?;
        let is_last = matches!(request, Request::Last(_));
        if self.due.is_empty() {
            self.answer_by = deadline(self.connection.options);
        }
        match request {
            Request::Answered(due) | Request::Last(Some(due)) => self.due.push_back(due),
            Request::Last(None) if is_sent => self.output.write(self.wording.left)?,
            Request::Unanswered | Request::Last(None) => {}
        }
        Ok(is_last)
    }

    /// Leaves at the person's request, with the command of the protocol if the connection is open.
    fn send_leave(&mut self, events: &Receiver<ShellEvent>) -> Result<Completion, ClientError> {
        if self.connection.is_lost() {
            return self.close(Completion::ConnectionLost);
        }
        self.send(self.wording.leave)?;
        self.leave(events)
    }

    /// Waits for the answers that are still due, then ends the session.
    fn leave(&mut self, events: &Receiver<ShellEvent>) -> Result<Completion, ClientError> {
        let deadline = Instant::now() + LAST_ANSWER_MAX;
        self.show_answers()?;
        // Without a look at the clock, a room that never falls silent would hide the deadline.
        while !self.due.is_empty() && Instant::now() < deadline {
            self.output.flush()?;
            match next_event(events, Some(deadline)) {
                Ok(ShellEvent::Received(Received::Bytes(piece))) => self.buffer.append(&piece),
                Ok(ShellEvent::Typed(_) | ShellEvent::Interrupted) => {}
                Ok(ShellEvent::Received(Received::Ended(_))) | Err(_) => break,
            }
            self.show_answers()?;
        }
        self.close(Completion::Success)
    }

    /// Handles the end of the connection by the server.
    fn end(&mut self, error: Option<&io::Error>) -> Result<(), ClientError> {
        if !self.buffer.is_empty() {
            self.show(self.buffer.rest())?;
        }
        let missing = if self.due.is_empty() { "" } else { " with an answer missing" };
        self.connection.ended();
        let target = self.connection.target;
        self.lose(format!("{target}: {}", end_of_connection(error, missing)))
    }

    fn close(&mut self, completion: Completion) -> Result<Completion, ClientError> {
        self.output.write(self.wording.closing)?;
        self.output.flush()?;
        Ok(completion)
    }

    /// Lets the editor read the next line.
    fn give_turn(&mut self) -> Result<(), ClientError> {
        self.output.flush()?;
        self.is_editing = true;
        if let Some(printer) = &self.printer {
            printer.set_reading(true);
        }
        // An editor that has ended has reported why.
        let _ = self.turns.send(());
        Ok(())
    }

    /// Notes that the editor has read a line, and prints the text that it has not taken.
    fn end_turn(&mut self) -> Result<(), ClientError> {
        self.is_editing = false;
        let left = self.printer.as_ref().map(Printer::take).unwrap_or_default();
        self.output.write(&left).and_then(|()| self.output.flush())
    }

    /// Prints every complete answer. Returns true if the rest may be one: it is complete if the
    /// server is silent now.
    fn show_answers(&mut self) -> Result<bool, ClientError> {
        loop {
            if self.buffer.is_empty() {
                return Ok(false);
            }
            let protocol = self.connection.target.protocol;
            let mut due = self.due.front().cloned().unwrap_or(dialogue::unasked(protocol));
            let state = self.buffer.find(&mut due).map_err(|error| {
                let question = format!("{error}; does the server speak {}?", protocol.name());
                ClientError::broken(self.connection.target, &question)
            });
            match state? {
                AnswerState::Complete(extent) => self.show(extent)?,
                AnswerState::News(extent) => self.show_news(extent)?,
                AnswerState::Incomplete => return Ok(false),
                AnswerState::CompleteIfSilent => return Ok(true),
            }
        }
    }

    /// Prints an answer, above the prompt if there is one.
    fn show(&mut self, extent: Extent) -> Result<(), ClientError> {
        let answer = self.buffer.take(extent);
        self.due.pop_front();
        let text = printable(answer.text);
        let text = if answer.is_error { self.output.red(&text) } else { text.into() };
        let line = format!("{}{text}\n", self.wording.answer);
        let is_banner = mem::take(&mut self.banner_is_due) && !answer.is_error;
        let target = self.connection.target;
        let complaint = match answer.is_error {
            true => advice(target, answer.text),
            false => dialogue::foreign_banner(target.protocol, answer.text).filter(|_| is_banner),
        };
        self.answer_by = deadline(self.connection.options);
        self.print(&line)?;
        complaint.map_or(Ok(()), |complaint| self.print(&format!("{complaint}\n")))
    }

    /// Prints news of a room, above the prompt if there is one. The answers that are due stay due.
    fn show_news(&mut self, extent: Extent) -> Result<(), ClientError> {
        let Some(news) = self.buffer.take_news(extent) else { return Ok(()) };
        let line = format!("{}{}\n", self.wording.news, printable(&news.line()));
        self.print(&line)
    }

    /// Prints lines, above the prompt if there is one.
    fn print(&mut self, lines: &str) -> Result<(), ClientError> {
        match &self.printer {
            Some(printer) if self.is_editing => {
                printer.print(lines);
                Ok(())
            }
            _ => self.output.write(lines),
        }
    }
}

/// Returns the time at which the answer to a request that is sent now is late.
fn deadline(options: ConnectOptions<'_>) -> Option<Instant> {
    options.timeout.map(|timeout| Instant::now() + timeout)
}
