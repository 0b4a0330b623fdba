//! The caller's side of a script: pairs answers with requests, prints them and keeps the time.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use tinytcp_cli::target::Target;
use tinytcp_cli::terminal::note;
use tinytcp_core::display::plural::plural;

use super::ScriptEvent;
use crate::dialogue::{self, AnswerBuffer, AnswerState, DueAnswer, Extent, SILENCE};
use crate::entry::EntryCommand;
use crate::error::{ClientError, Completion, advice, end_of_connection, readable_duration};
use crate::receiver::{Received, next_event};
use crate::stdout::StdoutWriter;

/// The wait for the end of the script after the server has closed: the sender has then almost
/// finished, or it waits for input that may never arrive.
const SCRIPT_END_MAX: Duration = Duration::from_millis(250);

/// The requests that were sent, their answers, and the deadline of the next one.
pub struct AnswerPrinter<'a> {
    target: &'a Target,
    timeout: Option<Duration>,
    buffer: AnswerBuffer,
    /// The due answers; equal neighbours are counted together.
    due: VecDeque<(DueAnswer, usize)>,
    /// The next answer is the banner, which is not printed.
    banner_is_due: bool,
    /// The first commands, whose answers are not printed, and which must not be refused.
    entry: VecDeque<EntryCommand>,
    /// News of a room are printed.
    shows_news: bool,
    /// No more requests follow.
    all_sent: bool,
    /// The last request ends the session, so the server closes.
    ends_session: bool,
    /// A sentence about the part of the script that was not sent because the session had ended.
    unsent: Option<String>,
    /// Why the script ended early, if it cannot be read or understood.
    invalid: Option<String>,
    completion: Completion,
    last_was_error: bool,
    output: StdoutWriter,
    turns: SyncSender<()>,
}

/// The event for which the caller waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WaitFor {
    /// More of the due answer, or of the script.
    More,
    /// The server's silence.
    Silence,
}

impl<'a> AnswerPrinter<'a> {
    /// The side of a connection with `target` on which nothing was sent or received yet.
    ///
    /// The answers to the commands of `entry` are not printed, and neither are news after it.
    pub fn new(
        target: &'a Target,
        timeout: Option<Duration>,
        turns: SyncSender<()>,
        entry: Vec<EntryCommand>,
    ) -> Self {
        let banner = dialogue::banner(target.protocol);
        Self {
            target,
            timeout,
            buffer: AnswerBuffer::default(),
            banner_is_due: banner.is_some(),
            due: banner.map(|due| (due, 1)).into_iter().collect(),
            shows_news: entry.is_empty(),
            entry: entry.into(),
            all_sent: false,
            ends_session: false,
            unsent: None,
            invalid: None,
            completion: Completion::Success,
            last_was_error: false,
            output: StdoutWriter::new(),
            turns,
        }
    }

    /// Prints answers until every request has its own.
    pub fn run(&mut self, events: &Receiver<ScriptEvent>) -> Result<Completion, ClientError> {
        let mut deadline = self.deadline();
        let mut wait = WaitFor::More;
        while !(self.due.is_empty() && self.all_sent) {
            let before = Instant::now();
            self.output.flush()?;
            // A pager that delays stdout also delays the reading of answers. That time does not
            // count against the server.
            deadline = deadline.map(|deadline| deadline + before.elapsed());
            let was_idle = self.due.is_empty();
            let until = match wait {
                WaitFor::More if was_idle => None,
                WaitFor::More => deadline,
                WaitFor::Silence => Some(
                    deadline.map_or(before + SILENCE, |deadline| deadline.min(before + SILENCE)),
                ),
            };
            match next_event(events, until) {
                Ok(ScriptEvent::Requests(due, count)) => self.due.push_back((due, count)),
                Ok(ScriptEvent::EndOfScript { ends_session }) => {
                    (self.all_sent, self.ends_session) = (true, ends_session)
                }
                Ok(ScriptEvent::Unsent(text)) => self.unsent = Some(text),
                Ok(ScriptEvent::Invalid(text)) => {
                    (self.all_sent, self.invalid) = (true, Some(text))
                }
                Ok(ScriptEvent::Received(Received::Bytes(piece))) => self.buffer.append(&piece),
                Ok(ScriptEvent::Received(Received::Ended(error))) => {
                    return self.end(error.as_ref(), events);
                }
                // While answers are due, their deadline decides.
                Ok(ScriptEvent::Stalled) if !was_idle => {}
                Ok(ScriptEvent::Stalled) => {
                    return Err(ClientError::broken(
                        self.target,
                        "the server stopped reading; look at its log",
                    ));
                }
                Err(_) if wait == WaitFor::Silence && until != deadline => {
                    self.take(self.buffer.rest())?
                }
                Err(_) => return Err(ClientError::broken(self.target, self.no_answer())),
            }
            let answered = self.take_answers(&mut wait)?;
            if answered || was_idle {
                deadline = self.deadline();
            }
        }
        if self.ends_session && self.target.is_encrypted {
            self.wait_for_the_end_of_tls(events)?;
        }
        self.finish()
    }

