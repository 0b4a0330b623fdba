//! What a run counts. All of it can be added up: the slices of time to a total, the threads to one
//! run, the runs of several machines to one report.

use std::marker::PhantomData;
use std::time::Duration;

use super::averages::share;
use super::causes::{Cause, ConnectError, Ending, ReplyError};
use super::exchange::Exchanges;
use super::latency::Latency;

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
    /// Connections that were begun, those included that were given up because the system gave them
    /// a server's port.
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
    /// Of the right replies, how many belong to the time before the counted part or after it,
    /// fractions of a reply included: with a schedule, those to requests that were due before
    /// it; else, of each reply the share of its time that lies outside.
    pub outside: f64,
    /// Bytes of replies, right or wrong; a greeting is none.
    pub received_bytes: u64,
    /// Requests that were not, and replies that no request was waiting for.
    pub errors: Counts<ReplyError>,
    /// Of the requests that were never sent, those that the generator kept waiting for most of
    /// their delay.
    pub unsent_by_generator: u64,
    /// The first exchange of each kind of error that a reply, or a part of one, shows.
    pub exchanges: Exchanges,
    /// From the start of connecting to the open connection.
    pub connect: Latency,
    /// From the start of connecting to the first byte that came on the connection, less the time
    /// that it was open and waited for others before its first request.
    pub first_byte: Latency,
    /// From the call that sent a request to the last byte of its right reply.
    pub from_send: Latency,
    /// From the time at which the schedule had a request due to the last byte of its right reply.
    /// Empty without a schedule.
    pub from_schedule: Latency,
    /// For each right reply, the part of its latency that the generator caused: its request was
    /// due and a connection free, or the reply was there and not read. Of a request that
    /// waited in a queue which the generator caused, that wait too.
    pub lag: Latency,
    /// CPU time of the generating threads; zero where the system does not tell.
    pub cpu: Duration,
    /// How long the generating threads were ready to run and had no core, or were stopped.
    pub starved: Duration,
    /// How long they waited for an event or for the next thing to do.
    pub waited: Duration,
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
        self.waited += other.waited;
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
