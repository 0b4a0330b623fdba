//! The settings of a run.

use std::time::Duration;

/// The requested settings, as reports repeat them.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// The server.
    pub target: ServerTarget,
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

/// The server of a run.
#[derive(Clone, Debug)]
pub struct ServerTarget {
    /// Its name, as the user wrote it: `text://127.0.0.1:40000`.
    pub name: String,
    /// True if it listens on a unix socket.
    pub is_unix: bool,
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
