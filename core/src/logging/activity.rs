//! The activity log: one line per opened connection, message, and closed connection.
//!
//! The number of lines per second is limited. Further events of the same second are only counted,
//! and the counts are logged in one line when the second is over. So a person sees each step of a
//! session, and a load test costs a bounded number of lines.
//!
//! Each line is a record of the crate `log` with a message and with fields, so that a logger can
//! show either. The fields have the names that `/metrics` and `/status` use.

use std::fmt;
use std::time::Duration;

use log::Level;

use crate::close_reason::{CloseReason, by_reason};
use crate::display::escape::{front, quoted};
use crate::display::plural::plural;
use crate::os::moment::Moment;
use crate::os::peer::{Peer, PeerAddr};
use crate::tls::TlsInfo;

/// How many bytes of a message are shown. Longer messages are truncated.
const SHOWN_BYTES_MAX: usize = 64;

const SECOND: Duration = Duration::from_secs(1);

/// The key of a log record's field with the name of its event.
pub const EVENT_KEY: &str = "event";

/// The key of a log record's age: how many milliseconds ago its event happened. The log writer
/// subtracts it from the time of the line.
pub const AGE_KEY: &str = "age_ms";

/// The summary of a closed connection.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Messages received, those refused included.
    pub messages: u64,
    /// The time from accept to close.
    pub duration: Duration,
    /// The reason of the close.
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

/// Writes the lines of the activity log, up to a limit per second.
#[derive(Debug)]
pub struct Activity {
    /// The limit of lines per second; `None` writes and counts nothing.
    lines_max: Option<u32>,
    /// False if the log shows connections only.
    shows_messages: bool,
    /// How many more lines may be written in this second.
    lines_left: u32,
    /// True if suppressed events are counted: there is a limit, and the log level shows the lines.
    counting: bool,
    second_ends: Moment,
    suppressed: Suppressed,
    /// The protocol of each listener.
    protocols: Vec<&'static str>,
    /// The URL of each listener; empty on a simulated network.
    urls: Vec<String>,
    /// The listeners whose connections are not logged.
    hidden: Vec<usize>,
}

/// The events of this second that exceeded the limit of lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Suppressed {
    opened: u64,
    /// TLS handshakes, complete or failed.
    handshakes: u64,
    messages: u64,
    /// By [`CloseReason`], probes excluded.
    closed: [u64; CloseReason::COUNT],
    probes: u64,
}

impl Activity {
    /// Creates a log with at most `lines_max` lines per second, for listeners with `protocols`.
    #[must_use]
    pub fn new(lines_max: Option<u32>, protocols: Vec<&'static str>) -> Self {
        Self {
            lines_max,
            shows_messages: true,
            lines_left: 0,
            counting: false,
            second_ends: Moment::START,
            suppressed: Suppressed::default(),
            protocols,
            urls: Vec::new(),
            hidden: Vec::new(),
        }
    }

    /// Returns the same log without the connections of the listeners `hidden`.
    #[must_use]
    pub fn hiding(self, hidden: Vec<usize>) -> Self {
        Self { hidden, ..self }
    }

    /// Replaces the limit of lines per second, and whether messages are shown or only opened and
    /// closed connections. A new second begins with the next call of [`Activity::tick`].
    pub const fn set_limits(&mut self, lines_max: Option<u32>, shows_messages: bool) {
        (self.lines_max, self.shows_messages) = (lines_max, shows_messages);
        self.second_ends = Moment::START;
    }

    /// Sets the URLs of the listeners, which are known once they are open.
    pub fn set_urls(&mut self, urls: Vec<String>) {
        self.urls = urls;
    }

    /// Starts a new second if the old one is over, after logging what the old one suppressed.
    pub fn tick(&mut self, now: Moment) {
        if now < self.second_ends {
            return;
        }
        self.log_suppressed();
        // The log level is read once per second, not once per message.
        let lines = self.lines_max.filter(|_| log::log_enabled!(log::Level::Info));
        self.counting = lines.is_some();
        self.lines_left = lines.unwrap_or(0);
        self.second_ends = now.after(SECOND);
    }

    /// When [`Activity::tick`] must be called next, even if no event comes.
    #[must_use]
    pub fn deadline(&self) -> Moment {
        if self.suppressed == Suppressed::default() { Moment::NEVER } else { self.second_ends }
    }

