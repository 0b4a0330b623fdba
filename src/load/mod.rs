//! The load generator: many connections, honest numbers.

pub mod latency;
pub mod message;
pub mod outcome;
pub mod reader;
pub mod script;
pub mod tally;
