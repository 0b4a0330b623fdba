//! The counts of a run. They add up: slices to a total, threads to a run, and the runs of several
//! machines to one report.

use std::marker::PhantomData;
use std::time::Duration;

use super::averages::share;
use super::by_address::CountsByAddress;
use super::causes::{Cause, ConnectError, ConnectionEnd, ReplyError};
use super::exchange::Exchanges;
use super::latency::Latency;
use super::tls::TlsCounts;

/// Length of the longest list of causes.
const CAUSES_MAX: usize = 16;

/// A count for each cause.
#[derive(Clone, Debug)]
pub struct CauseCounts<C> {
    counts: [u64; CAUSES_MAX],
    causes: PhantomData<C>,
}

impl<C> Default for CauseCounts<C> {
    fn default() -> Self {
        Self { counts: [0; CAUSES_MAX], causes: PhantomData }
    }
}

impl<C: Cause> CauseCounts<C> {
    /// Adds `count` occurrences of `cause`.
    pub fn add(&mut self, cause: C, count: u64) {
        self.counts[cause.index()] += count;
    }

    /// Returns the number of occurrences of `cause`.
    #[must_use]
    pub fn get(&self, cause: C) -> u64 {
        self.counts[cause.index()]
    }

    /// Returns the sum over all causes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns each cause with its count, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (C, u64)> + '_ {
        C::ALL.iter().map(|cause| (*cause, self.get(*cause)))
    }

    fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }
}

/// The counts of a slice of time, or of a complete run.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Connections attempted, including those given up because the system assigned a port of the
    /// server as the source port.
    pub connects: u64,
    /// Connections opened, including those that the server then rejected.
    pub opened: u64,
    /// Connections that did not open or were rejected by the server.
    pub connect_errors: CauseCounts<ConnectError>,
    /// Connections that ended without the generator closing them.
    pub endings: CauseCounts<ConnectionEnd>,
    /// Requests completely accepted by the kernel.
    pub sent: u64,
    /// Bytes accepted by the kernel.
    pub sent_bytes: u64,
    /// Requests with a complete and correct reply.
    pub correct: u64,
    /// The number of correct replies outside the measurement window, including fractions of a
    /// reply. With a schedule, replies to requests due before the window; otherwise, of each reply,
    /// the share of its time outside.
    pub outside: f64,
    /// Bytes of replies, correct or wrong; a greeting is not a reply.
    pub received_bytes: u64,
    /// Failed requests, and replies that no request was waiting for.
    pub errors: CauseCounts<ReplyError>,
    /// Requests never sent for which the generator caused most of the delay.
    pub unsent_by_generator: u64,
    /// The first exchanges of each kind of error, except for requests that were never sent.
    pub exchanges: Exchanges,
    /// Counts by address; empty unless connections are spread over the addresses.
    pub by_address: CountsByAddress,
    /// Time from the connection attempt to the open connection, without the handshake of TLS.
    pub connect: Latency,
    /// Handshakes of TLS.
    pub tls: TlsCounts,
    /// Time from the connection attempt to the first byte received, without the time in which the
    /// open connection waited for others before its first request.
    pub first_byte: Latency,
    /// Time from the system call that sent a request to the last byte of its correct reply.
    pub from_send: Latency,
    /// Time from the scheduled moment of a request to the last byte of its correct reply. Empty
    /// without a schedule.
    pub from_schedule: Latency,
    /// For each correct reply, the part of its latency that the generator caused: the request was
    /// due and a connection free, or the reply was readable and not read. Includes the wait in a
    /// queue that the generator caused.
    pub lag: Latency,
    /// CPU time of the generator threads; zero if the system does not report it.
    pub cpu: Duration,
    /// Time in which generator threads were runnable without a core, or were stopped.
    pub starved: Duration,
    /// Time in which they waited for an event or for the next scheduled action.
    pub waited: Duration,
}

impl Counts {
    /// Returns the number of correct replies in the measurement window, fractions included: the
    /// basis of rates.
    #[must_use]
    pub fn correct_inside(&self) -> f64 {
        (self.correct as f64 - self.outside).max(0.0)
    }

    /// Returns their share of all correct replies; one if there are none.
    #[must_use]
    pub fn inside_ratio(&self) -> f64 {
        if self.correct > 0 { share(self.correct_inside(), self.correct as f64) } else { 1.0 }
    }

    /// Adds all counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.merge_failures(other);
        self.sent += other.sent;
        self.sent_bytes += other.sent_bytes;
        self.correct += other.correct;
        self.outside += other.outside;
        self.received_bytes += other.received_bytes;
        self.by_address.merge_replies(&other.by_address);
        self.tls.merge_inside(&other.tls);
        self.from_send.merge(&other.from_send);
        self.from_schedule.merge(&other.from_schedule);
        self.lag.merge(&other.lag);
        self.cpu += other.cpu;
        self.starved += other.starved;
        self.waited += other.waited;
    }

    /// Adds the counts that include the warm-up: connections and failures.
    pub fn merge_failures(&mut self, other: &Self) {
        self.connects += other.connects;
        self.opened += other.opened;
        self.connect_errors.merge(&other.connect_errors);
        self.endings.merge(&other.endings);
        self.errors.merge(&other.errors);
        self.unsent_by_generator += other.unsent_by_generator;
        self.exchanges.merge(&other.exchanges);
        self.by_address.merge_failures(&other.by_address);
        self.connect.merge(&other.connect);
        self.tls.merge_all(&other.tls);
        self.first_byte.merge(&other.first_byte);
    }
}
