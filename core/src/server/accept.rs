//! Accepting: a batch per round, `SERVER_BUSY` over the limit, and a way back from every error.
//!
//! | error of `accept` | meaning | reaction |
//! |---|---|---|
//! | `EAGAIN` | the queue is empty | wait for the next event |
//! | `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM` | no descriptor or memory is left | pause |
//! | `ECONNABORTED`, network errors | this connection was lost in the queue | accept the next one |
//! | any other | unknown | pause |
//!
//! A pause is needed because no event reports that descriptors are free again: the queue stays
//! non-empty, so there is no new edge. The first pause takes 10 ms, each further one twice as long,
//! up to 1 s. A pause ends at once when a connection of this server is closed.

use std::io;
use std::time::Duration;

use super::config::{Config, Service};
use crate::limits::Settings;
use crate::logging::throttle::Throttle;
use crate::os::moment::Moment;
use crate::os::peer::PeerAddr;
use crate::os::system::{System, would_block};
use crate::os::table::ENTRIES_MAX;
use crate::status::Status;

/// How many connections one listener may add in a round, so that open connections get their turns
/// during a flood of new ones. Accepting 8 takes about a tenth of a millisecond.
pub(super) const BATCH_MAX: usize = 8;

/// The first pause is short, because a descriptor is often free soon. The longest one is short
/// enough that a client still waits for its connection.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The state of the listeners, and of a pause in accepting.
pub(super) struct Acceptor {
    listeners: Vec<ListenerState>,
    /// The listener that accepts first in this round. It changes each round, so that the listeners
    /// share the last descriptors.
    first: usize,
    connections_max: usize,
    rejected_max: usize,
    backlog: usize,
    /// How many connections in the table are rejected ones that linger.
    rejected: usize,
    pause: Option<Pause>,
    is_stopped: bool,
    throttle: Throttle,
}

struct ListenerState {
    service: Service,
    /// Remembered readiness: false only after `EAGAIN`.
    ready: bool,
    /// How many more connections it may add in this round.
    left: usize,
    /// How many of the places that its protocol reserves are taken; 0 if it reserves none.
    own_taken: usize,
}

/// A connection that was accepted.
pub(super) struct Incoming<S> {
    pub(super) socket: S,
    pub(super) addr: PeerAddr,
    /// The index of its listener.
    pub(super) listener: usize,
}

/// A pause in accepting, after an error whose end no event reports.
struct Pause {
    ends: Moment,
    length: Duration,
}

/// The meaning of an error of `accept`: see the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorClass {
    Empty,
    Lost,
    Exhausted,
    Unknown,
}

impl Acceptor {
    pub(super) fn new(services: Vec<Service>, config: &Config) -> Self {
        let mut acceptor = Self {
            // Registration is an edge too: it reports connections that are queued already.
            listeners: services
                .into_iter()
                .map(|service| ListenerState { service, ready: false, left: 0, own_taken: 0 })
                .collect(),
            first: 0,
            connections_max: 0,
            rejected_max: 0,
            backlog: usize::try_from(config.backlog).unwrap_or(usize::MAX),
            rejected: 0,
            pause: None,
            is_stopped: false,
            throttle: Throttle::default(),
        };
        acceptor.set_limits(&config.settings);
        acceptor
    }

    /// Replaces the limits. Connections that are open stay.
    pub(super) fn set_limits(&mut self, settings: &Settings) {
        self.connections_max = settings.connections_max.min(ENTRIES_MAX / 2);
        self.rejected_max = settings.rejected_max.min(ENTRIES_MAX / 2);
    }

    /// Remembers that a listener may have connections in its queue.
    pub(super) fn set_ready(&mut self, index: usize) {
        if !self.is_stopped
            && let Some(listener) = self.listeners.get_mut(index)
        {
            listener.ready = true;
        }
    }

    /// True when a listener is ready and accepting is not paused.
    pub(super) fn is_ready(&self, now: Moment) -> bool {
        self.pause.as_ref().is_none_or(|pause| pause.ends <= now)
            && self.listeners.iter().any(|listener| listener.ready)
    }

    /// True during a pause in accepting.
    pub(super) const fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// When a pause ends; [`Moment::NEVER`] when there is none.
    pub(super) fn deadline(&self) -> Moment {
        self.pause.as_ref().map_or(Moment::NEVER, |pause| pause.ends)
    }

    /// Begins a round, in which each listener may add a batch.
    pub(super) fn begin_round(&mut self) {
        if !self.listeners.is_empty() {
            self.first = (self.first + 1) % self.listeners.len();
            self.listeners.iter_mut().for_each(|listener| listener.left = BATCH_MAX);
        }
    }

