//! Accepting: a batch a round, `SERVER_BUSY` over the limit, and a way back from every error.
//!
//! | `accept` says | what it means | then |
//! |---|---|---|
//! | `EAGAIN` | the queue is empty | wait for the next event |
//! | `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM` | nothing is left to accept with | pause: no event will tell when that changes |
//! | `ECONNABORTED` and errors of the network | one connection was lost before it was ours | on to the next |
//! | anything else | nobody knows | pause |
//!
//! A pause ends after 10 ms, then 20 ms, up to 1 s, and at once when a connection of our own is closed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::event_loop::EventLoop;
use super::warnings::Warnings;
use crate::base::close_reason::CloseReason;
use crate::base::limits::Limits;
use crate::base::moment::Moment;
use crate::base::peer::Peer;
use crate::base::system::{Socket, System, would_block};
use crate::base::table::{ENTRIES_MAX, Token};
use crate::connection::Connection;
use crate::protocol::Protocol;

/// How many connections one listener may add in a round, so that those which are open get their turns in a flood of new
/// ones. To accept 8 takes about a tenth of a millisecond.
pub(super) const BATCH_MAX: usize = 8;

/// A pause is short at first, because descriptors often come back at once, and never so long that a client gives up.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The activity log is told of a connection when it speaks; of those that are silent, once in so long: who only looks
/// whether the port is open is mostly gone by then.
const ANNOUNCE_AFTER: Duration = Duration::from_secs(1);

/// How many silent connections the activity log is told of at a time: a few more than it shows lines in a second.
const NEWCOMERS_MAX: usize = 64;

/// What the loop remembers of its listeners.
pub(super) struct Acceptor {
    listeners: Vec<Port>,
    /// The listener that is first in the next round: when descriptors are short, each gets one in its turn.
    first: usize,
    connections_max: usize,
    rejected_max: usize,
    backlog: usize,
    limits: Limits,
    /// How many connections in the table were turned away and linger.
    rejected: usize,
    pause: Option<Pause>,
    /// Connections of which the activity log is told when they speak, or else at `announce_at`.
    newcomers: Vec<Token>,
    announce_at: Moment,
    warnings: Warnings,
}

struct Port {
    protocol: Arc<dyn Protocol>,
    /// Remembered readiness, as a connection's.
    ready: bool,
}

/// A pause after an error that no event will announce the end of.
struct Pause {
    ends: Moment,
    length: Duration,
}

/// What an error of `accept` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Empty,
    Lost,
    Exhausted,
    Unknown,
}

impl Acceptor {
    pub(super) fn new(protocols: Vec<Arc<dyn Protocol>>, config: &Config) -> Self {
        Self {
            // What is queued before the first event is announced by it: registration is an edge too.
            listeners: protocols.into_iter().map(|protocol| Port { protocol, ready: false }).collect(),
            first: 0,
            connections_max: config.connections_max.min(ENTRIES_MAX / 2),
            rejected_max: config.rejected_max.min(ENTRIES_MAX / 2),
            backlog: usize::try_from(config.backlog).unwrap_or(usize::MAX),
            limits: config.limits.clamped(),
            rejected: 0,
            pause: None,
            newcomers: Vec::new(),
            announce_at: Moment::NEVER,
            warnings: Warnings::default(),
        }
    }

