//! What happened in all worlds together.

use std::collections::BTreeMap;
use std::fmt;

use tinytcp_core::close_reason::CloseReason;

use super::simulator::{FAULTS, KINDS, Report, SIGHTS};

/// Sums over worlds.
#[derive(Debug, Default)]
pub struct Tally {
    worlds: u64,
    rounds: u64,
    events: u64,
    connections: u64,
    messages: u64,
    bytes: u64,
    faults: [u64; FAULTS.len()],
    sights: [u64; SIGHTS.len()],
    kinds: BTreeMap<&'static str, u64>,
    /// Connections closed, by reason.
    reasons: [u64; CloseReason::COUNT],
}

impl From<Report> for Tally {
    fn from(report: Report) -> Self {
        let counters = &report.counters;
        let mut kinds = BTreeMap::new();
        report.kinds.iter().for_each(|kind| *kinds.entry(*kind).or_insert(0) += 1);
        Self {
            worlds: 1,
            rounds: report.rounds,
            events: report.events,
            connections: counters.accepted,
            messages: counters.messages,
            bytes: counters.received_bytes + counters.sent_bytes,
            faults: report.faults,
            sights: report.sights,
            kinds,
            reasons: counters.closed,
        }
    }
}

impl Tally {
    /// Both together.
    pub fn add(mut self, other: Self) -> Self {
        self.worlds += other.worlds;
        self.rounds += other.rounds;
        self.events += other.events;
        self.connections += other.connections;
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.faults.iter_mut().zip(other.faults).for_each(|(sum, count)| *sum += count);
        self.sights.iter_mut().zip(other.sights).for_each(|(sum, count)| *sum += count);
        self.reasons.iter_mut().zip(other.reasons).for_each(|(sum, count)| *sum += count);
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_insert(0) += count;
        }
        self
    }

    /// Asserts that everything that can happen has happened, where there were enough worlds for
    /// that.
    pub fn assert_complete(&self) {
        if self.worlds < 300 {
            return;
        }
        let faults = FAULTS.iter().zip(self.faults).map(|((_, said), count)| (*said, count));
        let kinds = KINDS.iter().map(|kind| (*kind, self.kinds.get(kind).copied().unwrap_or(0)));
        let sights = SIGHTS.iter().zip(self.sights).map(|(said, count)| (*said, count));
        let never: Vec<_> =
            faults.chain(kinds).chain(sights).filter(|(_, count)| *count == 0).collect();
        assert!(never.is_empty(), "these never happened: {never:?}");
        for (reason, count) in CloseReason::ALL.iter().zip(self.reasons) {
            // That one neither a peer nor the kernel may cause.
            assert_eq!(
                count == 0,
                *reason == CloseReason::SystemError,
                "{count} connections were closed for \"{reason}\""
            );
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worlds, rounds, events, connections, messages, bytes, .. } = self;
        writeln!(
            f,
            "{worlds} seeds, {rounds} rounds, {events} events, {connections} connections, \
             {messages} messages, {bytes} bytes; {} faults:",
            self.faults.iter().sum::<u64>()
        )?;
        for ((_, said), count) in FAULTS.iter().zip(self.faults) {
            writeln!(f, "{count:10} {said}")?;
        }
        writeln!(f, "seen:")?;
        SIGHTS
            .iter()
            .zip(self.sights)
            .try_for_each(|(said, count)| writeln!(f, "{count:10} {said}"))?;
        writeln!(f, "peers:")?;
        self.kinds.iter().try_for_each(|(kind, count)| writeln!(f, "{count:10} {kind}"))?;
        writeln!(f, "closed for:")?;
        CloseReason::ALL
            .iter()
            .zip(self.reasons)
            .try_for_each(|(reason, count)| writeln!(f, "{count:10} {reason}"))
    }
}
