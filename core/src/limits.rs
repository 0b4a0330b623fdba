//! The limits and timeouts of a server, their defaults, and the settings that can change while it
//! runs.

use std::time::Duration;

use crate::buffers::pool::BLOCK_LEN;

/// The limits on the length of messages, on memory, per address, and on rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest accepted line, in bytes without its ending.
    pub line_bytes_max: u32,
    /// The longest accepted payload of a frame, in bytes.
    pub frame_bytes_max: u32,
    /// The bytes that the buffers of all connections may hold together.
    pub memory_bytes_max: usize,
    /// The connections that one address may have open; `None` is no limit. An address is a single
    /// IPv4 address or an IPv6 /64. Peers of unix sockets, and listeners whose protocol has places
    /// of its own, have no limits per address.
    pub address_connections_max: Option<u32>,
    /// The rate at which connections of one address are accepted, per second. A burst has at most
    /// the same number. `None` is no limit.
    pub address_accept_rate_max: Option<u32>,
    /// The rate of messages that all connections of one address may send, per second. A burst may
    /// have the same number. `None` is no limit. The messages of one read run together, and beyond
    /// the rate nothing is read.
    pub address_message_rate_max: Option<u32>,
    /// The rooms that exist at a time. A room exists while it has members.
    pub rooms_max: usize,
    /// The members of this server that one room may have.
    pub room_members_max: usize,
    /// The bytes of storage that the log of one room may take. A member that reads too slowly
    /// misses the messages that are overwritten.
    pub room_memory_bytes_max: usize,
    /// The longest text of a message to a room, in bytes.
    pub say_bytes_max: u32,
    /// The rate of messages that one connection may say to a room, per second. A burst has at most
    /// the same number. `None` is no limit. Messages beyond the rate are refused.
    pub say_rate_max: Option<u32>,
}

impl Limits {
    /// The largest value of [`Limits::line_bytes_max`] and [`Limits::frame_bytes_max`]. A message
    /// or its answer must fit a buffer, and offsets into a buffer have 32 bits.
    pub const MESSAGE_BYTES_MAX: u32 = 1 << 30;
    /// The smallest value of [`Limits::memory_bytes_max`]. With less, not even one connection could
    /// work.
    pub const MEMORY_BYTES_MIN: usize = 1 << 20;
    /// The largest value of [`Limits::rooms_max`].
    pub const ROOMS_MAX: usize = (1 << 12) - 1;
    /// The largest value of [`Limits::room_members_max`].
    pub const ROOM_MEMBERS_MAX: usize = 1 << 20;
    /// The largest value of [`Limits::say_bytes_max`]. A message must fit the output of a member
    /// below the low-water mark.
    pub const SAY_BYTES_MAX: u32 = 8 << 10;
}

impl Limits {
    /// Sets [`Limits::line_bytes_max`].
    #[must_use]
    pub const fn with_line_bytes_max(mut self, count: u32) -> Self {
        self.line_bytes_max = count;
        self
    }

    /// Sets [`Limits::frame_bytes_max`].
    #[must_use]
    pub const fn with_frame_bytes_max(mut self, count: u32) -> Self {
        self.frame_bytes_max = count;
        self
    }

    /// Sets [`Limits::memory_bytes_max`].
    #[must_use]
    pub const fn with_memory_bytes_max(mut self, count: usize) -> Self {
        self.memory_bytes_max = count;
        self
    }

    /// Sets [`Limits::address_connections_max`].
    #[must_use]
    pub const fn with_address_connections_max(mut self, count: Option<u32>) -> Self {
        self.address_connections_max = count;
        self
    }

    /// Sets [`Limits::address_accept_rate_max`].
    #[must_use]
    pub const fn with_address_accept_rate_max(mut self, per_second: Option<u32>) -> Self {
        self.address_accept_rate_max = per_second;
        self
    }

    /// Sets [`Limits::address_message_rate_max`].
    #[must_use]
    pub const fn with_address_message_rate_max(mut self, per_second: Option<u32>) -> Self {
        self.address_message_rate_max = per_second;
        self
    }

    /// Sets [`Limits::rooms_max`].
    #[must_use]
    pub const fn with_rooms_max(mut self, count: usize) -> Self {
        self.rooms_max = count;
        self
    }

    /// Sets [`Limits::room_members_max`].
    #[must_use]
    pub const fn with_room_members_max(mut self, count: usize) -> Self {
        self.room_members_max = count;
        self
    }

