//! The results by address, of runs whose connections are spread over the addresses of the server.

use serde::{Deserialize, Serialize};

use super::distribution::Distribution;
use crate::measurement::outcome::RunOutcome;

/// The results of one address of the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportAddress {
    /// The address.
    pub address: String,
    /// Connections opened.
    pub opened_count: u64,
    /// Connections that did not open.
    pub failed_count: u64,
    /// Correct replies.
    pub correct_count: u64,
    /// Failed requests that were sent.
    pub errors_count: u64,
    /// From the schedule if there is one, else from the send.
    pub latency: Distribution,
}

/// Returns the results by address of a run whose connections were spread.
pub(super) fn addresses(outcome: &RunOutcome) -> Vec<ReportAddress> {
    let mut counts = outcome.total.by_address.clone();
    let address = |(index, address): (usize, &String)| {
        let counts = counts.of(index);
        ReportAddress {
            address: address.clone(),
            opened_count: counts.opened,
            failed_count: counts.failed,
            correct_count: counts.correct,
            errors_count: counts.errors,
            latency: Distribution(counts.latency.clone()),
        }
    };
    outcome.addresses.iter().enumerate().map(address).collect()
}
