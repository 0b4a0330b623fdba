//! The outcome of a run, from which every report is made.

use std::time::{Duration, SystemTime};

use super::counts::Counts;
use super::latency::Latency;
use super::settings::{Lifetime, Opening, RunSettings};

/// The outcome of a run.
#[derive(Clone, Debug)]
pub struct RunOutcome {
    /// The requested settings.
    pub settings: RunSettings,
    /// How connections were opened.
    pub opening: Opening,
    /// When they were closed and reopened; `None` if they were kept open.
    pub lifetime: Option<Lifetime>,
    /// Wall-clock time of the start.
    pub started: SystemTime,
    /// Length of the measurement window: from the end of the warm-up to the end of the load,
    /// without the wait for the last replies.
    pub counted: Duration,
    /// The number of cores that the generator threads could use at once.
    pub cores: usize,
    /// All counts of the measurement window, and the failures before it.
    pub total: Counts,
    /// The measurement window in slices of equal length, except for the last one.
    pub slices: Vec<Slice>,
    /// The number of requested connections that were open at some time.
    pub reached: usize,
    /// The most connections open at once; with several threads, the sum of each thread's maximum in
    /// a slice.
    pub open_most: usize,
    /// Connections open at the end of the run.
    pub open_last: usize,
    /// The addresses of the server over which the connections were spread; else empty.
    pub addresses: Vec<String>,
    /// Time from the start of the load until the server was gone: all connections had ended, and it
    /// accepted no other one.
    pub server_gone: Option<Duration>,
    /// The number of the signal that interrupted it.
    pub interrupted_by: Option<i32>,
}

/// A slice of the run.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Its start, relative to the start of the measurement window.
    pub start: Duration,
    /// Its length.
    pub length: Duration,
    /// Requests sent.
    pub sent: u64,
    /// Correct replies.
    pub correct: u64,
    /// Failed requests, all causes.
    pub errors: u64,
    /// Connections open at its end.
    pub open: usize,
    /// Latency from the schedule if there is one, else from the send.
    pub latency: Latency,
    /// Time of the completed handshakes of TLS.
    pub handshake: Latency,
}