    /// Remembers that a listener may have connections.
    pub(super) fn remember(&mut self, index: usize) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.ready = true;
        }
    }

    /// True exactly when there is something to accept now.
    pub(super) fn is_ready(&self, now: Moment) -> bool {
        self.pause.as_ref().is_none_or(|pause| pause.ends <= now)
            && self.listeners.iter().any(|listener| listener.ready)
    }

    /// When the loop must look here though nothing happens.
    pub(super) fn deadline(&self) -> Moment {
        self.pause.as_ref().map_or(Moment::NEVER, |pause| pause.ends).min(self.announce_at)
    }

    /// A connection has been closed, and with it a descriptor: what was paused can go on.
    pub(super) fn closed<S: Socket>(&mut self, connection: &Connection<S>) {
        self.rejected -= usize::from(connection.is_rejected());
        if let Some(pause) = &mut self.pause {
            pause.ends = Moment::START;
        }
    }

    /// Accepts nothing more.
    pub(super) fn stop(&mut self) {
        self.listeners.clear();
        self.pause = None;
    }

    fn note_newcomer(&mut self, token: Token, now: Moment) {
        if self.newcomers.len() < NEWCOMERS_MAX {
            self.newcomers.push(token);
            self.announce_at = self.announce_at.min(now.after(ANNOUNCE_AFTER));
        }
    }

    fn pause(&mut self, now: Moment) -> Duration {
        let length = self.pause.as_ref().map_or(PAUSE_MIN, |pause| (pause.length * 2).min(PAUSE_MAX));
        self.pause = Some(Pause { ends: now.after(length), length });
        length
    }
}

impl<S: System> EventLoop<S> {
    /// Accepts a batch from every listener that is ready.
    pub(super) fn accept(&mut self) {
        let now = self.shared.clock.now();
        if !self.acceptor.is_ready(now) {
            return;
        }
        let count = self.acceptor.listeners.len();
        self.acceptor.first = (self.acceptor.first + 1) % count;
        for index in (self.acceptor.first..count).chain(0..self.acceptor.first) {
            if self.acceptor.listeners[index].ready && !self.accept_batch(index) {
                return;
            }
        }
    }

    /// Accepts what the kernel has queued, as much as its queues hold: closing the listeners would reset it.
    pub(super) fn accept_queue(&mut self) {
        self.acceptor.listeners.iter_mut().for_each(|listener| listener.ready = true);
        for _ in 0..=self.acceptor.backlog / BATCH_MAX {
            if !self.acceptor.is_ready(self.shared.clock.now()) {
                break;
            }
            self.accept();
        }
    }

    /// Accepts a batch from one listener; gives false when accepting is paused.
    fn accept_batch(&mut self, index: usize) -> bool {
        for _ in 0..BATCH_MAX {
            match self.system.accept(index) {
                Ok((socket, addr)) => {
                    self.acceptor.pause = None;
                    self.admit(socket, addr, index);
                }
                Err(error) => match classify(&error) {
                    Failure::Empty => {
                        self.acceptor.pause = None;
                        self.acceptor.listeners[index].ready = false;
                        return true;
                    }
                    Failure::Lost => self.note_lost("a connection was lost before it was accepted", &error),
                    Failure::Exhausted | Failure::Unknown => {
                        self.pause_accepting(&error);
                        return false;
                    }
                },
            }
        }
        true
    }

    /// Takes a new connection in, or turns it away.
    fn admit(&mut self, mut socket: S::Socket, addr: SocketAddr, index: usize) {
        let token = self.table.next_token();
        if let Err(error) = self.system.register(&mut socket, token) {
            return self.note_lost("a new connection cannot be watched and is closed", &error);
        }
        let is_full = self.table.len() - self.acceptor.rejected >= self.acceptor.connections_max;
        let Acceptor { listeners, limits, .. } = &self.acceptor;
        let mut connection =
            Connection::new(socket, Peer::new(addr, index), &*listeners[index].protocol, limits, &mut self.shared);
        if is_full {
            if self.acceptor.warnings.may_pass(self.shared.clock.now()) {
                log::warn!("turning connections away: all {} are taken", self.acceptor.connections_max);
            }
            connection.reject(&mut self.shared);
            self.acceptor.rejected += 1;
        } else {
            self.acceptor.note_newcomer(token, self.shared.clock.now());
        }
        self.counters.accepted += 1;
        self.table.insert(connection);
        // What it is greeted with is sent now, not when an event says that it may.
        self.drive(token);
        if self.acceptor.rejected > self.acceptor.rejected_max {
            self.close(token, CloseReason::ServerBusy);
        }
    }

