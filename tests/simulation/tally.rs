//! The sums over all worlds of a run.

use std::collections::BTreeMap;
use std::fmt;

use tinytcp_core::close_reason::CloseReason;

use super::simulator::{BEHAVIOURS, FAULTS, KINDS, Report};

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
    behaviours: [u64; BEHAVIOURS.len()],
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
            behaviours: report.behaviours,
            kinds,
            reasons: counters.closed,
        }
    }
}

impl Tally {
    /// Adds two sums.
    pub fn add(mut self, other: Self) -> Self {
        self.worlds += other.worlds;
        self.rounds += other.rounds;
        self.events += other.events;
        self.connections += other.connections;
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.faults.iter_mut().zip(other.faults).for_each(|(sum, count)| *sum += count);
        self.behaviours.iter_mut().zip(other.behaviours).for_each(|(sum, count)| *sum += count);
        self.reasons.iter_mut().zip(other.reasons).for_each(|(sum, count)| *sum += count);
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_insert(0) += count;
        }
        self
    }

    /// Asserts that each fault, each kind of client and each behaviour has occurred, if there were
    /// enough worlds.
    pub fn assert_complete(&self) {
        if self.worlds < 300 {
            return;
        }
        let faults = FAULTS.iter().zip(self.faults).map(|((_, label), count)| (*label, count));
        let kinds = KINDS.iter().map(|kind| (*kind, self.kinds.get(kind).copied().unwrap_or(0)));
        let behaviours =
            BEHAVIOURS.iter().zip(self.behaviours).map(|(label, count)| (*label, count));
        let never: Vec<_> =
            faults.chain(kinds).chain(behaviours).filter(|(_, count)| *count == 0).collect();
        assert!(never.is_empty(), "these never happened: {never:?}");
        for (reason, count) in CloseReason::ALL.iter().zip(self.reasons) {
            // No client and no error of the kernel may cause a system error.
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
        for ((_, label), count) in FAULTS.iter().zip(self.faults) {
            writeln!(f, "{count:10} {label}")?;
        }
        writeln!(f, "behaviour:")?;
        BEHAVIOURS
            .iter()
            .zip(self.behaviours)
            .try_for_each(|(label, count)| writeln!(f, "{count:10} {label}"))?;
        writeln!(f, "clients:")?;
        self.kinds.iter().try_for_each(|(kind, count)| writeln!(f, "{count:10} {kind}"))?;
        writeln!(f, "closed for:")?;
        CloseReason::ALL
            .iter()
            .zip(self.reasons)
            .try_for_each(|(reason, count)| writeln!(f, "{count:10} {reason}"))
    }
}
