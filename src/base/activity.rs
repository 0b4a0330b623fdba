//! The activity log: every step that a person takes shows, and a load test costs a line a second.
//!
//! So many lines are written each second; what comes after them in the same second is counted, and the count is one
//! line when the second is over.

use std::fmt;
use std::time::Duration;

use super::close_reason::{CloseReason, by_reason};
use super::moment::Moment;
use super::peer::Peer;

/// The bytes of a message that are shown. Longer ones are cut.
const SHOWN_BYTES_MAX: usize = 64;

const SECOND: Duration = Duration::from_secs(1);

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
        let Self { received_bytes, sent_bytes, messages, duration, reason } = self;
        let seconds = duration.as_secs_f64();
        write!(f, "{reason}; {received_bytes} bytes in, {sent_bytes} bytes out, {messages} messages, {seconds:.3} s")
    }
}

/// Writes activity lines, at most so many a second.
#[derive(Debug)]
pub struct Activity {
    /// Lines a second; `None` writes and counts nothing.
    lines_max: Option<u32>,
    /// Lines that may still be written in this second.
    lines_left: u32,
    /// True exactly when what is not written is counted: there is a limit, and the log level shows the lines.
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
    /// By [`CloseReason`].
    closed: [u64; CloseReason::COUNT],
}

impl Activity {
    /// A log of `lines_max` lines a second, or of none, about listeners that speak `protocols`.
    #[must_use]
    pub fn new(lines_max: Option<u32>, protocols: Vec<&'static str>) -> Self {
        Self {
            lines_max,
            lines_left: 0,
            counting: false,
            second_ends: Moment::START,
            unwritten: Unwritten::default(),
            protocols,
        }
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
        let Unwritten { opened, commands, closed } = std::mem::take(&mut self.unwritten);
        let closed_in_all: u64 = closed.iter().sum();
        if opened + commands + closed_in_all > 0 {
            let reasons = by_reason(&closed);
            let reasons = fmt::from_fn(|f| if closed_in_all > 0 { write!(f, " ({reasons})") } else { Ok(()) });
            log::info!("and in the same second: {opened} opened, {commands} commands, {closed_in_all} closed{reasons}");
        }
    }

    /// A connection was opened.
    pub fn opened(&mut self, peer: &Peer) {
        if self.take_line(|unwritten| &mut unwritten.opened) {
            log::info!("opened {}", self.name(peer));
        }
    }

    /// A message was received: `name` is what the protocol calls it, if its bytes do not say so themselves.
    #[inline]
    pub fn command(&mut self, peer: &Peer, name: &str, message: &[u8]) {
        if self.take_line(|unwritten| &mut unwritten.commands) {
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
        if log::log_enabled!(log::Level::Debug)
            && self.take_line(|unwritten| &mut unwritten.closed[summary.reason as usize])
        {
            log::debug!("probe {}: {summary}", self.name(peer));
        }
    }

    #[cold]
    fn write_command(&self, peer: &Peer, name: &str, message: &[u8]) {
        let blank = if name.is_empty() || message.is_empty() { "" } else { " " };
        log::info!("{}: {name}{blank}{}", self.name(peer), Escaped(message));
    }

    /// A peer as log lines name it.
    fn name(&self, peer: &Peer) -> impl fmt::Display + use<> {
        let (protocol, addr) = (self.protocols.get(peer.listener()).copied().unwrap_or_default(), peer.addr());
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

/// Bytes of a peer as a log line shows them: printable ASCII as it is, all else escaped, and the front of it only. A
/// peer can so neither break the line nor drive the terminal that shows it.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_at_checked(SHOWN_BYTES_MAX) {
            Some((front, rest)) if !rest.is_empty() => {
                write!(f, "{}... ({} bytes)", front.escape_ascii(), self.0.len())
            }
            _ => write!(f, "{}", self.0.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn activity(lines_left: u32) -> Activity {
        Activity { lines_left, counting: true, ..Activity::new(Some(lines_left), vec!["text"]) }
    }

    #[test]
    fn what_exceeds_the_lines_of_a_second_is_counted() {
        let peer = Peer::new(([127, 0, 0, 1], 1).into(), 0);
        let mut activity = activity(2);
        assert_eq!(activity.deadline(), Moment::NEVER);
        activity.opened(&peer);
        (0..10).for_each(|_| activity.command(&peer, "", b"TIME"));
        assert_eq!(activity.unwritten, Unwritten { commands: 9, ..Unwritten::default() });
        assert_eq!(activity.deadline(), activity.second_ends, "the count is due when the second is over");
        activity.round(Moment::START.after(SECOND));
        assert_eq!(activity.deadline(), Moment::NEVER);
    }

    #[test]
    fn a_long_message_is_cut() {
        assert_eq!(Escaped(&[b'x'; 64]).to_string(), "x".repeat(64));
        assert_eq!(Escaped(&[b'x'; 65]).to_string(), format!("{}... (65 bytes)", "x".repeat(64)));
    }

    proptest! {
        #[test]
        fn no_byte_of_a_peer_reaches_a_log_line_raw(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            let line = Escaped(&message).to_string();
            prop_assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{line:?}");
        }
    }
}
