//! The state of a server as names and values: one list, and its renderings.
//!
//! | rendering | shows |
//! |---|---|
//! | [`line`](mod@line) | the command `STATUS`: `key=value` in one line, sums of all listeners |
//! | [`json`] | `/status`: the same, and each listener |
//! | [`exposition`] | `/metrics`: Prometheus or OpenMetrics, one sample per listener |
//!
//! All three show [`METRICS`], under the same names and in the same order. A server without a bus
//! has no metrics of one. A new counter is a field of [`Status`] and a line of the list. No
//! rendering allocates.

pub mod exposition;
pub mod json;
pub mod line;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::close_reason::CloseReason;
use crate::status::{BusStatus, Counters, Histogram, ListenerStatus, Status};

/// A name and the value that it has in a state.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The name, without the prefix that it has at `/metrics`. The name of a counter ends in
    /// `_total`.
    pub name: &'static str,
    /// The explanation for people, in one sentence.
    pub help: &'static str,
    /// Where its values come from.
    pub source: Source,
}

/// Where the values of a metric come from.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// One value.
    Server(fn(&Status) -> Value),
    /// One number per listener, whose sum is that of the server.
    Listener(fn(&Counters) -> u64),
    /// One time per listener that has one; the earliest is that of the server.
    Earliest(fn(&ListenerStatus) -> Option<SystemTime>),
    /// One number per [`CloseReason`].
    Reason(fn(&Counters, CloseReason) -> u64),
    /// How many durations fell into which range.
    Histogram(fn(&Status) -> &Histogram),
    /// One value, which a server without a bus does not have.
    Bus(fn(&BusStatus) -> Value),
}

/// A value, with the form in which it is displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Count(u64),
    /// A time in seconds, always with a decimal point, as OpenMetrics requires of bounds.
    Seconds(Duration),
    /// 1 if true; `true` in JSON.
    Flag(bool),
}