    /// Sets [`Limits::room_memory_bytes_max`].
    #[must_use]
    pub const fn with_room_memory_bytes_max(mut self, count: usize) -> Self {
        self.room_memory_bytes_max = count;
        self
    }

    /// Sets [`Limits::say_bytes_max`].
    #[must_use]
    pub const fn with_say_bytes_max(mut self, count: u32) -> Self {
        self.say_bytes_max = count;
        self
    }

    /// Sets [`Limits::say_rate_max`].
    #[must_use]
    pub const fn with_say_rate_max(mut self, per_second: Option<u32>) -> Self {
        self.say_rate_max = per_second;
        self
    }

    /// Returns the limits, clamped to the range that the server supports.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self {
            line_bytes_max: self.line_bytes_max.min(Self::MESSAGE_BYTES_MAX),
            frame_bytes_max: self.frame_bytes_max.min(Self::MESSAGE_BYTES_MAX),
            memory_bytes_max: self.memory_bytes_max.max(Self::MEMORY_BYTES_MIN),
            rooms_max: self.rooms_max.min(Self::ROOMS_MAX),
            room_members_max: self.room_members_max.min(Self::ROOM_MEMBERS_MAX),
            say_bytes_max: self.say_bytes_max.min(Self::SAY_BYTES_MAX),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes_max: 64 << 10,
            frame_bytes_max: 16 << 20,
            memory_bytes_max: 256 << 20,
            address_connections_max: None,
            address_accept_rate_max: None,
            address_message_rate_max: None,
            rooms_max: 64,
            room_members_max: 100_000,
            room_memory_bytes_max: 1 << 20,
            say_bytes_max: 4 << 10,
            say_rate_max: Some(100),
        }
    }
}

/// The high-water mark: a connection with this many bytes of waiting answers neither reads nor runs
/// messages. This is backpressure.
///
/// It is less than a working block, so that the small answer that crosses the mark still fits into
/// the block.
pub const HIGH_WATER_BYTES: usize = 60 << 10;

/// The low-water mark: backpressure ends when at most this many bytes of answers wait.
pub const LOW_WATER_BYTES: usize = 16 << 10;

const _: () = assert!(2 * Limits::SAY_BYTES_MAX as usize <= LOW_WATER_BYTES);
const _: () = assert!(LOW_WATER_BYTES < HIGH_WATER_BYTES && HIGH_WATER_BYTES < BLOCK_LEN);

/// The timeouts of a connection, and the times of a drain and a stop; `None` is no timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// How long a connection without an incomplete message may neither send nor receive a byte.
    pub idle: Option<Duration>,
    /// The time from the first to the last byte of one message.
    pub message: Option<Duration>,
    /// How late the peer may read waiting answers, compared with a peer that reads them at
    /// [`WRITE_RATE_MIN`]. A peer that reads nothing is closed after this time.
    pub write: Option<Duration>,
    /// The time from the accept of a connection to the end of its PROXY header, where a listener
    /// requires one.
    pub proxy_header: Option<Duration>,
    /// The time of a TLS handshake, from the accept of a connection or the end of its PROXY header,
    /// where a listener is encrypted.
    pub handshake: Option<Duration>,
    /// The pause after which a line without an end is a message, in protocols that allow it.
    pub quiet: Option<Duration>,
    /// The time from the request to drain to the first close. Without one the server drains until
    /// it is stopped.
    pub drain_delay: Option<Duration>,
    /// The time from the request to stop to the end of the server. A drain spreads the closes of
    /// its connections over the same time before.
    pub drain: Option<Duration>,
}

impl Timeouts {
    /// Sets [`Timeouts::idle`].
    #[must_use]
    pub const fn with_idle(mut self, timeout: Option<Duration>) -> Self {
        self.idle = timeout;
        self
    }

    /// Sets [`Timeouts::message`].
    #[must_use]
    pub const fn with_message(mut self, timeout: Option<Duration>) -> Self {
        self.message = timeout;
        self
    }

    /// Sets [`Timeouts::write`].
    #[must_use]
    pub const fn with_write(mut self, timeout: Option<Duration>) -> Self {
        self.write = timeout;
        self
    }

    /// Sets [`Timeouts::proxy_header`].
    #[must_use]
    pub const fn with_proxy_header(mut self, timeout: Option<Duration>) -> Self {
        self.proxy_header = timeout;
        self
    }