    /// Accepts the next connection of this round. Returns `None` when the batches are complete or
    /// no more connections can be accepted now.
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
                    ErrorClass::Empty => {
                        self.pause = None;
                        self.listeners[index].ready = false;
                    }
                    ErrorClass::Lost => self.note_lost(
                        "connection lost before it was accepted",
                        &error,
                        now,
                        status,
                    ),
                    ErrorClass::Exhausted | ErrorClass::Unknown => {
                        self.begin_pause(&error, now, status);
                        return None;
                    }
                }
            }
        }
        None
    }

    /// The services of all listeners, in their order.
    pub(super) fn services_mut(&mut self) -> impl Iterator<Item = &mut Service> {
        self.listeners.iter_mut().map(|listener| &mut listener.service)
    }

    /// The service of a listener.
    pub(super) fn service(&self, listener: usize) -> &Service {
        &self.listeners[listener].service
    }

    /// Takes a place for a new connection of a listener, which holds it until it is closed. `open`
    /// other connections are in the table. Returns false if no place is free.
    pub(super) fn take_place(&mut self, listener: usize, open: usize, now: Moment) -> bool {
        match self.listeners[listener].service.protocol.own_places() {
            Some(places) => {
                let taken = &mut self.listeners[listener].own_taken;
                let is_free = *taken < places;
                *taken += usize::from(is_free);
                is_free
            }
            None => {
                let is_free = self.counted(open) < self.connections_max;
                if !is_free {
                    self.warn_of_limit(now);
                }
                is_free
            }
        }
    }

    /// Counts a connection as rejected until it is closed. It takes no place.
    pub(super) const fn note_rejected(&mut self) {
        self.rejected += 1;
    }

    fn warn_of_limit(&mut self, now: Moment) {
        if self.throttle.allows(now) {
            log::warn!(
                event = "connections_limit", connections_limit = self.connections_max;
                "rejecting connections: the limit of {} is reached; raise --max-connections",
                self.connections_max
            );
        }
    }

    /// Returns how many of `open` connections count against the limit.
    pub(super) fn counted(&self, open: usize) -> usize {
        let in_own_places: usize = self.listeners.iter().map(|listener| listener.own_taken).sum();
        open - self.rejected - in_own_places
    }

    /// True when more rejected connections linger than the limit allows.
    pub(super) const fn has_too_many_rejected(&self) -> bool {
        self.rejected > self.rejected_max
    }

    /// Notes that a connection of a listener has been closed. Its descriptor is free now, which
    /// ends a pause.
    pub(super) fn note_closed(&mut self, listener: usize, was_rejected: bool) {
        if was_rejected {
            self.rejected -= 1;
        } else if let Some(listener) = self.listeners.get_mut(listener)
            && listener.service.protocol.own_places().is_some()
        {
            listener.own_taken -= 1;
        }
        if let Some(pause) = &mut self.pause {
            pause.ends = Moment::START;
        }
    }

    /// Marks all listeners as ready, and returns how many batches empty the longest queue of the
    /// kernel.
    pub(super) fn set_all_ready(&mut self) -> usize {
        self.listeners.iter_mut().for_each(|listener| listener.ready = true);
        1 + self.backlog / BATCH_MAX
    }

    /// True once accepting has stopped for good.
    pub(super) const fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Stops accepting for good.
    pub(super) fn stop(&mut self) {
        self.is_stopped = true;
        self.listeners.iter_mut().for_each(|listener| listener.ready = false);
        self.pause = None;
    }

    /// Counts and logs a lost connection; accepting goes on.
    pub(super) fn note_lost(
        &mut self,
        what: &str,
        error: &io::Error,
        now: Moment,
        status: &mut Status,
    ) {
        status.accepts_lost += 1;
        if self.throttle.allows(now) {
            log::warn!(event = "accept_lost", error:%; "{what}: {error}");
        }
    }

    fn begin_pause(&mut self, error: &io::Error, now: Moment, status: &mut Status) {
        status.accept_pauses += 1;
        let length = self.lengthen_pause(now);
        if self.throttle.allows(now) {
            log::warn!(
                event = "accept_paused", error:%, retry_seconds = length.as_secs_f64();
                "cannot accept connections: {error}; retrying in {length:?}, or when one is closed"
            );
        }
    }

    /// Begins a pause, or one twice as long as the present one. Returns its length.
    fn lengthen_pause(&mut self, now: Moment) -> Duration {
        let length =
            self.pause.as_ref().map_or(PAUSE_MIN, |pause| (pause.length * 2).min(PAUSE_MAX));
        self.pause = Some(Pause { ends: now.after(length), length });
        length
    }
}

/// Returns the meaning of an error, after accept(2) and the Linux source of `inet_csk_accept`.
fn classify(error: &io::Error) -> ErrorClass {
    if would_block(error) {
        return ErrorClass::Empty;
    }
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => ErrorClass::Exhausted,
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
        ) => ErrorClass::Lost,
        _ => ErrorClass::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acceptor() -> Acceptor {
        Acceptor::new(Vec::new(), &Config::default())
    }

    #[test]
    fn every_error_of_accept_has_its_reaction() {
        let cases: [(&[i32], ErrorClass); 5] = [
            (&[libc::EAGAIN], ErrorClass::Empty),
            (&[libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM], ErrorClass::Exhausted),
            (
                &[
                    libc::ECONNABORTED,
                    libc::ECONNRESET,
                    libc::EPROTO,
                    libc::ENOPROTOOPT,
                    libc::EPERM,
                ],
                ErrorClass::Lost,
            ),
            (
                &[
                    libc::ENETDOWN,
                    libc::ENETUNREACH,
                    libc::EHOSTDOWN,
                    libc::EHOSTUNREACH,
                    libc::ETIMEDOUT,
                ],
                ErrorClass::Lost,
            ),
            (&[libc::EINVAL, libc::EOPNOTSUPP, libc::EBADF], ErrorClass::Unknown),
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
            ErrorClass::Unknown,
            "an error without a number"
        );
    }

    #[test]
    fn pauses_double_from_10_ms_to_1_s_and_restart_after_a_success() {
        let mut acceptor = acceptor();
        let pauses = [(); 9].map(|()| acceptor.lengthen_pause(Moment::START).as_millis());
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        assert_eq!(acceptor.deadline(), Moment::START.after(PAUSE_MAX));
        acceptor.pause = None;
        assert_eq!(acceptor.lengthen_pause(Moment::START), PAUSE_MIN);
    }
}
