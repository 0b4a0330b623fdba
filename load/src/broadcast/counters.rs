//! The counts of all members, and the violations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measurement::latency::Latency;

/// The most examples of violations that a report shows.
const EXAMPLES_MAX: usize = 5;

/// A promise of broadcast that a server can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A message never came, and no `MISSED` counted it.
    Lost,
    /// A message came twice.
    Duplicated,
    /// A message came after a later one of its publisher, or at another place than for others.
    Reordered,
    /// A publisher received its own message.
    Own,
    /// A message was changed, or the server sent bytes that no member should receive.
    Damaged,
    /// The answer to a publisher had a wrong number of members.
    Miscounted,
}

/// The number of each kind of violation, and the first examples.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violations {
    /// Messages that never came, and that no `MISSED` counted.
    pub lost_count: u64,
    /// Messages that came twice.
    pub duplicated_count: u64,
    /// Messages in a wrong order.
    pub reordered_count: u64,
    /// Messages that came back to their publisher.
    pub own_count: u64,
    /// Messages that were changed, or that no member should receive.
    pub damaged_count: u64,
    /// Answers with a wrong number of members.
    pub miscounted_count: u64,
    /// The first ones, a sentence each.
    pub examples: Vec<String>,
}

impl Violations {
    /// Counts `count` violations; `example` describes the first.
    pub fn add(&mut self, violation: Violation, count: u64, example: impl FnOnce() -> String) {
        *match violation {
            Violation::Lost => &mut self.lost_count,
            Violation::Duplicated => &mut self.duplicated_count,
            Violation::Reordered => &mut self.reordered_count,
            Violation::Own => &mut self.own_count,
            Violation::Damaged => &mut self.damaged_count,
            Violation::Miscounted => &mut self.miscounted_count,
        } += count;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(example());
        }
    }

    /// Returns each kind with its name and its number.
    #[must_use]
    pub const fn kinds(&self) -> [(&'static str, u64); 6] {
        [
            ("lost", self.lost_count),
            ("duplicated", self.duplicated_count),
            ("reordered", self.reordered_count),
            ("sent to its publisher", self.own_count),
            ("damaged", self.damaged_count),
            ("miscounted", self.miscounted_count),
        ]
    }

    /// Returns the number of all violations.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.kinds().iter().map(|(_, count)| count).sum()
    }
}

/// The counts of a run.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Messages that were due.
    pub due: u64,
    /// Messages that were written to their connections.
    pub sent: u64,
    /// Messages that the server accepted.
    pub accepted: u64,
    /// Messages that the server refused, by the token of its error.
    pub refused: BTreeMap<String, u64>,
    /// Correct deliveries.
    pub delivered: u64,
    /// Deliveries that `MISSED` replaced.
    pub missed: u64,
    /// Broken promises.
    pub violations: Violations,
    /// Members whose connection ended, and not by the generator.
    pub lost_members: u64,
    /// Silent members that the server disconnected.
    pub lost_silent_members: u64,
    /// Bytes of correct deliveries.
    pub received_bytes: u64,
    /// The time from the moment at which a message was due to its delivery, without those in
    /// `recent`.
    pub latency: Latency,
    /// The latencies since the last call of [`Counters::take_recent`].
    pub recent: Latency,
    /// The delay with which messages were sent.
    pub lag: Latency,
}

impl Counters {
    /// Adds the recent latencies to the others, and returns them.
    pub fn take_recent(&mut self) -> Latency {
        let recent = std::mem::take(&mut self.recent);
        self.latency.merge(&recent);
        recent
    }

    /// Returns the number of refused messages.
    #[must_use]
    pub fn refused_count(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Returns the number of violations, refused messages and lost members.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.violations.total() + self.refused_count() + self.lost_members
    }
}