    /// Tells the activity log of the connections of the last second, even if they have not said anything.
    pub(super) fn announce_newcomers(&mut self) {
        if self.shared.clock.now() < self.acceptor.announce_at {
            return;
        }
        self.acceptor.announce_at = Moment::NEVER;
        for token in self.acceptor.newcomers.drain(..) {
            if let Some(connection) = self.table.get_mut(token) {
                connection.announce(&mut self.shared);
            }
        }
    }

    fn pause_accepting(&mut self, error: &io::Error) {
        let now = self.shared.clock.now();
        self.counters.accept_pauses += 1;
        let length = self.acceptor.pause(now);
        if self.acceptor.warnings.may_pass(now) {
            log::warn!("cannot accept connections: {error}; trying again in {length:?}, or when one is closed");
        }
    }

    fn note_lost(&mut self, what: &str, error: &io::Error) {
        self.counters.accepts_lost += 1;
        if self.acceptor.warnings.may_pass(self.shared.clock.now()) {
            log::warn!("{what}: {error}");
        }
    }
}

/// What an error of `accept` means, from accept(2) and the Linux source of `inet_csk_accept`.
fn classify(error: &io::Error) -> Failure {
    if would_block(error) {
        return Failure::Empty;
    }
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Failure::Exhausted,
        Some(
            libc::ECONNABORTED
            | libc::ECONNRESET
            | libc::EPROTO
            | libc::ENOPROTOOPT
            | libc::EPERM
            | libc::ENETDOWN
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
            | libc::ETIMEDOUT,
        ) => Failure::Lost,
        _ => Failure::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acceptor() -> Acceptor {
        Acceptor::new(Vec::new(), &Config::default())
    }

    #[test]
    fn what_an_error_means_follows_from_whether_its_end_is_announced() {
        let cases: [(&[i32], Failure); 5] = [
            (&[libc::EAGAIN], Failure::Empty),
            (&[libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM], Failure::Exhausted),
            (&[libc::ECONNABORTED, libc::ECONNRESET, libc::EPROTO, libc::ENOPROTOOPT, libc::EPERM], Failure::Lost),
            (&[libc::ENETDOWN, libc::ENETUNREACH, libc::EHOSTDOWN, libc::EHOSTUNREACH, libc::ETIMEDOUT], Failure::Lost),
            (&[libc::EINVAL, libc::EOPNOTSUPP, libc::EBADF], Failure::Unknown),
        ];
        for (errnos, failure) in cases {
            for errno in errnos {
                assert_eq!(classify(&io::Error::from_raw_os_error(*errno)), failure, "errno {errno}");
            }
        }
        assert_eq!(classify(&io::ErrorKind::Other.into()), Failure::Unknown, "an error without a number");
    }

    #[test]
    fn pauses_grow_from_ten_milliseconds_to_a_second_and_begin_anew_after_a_success() {
        let mut acceptor = acceptor();
        let pauses = [(); 9].map(|()| acceptor.pause(Moment::START).as_millis());
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        assert_eq!(acceptor.deadline(), Moment::START.after(PAUSE_MAX));
        acceptor.pause = None;
        assert_eq!(acceptor.pause(Moment::START), PAUSE_MIN);
    }

    #[test]
    fn of_a_flood_of_silent_connections_the_log_is_told_of_the_first_ones() {
        let mut acceptor = acceptor();
        for number in 0..2 * NEWCOMERS_MAX {
            let came = Moment::START.after(Duration::from_millis(number as u64));
            acceptor.note_newcomer(Token::from_usize(number), came);
        }
        assert_eq!(acceptor.newcomers.len(), NEWCOMERS_MAX);
        assert_eq!(acceptor.deadline(), Moment::START.after(ANNOUNCE_AFTER), "a second after the first one came");
    }
}
