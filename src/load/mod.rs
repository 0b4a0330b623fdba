//! The load generator: many connections, honest numbers.

pub mod latency;
pub mod outcome;
pub mod tally;
