//! The load generator: many connections, honest numbers.

pub mod averages;
pub mod figures;
pub mod gates;
pub mod latency;
pub mod merge;
pub mod objective;
pub mod outcome;
pub mod progress;
pub mod report;
#[cfg(test)]
mod samples;
pub mod search;
pub mod tally;
pub mod verdict;