    /// Logs the counts of the suppressed events. The loop also calls it at its end.
    pub fn log_suppressed(&mut self) {
        let Suppressed { opened, handshakes, messages, closed, probes } =
            std::mem::take(&mut self.suppressed);
        let closed_in_all: u64 = closed.iter().sum();
        let reasons = by_reason(&closed);
        let reasons = if closed_in_all > 0 { format!(" ({reasons})") } else { String::new() };
        let counts = [
            (opened, format!("{opened} opened")),
            (handshakes, plural(handshakes, "TLS handshake").to_string()),
            (messages, plural(messages, "message").to_string()),
            (closed_in_all, format!("{closed_in_all} closed{reasons}")),
            (probes, plural(probes, "probe").to_string()),
        ];
        let occurred: Vec<&str> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(_, text)| text.as_str()).collect();
        if !occurred.is_empty() {
            log::info!(
                event = "suppressed", opened, handshakes, messages, closed = closed_in_all, probes;
                "suppressed in the last second: {}", occurred.join(", ")
            );
        }
    }

    /// Logs a connection that was opened `age` ago.
    pub fn opened(&mut self, peer: &Peer, age: Duration) {
        if !self.hides(peer) && self.take_line(|suppressed| &mut suppressed.opened) {
            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            let Origin { protocol, listener, addr } = self.origin(peer);
            log::info!(
                event = "opened", age_ms, protocol, listener, peer:% = addr;
                "opened {protocol} {addr}"
            );
        }
    }

    /// Logs a connection that a proxy opened `age` ago for `peer`.
    pub fn opened_by_proxy(&mut self, peer: &Peer, proxy: &Peer, age: Duration) {
        if !self.hides(peer) && self.take_line(|suppressed| &mut suppressed.opened) {
            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            let Origin { protocol, listener, addr } = self.origin(peer);
            log::info!(
                event = "opened", age_ms, protocol, listener, peer:% = addr, proxy:% = proxy.addr();
                "opened {protocol} {addr} by proxy {}", proxy.addr()
            );
        }
    }

    /// Logs an encrypted connection that was opened `age` ago.
    pub fn opened_encrypted(&mut self, peer: &Peer, info: &TlsInfo, age: Duration) {
        if !self.hides(peer) && self.take_line(|suppressed| &mut suppressed.opened) {
            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            self.write_encrypted("opened", peer, info, age_ms);
        }
    }

    /// Logs the handshake of a connection whose opening has a line already.
    pub fn encrypted(&mut self, peer: &Peer, info: &TlsInfo) {
        if !self.hides(peer) && self.take_line(|suppressed| &mut suppressed.handshakes) {
            self.write_encrypted("encrypted", peer, info, 0);
        }
    }

    fn write_encrypted(&self, event: &str, peer: &Peer, info: &TlsInfo, age_ms: u64) {
        let Origin { protocol, listener, addr } = self.origin(peer);
        let TlsInfo { version, cipher, .. } = *info;
        let client = info.client.as_deref().unwrap_or_default();
        let shown = quoted(client.as_bytes());
        let comma = if client.is_empty() { "" } else { ", " };
        log::info!(
            event, age_ms, protocol, listener, peer:% = addr,
            tls = version, cipher, client, resumed = info.is_resumed;
            "{event} {protocol} {addr} with {version}{comma}{shown}"
        );
    }

    /// Logs why the encryption of a connection has failed.
    pub fn encryption_failed(&mut self, peer: &Peer, error: &dyn fmt::Display) {
        if !self.hides(peer) && self.take_line(|suppressed| &mut suppressed.handshakes) {
            let Origin { protocol, listener, addr } = self.origin(peer);
            log::info!(
                event = "tls_failed", protocol, listener, peer:% = addr, error:% = error;
                "TLS of {protocol} {addr} failed: {error}"
            );
        }
    }

    /// Logs a message. `name` is its name in the protocol, empty if its bytes contain the name.
    #[inline]
    pub fn message(&mut self, peer: &Peer, name: &str, message: &[u8]) {
        if self.shows_messages
            && !self.hides(peer)
            && self.take_line(|suppressed| &mut suppressed.messages)
        {
            self.write_message(peer, name, message);
        }
    }

    /// Logs a closed connection.
    pub fn closed(&mut self, peer: &Peer, summary: &Summary) {
        if !self.hides(peer)
            && self.take_line(|suppressed| &mut suppressed.closed[summary.reason as usize])
        {
            self.write_end(Level::Info, "closed", peer, summary);
        }
    }

    /// Logs a probe, at the debug level: a connection that was closed soon and without a byte.
    pub fn probed(&mut self, peer: &Peer, summary: &Summary) {
        if log::log_enabled!(log::Level::Debug)
            && !self.hides(peer)
            && self.take_line(|suppressed| &mut suppressed.probes)
        {
            self.write_end(Level::Debug, "probe", peer, summary);
        }
    }

    #[inline]
    fn hides(&self, peer: &Peer) -> bool {
        self.hidden.contains(&peer.listener())
    }

    #[cold]
    fn write_message(&self, peer: &Peer, name: &str, message: &[u8]) {
        let Origin { protocol, listener, addr } = self.origin(peer);
        let blank = if name.is_empty() || message.is_empty() { "" } else { " " };
        let shown = front(message, SHOWN_BYTES_MAX);
        log::info!(
            event = "message", protocol, listener, peer:% = addr,
            name, content:% = quoted(shown), content_bytes = message.len();
            "{protocol} {addr}: {name}{blank}{}", Shown(message)
        );
    }

    /// Writes the line of a connection that has ended.
    fn write_end(&self, level: Level, event: &str, peer: &Peer, summary: &Summary) {
        let Origin { protocol, listener, addr } = self.origin(peer);
        log::log!(
            level, event, protocol, listener, peer:% = addr,
            reason = summary.reason.label(),
            received_bytes = summary.received_bytes,
            sent_bytes = summary.sent_bytes,
            messages = summary.messages,
            duration_seconds = summary.duration.as_secs_f64();
            "{event} {protocol} {addr}: {summary}"
        );
    }

    fn origin(&self, peer: &Peer) -> Origin<'_> {
        Origin {
            protocol: self.protocols.get(peer.listener()).copied().unwrap_or_default(),
            listener: self.urls.get(peer.listener()).map_or("", String::as_str),
            addr: peer.addr(),
        }
    }

    /// Returns true and uses up one line of this second, or returns false and increments the
    /// counter that `suppressed` selects.
    #[inline]
    fn take_line(&mut self, suppressed: impl FnOnce(&mut Suppressed) -> &mut u64) -> bool {
        let taken = self.lines_left > 0;
        if taken {
            self.lines_left -= 1;
        } else {
            *suppressed(&mut self.suppressed) += u64::from(self.counting);
        }
        taken
    }
}

