//! What a run counts. All of it can be added up: the slices of time to a total, the threads to one run, the runs of several machines to one
//! report.

use std::marker::PhantomData;
use std::time::Duration;

use super::averages::share;
use super::exchange::Exchanges;
use super::latency::Latency;

/// A request that was not answered as it should have been. None of them counts as throughput.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// A whole reply whose content is that of no request of ours: `ERROR ...`, or other bytes than expected.
    Wrong,
    /// A whole and well-made reply to another request, another connection's for instance, in place of the one that is due.
    Foreign,
    /// Bytes, or a reply a second time, that no request was waiting for: the one kind that is no request's outcome.
    Surplus,
    /// The connection ended inside the reply.
    Truncated,
    /// The connection, or the run, ended before the first byte of the reply.
    Missing,
    /// The reply was not complete within the timeout; the connection is given up.
    Late,
    /// The schedule had the request due before the end of the run, and it was never sent: no connection was free, or the run was
    /// interrupted.
    Unsent,
}

/// A connection that could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// Nobody listens there.
    Refused,
    /// Not open within the timeout: a full backlog, or packets that are dropped.
    TimedOut,
    /// The server ended it while it was being opened.
    Reset,
    /// The server said that it is full.
    Busy,
    /// This machine has no port left for the source address (`EADDRNOTAVAIL`).
    NoPort,
    /// This process has no descriptor left (`EMFILE`, `ENFILE`).
    NoDescriptor,
    /// No way to the host.
    Unreachable,
    /// Anything else.
    Other,
}

/// How an open connection ended that the generator did not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server closed it without a word.
    Closed,
    /// The server ended it with `IDLE_TIMEOUT`: nothing was sent or received for too long.
    IdleTimeout,
    /// The server ended it with `MESSAGE_TIMEOUT`: a request took too long to arrive whole.
    MessageTimeout,
    /// The server ended it with `BYE`: it is shutting down.
    Shutdown,
    /// The server, or something between, reset it.
    Reset,
    /// Nothing came for the timeout though a reply was due.
    Silent,
    /// Bytes came, and the reply that was due was not complete within the timeout all the same.
    Late,
    /// Its stream of replies could not be followed any further, so the generator gave it up.
    Unreadable,
}

/// The causes that one [`Counts`] tells apart.
pub trait Cause: Copy + 'static {
    /// All of them, in the order in which reports show them.
    const ALL: &'static [Self];

    /// Its name in reports, in lower case.
    fn name(self) -> &'static str;

    /// Its place in [`Self::ALL`].
    fn index(self) -> usize;
}

