//! The limits and timeouts that a server is given, and what they are by default.

use std::time::Duration;

use crate::buffers::pool::BLOCK_LEN;

/// How much a connection may send, and all of them may make the server hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest line that is taken, in bytes without its ending.
    pub line_bytes_max: u32,
    /// The longest payload of a frame that is taken, in bytes.
    pub frame_bytes_max: u32,
    /// What the buffers of all connections may hold together, in bytes.
    pub memory_bytes_max: usize,
}

impl Limits {
    /// The largest value of [`Limits::line_bytes_max`] and [`Limits::frame_bytes_max`]: a message
    /// and the answer to it must fit one buffer with room to spare, and offsets into a buffer
    /// have 32 bits.
    pub const MESSAGE_BYTES_MAX: u32 = 1 << 30;
    /// The smallest value of [`Limits::memory_bytes_max`]: below it not even the connection whose
    /// turn it is could work.
    pub const MEMORY_BYTES_MIN: usize = 1 << 20;
}

impl Limits {
    /// The limits, none larger than what a buffer can hold.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self {
            line_bytes_max: self.line_bytes_max.min(Self::MESSAGE_BYTES_MAX),
            frame_bytes_max: self.frame_bytes_max.min(Self::MESSAGE_BYTES_MAX),
            memory_bytes_max: self.memory_bytes_max.max(Self::MEMORY_BYTES_MIN),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { line_bytes_max: 64 << 10, frame_bytes_max: 16 << 20, memory_bytes_max: 256 << 20 }
    }
}

/// Above so many bytes of waiting answers a connection's input is neither run nor read:
/// backpressure.
///
/// A little less than a working block, so that the small answer which crosses the mark still fits
/// the block.
pub const HIGH_WATER_BYTES: usize = BLOCK_LEN - 4096;

/// Below so many bytes of waiting answers a connection under backpressure goes on.
pub const LOW_WATER_BYTES: usize = BLOCK_LEN / 4;

const _: () = assert!(LOW_WATER_BYTES < HIGH_WATER_BYTES && HIGH_WATER_BYTES < BLOCK_LEN);

/// How long a connection may take over what; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// No message in progress, nothing sent or received.
    pub idle: Option<Duration>,
    /// From the first to the last byte of one message, whatever arrives in between.
    pub message: Option<Duration>,
    /// How far the peer may fall behind [`WRITE_RATE_MIN`] while answers wait for it; at most so
    /// long it may take no byte.
    pub write: Option<Duration>,
    /// After so long without a byte, a piece without a newline is a message, where the protocol
    /// says so.
    pub quiet: Option<Duration>,
    /// From the request to stop to the end, whatever is still waiting.
    pub drain: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            idle: Some(Duration::from_secs(300)),
            message: Some(Duration::from_secs(30)),
            write: Some(Duration::from_secs(30)),
            quiet: Some(Duration::from_millis(20)),
            drain: Some(Duration::from_secs(5)),
        }
    }
}

/// The least rate in bytes a second at which a peer must take answers that wait for it: 64 kbit/s,
/// a channel of ISDN.
///
/// Each byte taken moves the write deadline by the time of one byte at this rate, so that `len`
/// bytes of answers are held for at most the write timeout and `len / WRITE_RATE_MIN` seconds.
/// Without a least rate, one byte in each write timeout would hold a block of 16 MiB for years. At
/// ten times, a slow mobile link would be cut off in the middle of a long answer.
pub const WRITE_RATE_MIN: u32 = 8 << 10;

/// The time in which a peer takes `count` bytes at [`WRITE_RATE_MIN`].
#[must_use]
pub fn write_time(count: usize) -> Duration {
    Duration::from_secs(count as u64) / WRITE_RATE_MIN
}

/// How long a connection lingers for the peer's end of input after its last answer.
///
/// Closing a socket with unread input resets the connection, and a reset destroys answers that are
/// still under way: of 200,000 bytes, 4,096 arrived. Two seconds are several round trips on any
/// link.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// How many bytes are discarded while lingering, at most; what comes after them stays unread.
///
/// At a tenth, a client that has 100 KB of requests under way when it is told to go would lose its
/// last answers to a reset; without a bound, a flood would be read at full speed for two seconds.
pub const LINGER_BYTES_MAX: u32 = 1 << 20;