/// The origin of an event.
struct Origin<'a> {
    protocol: &'static str,
    /// The URL of the listener.
    listener: &'a str,
    addr: PeerAddr,
}

/// The bytes of a message as a log line shows them: quoted and truncated.
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
    fn events_over_the_limit_of_lines_are_counted() {
        let peer = Peer::new(([127, 0, 0, 1], 1).into(), 0);
        let mut activity = activity(2);
        assert_eq!(activity.deadline(), Moment::NEVER);
        activity.opened(&peer, Duration::ZERO);
        (0..10).for_each(|_| activity.message(&peer, "", b"TIME"));
        assert_eq!(activity.suppressed, Suppressed { messages: 9, ..Suppressed::default() });
        assert_eq!(
            activity.deadline(),
            activity.second_ends,
            "the counts are due when the second is over"
        );
        activity.tick(Moment::START.after(SECOND));
        assert_eq!(activity.deadline(), Moment::NEVER);
    }

    #[test]
    fn a_hidden_listener_uses_up_no_line_and_is_not_counted() {
        let peer = Peer::new(([127, 0, 0, 1], 1).into(), 0);
        let mut activity = activity(1).hiding(vec![0]);
        activity.opened(&peer, Duration::ZERO);
        activity.message(&peer, "", b"GET /metrics");
        assert_eq!((activity.lines_left, &activity.suppressed), (1, &Suppressed::default()));
        activity.opened(&Peer::new(([127, 0, 0, 1], 1).into(), 1), Duration::ZERO);
        assert_eq!(activity.lines_left, 0);
    }

    #[test]
    fn without_messages_a_message_is_neither_logged_nor_counted() {
        let peer = Peer::new(([127, 0, 0, 1], 1).into(), 0);
        let mut activity = activity(1);
        activity.set_limits(Some(1), false);
        (0..10).for_each(|_| activity.message(&peer, "", b"TIME"));
        assert_eq!((activity.lines_left, &activity.suppressed), (1, &Suppressed::default()));
    }

    #[test]
    fn a_summary_uses_the_singular_for_one() {
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
    fn a_long_message_is_truncated_between_two_characters() {
        let shown = |message: &str| Shown(message.as_bytes()).to_string();
        assert_eq!(shown(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(shown(&"x".repeat(65)), format!("{}... (65 bytes)", "x".repeat(64)));
        assert_eq!(
            shown(&format!("{}é", "x".repeat(63))),
            format!("{}... (65 bytes)", "x".repeat(63))
        );
    }
}
