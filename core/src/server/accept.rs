//! Accepting: a batch a round, `SERVER_BUSY` over the limit, and a way back from every error.
//!
//! | `accept` says | what it means | then |
//! |---|---|---|
//! | `EAGAIN` | the queue is empty | wait for the next event |
//! | `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM` | nothing is left to accept with | pause: no event will tell when that changes |
//! | `ECONNABORTED` and errors of the network | one connection was lost before it was ours | on to the next |
//! | anything else | nobody knows | pause |
//!
//! A pause ends after 10 ms, then 20 ms, up to 1 s, and at once when a connection of our own is
//! closed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use crate::logging::warnings::Warnings;
use crate::os::moment::Moment;
use crate::os::peer::PeerAddr;
use crate::os::system::{System, would_block};
use crate::os::table::ENTRIES_MAX;
use crate::protocol::Protocol;
use crate::status::Status;

/// How many connections one listener may add in a round, so that those which are open get their
/// turns in a flood of new ones. To accept 8 takes about a tenth of a millisecond.
pub(super) const BATCH_MAX: usize = 8;

/// A pause is short at first, because descriptors often come back at once, and never so long that a
/// client gives up.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What the loop remembers of its listeners.
pub(super) struct Acceptor {
    listeners: Vec<Port>,
    /// The listener that is first in the next round: when descriptors are short, each gets one in
    /// its turn.
    first: usize,
    connections_max: usize,
    rejected_max: usize,
    backlog: usize,
    /// How many connections in the table were turned away and linger.
    rejected: usize,
    pause: Option<Pause>,
    warnings: Warnings,
}

struct Port {
    protocol: Arc<dyn Protocol>,
    /// Remembered readiness, as a connection's.
    ready: bool,
    /// How many connections it may add in this round yet.
    left: usize,
}

/// A connection that was accepted.
pub(super) struct Incoming<S> {
    pub(super) socket: S,
    pub(super) addr: PeerAddr,
    /// The index of its listener.
    pub(super) listener: usize,
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
            // What is queued before the first event is announced by it: registration is an edge
            // too.
            listeners: protocols
                .into_iter()
                .map(|protocol| Port { protocol, ready: false, left: 0 })
                .collect(),
            first: 0,
            connections_max: config.connections_max.min(ENTRIES_MAX / 2),
            rejected_max: config.rejected_max.min(ENTRIES_MAX / 2),
            backlog: usize::try_from(config.backlog).unwrap_or(usize::MAX),
            rejected: 0,
            pause: None,
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
        self.pause.as_ref().map_or(Moment::NEVER, |pause| pause.ends)
    }

    /// Begins a round, in which every listener may add a batch.
    pub(super) fn begin_round(&mut self) {
        if !self.listeners.is_empty() {
            self.first = (self.first + 1) % self.listeners.len();
            self.listeners.iter_mut().for_each(|listener| listener.left = BATCH_MAX);
        }
    }

    /// Accepts the next connection of this round; `None` when the batches are accepted, or nothing
    /// more can be accepted now.
    pub(super) fn next<S: System>(
        &mut self,
        system: &mut S,
        now: Moment,
        status: &mut Status,
    ) -> Option<Incoming<S::Socket>> {
        if !self.is_ready(now) {
            return None;
        }
        let count = self.listeners.len();
        for index in (self.first..count).chain(0..self.first) {
            while self.listeners[index].ready && self.listeners[index].left > 0 {
                self.listeners[index].left -= 1;
                let error = match system.accept(index) {
                    Ok((socket, addr)) => {
                        self.pause = None;
                        return Some(Incoming { socket, addr, listener: index });
                    }
                    Err(error) => error,
                };
                match classify(&error) {
                    Failure::Empty => {
                        self.pause = None;
                        self.listeners[index].ready = false;
                    }
                    Failure::Lost => self.note_lost(
                        "a connection was lost before it was accepted",
                        &error,
                        now,
                        status,
                    ),
                    Failure::Exhausted | Failure::Unknown => {
                        self.begin_pause(&error, now, status);
                        return None;
                    }
                }
            }
        }
        None
    }

    /// What is spoken at a listener.
    pub(super) fn protocol(&self, listener: usize) -> &dyn Protocol {
        &*self.listeners[listener].protocol
    }

    /// True exactly when one more connection beside `open` ones must be turned away. It is then
    /// counted, until it is closed.
    pub(super) fn turns_away(&mut self, open: usize, now: Moment) -> bool {
        let is_full = open - self.rejected >= self.connections_max;
        if is_full {
            self.rejected += 1;
            if self.warnings.may_pass(now) {
                log::warn!("turning connections away: all {} are taken", self.connections_max);
            }
        }
        is_full
    }

    /// True exactly when more of those that were turned away linger than may.
    pub(super) const fn has_too_many_rejected(&self) -> bool {
        self.rejected > self.rejected_max
    }

    /// A connection has been closed, and with it a descriptor: what was paused can go on.
    pub(super) fn closed(&mut self, was_rejected: bool) {
        self.rejected -= usize::from(was_rejected);
        if let Some(pause) = &mut self.pause {
            pause.ends = Moment::START;
        }
    }

    /// The server stops, and what the kernel has queued is accepted first, no event needed: closing
    /// the listeners would reset it. Returns in how many rounds.
    pub(super) fn accept_all(&mut self) -> usize {
        self.listeners.iter_mut().for_each(|listener| listener.ready = true);
        1 + self.backlog / BATCH_MAX
    }

    /// Accepts nothing more.
    pub(super) fn stop(&mut self) {
        self.listeners.clear();
        self.pause = None;
    }

    /// A connection is lost, and the next one may not be.
    pub(super) fn note_lost(
        &mut self,
        what: &str,
        error: &io::Error,
        now: Moment,
        status: &mut Status,
    ) {
        status.accepts_lost += 1;
        if self.warnings.may_pass(now) {
            log::warn!("{what}: {error}");
        }
    }

    fn begin_pause(&mut self, error: &io::Error, now: Moment, status: &mut Status) {
        status.accept_pauses += 1;
        let length = self.pause(now);
        if self.warnings.may_pass(now) {
            log::warn!(
                "cannot accept connections: {error}; trying again in {length:?}, or when one is closed"
            );
        }
    }

    fn pause(&mut self, now: Moment) -> Duration {
        let length =
            self.pause.as_ref().map_or(PAUSE_MIN, |pause| (pause.length * 2).min(PAUSE_MAX));
        self.pause = Some(Pause { ends: now.after(length), length });
        length
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
            (
                &[
                    libc::ECONNABORTED,
                    libc::ECONNRESET,
                    libc::EPROTO,
                    libc::ENOPROTOOPT,
                    libc::EPERM,
                ],
                Failure::Lost,
            ),
            (
                &[
                    libc::ENETDOWN,
                    libc::ENETUNREACH,
                    libc::EHOSTDOWN,
                    libc::EHOSTUNREACH,
                    libc::ETIMEDOUT,
                ],
                Failure::Lost,
            ),
            (&[libc::EINVAL, libc::EOPNOTSUPP, libc::EBADF], Failure::Unknown),
        ];
        for (errnos, failure) in cases {
            for errno in errnos {
                assert_eq!(
                    classify(&io::Error::from_raw_os_error(*errno)),
                    failure,
                    "errno {errno}"
                );
            }
        }
        assert_eq!(
            classify(&io::ErrorKind::Other.into()),
            Failure::Unknown,
            "an error without a number"
        );
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
}
