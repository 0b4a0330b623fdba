//! The state of a server: its counters and gauges. Protocols, log lines and other threads all show
//! this one struct.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::close_reason::{CloseReason, by_reason};
use crate::display::plural::plural;
use crate::limits::Limits;
use crate::tls::certificate::Certificate;

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
    /// TLS handshakes that ended well, without a ticket of an earlier one.
    pub full_handshakes: u64,
    /// TLS handshakes that ended well with a ticket of an earlier one.
    pub resumed_handshakes: u64,
    /// TLS handshakes that failed or took too long.
    pub failed_handshakes: u64,
    /// TLS handshakes that ended well with TLS 1.2; the others chose 1.3.
    pub tls12_handshakes: u64,
    /// How often reading from a connection was delayed, because its address had sent more messages
    /// than [`Limits::address_message_rate_max`].
    pub delays: u64,
}

impl Counters {
    /// Returns how many connections were closed for `reason`.
    #[must_use]
    pub fn closed_for(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize]
    }

    /// Returns how many connections were closed because a limit of connections was reached.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        [CloseReason::ServerBusy, CloseReason::AddressConnections, CloseReason::AddressAcceptRate]
            .map(|reason| self.closed_for(reason))
            .iter()
            .sum()
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
        self.full_handshakes += other.full_handshakes;
        self.resumed_handshakes += other.resumed_handshakes;
        self.failed_handshakes += other.failed_handshakes;
        self.tls12_handshakes += other.tls12_handshakes;
        self.delays += other.delays;
    }
}

/// What a server does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It serves.
    Serving,
    /// It serves, and should get no new connections, because it will stop soon.
    Draining,
    /// It answers what has arrived, and stops.
    Stopping,
}

impl State {
    /// Returns its name.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The reason why a server should get no new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// It will stop soon, or is stopping.
    State(State),
    /// Accepting is paused, because descriptors or memory of the kernel have run out.
    AcceptingPaused,
    /// The limit of connections is reached.
    Full,
    /// The broker is not connected, and the server requires it.
    BusAway,
}

impl Obstacle {
    /// Returns the name of the obstacle in `STATUS` and in JSON, such as `bus_away`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::State(state) => state.label(),
            Self::AcceptingPaused => "accepting_paused",
            Self::Full => "connection_limit",
            Self::BusAway => "bus_away",
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => state.fmt(f),
            Self::AcceptingPaused => f.write_str("accepting is paused"),
            Self::Full => f.write_str("the limit of connections is reached"),
            Self::BusAway => f.write_str("the bus is not connected"),
        }
    }
}

/// How many durations fell into each of nine ranges, and their sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    bounds: &'static [Duration; Self::BOUNDS],
    counts: [u64; Self::BOUNDS + 1],
    sum: Duration,
}

impl Histogram {
    const BOUNDS: usize = 8;

    /// The bounds for rounds of the loop: 100 us to 300 ms.
    const ROUNDS: [Duration; Self::BOUNDS] = [
        Duration::from_micros(100),
        Duration::from_micros(300),
        Duration::from_millis(1),
        Duration::from_millis(3),
        Duration::from_millis(10),
        Duration::from_millis(30),
        Duration::from_millis(100),
        Duration::from_millis(300),
    ];

    /// The bounds for times in which the process did not run: 300 ms to 1000 s.
    const STALLS: [Duration; Self::BOUNDS] = [
        Duration::from_millis(300),
        Duration::from_secs(1),
        Duration::from_secs(3),
        Duration::from_secs(10),
        Duration::from_secs(30),
        Duration::from_secs(100),
        Duration::from_secs(300),
        Duration::from_secs(1000),
    ];

    const fn new(bounds: &'static [Duration; Self::BOUNDS]) -> Self {
        Self { bounds, counts: [0; Self::BOUNDS + 1], sum: Duration::ZERO }
    }

    /// Counts a duration.
    pub fn add(&mut self, duration: Duration) {
        let range = self.bounds.partition_point(|bound| *bound < duration);
        self.counts[range] += 1;
        self.sum += duration;
    }

    /// Returns the upper bound of each range, which belongs to the range, and its count. The last
    /// range has no bound.
    pub fn ranges(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(self.counts)
    }

    /// Returns the sum of all durations.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        self.sum
    }

    /// Returns how many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The state of the connection to the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusStatus {
    /// True while the broker is connected: messages to rooms reach other servers.
    pub is_connected: bool,
    /// True if the server is not ready without the broker.
    pub is_required: bool,
    /// How often the broker was connected.
    pub connects: u64,
    /// Messages that were handed to the connection to the broker.
    pub published: u64,
    /// Messages from the broker that rooms of this server have taken.
    pub received: u64,
    /// Messages that were not sent to the broker, because it was not connected, read too slowly, or
    /// takes only shorter messages.
    pub dropped: u64,
    /// Messages from the broker that no room could take.
    pub ignored: u64,
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
    /// The certificates that it shows to new clients; there are none without TLS.
    pub certificates: Arc<[Certificate]>,
}

impl ListenerStatus {
    /// Returns when its first certificate expires; `None` without TLS.
    #[must_use]
    pub fn first_expiry(&self) -> Option<SystemTime> {
        self.certificates.iter().map(|certificate| certificate.valid_until).min()
    }
}

