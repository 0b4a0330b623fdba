//! The notifications from the loop to the service manager: the server is ready, it stops, what it
//! does, and that its loop runs.
//!
//! The watchdog is fed from the loop itself. A loop that hangs sends nothing, and the service
//! manager restarts the server.

use std::fmt::{Display, Write};
use std::io;
use std::time::{Duration, Instant};

use tinytcp_core::display::plural::plural;
use tinytcp_core::status::{Obstacle, State, Status};

use super::manager::Channel;
use crate::program_error::ProgramError;

/// The shortest time between two lines about the state, unless what the server does has changed.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// The time after which a failed notification is repeated.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The notifications of a server, as an observer of its loop.
#[derive(Debug)]
pub struct Notifications {
    channel: Channel,
    watchdog: Option<Watchdog>,
    /// The state of the server that the service manager was sent last.
    state: Option<State>,
    /// The line about the state that the service manager was sent last.
    status: String,
    /// When the next line may be sent.
    status_due: Instant,
    /// True if the state may have changed since that line, so that it must be compared when
    /// `status_due` comes, even if no event comes.
    is_status_open: bool,
    /// Set if the last notification failed: no other is tried before this time.
    retry: Option<Instant>,
    has_warned: bool,
}

#[derive(Debug)]
struct Watchdog {
    interval: Duration,
    due: Instant,
}

impl Notifications {
    /// Creates notifications over `channel`. With a `watchdog`, which is the time after which the
    /// service manager kills the server, two are sent in that time.
    pub fn new(channel: Channel, watchdog: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            channel,
            watchdog: watchdog.map(|limit| Watchdog { interval: limit / 2, due: now }),
            state: None,
            status: String::new(),
            status_due: now,
            is_status_open: false,
            retry: None,
            has_warned: false,
        }
    }

    /// Sends what is due. Returns after which time the next notification is due at the latest.
    pub fn observe(&mut self, status: &Status) -> Option<Duration> {
        self.observe_at(status, Instant::now())
    }

    fn observe_at(&mut self, status: &Status, now: Instant) -> Option<Duration> {
        let is_due = self.state != Some(status.state)
            || self.status_due <= now
            || self.watchdog.as_ref().is_some_and(|watchdog| watchdog.due <= now);
        if is_due && self.retry.is_none_or(|retry| retry <= now) {
            self.notify(status, now);
        }
        self.next().map(|next| next.saturating_duration_since(now))
    }

    /// When a notification is due, even if no event comes.
    fn next(&self) -> Option<Instant> {
        if self.retry.is_some() {
            return self.retry;
        }
        let watchdog = self.watchdog.as_ref().map(|watchdog| watchdog.due);
        watchdog.into_iter().chain(self.is_status_open.then_some(self.status_due)).min()
    }

    fn notify(&mut self, status: &Status, now: Instant) {
        let mut lines = String::new();
        if self.state != Some(status.state) {
            lines += match (self.state, status.state) {
                (_, State::Stopping) => "STOPPING=1\n",
                (None, _) => "READY=1\n",
                _ => "",
            };
        }
        if self.watchdog.as_ref().is_some_and(|watchdog| watchdog.due <= now) {
            lines += "WATCHDOG=1\n";
        }
        let text = line(status);
        if text != self.status {
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "STATUS={text}");
        }
        if lines.is_empty() {
            self.is_status_open = false;
            return;
        }
        match self.channel.send(&lines) {
            Ok(()) => self.note_sent(status.state, text, now),
            Err(error) => self.note_failed(&error, now),
        }
    }

    fn note_sent(&mut self, state: State, text: String, now: Instant) {
        self.state = Some(state);
        self.retry = None;
        self.is_status_open = text != self.status;
        if self.is_status_open {
            self.status = text;
            self.status_due = now + STATUS_INTERVAL;
        }
        if let Some(watchdog) = self.watchdog.as_mut().filter(|watchdog| watchdog.due <= now) {
            watchdog.due = now + watchdog.interval;
        }
    }

    fn note_failed(&mut self, error: &io::Error, now: Instant) {
        self.retry = Some(now + RETRY_AFTER);
        if !std::mem::replace(&mut self.has_warned, true) {
            warn(format!("cannot notify the service manager: {error}; retrying"));
        }
    }
}

/// The line about the state that `systemctl status` shows.
fn line(status: &Status) -> String {
    let total = status.total();
    let mut line = format!(
        "{}: {} of {} open, {} received",
        status.state,
        total.open(),
        plural(status.connections_max as u64, "connection"),
        plural(total.messages, "message")
    );
    if let Some(obstacle) = status.obstacle().filter(|found| !matches!(found, Obstacle::State(_))) {
        // Writing to a string cannot fail.
        let _ = write!(line, "; not ready: {obstacle}");
    }
    line
}

/// Logs why the service manager is not notified.
pub fn warn(warning: impl Display) {
    log::warn!(event = "notification_failed"; "{warning}");
}

/// Returns the time after which the service manager kills a server that sends nothing; `None` if it
/// does not.
///
/// # Errors
/// When `WATCHDOG_USEC` is no number.
pub fn watchdog() -> Result<Option<Duration>, ProgramError> {
    let variable = |name| std::env::var(name).ok();
    watchdog_of(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), std::process::id())
}

