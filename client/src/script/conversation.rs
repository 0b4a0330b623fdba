//! The side of a script that pairs answers with requests, prints them and keeps the time.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use tinytcp_cli::target::Target;
use tinytcp_cli::terminal::note;

use super::Event;
use crate::dialogue::{Dialogue, Due, Extent, Found, Inbox, SILENCE};
use crate::failure::{Failure, Verdict, reason, span};
use crate::listener::{Heard, next};
use crate::output::Output;

/// How long the end of the script may take to become known here once the server has closed: the
/// asker is then as good as done, or waits for input that may never come.
const SCRIPT_END_MAX: Duration = Duration::from_millis(250);

/// The caller's side: what has been asked, what has been answered, and how long the next answer may
/// take.
pub struct Conversation<'a> {
    target: &'a Target,
    timeout: Option<Duration>,
    inbox: Inbox,
    /// The answers to come, equal neighbours counted together.
    due: VecDeque<(Due, usize)>,
    /// True exactly when the answer to come is the banner, which is not printed.
    banner_is_due: bool,
    /// True exactly when no more will be asked.
    all_asked: bool,
    /// What of the script was not sent because the session had ended.
    unsent: Option<String>,
    /// Why the script ended early, if its own fault.
    spoiled: Option<String>,
    verdict: Verdict,
    last_was_error: bool,
    output: Output,
    turns: SyncSender<()>,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// More of the answer that is due, or of the script.
    More,
    /// The server's silence.
    Silence,
}

impl<'a> Conversation<'a> {
    /// A conversation with `target` in which nothing has been said yet.
    pub fn new(target: &'a Target, timeout: Option<Duration>, turns: SyncSender<()>) -> Self {
        let banner = target.protocol.banner();
        Self {
            target,
            timeout,
            inbox: Inbox::default(),
            banner_is_due: banner.is_some(),
            due: banner.map(|due| (due, 1)).into_iter().collect(),
            all_asked: false,
            unsent: None,
            spoiled: None,
            verdict: Verdict::Fine,
            last_was_error: false,
            output: Output::new(),
            turns,
        }
    }

    /// Goes on until everything that was asked is answered.
    pub fn run(&mut self, events: &Receiver<Event>) -> Result<Verdict, Failure> {
        let mut deadline = self.deadline();
        let mut wait = Wait::More;
        while !(self.due.is_empty() && self.all_asked) {
            let before = Instant::now();
            self.output.flush()?;
            // A pager that holds up our stdout holds up the answers too: that time is not the
            // server's.
            deadline = deadline.map(|deadline| deadline + before.elapsed());
            let was_idle = self.due.is_empty();
            let until = match wait {
                Wait::More if was_idle => None,
                Wait::More => deadline,
                Wait::Silence => Some(
                    deadline.map_or(before + SILENCE, |deadline| deadline.min(before + SILENCE)),
                ),
            };
            match next(events, until) {
                Ok(Event::Asked(due, count)) => self.due.push_back((due, count)),
                Ok(Event::AllAsked) => self.all_asked = true,
                Ok(Event::Unsent(text)) => self.unsent = Some(text),
                Ok(Event::Spoiled(text)) => (self.all_asked, self.spoiled) = (true, Some(text)),
                Ok(Event::Heard(Heard::Received(piece))) => self.inbox.append(&piece),
                Ok(Event::Heard(Heard::Ended(error))) => return self.end(error.as_ref(), events),
                // With answers due, it is they that are late.
                Ok(Event::Stalled) if !was_idle => {}
                Ok(Event::Stalled) => {
                    return Err(Failure::broken(
                        self.target,
                        "the server takes no more; look at its log",
                    ));
                }
                Err(_) if wait == Wait::Silence && until != deadline => {
                    self.take(self.inbox.rest())?
                }
                Err(_) => return Err(Failure::broken(self.target, &self.no_answer())),
            }
            let answered = self.take_answers(&mut wait)?;
            if answered || was_idle {
                deadline = self.deadline();
            }
        }
        self.finish()
    }

    fn deadline(&self) -> Option<Instant> {
        self.timeout.map(|timeout| Instant::now() + timeout)
    }