/// The counters and gauges of the rooms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomStatus {
    /// The rooms that exist.
    pub rooms: usize,
    /// The members of all rooms.
    pub members: usize,
    /// Messages that connections of this server have said.
    pub said: u64,
    /// Messages that were appended to the output of a member: once for each member.
    pub delivered: u64,
    /// Messages that a member was too slow for: once for each member.
    pub missed: u64,
    /// New rooms that were refused, because [`Limits::rooms_max`] rooms existed.
    pub rooms_refused: u64,
    /// Members that were refused, because their room had [`Limits::room_members_max`] members.
    pub members_refused: u64,
    /// Messages that were refused, because their connection exceeded [`Limits::say_rate_max`].
    pub too_fast: u64,
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
    /// Descriptors that were open at the start.
    pub descriptors_at_start: usize,
    /// The time since the start by the monotonic clock, without the time in which the process did
    /// not run.
    pub uptime: Duration,
    /// What the server does.
    pub state: State,
    /// The limit of open connections; those beyond it are rejected.
    pub connections_max: usize,
    /// Open connections that count against that limit.
    pub connections_counted: usize,
    /// The limits on messages, memory, addresses and rooms.
    pub limits: Limits,
    /// Connections that were lost in the accept queue.
    pub accepts_lost: u64,
    /// How often accepting was paused, because descriptors or memory had run out.
    pub accept_pauses: u64,
    /// True while accepting is paused.
    pub is_accepting_paused: bool,
    /// Connections that the limits per address did not count, because the table of addresses was
    /// full.
    pub address_overflows: u64,
    /// The rooms.
    pub rooms: RoomStatus,
    /// Failed attempts to replace TLS settings.
    pub tls_reload_failures: u64,
    /// Connections that wait for their turn.
    pub ready: usize,
    /// Bytes that the buffers of all connections hold together.
    pub held_bytes: usize,
    /// The maximum of `held_bytes`, within turns too.
    pub held_bytes_most: usize,
    /// The longest time between two waits for events while connections waited for their turn.
    pub longest_round: Duration,
    /// The times between two waits for events while connections waited for their turn.
    pub(crate) rounds: Histogram,
    /// The times in which the process did not run, because it was stopped or had no processor.
    pub(crate) stalls: Histogram,
    /// The connection to the broker; `None` if the server has no bus.
    pub bus: Option<BusStatus>,
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
            certificates: Arc::default(),
        };
        Self {
            listeners: protocols.iter().map(listener).collect(),
            started,
            descriptors_at_start: 0,
            uptime: Duration::ZERO,
            state: State::Serving,
            connections_max,
            connections_counted: 0,
            limits,
            accepts_lost: 0,
            accept_pauses: 0,
            is_accepting_paused: false,
            address_overflows: 0,
            rooms: RoomStatus::default(),
            tls_reload_failures: 0,
            ready: 0,
            held_bytes: 0,
            held_bytes_most: 0,
            longest_round: Duration::ZERO,
            rounds: Histogram::new(&Histogram::ROUNDS),
            stalls: Histogram::new(&Histogram::STALLS),
            bus: None,
        }
    }

    /// Returns the sum of the counters of all listeners.
    #[must_use]
    pub fn total(&self) -> Counters {
        let mut total = Counters::default();
        self.listeners.iter().for_each(|listener| total.add(&listener.counters));
        total
    }

    /// Returns why the server should get no new connections; `None` if it should.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        if self.state != State::Serving {
            Some(Obstacle::State(self.state))
        } else if self.is_accepting_paused {
            Some(Obstacle::AcceptingPaused)
        } else if self.connections_counted >= self.connections_max {
            Some(Obstacle::Full)
        } else if self.bus.is_some_and(|bus| bus.is_required && !bus.is_connected) {
            Some(Obstacle::BusAway)
        } else {
            None
        }
    }

    /// Logs the state as `event`, with the counters in its fields.
    pub fn log(&self, event: &str) {
        let total = self.total();
        log::info!(
            event,
            state:% = self.state,
            uptime_seconds = self.uptime.as_secs_f64(),
            connections_open = total.open(),
            connections_accepted_total = total.accepted,
            connections_closed_total = total.closed_in_all(),
            connections_rejected_total = total.rejected(),
            probes_total = total.probes,
            messages_total = total.messages,
            received_bytes_total = total.received_bytes,
            sent_bytes_total = total.sent_bytes,
            buffered_bytes_peak = self.held_bytes_most;
            "{event}: {self}"
        );
    }

    /// Returns how many descriptors are open.
    #[must_use]
    pub fn open_descriptors(&self) -> u64 {
        let to_broker = u64::from(self.bus.is_some_and(|bus| bus.is_connected));
        self.descriptors_at_start as u64 + self.total().open() + to_broker
    }

    /// Changes the counters of one listener. Listeners beyond the 65,536th share its counters: see
    /// [`Peer::new`](crate::os::peer::Peer::new).
    #[inline]
    pub(crate) fn count(&mut self, listener: usize, count: impl FnOnce(&mut Counters)) {
        if let Some(listener) = self.listeners.get_mut(listener) {
            count(&mut listener.counters);
        }
    }
}

/// The summary at the end of a log line about the state.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        write!(
            f,
            "{}, {} rejected, {}, {} in, {} out, at most {} in buffers",
            plural(total.accepted, "connection"),
            total.rejected(),
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
