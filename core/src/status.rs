//! The state of a server: its counters and gauges. Protocols, log lines and other threads all show
//! this one struct.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::close_reason::{CloseReason, by_reason};
use crate::display::plural::plural;
use crate::limits::Limits;

/// The counters of a listener since the start. At all times `accepted` is the number of open
/// connections plus the sum of `closed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections accepted, rejected ones included.
    pub accepted: u64,
    /// Connections closed, by [`CloseReason`].
    pub closed: [u64; CloseReason::COUNT],
    /// Closed connections that were probes: the peer closed without sending a byte, and before the
    /// activity log had shown the connection.
    pub probes: u64,
    /// Bytes received, on open connections too.
    pub received_bytes: u64,
    /// Bytes sent, on open connections too.
    pub sent_bytes: u64,
    /// Messages received, on open connections too.
    pub messages: u64,
}

impl Counters {
    /// Returns how many connections were closed for `reason`.
    #[must_use]
    pub fn closed_for(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize]
    }

    /// Returns how many connections were closed.
    #[must_use]
    pub fn closed_in_all(&self) -> u64 {
        self.closed.iter().sum()
    }

    /// Returns how many connections are open.
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

/// The state of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerStatus {
    /// The name of its protocol.
    pub protocol: &'static str,
    /// Its URL, such as `text://127.0.0.1:40000`; empty on a simulated network.
    pub url: String,
    /// Its counters.
    pub counters: Counters,
}

/// The state of a server. Counters count since its start and are always up to date; gauges are
/// those of the start of the present round.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The listeners in the order of the configuration, one per address.
    pub listeners: Vec<ListenerStatus>,
    /// When the server was started, by the wall clock.
    pub started: SystemTime,
    /// The time since the start by the monotonic clock, without the time in which the process did
    /// not run.
    pub uptime: Duration,
    /// True once a stop was requested.
    pub is_stopping: bool,
    /// The limit of open connections; those beyond it are rejected.
    pub connections_max: usize,
    /// The limits on message length and memory.
    pub limits: Limits,
    /// Connections that were lost in the accept queue.
    pub accepts_lost: u64,
    /// How often accepting was paused, because descriptors or memory had run out.
    pub accept_pauses: u64,
    /// Connections that wait for their turn.
    pub ready: usize,
    /// Bytes that the buffers of all connections hold together.
    pub held_bytes: usize,
    /// The maximum of `held_bytes`, within turns too.
    pub held_bytes_most: usize,
    /// The longest time between two waits for events while connections waited for their turn.
    pub longest_round: Duration,
    /// How often the process did not run, because it was stopped or had no processor, and for how
    /// long in total.
    pub stalls: (u64, Duration),
}

impl Status {
    /// Returns the state at the start of a server with one listener for each of `protocols`.
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

    /// Returns the sum of the counters of all listeners.
    #[must_use]
    pub fn total(&self) -> Counters {
        let mut total = Counters::default();
        self.listeners.iter().for_each(|listener| total.add(&listener.counters));
        total
    }

    /// Changes the counters of one listener. Listeners beyond the 65,536th have none: see
    /// [`Peer::new`](crate::os::peer::Peer::new).
    #[inline]
    pub(crate) fn count(&mut self, listener: usize, count: impl FnOnce(&mut Counters)) {
        if let Some(listener) = self.listeners.get_mut(listener) {
            count(&mut listener.counters);
        }
    }
}

/// The last log line of a server.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        write!(
            f,
            "{}, {} rejected, {}, {} in, {} out, at most {} in buffers",
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
