//! Counts of each address of the server, of runs whose connections are spread over them.

use std::time::Duration;

use super::latency::Latency;

/// The counts of one address.
#[derive(Clone, Debug, Default)]
pub struct AddressCounts {
    /// Connections opened.
    pub opened: u64,
    /// Connections that did not open.
    pub failed: u64,
    /// Requests with a complete and correct reply.
    pub correct: u64,
    /// Failed requests.
    pub errors: u64,
    /// Reply latency: from the schedule if there is one, else from the send.
    pub latency: Latency,
}

/// The counts by address, in the order of the addresses.
#[derive(Clone, Debug, Default)]
pub struct CountsByAddress(Vec<AddressCounts>);

impl CountsByAddress {
    /// Returns the counts of the address with this index.
    pub fn of(&mut self, address: usize) -> &mut AddressCounts {
        if self.0.len() <= address {
            self.0.resize_with(address + 1, AddressCounts::default);
        }
        &mut self.0[address]
    }

    /// Adds `count` correct replies from an address with this latency.
    pub fn add_correct(&mut self, address: usize, count: u64, latency: Duration) {
        let counts = self.of(address);
        counts.correct += count;
        counts.latency.record(latency, count);
    }

    /// Adds the counts that exclude the warm-up: correct replies.
    pub(super) fn merge_replies(&mut self, other: &Self) {
        for (address, more) in other.0.iter().enumerate() {
            let counts = self.of(address);
            counts.correct += more.correct;
            counts.latency.merge(&more.latency);
        }
    }

    /// Adds the counts that include the warm-up: connections and failures.
    pub(super) fn merge_failures(&mut self, other: &Self) {
        for (address, more) in other.0.iter().enumerate() {
            let counts = self.of(address);
            counts.opened += more.opened;
            counts.failed += more.failed;
            counts.errors += more.errors;
        }
    }
}