macro_rules! causes {
    ($type:ident: $($variant:ident $name:literal),+) => {
        impl Cause for $type {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

causes!(ReplyError: Wrong "wrong", Foreign "foreign", Surplus "surplus", Truncated "truncated", Missing "missing", Late "late",
    Unsent "unsent");
causes!(ConnectError: Refused "refused", TimedOut "timed_out", Reset "reset", Busy "busy", NoPort "no_port",
    NoDescriptor "no_descriptor", Unreachable "unreachable", Other "other");
causes!(Ending: Closed "closed", IdleTimeout "idle_timeout", MessageTimeout "message_timeout", Shutdown "shutdown", Reset "reset",
    Silent "silent", Late "late", Unreadable "unreadable");

/// As many as the longest list of causes has.
const CAUSES_MAX: usize = 8;

/// A number for each cause.
#[derive(Clone, Debug)]
pub struct Counts<C> {
    counts: [u64; CAUSES_MAX],
    causes: PhantomData<C>,
}

impl<C> Default for Counts<C> {
    fn default() -> Self {
        Self { counts: [0; CAUSES_MAX], causes: PhantomData }
    }
}

impl<C: Cause> Counts<C> {
    /// Counts `count` more of `cause`.
    pub fn add(&mut self, cause: C, count: u64) {
        self.counts[cause.index()] += count;
    }

    /// How many there were of `cause`.
    #[must_use]
    pub fn get(&self, cause: C) -> u64 {
        self.counts[cause.index()]
    }

    /// All causes together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each cause with its number, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (C, u64)> + '_ {
        C::ALL.iter().map(|cause| (*cause, self.get(*cause)))
    }

    fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }
}

/// What was counted in a slice of time, or in all of it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Connections that were begun.
    pub connects: u64,
    /// Connections that opened, those included that the server then refused with a word.
    pub opened: u64,
    /// Connections that did not open, or that the server refused with a word.
    pub connect_errors: Counts<ConnectError>,
    /// Connections that ended without the generator's doing.
    pub endings: Counts<Ending>,
    /// Requests that the kernel has taken whole.
    pub sent: u64,
    /// Bytes that the kernel has taken.
    pub sent_bytes: u64,
    /// Requests that were answered, whole and right.
    pub correct: u64,
    /// Of the right replies, how many belong to the time before the counted part or after it, fractions of a reply included:
    /// with a schedule, those to requests that were due before it; else, of each reply the share of its time that lies outside.
    pub outside: f64,
    /// Bytes of replies, right or wrong; a greeting is none.
    pub received_bytes: u64,
    /// Requests that were not, and replies that no request was waiting for.
    pub errors: Counts<ReplyError>,
    /// Of the requests that were never sent, those that the generator kept waiting for most of their delay.
    pub unsent_by_generator: u64,
    /// The first exchange of each kind of error that a reply, or a part of one, shows.
    pub exchanges: Exchanges,
    /// From the start of connecting to the open connection.
    pub connect: Latency,
    /// From the start of connecting to the first byte that came on the connection, less the time that it was open and waited
    /// for others before its first request.
    pub first_byte: Latency,
    /// From the call that sent a request to the last byte of its right reply.
    pub from_send: Latency,
    /// From the time at which the schedule had a request due to the last byte of its right reply. Empty without a schedule.
    pub from_schedule: Latency,
    /// For each right reply, the part of its latency that the generator caused: its request was due and a connection free, or
    /// the reply was there and not read. Of a request that waited in a queue which the generator caused, that wait too.
    pub lag: Latency,
    /// CPU time of the generating threads; zero where the system does not tell.
    pub cpu: Duration,
    /// How long the generating threads were ready to run and had no core, or were stopped.
    pub starved: Duration,
}

impl Tally {
    /// The right replies that belong to the counted part, fractions included: what rates count.
    #[must_use]
    pub fn correct_inside(&self) -> f64 {
        (self.correct as f64 - self.outside).max(0.0)
    }

    /// Their share of all right replies; one where there is none.
    #[must_use]
    pub fn inside_ratio(&self) -> f64 {
        if self.correct > 0 { share(self.correct_inside(), self.correct as f64) } else { 1.0 }
    }

    /// Adds everything that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        self.merge_failures(other);
        self.sent += other.sent;
        self.sent_bytes += other.sent_bytes;
        self.correct += other.correct;
        self.outside += other.outside;
        self.received_bytes += other.received_bytes;
        self.from_send.merge(&other.from_send);
        self.from_schedule.merge(&other.from_schedule);
        self.lag.merge(&other.lag);
        self.cpu += other.cpu;
        self.starved += other.starved;
    }

    /// Adds what counts even while warming up: connections, and everything that failed.
    pub fn merge_failures(&mut self, other: &Self) {
        self.connects += other.connects;
        self.opened += other.opened;
        self.connect_errors.merge(&other.connect_errors);
        self.endings.merge(&other.endings);
        self.errors.merge(&other.errors);
        self.unsent_by_generator += other.unsent_by_generator;
        self.exchanges.merge(&other.exchanges);
        self.connect.merge(&other.connect);
        self.first_byte.merge(&other.first_byte);
    }
}
