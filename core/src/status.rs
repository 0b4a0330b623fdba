//! The state of a server, told once: whatever shows it, a protocol, a log line or another thread,
//! renders this.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::close_reason::{CloseReason, by_reason};
use crate::display::plural::plural;
use crate::limits::Limits;

/// What a listener has seen since the start. `accepted` is at all times the number of its
/// connections that are open and of those in `closed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted, those over the limit included.
    pub accepted: u64,
    /// Connections closed, by [`CloseReason`].
    pub closed: [u64; CloseReason::COUNT],
    /// Connections of these that ended without a byte, and before the activity log had shown them.
    pub probes: u64,
    /// Bytes received, of open connections too.
    pub received_bytes: u64,
    /// Bytes sent, of open connections too.
    pub sent_bytes: u64,
    /// Messages received, of open connections too.
    pub messages: u64,
}

impl Counters {
    /// How many connections were closed for `reason`.
    #[must_use]
    pub fn closed_for(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize]
    }

    /// How many connections were closed.
    #[must_use]
    pub fn closed_in_all(&self) -> u64 {
        self.closed.iter().sum()
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.accepted.saturating_sub(self.closed_in_all())
    }

    fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.closed.iter_mut().zip(other.closed).for_each(|(sum, count)| *sum += count);
        self.probes += other.probes;
        self.received_bytes += other.received_bytes;
        self.sent_bytes += other.sent_bytes;
        self.messages += other.messages;
    }
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStatus {
    /// The protocol that is spoken there.
    pub protocol: &'static str,
    /// Its URL, such as `text://127.0.0.1:40000`; empty where the server is not on a network.
    pub url: String,
    /// What it has seen.
    pub counters: Counters,
}

/// The state of a server: what has happened since its start, and what is so now. It is filled where
/// things happen; a gauge is as of the start of the round, which is at most one round old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The listeners, in the order of the configuration, one for each address.
    pub listeners: Vec<ListenerStatus>,
    /// When the server was started, by the wall clock.
    pub started: SystemTime,
    /// How long ago that was, by the monotonic clock, less the time in which the process did not
    /// run.
    pub uptime: Duration,
    /// True exactly when the server was asked to stop.
    pub is_stopping: bool,
    /// Connections over this number are turned away.
    pub connections_max: usize,
    /// How much a connection may send, and all of them may make the server hold.
    pub limits: Limits,
    /// Connections that were lost between the peer and `accept`.
    pub accepts_lost: u64,
    /// How often accepting was paused, because descriptors or memory had run out.
    pub accept_pauses: u64,
    /// Connections that wait for their turn.
    pub ready: usize,
    /// Bytes that the buffers of all connections hold together.
    pub held_bytes: usize,
    /// The most that they held, in the middle of a turn too.
    pub held_bytes_most: usize,
    /// The longest time from one look at the kernel to the next while connections waited for their
    /// turn.
    pub longest_round: Duration,
    /// How often the process did not run for a while, stopped or without a processor, and for how
    /// long in all.
    pub stalls: (u64, Duration),
}

impl Status {
    /// The state at the start of a server with listeners for `protocols`.
    #[must_use]
    pub fn new(
        protocols: &[&'static str],
        limits: Limits,
        connections_max: usize,
        started: SystemTime,
    ) -> Self {
        let listener = |protocol: &&'static str| ListenerStatus {
            protocol,
            url: String::new(),
            counters: Counters::default(),
        };
        Self {
            listeners: protocols.iter().map(listener).collect(),
            started,
            uptime: Duration::ZERO,
            is_stopping: false,
            connections_max,
            limits,
            accepts_lost: 0,
            accept_pauses: 0,
            ready: 0,
            held_bytes: 0,
            held_bytes_most: 0,
            longest_round: Duration::ZERO,
            stalls: (0, Duration::ZERO),
        }
    }

    /// The sums over all listeners.
    #[must_use]
    pub fn total(&self) -> Counters {
        let mut total = Counters::default();
        self.listeners.iter().for_each(|listener| total.add(&listener.counters));
        total
    }

    /// Counts at one listener. Beyond the 65,536th listener nothing is counted: see
    /// [`Peer::new`](crate::os::peer::Peer::new).
    #[inline]
    pub(crate) fn count(&mut self, listener: usize, count: impl FnOnce(&mut Counters)) {
        if let Some(listener) = self.listeners.get_mut(listener) {
            count(&mut listener.counters);
        }
    }
}

/// The line with which a server ends.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        write!(
            f,
            "{}, {} turned away, {}, {} in, {} out, at most {} in buffers",
            plural(total.accepted, "connection"),
            total.closed_for(CloseReason::ServerBusy),
            plural(total.messages, "message"),
            plural(total.received_bytes, "byte"),
            plural(total.sent_bytes, "byte"),
            plural(self.held_bytes_most as u64, "byte")
        )?;
        if total.closed_in_all() > 0 {
            write!(f, "; closed: {}", by_reason(&total.closed))?;
        }
        Ok(())
    }
}
