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
    /// The flags of the load as the user typed them: `-c 1k -R 30/m`.
    pub typed: String,
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
    /// Open loop: the stages of the rate; empty if it changes linearly from start to end.
    pub stages: Vec<Stage>,
    /// Open loop: how requests arrive at that rate.
    pub arrivals: Arrivals,
    /// Closed loop: the pause between a reply and the next request on its connection.
    pub think: Duration,
    /// Number of requests after which the run ends; `None` for the duration alone.
    pub requests: Option<u64>,
    /// The seed of random values; `None` if nothing is random.
    pub seed: Option<u32>,
    /// Size of the shortest request, in bytes.
    pub request_bytes: usize,
    /// The choices of TLS; `None` without it.
    pub tls: Option<TlsChoices>,
}

/// The choices of an encrypted run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsChoices {
    /// True if the certificate of the server is checked.
    pub is_verified: bool,
    /// True if connections resume sessions of earlier ones.
    pub resumes: bool,
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

/// A part of a schedule, in which the rate changes linearly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// Its length.
    pub length: Duration,
    /// Requests per second at its start.
    pub from: f64,
    /// Requests per second at its end.
    pub to: f64,
}

impl Stage {
    /// Returns how many requests of `stages`, with fractions, are due by `seconds` after the start.
    #[must_use]
    pub fn area(stages: &[Self], seconds: f64) -> f64 {
        let (mut area, mut left) = (0.0, seconds);
        for stage in stages {
            let length = stage.length.as_secs_f64();
            let passed = left.clamp(0.0, length);
            area += stage.from * passed + (stage.to - stage.from) / length * passed * passed / 2.0;
            left -= length;
        }
        area
    }
}

/// How requests arrive at the rate of an open loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// At even intervals.
    Even,
    /// At random intervals, as requests of many independent clients: a Poisson process.
    Poisson,
}

impl RunSettings {
    /// Returns the stages of the schedule: one if the rate changes linearly, none without a
    /// schedule.
    #[must_use]
    pub fn schedule(&self) -> Vec<Stage> {
        match self.pace {
            Pace::Open { from, to } if self.stages.is_empty() => {
                vec![Stage { length: self.duration, from, to }]
            }
            _ => self.stages.clone(),
        }
    }
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