    /// Sets [`Timeouts::handshake`].
    #[must_use]
    pub const fn with_handshake(mut self, timeout: Option<Duration>) -> Self {
        self.handshake = timeout;
        self
    }

    /// Sets [`Timeouts::quiet`].
    #[must_use]
    pub const fn with_quiet(mut self, timeout: Option<Duration>) -> Self {
        self.quiet = timeout;
        self
    }

    /// Sets [`Timeouts::drain_delay`].
    #[must_use]
    pub const fn with_drain_delay(mut self, delay: Option<Duration>) -> Self {
        self.drain_delay = delay;
        self
    }

    /// Sets [`Timeouts::drain`].
    #[must_use]
    pub const fn with_drain(mut self, timeout: Option<Duration>) -> Self {
        self.drain = timeout;
        self
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            idle: Some(Duration::from_secs(300)),
            message: Some(Duration::from_secs(30)),
            write: Some(Duration::from_secs(30)),
            proxy_header: Some(Duration::from_secs(3)),
            handshake: Some(Duration::from_secs(5)),
            quiet: Some(Duration::from_millis(20)),
            drain_delay: Some(Duration::from_secs(10)),
            drain: Some(Duration::from_secs(5)),
        }
    }
}

/// The settings that can change while a server runs: see [`Handle::reload`].
///
/// [`Handle::reload`]: crate::server::Handle::reload
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Connections over this number are answered `SERVER_BUSY` and closed.
    pub connections_max: usize,
    /// How many rejected connections may linger at a time. Lingering keeps `SERVER_BUSY` readable:
    /// closing a socket with unread input would reset it. Connections beyond this number are closed
    /// at once. Each lingering connection takes a descriptor.
    pub rejected_max: usize,
    /// The limits on messages, memory, addresses and rooms.
    pub limits: Limits,
    /// The timeouts of connections, and the times of a drain and a stop.
    pub timeouts: Timeouts,
    /// The most lines of the activity log per second; `None` turns the activity log off.
    pub activity_lines_max: Option<u32>,
    /// True if the activity log shows messages; false if it shows only opened and closed
    /// connections.
    pub activity_shows_messages: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections_max: 1000,
            rejected_max: 256,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            activity_lines_max: Some(50),
            activity_shows_messages: true,
        }
    }
}

/// The minimum rate, in bytes per second, at which a peer must read waiting answers: 64 kbit/s, as
/// an ISDN channel.
///
/// Each byte that is sent moves the write deadline by the time of one byte at this rate. So `len`
/// bytes of answers are held for at most the write timeout plus `len / WRITE_RATE_MIN` seconds.
/// Without a minimum rate, a peer that reads one byte per write timeout would hold 16 MiB for
/// years. With ten times this rate, a slow mobile client would be disconnected within a long
/// answer.
pub const WRITE_RATE_MIN: u32 = 8 << 10;

/// Returns the time of `count` bytes at [`WRITE_RATE_MIN`].
#[must_use]
pub fn write_time(count: usize) -> Duration {
    Duration::from_secs(count as u64) / WRITE_RATE_MIN
}

/// The price of a step of a TLS handshake: the step is charged to the budget of the round as this
/// number of moved bytes. So a round runs at most four steps, and one while clients are
/// interactive.
///
/// A handshake with a key of P-256 costs 122 us of processor time (`cargo bench --bench
/// encryption`), most of it in one step. To move as many bytes as the price costs 60 us in lines of
/// 64 KiB and 800 us in lines of 17 bytes (`cargo bench --bench versus -- text large depth=128`),
/// so a step takes as long as other work of that price.
pub const HANDSHAKE_STEP_BYTES: u64 = 256 << 10;

/// How long a connection lingers for the peer's end of input after its last answer.
///
/// Closing a socket with unread input resets the connection, and a reset destroys answers that are
/// still in transit: of 200,000 bytes, 4,096 arrived. Two seconds are several round trips on any
/// link.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// The most bytes that a lingering connection discards; further bytes stay unread.
///
/// With a tenth of this, a client that has 100 KB of requests in transit when the server closes
/// would lose its last answers to a reset. Without a bound, the server would read a flood at full
/// speed for two seconds.
pub const LINGER_BYTES_MAX: u32 = 1 << 20;
