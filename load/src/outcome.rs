//! The settings of a run and its outcome: the facts from which every report is made.

use std::time::{Duration, SystemTime};

use super::latency::Latency;
use super::tally::Tally;

/// The requested settings, as reports repeat them.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The server as the user named it: `text://127.0.0.1:40000`.
    pub target: String,
    /// `text`, `binary`, `echo`, `chat` or `raw`.
    pub protocol: String,
    /// A short description of the messages: `ECHO of 17 bytes`, `TIME:1, ECHO hello:3`.
    pub messages: String,
    /// Number of connections.
    pub connections: usize,
    /// Maximum number of requests in flight on each connection.
    pub depth: usize,
    /// Number of generator threads.
    pub threads: usize,
    /// Duration of the load, including the warm-up.
    pub duration: Duration,
    /// The first part of it, which latencies and throughput exclude.
    pub warmup: Duration,
    /// Timeout of a connection attempt and of a reply.
    pub timeout: Duration,
    /// When requests are sent.
    pub pace: Pace,
    /// Size of the shortest request, in bytes.
    pub request_bytes: usize,
}

/// When the next request is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Closed loop: when a reply has arrived. The server determines the rate.
    Closed,
    /// One request on each connection per interval, to see which connections stay open.
    Hold(Duration),
    /// Open loop: on a schedule that does not wait for replies, in requests per second.
    Open {
        /// Rate at the start.
        from: f64,
        /// Rate at the end; the rate changes linearly.
        to: f64,
    },
}

/// How connections are opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Opening {
    /// All at once; requests start when every connection is open or has failed.
    AtOnce,
    /// At this number per second; each connection sends requests as soon as it is open.
    Rate(f64),
}

/// When a connection is closed and reopened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// After this number of requests.
    Requests(u64),
    /// After this time, once the outstanding replies have arrived.
    Time(Duration),
}

/// The outcome of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The requested settings.
    pub asked: Asked,
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
    pub total: Tally,
    /// The measurement window in slices of equal length, except for the last one.
    pub slices: Vec<Slice>,
    /// The number of requested connections that were open at some time.
    pub reached: usize,
    /// The most connections open at once; with several threads, the sum of each thread's maximum in
    /// a slice.
    pub open_most: usize,
    /// Connections open at the end of the run.
    pub open_last: usize,
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
}