    /// Prints every answer that is complete; true when there was one.
    fn take_answers(&mut self, wait: &mut Wait) -> Result<bool, Failure> {
        let mut answered = false;
        *wait = Wait::More;
        while let Some((due, _)) = self.due.front_mut() {
            match self.inbox.find(due) {
                Err(error) => {
                    let protocol = self.target.protocol.name();
                    return Err(Failure::broken(
                        self.target,
                        &format!("{error}; does the server speak {protocol}?"),
                    ));
                }
                Ok(Found::Incomplete) => break,
                Ok(Found::IfSilent) => {
                    *wait = Wait::Silence;
                    break;
                }
                Ok(Found::Complete(extent)) => self.take(extent)?,
            }
            answered = true;
        }
        Ok(answered)
    }

    /// Prints an answer and counts it for the one that was due.
    fn take(&mut self, extent: Extent) -> Result<(), Failure> {
        let answer = self.inbox.take(extent);
        let is_banner = mem::take(&mut self.banner_is_due) && !answer.is_error;
        if is_banner && let Some(complaint) = self.target.protocol.foreign_banner(answer.text) {
            return Err(Failure::broken(self.target, &complaint));
        }
        self.last_was_error = answer.is_error;
        if !is_banner {
            self.output.answer(self.target.protocol, answer)?;
        }
        if self.last_was_error {
            self.verdict = Verdict::Refused;
        }
        match self.due.front_mut() {
            Some((_, count)) if *count > 1 => *count -= 1,
            _ => drop(self.due.pop_front()),
        }
        // The asker may have stopped already, or may not be one that waits for its turn.
        let _ = self.turns.try_send(());
        Ok(())
    }

    /// The server has closed before we would have.
    fn end(
        &mut self,
        error: Option<&io::Error>,
        events: &Receiver<Event>,
    ) -> Result<Verdict, Failure> {
        self.learn_the_end_of_the_script(events);
        self.take_last_words()?;
        let missing: usize = self.due.iter().map(|(_, count)| count).sum();
        if missing == 0 && self.all_asked {
            return self.finish();
        }
        self.output.flush()?;
        let happened = error.map_or("the server closed the connection".into(), reason);
        let when = match missing {
            0 => "before the script ended".into(),
            1 => "with one answer missing".into(),
            _ => format!("with {missing} answers missing"),
        };
        // The server has said why, on stdout; a reset behind it only means that it did not read all
        // we sent.
        if self.last_was_error {
            return Ok(Verdict::Refused);
        }
        Err(Failure::broken(self.target, &format!("{happened} {when}; look at the server's log")))
    }

    /// A server may close after its last answer before our own end of the script is known here.
    fn learn_the_end_of_the_script(&mut self, events: &Receiver<Event>) {
        let deadline = Instant::now() + SCRIPT_END_MAX;
        while !self.all_asked {
            match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::Asked(due, count)) => self.due.push_back((due, count)),
                Ok(Event::AllAsked) => self.all_asked = true,
                Ok(Event::Unsent(text)) => self.unsent = Some(text),
                Ok(Event::Spoiled(text)) => (self.all_asked, self.spoiled) = (true, Some(text)),
                Ok(Event::Heard(_) | Event::Stalled) => {}
                Err(_) => return,
            }
        }
    }

    /// Prints what the server said last: an answer whose end is the end of the connection, or why
    /// it closed.
    fn take_last_words(&mut self) -> Result<(), Failure> {
        loop {
            let mut due =
                self.due.front().map_or(self.target.protocol.unasked(), |(due, _)| due.clone());
            match self.inbox.find(&mut due) {
                Ok(Found::Complete(extent)) => self.take(extent)?,
                Ok(Found::IfSilent) => self.take(self.inbox.rest())?,
                Ok(Found::Incomplete) if self.inbox.is_empty() => return Ok(()),
                Ok(Found::Incomplete) => {
                    return Err(Failure::broken(
                        self.target,
                        "the server closed inside an answer; look at its log",
                    ));
                }
                Err(error) => return Err(Failure::broken(self.target, &error)),
            }
        }
    }

    fn finish(&mut self) -> Result<Verdict, Failure> {
        self.output.flush()?;
        match self.spoiled.take() {
            Some(text) => Err(Failure::Usage(text)),
            None => Ok(self.verdict),
        }
    }

    /// Says on stderr what of the script was not sent, behind all answers.
    pub fn tell_unsent(&mut self) {
        if let Some(text) = self.unsent.take() {
            note("tinytcp-client", text);
        }
    }

    fn no_answer(&self) -> String {
        let what = if self.banner_is_due { "banner" } else { "answer" };
        format!(
            "no {what} within {}; does the server speak {}? Allow more with --timeout",
            span(self.timeout.unwrap_or_default()),
            self.target.protocol.name()
        )
    }
}
