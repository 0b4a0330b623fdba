//! The activity log: every step that a person takes shows, and a load test costs a line a second.
//!
//! So many lines are written each second; what comes after them in the same second is counted, and
//! the count is one line when the second is over.

use std::fmt;
use std::time::Duration;

use crate::close_reason::{CloseReason, by_reason};
use crate::display::escape::{front, quoted};
use crate::display::plural::plural;
use crate::os::moment::Moment;
use crate::os::peer::Peer;

/// The bytes of a message that are shown. Longer ones are cut.
const SHOWN_BYTES_MAX: usize = 64;

const SECOND: Duration = Duration::from_secs(1);

/// The key under which a log record says how many milliseconds ago its event happened, where that
/// was not just now: the time at the front of its line is that much earlier.
pub const AGE_KEY: &str = "age_ms";

/// What happened on one connection, from its first moment to its last.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Messages received, those refused included.
    pub messages: u64,
    /// From accept to close.
    pub duration: Duration,
    /// Why it was closed.
    pub reason: CloseReason,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let received = plural(self.received_bytes, "byte");
        let sent = plural(self.sent_bytes, "byte");
        let messages = plural(self.messages, "message");
        write!(
            f,
            "{}; {received} in, {sent} out, {messages}, {:.3} s",
            self.reason,
            self.duration.as_secs_f64()
        )
    }
}

/// Writes activity lines, at most so many a second.
#[derive(Debug)]
pub struct Activity {
    /// Lines a second; `None` writes and counts nothing.
    lines_max: Option<u32>,
    /// False where only connections are logged, and nothing of their messages.
    shows_messages: bool,
    /// Lines that may still be written in this second.
    lines_left: u32,
    /// True exactly when what is not written is counted: there is a limit, and the log level shows
    /// the lines.
    counting: bool,
    second_ends: Moment,
    unwritten: Unwritten,
    /// What is spoken at each listener.
    protocols: Vec<&'static str>,
}

/// What happened in this second after its lines were used up.
#[derive(Debug, Default, PartialEq, Eq)]
struct Unwritten {
    opened: u64,
    commands: u64,
    /// By [`CloseReason`], without probes.
    closed: [u64; CloseReason::COUNT],
    probes: u64,
}

impl Activity {
    /// A log of `lines_max` lines a second, or of none, about listeners that speak `protocols`.
    #[must_use]
    pub fn new(lines_max: Option<u32>, protocols: Vec<&'static str>) -> Self {
        Self {
            lines_max,
            shows_messages: true,
            lines_left: 0,
            counting: false,
            second_ends: Moment::START,
            unwritten: Unwritten::default(),
            protocols,
        }
    }

    /// The same log without messages: of connections it shows the opening and the close.
    #[must_use]
    pub fn without_messages(self) -> Self {
        Self { shows_messages: false, ..self }
    }

    /// Starts a new second when the old one is over, and sums the old one up.
    pub fn round(&mut self, now: Moment) {
        if now < self.second_ends {
            return;
        }
        self.sum_up();
        // The log level is looked at once a second, not once a message.
        let lines = self.lines_max.filter(|_| log::log_enabled!(log::Level::Info));
        self.counting = lines.is_some();
        self.lines_left = lines.unwrap_or(0);
        self.second_ends = now.after(SECOND);
    }

