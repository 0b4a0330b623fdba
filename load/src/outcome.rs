//! What a run was asked to do and what came of it: the facts from which every report is made.

use std::time::{Duration, SystemTime};

use super::latency::Latency;
use super::tally::Tally;

/// What was asked for, as reports repeat it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The server as it was named: `text://127.0.0.1:40000`.
    pub target: String,
    /// `text`, `binary`, `echo`, `chat` or `raw`.
    pub protocol: String,
    /// What is sent, in a few words: `ECHO of 17 bytes`, `TIME:1, ECHO hello:3`.
    pub messages: String,
    /// Connections to hold open.
    pub connections: usize,
    /// Requests in flight on each connection, at most.
    pub depth: usize,
    /// Threads that generate.
    pub threads: usize,
    /// How long requests are sent, the time for warming up included.
    pub duration: Duration,
    /// The first part of it, which latencies and throughput leave out.
    pub warmup: Duration,
    /// How long a connection, or a reply, may take.
    pub timeout: Duration,
    /// When requests are sent.
    pub pace: Pace,
    /// The shortest request, in bytes on the wire.
    pub request_bytes: usize,
}

/// When the next request is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As soon as a reply has come: the rate is what the server makes of it.
    Closed,
    /// One request on each connection every so often, to see which connections live.
    Hold(Duration),
    /// On a schedule that does not wait for replies: requests a second, at the start and at the end
    /// of the run.
    Open {
        /// At the start.
        from: f64,
        /// At the end; the rate changes evenly in between.
        to: f64,
    },
}

/// How connections are opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Opening {
    /// All at once; requests are sent when every connection is open or has failed.
    AtOnce,
    /// So many a second; each sends requests as soon as it is open.
    Rate(f64),
}

/// When a connection is closed and opened anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// After so many requests.
    Requests(u64),
    /// After so long, when the replies that are due have come.
    Time(Duration),
}

/// One run, as it was.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was asked for.
    pub asked: Asked,
    /// How connections were opened.
    pub opening: Opening,
    /// When they were opened anew; `None` where they were kept.
    pub lifetime: Option<Lifetime>,
    /// When it began, by the wall clock.
    pub started: SystemTime,
    /// The time in which requests were due: from the end of warming up to the end of the load. The
    /// wait for the last replies is no part of it.
    pub counted: Duration,
    /// The cores that the generator's threads could have at once: one for each, as far as the
    /// machine has them.
    pub cores: usize,
    /// Everything in the counted part, and the failures before it.
    pub total: Tally,
    /// The counted part in slices of equal length, the last one excepted.
    pub slices: Vec<Slice>,
    /// Of the connections asked for, how many were open at some time.
    pub reached: usize,
    /// The most connections that were open at once; of several threads, the sum of what each had
    /// at most in a slice.
    pub open_most: usize,
    /// The connections that were open when the run ended.
    pub open_last: usize,
    /// How long after the start of the load the server left: all connections had ended, and it
    /// took no other one.
    pub server_gone: Option<Duration>,
    /// What stopped it before its time: the number of the signal.
    pub interrupted_by: Option<i32>,
}

/// A part of the run.
#[derive(Clone, Debug)]
pub struct Slice {
    /// When it began, counted from the start of the counted part.
    pub start: Duration,
    /// How long it took.
    pub length: Duration,
    /// Requests sent.
    pub sent: u64,
    /// Replies that were right.
    pub correct: u64,
    /// Requests that failed, all causes.
    pub errors: u64,
    /// Connections open at its end.
    pub open: usize,
    /// Latency from the schedule where there is one, else from the send.
    pub latency: Latency,
}