    /// Waits until the server has ended the session, which it must do in order.
    fn wait_for_the_end_of_tls(
        &mut self,
        events: &Receiver<ScriptEvent>,
    ) -> Result<(), ClientError> {
        self.output.flush()?;
        let deadline = self.deadline();
        loop {
            match next_event(events, deadline) {
                Ok(ScriptEvent::Received(Received::Ended(Some(error)))) => {
                    let end = end_of_connection(Some(&error), "");
                    return Err(ClientError::broken(self.target, end));
                }
                Ok(ScriptEvent::Received(Received::Ended(None))) | Err(_) => return Ok(()),
                Ok(_) => {}
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.timeout.map(|timeout| Instant::now() + timeout)
    }

    /// Prints every complete answer. Returns true if there was one.
    fn take_answers(&mut self, wait: &mut WaitFor) -> Result<bool, ClientError> {
        let mut answered = false;
        *wait = WaitFor::More;
        while let Some((due, _)) = self.due.front_mut() {
            match self.buffer.find(due) {
                Err(error) => {
                    let protocol = self.target.protocol.name();
                    return Err(ClientError::broken(
                        self.target,
                        format!("{error}; does the server speak {protocol}?"),
                    ));
                }
                Ok(AnswerState::Incomplete) => break,
                Ok(AnswerState::CompleteIfSilent) => {
                    *wait = WaitFor::Silence;
                    break;
                }
                Ok(AnswerState::News(extent)) => {
                    self.take_news(extent)?;
                    continue;
                }
                Ok(AnswerState::Complete(extent)) => self.take(extent)?,
            }
            answered = true;
        }
        if self.due.is_empty() {
            self.take_unasked_news()?;
        }
        Ok(answered)
    }

    /// Prints the news that arrived while no answer is due. Other bytes wait for the next request.
    fn take_unasked_news(&mut self) -> Result<(), ClientError> {
        let mut unasked = dialogue::unasked(self.target.protocol);
        while let Ok(AnswerState::News(extent)) = self.buffer.find(&mut unasked) {
            self.take_news(extent)?;
        }
        Ok(())
    }

    /// Prints news of a room.
    fn take_news(&mut self, extent: Extent) -> Result<(), ClientError> {
        match self.buffer.take_news(extent) {
            Some(news) if self.shows_news => self.output.write_news(&news),
            _ => Ok(()),
        }
    }

    /// Prints an answer and removes it from the due ones.
    fn take(&mut self, extent: Extent) -> Result<(), ClientError> {
        let answer = self.buffer.take(extent);
        let is_banner = mem::take(&mut self.banner_is_due) && !answer.is_error;
        if is_banner
            && let Some(complaint) = dialogue::foreign_banner(self.target.protocol, answer.text)
        {
            return Err(ClientError::broken(self.target, &complaint));
        }
        self.last_was_error = answer.is_error;
        let entry = if is_banner { None } else { self.entry.pop_front() };
        match entry {
            Some(command) => command.check(self.target, &answer)?,
            None if !is_banner => self.output.write_answer(self.target.protocol, answer)?,
            None => {}
        }
        if let Some(advice) =
            self.last_was_error.then(|| advice(self.target, answer.text)).flatten()
        {
            return Err(ClientError::Refused(format!("{}: {advice}", self.target)));
        }
        if self.last_was_error {
            self.completion = Completion::Refused;
        }
        match self.due.front_mut() {
            Some((_, count)) if *count > 1 => *count -= 1,
            _ => drop(self.due.pop_front()),
        }
        if !is_banner {
            // The sender may have ended already, or does not wait for answers.
            let _ = self.turns.try_send(());
        }
        Ok(())
    }

    /// Ends a run in which the server closed first.
    fn end(
        &mut self,
        error: Option<&io::Error>,
        events: &Receiver<ScriptEvent>,
    ) -> Result<Completion, ClientError> {
        self.wait_for_the_end_of_the_script(events);
        // An attacker may have cut the answer that the end would complete.
        let is_cut = self.target.is_encrypted && error.is_some();
        if !is_cut {
            self.take_last_answers()?;
        }
        let missing: usize = self.due.iter().map(|(_, count)| count).sum();
        if missing == 0 && self.all_sent && !(is_cut && self.ends_session) {
            return self.finish();
        }
        self.output.flush()?;
        let when = match missing {
            0 if self.all_sent => String::new(),
            0 => " before the script ended".into(),
            _ => format!(" with {} missing", plural(missing as u64, "answer")),
        };
        // The answer on stdout is the reason. A reset after it only means that the server did not
        // read all requests.
        if self.last_was_error {
            return Ok(Completion::Refused);
        }
        Err(ClientError::broken(self.target, end_of_connection(error, &when)))
    }

    /// The server may close after its last answer before the sender reports the end of the script.
    fn wait_for_the_end_of_the_script(&mut self, events: &Receiver<ScriptEvent>) {
        let deadline = Instant::now() + SCRIPT_END_MAX;
        while !self.all_sent {
            match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(ScriptEvent::Requests(due, count)) => self.due.push_back((due, count)),
                Ok(ScriptEvent::EndOfScript { ends_session }) => {
                    (self.all_sent, self.ends_session) = (true, ends_session)
                }
                Ok(ScriptEvent::Unsent(text)) => self.unsent = Some(text),
                Ok(ScriptEvent::Invalid(text)) => {
                    (self.all_sent, self.invalid) = (true, Some(text))
                }
                Ok(ScriptEvent::Received(_) | ScriptEvent::Stalled) => {}
                Err(_) => return,
            }
        }
    }

    /// Prints the last bytes of the server: an answer that the end of the connection completes, or
    /// the reason for closing.
    fn take_last_answers(&mut self) -> Result<(), ClientError> {
        loop {
            let mut due = self
                .due
                .front()
                .map_or(dialogue::unasked(self.target.protocol), |(due, _)| due.clone());
            match self.buffer.find(&mut due) {
                Ok(AnswerState::Complete(extent)) => self.take(extent)?,
                Ok(AnswerState::News(extent)) => self.take_news(extent)?,
                Ok(AnswerState::CompleteIfSilent) => self.take(self.buffer.rest())?,
                Ok(AnswerState::Incomplete) if self.buffer.is_empty() => return Ok(()),
                Ok(AnswerState::Incomplete) => {
                    return Err(ClientError::broken(
                        self.target,
                        "the server closed in the middle of an answer; look at its log",
                    ));
                }
                Err(error) => return Err(ClientError::broken(self.target, error)),
            }
        }
    }

    fn finish(&mut self) -> Result<Completion, ClientError> {
        self.output.flush()?;
        match self.invalid.take() {
            Some(text) => Err(ClientError::Usage(text)),
            None => Ok(self.completion),
        }
    }

    /// Reports on stderr, after all answers, the part of the script that was not sent.
    pub fn report_unsent(&mut self) {
        if let Some(text) = self.unsent.take() {
            note("tinytcp-client", text);
        }
    }

    fn no_answer(&self) -> String {
        let item = if self.banner_is_due { "banner" } else { "answer" };
        format!(
            "no {item} within {}; does the server speak {}? Allow more with --timeout",
            readable_duration(self.timeout.unwrap_or_default()),
            self.target.protocol.name()
        )
    }
}