fn watchdog_of(
    limit: Option<String>,
    pid: Option<String>,
    own: u32,
) -> Result<Option<Duration>, ProgramError> {
    let Some(limit) = limit.filter(|_| pid.is_none_or(|pid| pid == own.to_string())) else {
        return Ok(None);
    };
    match limit.parse() {
        Ok(microseconds @ 1..) => Ok(Some(Duration::from_micros(microseconds))),
        _ => Err(ProgramError::Failure(format!(
            "WATCHDOG_USEC is wrong: {limit:?} is no number of microseconds; the watchdog gets no \
             notifications"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    use tinytcp_core::limits::Limits;

    use super::super::manager::Manager;

    const SECOND: Duration = Duration::from_secs(1);

    /// A service manager, and what it has received.
    struct FakeManager {
        socket: std::os::unix::net::UnixDatagram,
        manager: Manager,
    }

    impl FakeManager {
        fn new(name: &str) -> Self {
            let name = format!("@tinytcp-notifications-{name}-{}", std::process::id());
            let manager = Manager::at(&name).expect("an abstract name");
            let socket = std::os::unix::net::UnixDatagram::bind_addr(manager.addr());
            let socket = socket.expect("the name is free");
            socket.set_nonblocking(true).expect("a mode of the socket");
            Self { socket, manager }
        }

        fn notifications(&self, watchdog: Option<Duration>) -> Notifications {
            Notifications::new(self.manager.open().expect("a descriptor"), watchdog)
        }

        /// The next notification; empty if there is none.
        fn received(&self) -> String {
            let mut bytes = [0; 512];
            let len = self.socket.recv(&mut bytes).unwrap_or(0);
            String::from_utf8_lossy(&bytes[..len]).into_owned()
        }
    }

    fn status(messages: u64) -> Status {
        let mut status = Status::new(&["text"], Limits::default(), 10, SystemTime::UNIX_EPOCH);
        status.listeners[0].counters.messages = messages;
        status
    }

    #[test]
    fn ready_comes_first_and_stopping_last() {
        let manager = FakeManager::new("states");
        let mut notifications = manager.notifications(None);
        let now = Instant::now();
        assert_eq!(notifications.observe_at(&status(0), now), Some(STATUS_INTERVAL));
        assert_eq!(
            manager.received(),
            "READY=1\nSTATUS=serving: 0 of 10 connections open, 0 messages received\n"
        );
        let mut draining = status(0);
        draining.state = State::Draining;
        notifications.observe_at(&draining, now);
        assert!(manager.received().starts_with("STATUS=draining: "));
        let mut stopping = status(0);
        stopping.state = State::Stopping;
        notifications.observe_at(&stopping, now);
        assert!(manager.received().starts_with("STOPPING=1\nSTATUS=stopping: "));
    }

    #[test]
    fn a_changed_status_is_sent_at_most_once_per_interval() {
        let manager = FakeManager::new("status");
        let mut notifications = manager.notifications(None);
        let start = Instant::now();
        notifications.observe_at(&status(0), start);
        manager.received();
        notifications.observe_at(&status(1), start + SECOND);
        assert_eq!(manager.received(), "", "the interval is not over");
        notifications.observe_at(&status(1), start + STATUS_INTERVAL);
        assert!(manager.received().contains("1 message received"));
        let later = start + 2 * STATUS_INTERVAL;
        assert_eq!(notifications.observe_at(&status(1), later), None, "nothing has changed");
        assert_eq!(manager.received(), "");
        assert_eq!(
            notifications.observe_at(&status(2), later + SECOND),
            Some(STATUS_INTERVAL),
            "a change after a silence is sent at once"
        );
        assert!(manager.received().contains("2 messages received"));
    }

    #[test]
    fn the_watchdog_is_fed_once_in_half_of_its_time() {
        let manager = FakeManager::new("watchdog");
        let mut notifications = manager.notifications(Some(4 * SECOND));
        let start = Instant::now();
        assert_eq!(notifications.observe_at(&status(0), start), Some(2 * SECOND));
        assert!(manager.received().contains("READY=1\nWATCHDOG=1\n"));
        for milliseconds in 1..2000 {
            notifications.observe_at(&status(0), start + Duration::from_millis(milliseconds));
        }
        assert_eq!(manager.received(), "", "half of the time is not over");
        notifications.observe_at(&status(0), start + 2 * SECOND);
        assert_eq!(manager.received(), "WATCHDOG=1\n");
    }

    #[test]
    fn a_notification_that_fails_is_repeated() {
        let manager = FakeManager::new("retry");
        let mut notifications = manager.notifications(None);
        let FakeManager { socket, manager } = manager;
        drop(socket);
        let start = Instant::now();
        assert_eq!(notifications.observe_at(&status(0), start), Some(RETRY_AFTER));
        let socket = std::os::unix::net::UnixDatagram::bind_addr(manager.addr());
        let manager = FakeManager { socket: socket.expect("the name is free"), manager };
        assert_eq!(
            notifications.observe_at(&status(0), start + RETRY_AFTER / 2),
            Some(RETRY_AFTER / 2)
        );
        notifications.observe_at(&status(0), start + RETRY_AFTER);
        assert!(manager.received().starts_with("READY=1\n"));
    }

    #[test]
    fn the_watchdog_of_another_process_is_left_alone() {
        let of = |limit: &str, pid: Option<&str>| {
            watchdog_of(Some(limit.into()), pid.map(str::to_owned), 7)
        };
        assert_eq!(of("4000000", None), Ok(Some(4 * SECOND)));
        assert_eq!(of("4000000", Some("7")), Ok(Some(4 * SECOND)));
        assert_eq!(of("4000000", Some("8")), Ok(None));
        assert_eq!(watchdog_of(None, None, 7), Ok(None));
        assert!(of("0", None).is_err() && of("4s", None).is_err());
    }
}