    /// When the loop must call [`Activity::round`] though nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Moment {
        if self.unwritten == Unwritten::default() { Moment::NEVER } else { self.second_ends }
    }

    /// Writes the count of what was not written; also at the very end.
    pub fn sum_up(&mut self) {
        let Unwritten { opened, commands, closed, probes } = std::mem::take(&mut self.unwritten);
        let closed_in_all: u64 = closed.iter().sum();
        let reasons = by_reason(&closed);
        let reasons = if closed_in_all > 0 { format!(" ({reasons})") } else { String::new() };
        let counts = [
            (opened, format!("{opened} opened")),
            (commands, plural(commands, "command").to_string()),
            (closed_in_all, format!("{closed_in_all} closed{reasons}")),
            (probes, plural(probes, "probe").to_string()),
        ];
        let occurred: Vec<&str> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(_, text)| text.as_str()).collect();
        if !occurred.is_empty() {
            log::info!("same second, not shown: {}", occurred.join(", "));
        }
    }

    /// A connection was opened, `age` ago.
    pub fn opened(&mut self, peer: &Peer, age: Duration) {
        if self.take_line(|unwritten| &mut unwritten.opened) {
            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            log::info!(age_ms; "opened {}", self.name(peer));
        }
    }

    /// A message was received: `name` is what the protocol calls it, if its bytes do not say so
    /// themselves.
    #[inline]
    pub fn command(&mut self, peer: &Peer, name: &str, message: &[u8]) {
        if self.shows_messages && self.take_line(|unwritten| &mut unwritten.commands) {
            self.write_command(peer, name, message);
        }
    }

    /// A connection was closed.
    pub fn closed(&mut self, peer: &Peer, summary: &Summary) {
        if self.take_line(|unwritten| &mut unwritten.closed[summary.reason as usize]) {
            log::info!("closed {}: {summary}", self.name(peer));
        }
    }

    /// A connection was opened and closed by somebody who only looked whether the port is open.
    pub fn probed(&mut self, peer: &Peer, summary: &Summary) {
        if log::log_enabled!(log::Level::Debug) && self.take_line(|unwritten| &mut unwritten.probes)
        {
            log::debug!("probe {}: {summary}", self.name(peer));
        }
    }

    #[cold]
    fn write_command(&self, peer: &Peer, name: &str, message: &[u8]) {
        let blank = if name.is_empty() || message.is_empty() { "" } else { " " };
        log::info!("{}: {name}{blank}{}", self.name(peer), Shown(message));
    }

    /// A peer as log lines name it.
    fn name(&self, peer: &Peer) -> impl fmt::Display + use<> {
        let (protocol, addr) =
            (self.protocols.get(peer.listener()).copied().unwrap_or_default(), peer.addr());
        fmt::from_fn(move |f| write!(f, "{protocol} {addr}"))
    }

    /// Takes one of this second's lines, or counts what `unwritten` names.
    #[inline]
    fn take_line(&mut self, unwritten: impl FnOnce(&mut Unwritten) -> &mut u64) -> bool {
        let taken = self.lines_left > 0;
        if taken {
            self.lines_left -= 1;
        } else {
            *unwritten(&mut self.unwritten) += u64::from(self.counting);
        }
        taken
    }
}

/// Bytes of a peer as a log line shows them: quoted, and the front of them only.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = front(self.0, SHOWN_BYTES_MAX);
        write!(f, "{}", quoted(shown))?;
        if shown.len() < self.0.len() { write!(f, "... ({} bytes)", self.0.len()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(lines_left: u32) -> Activity {
        Activity { lines_left, counting: true, ..Activity::new(Some(lines_left), vec!["text"]) }
    }

    #[test]
    fn what_exceeds_the_lines_of_a_second_is_counted() {
        let peer = Peer::new(([127, 0, 0, 1], 1).into(), 0);
        let mut activity = activity(2);
        assert_eq!(activity.deadline(), Moment::NEVER);
        activity.opened(&peer, Duration::ZERO);
        (0..10).for_each(|_| activity.command(&peer, "", b"TIME"));
        assert_eq!(activity.unwritten, Unwritten { commands: 9, ..Unwritten::default() });
        assert_eq!(
            activity.deadline(),
            activity.second_ends,
            "the count is due when the second is over"
        );
        activity.round(Moment::START.after(SECOND));
        assert_eq!(activity.deadline(), Moment::NEVER);
    }

    #[test]
    fn without_messages_a_command_is_neither_written_nor_counted() {
        let peer = Peer::new(([127, 0, 0, 1], 1).into(), 0);
        let mut activity = activity(1).without_messages();
        (0..10).for_each(|_| activity.command(&peer, "", b"TIME"));
        assert_eq!((activity.lines_left, &activity.unwritten), (1, &Unwritten::default()));
    }

    #[test]
    fn a_summary_of_one_of_each_is_in_the_singular() {
        let summary = Summary {
            received_bytes: 1,
            sent_bytes: 1,
            messages: 1,
            duration: Duration::from_millis(1),
            reason: CloseReason::Quit,
        };
        assert_eq!(summary.to_string(), "client quit; 1 byte in, 1 byte out, 1 message, 0.001 s");
    }

    #[test]
    fn a_long_message_is_cut_between_two_characters() {
        let shown = |message: &str| Shown(message.as_bytes()).to_string();
        assert_eq!(shown(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(shown(&"x".repeat(65)), format!("{}... (65 bytes)", "x".repeat(64)));
        assert_eq!(
            shown(&format!("{}é", "x".repeat(63))),
            format!("{}... (65 bytes)", "x".repeat(63))
        );
    }
}