impl Metric {
    /// Returns whether a server in this state has the metric.
    #[must_use]
    pub const fn is_of(&self, status: &Status) -> bool {
        !matches!(self.source, Source::Bus(_)) || status.bus.is_some()
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<SystemTime> for Value {
    /// The seconds since 1970.
    fn from(time: SystemTime) -> Self {
        Self::Seconds(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Seconds(duration) => write!(f, "{:?}", duration.as_secs_f64()),
            Self::Flag(flag) => u8::from(*flag).fmt(f),
        }
    }
}

const fn server(name: &'static str, help: &'static str, value: fn(&Status) -> Value) -> Metric {
    Metric { name, help, source: Source::Server(value) }
}

const fn listener(name: &'static str, help: &'static str, value: fn(&Counters) -> u64) -> Metric {
    Metric { name, help, source: Source::Listener(value) }
}

const fn bus(name: &'static str, help: &'static str, value: fn(&BusStatus) -> Value) -> Metric {
    Metric { name, help, source: Source::Bus(value) }
}

const fn histogram(
    name: &'static str,
    help: &'static str,
    value: fn(&Status) -> &Histogram,
) -> Metric {
    Metric { name, help, source: Source::Histogram(value) }
}

/// All metrics, in the order in which they are shown. The first two have the standard names of
/// Prometheus, which are the same for all programs.
pub static METRICS: [Metric; 44] = [
    server("process_start_time_seconds", "Start of the process in seconds since 1970.", |status| {
        status.started.into()
    }),
    server("process_open_fds", "Open descriptors.", |status| {
        Value::Count(status.open_descriptors())
    }),
    server("uptime_seconds", "Time since the start in which the process ran.", |status| {
        Value::Seconds(status.uptime)
    }),
    server(
        "ready",
        "1 if the server is ready for new connections, as /readyz reports.",
        |status| Value::Flag(status.obstacle().is_none()),
    ),
    listener("connections_open", "Open connections.", Counters::open),
    server("connections_counted", "Open connections that count against the limit.", |status| {
        status.connections_counted.into()
    }),
    server("connections_limit", "The limit of open connections.", |status| {
        status.connections_max.into()
    }),
    listener(
        "connections_accepted_total",
        "Accepted connections, rejected ones included.",
        |counters| counters.accepted,
    ),
    Metric {
        name: "connections_closed_total",
        help: "Closed connections by reason.",
        source: Source::Reason(Counters::closed_for),
    },
    listener(
        "probes_total",
        "Connections that their peer closed soon, without sending a byte.",
        |counters| counters.probes,
    ),
    listener("messages_total", "Received messages.", |counters| counters.messages),
    listener(
        "message_delays_total",
        "Delays of connections by the message rate of their address.",
        |counters| counters.delays,
    ),
    listener("received_bytes_total", "Received bytes.", |counters| counters.received_bytes),
    listener("sent_bytes_total", "Sent bytes.", |counters| counters.sent_bytes),
    listener(
        "tls_handshakes_full_total",
        "TLS handshakes that ended well, without a ticket.",
        |counters| counters.full_handshakes,
    ),
    listener(
        "tls_handshakes_resumed_total",
        "TLS handshakes that ended well, with a ticket.",
        |counters| counters.resumed_handshakes,
    ),
    listener(
        "tls_handshakes_failed_total",
        "TLS handshakes that failed or took too long.",
        |counters| counters.failed_handshakes,
    ),
    listener(
        "tls_handshakes_tls12_total",
        "TLS handshakes that ended well, with TLS 1.2.",
        |counters| counters.tls12_handshakes,
    ),
    Metric {
        name: "tls_certificate_expiry_seconds",
        help: "The earliest expiry in seconds since 1970.",
        source: Source::Earliest(ListenerStatus::first_expiry),
    },
    server("tls_reload_failures_total", "Failed reloads of certificates.", |status| {
        Value::Count(status.tls_reload_failures)
    }),
    server("rooms", "Rooms.", |status| status.rooms.rooms.into()),
    server("room_members", "Members of all rooms.", |status| status.rooms.members.into()),
    server("room_messages_total", "Messages that clients have said to rooms.", |status| {
        Value::Count(status.rooms.said)
    }),
    server("room_deliveries_total", "Messages of rooms appended for a member.", |status| {
        Value::Count(status.rooms.delivered)
    }),
    server("room_missed_total", "Messages of rooms that a member was too slow for.", |status| {
        Value::Count(status.rooms.missed)
    }),
    server("rooms_refused_total", "New rooms refused over --rooms-max.", |status| {
        Value::Count(status.rooms.rooms_refused)
    }),
    server("room_members_refused_total", "Members refused over --room-members-max.", |status| {
        Value::Count(status.rooms.members_refused)
    }),
    server("room_refusals_total", "Messages to rooms refused over the rate.", |status| {
        Value::Count(status.rooms.too_fast)
    }),
    server("accepts_lost_total", "Connections that were lost in the accept queue.", |status| {
        Value::Count(status.accepts_lost)
    }),
    server(
        "accept_pauses_total",
        "Pauses in accepting because descriptors or memory had run out.",
        |status| Value::Count(status.accept_pauses),
    ),
    server(
        "address_overflows_total",
        "Connections without limits per address: the table was full.",
        |status| Value::Count(status.address_overflows),
    ),
    server("run_queue_length", "Connections that wait for their turn.", |status| {
        status.ready.into()
    }),
    server("buffered_bytes", "Bytes held by buffers.", |status| status.held_bytes.into()),
    server("buffered_bytes_peak", "The most bytes held by buffers since the start.", |status| {
        status.held_bytes_most.into()
    }),
    server("buffered_bytes_limit", "The limit of bytes held by buffers.", |status| {
        status.limits.memory_bytes_max.into()
    }),
    histogram(
        "round_seconds",
        "Rounds of the loop while connections waited for their turn.",
        |status| &status.rounds,
    ),
    server("longest_round_seconds", "The longest of these rounds since the start.", |status| {
        Value::Seconds(status.longest_round)
    }),
    histogram("stall_seconds", "Periods in which the process did not run.", |status| {
        &status.stalls
    }),
    bus("bus_connected", "1 if the broker is connected.", |bus| Value::Flag(bus.is_connected)),
    bus("bus_connects_total", "Connections to the broker that were made.", |bus| {
        Value::Count(bus.connects)
    }),
    bus("bus_published_total", "Messages for the broker.", |bus| Value::Count(bus.published)),
    bus("bus_received_total", "Messages from the broker that a room has taken.", |bus| {
        Value::Count(bus.received)
    }),
    bus("bus_dropped_total", "Messages dropped: the broker was away, or read too slowly.", |bus| {
        Value::Count(bus.dropped)
    }),
    bus("bus_ignored_total", "Messages from the broker that no room could take.", |bus| {
        Value::Count(bus.ignored)
    }),
];

/// The version of the server.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
